//! A message: its view covers all of it, it can be shown, and its answer is read as it was meant.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mllp::{
    Message,
    ack::{self, Answer, Code, Problem},
    header::Header,
    message::Reading,
    tree,
};

fuzz_target!(|bytes: &[u8]| {
    // Half of the inputs get a header, so that not all of them stop at it.
    let raw = match bytes.first() {
        Some(0..=127) => [&b"MSH|^~\\&|"[..], bytes].concat(),
        _ => bytes.to_vec(),
    };
    let raw = Bytes::from(raw);
    let message = match Message::parse(raw.clone(), &Reading::default()) {
        Ok(message) => message,
        Err(error) => {
            let refused = ack::unreadable(&raw, "1", "2026", &error.to_string());
            let refused = Message::parse(refused, &Reading::default()).expect("an answer is read");
            assert_eq!(ack::read(&refused).map(|ack| ack.code), Some(Code::AR));
            return;
        }
    };
    assert_eq!(message.raw(), &raw);
    let mut text = String::new();
    for segment in message.segments() {
        text.push_str(segment.lead());
        text.push_str(segment.raw());
        for (_, field) in segment.filled() {
            for repetition in field.repetitions() {
                for component in repetition.components() {
                    let _ = component.full_text();
                }
            }
        }
    }
    text.push_str(message.tail());
    assert_eq!(text, message.text());
    let _ = tree::render(&message);
    let _ = Header::of(&message).problems();
    let answer = Answer {
        code: Code::AE,
        problems: &[Problem::error("PID-3[2].1", "101", "none")],
        control_id: "1",
        time: "2026",
        expected_sequence: None,
    };
    let ack = ack::write(&message, &answer);
    let ack = Message::parse(ack, &Reading::default()).expect("an answer is read");
    assert_eq!(ack::read(&ack).map(|ack| ack.code), Some(Code::AE));
});
