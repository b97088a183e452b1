//! What reading a message costs, and finding its frame, and answering it: processor time for
//! each, best of 25 batches.
//!
//! `cargo bench -p mllp --bench parse`

#![allow(clippy::unwrap_used, reason = "a benchmark stops at the first error")]

use std::{
    fs,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mllp::{
    Message,
    ack::{self, Answer, Code},
    frame::{Decoder, Event, Limits, encode},
    header::Header,
    message::Reading,
};

const BATCHES: usize = 25;
const EACH: u32 = 2_000;

fn best(mut work: impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..BATCHES {
        let start = Instant::now();
        for _ in 0..EACH {
            work();
        }
        best = best.min(start.elapsed() / EACH);
    }
    best
}

fn every_field(message: &Message) -> usize {
    let mut length = 0;
    for segment in message.segments() {
        for (_, field) in segment.filled() {
            for repetition in field.repetitions() {
                for component in repetition.components() {
                    length += component.text().len();
                }
            }
        }
    }
    length
}

fn main() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let reading = Reading::default();
    for name in [
        "own/adt_a01.hl7",
        "own/oru_r01_all_value_types.hl7",
        "own/siu_s12.hl7",
        "own/charset_8859_1.hl7",
        "own/charset_utf16le_bom.hl7",
        "own/large_ed_40k.hl7",
    ] {
        let raw = Bytes::from(fs::read(samples.join(name)).unwrap());
        let message = Message::parse(raw.clone(), &reading).unwrap();
        let framed = encode(&raw);
        let frame = best(|| {
            let mut decoder = Decoder::new(Limits::default());
            decoder.push(&framed);
            assert!(matches!(decoder.next(), Some(Event::Frame(_))));
        });
        let single = best(|| {
            let mut decoder = Decoder::new(Limits::default());
            for byte in &framed[..framed.len().min(2000)] {
                decoder.push(std::slice::from_ref(byte));
                black_box(decoder.next());
            }
        });
        let parse = best(|| {
            black_box(Message::parse(raw.clone(), &reading).unwrap());
        });
        let read = best(|| {
            black_box(every_field(&message));
        });
        let answer = best(|| {
            let answer = Answer {
                code: Code::AA,
                problems: &[],
                control_id: "1",
                time: "20260101120000+0000",
                expected_sequence: None,
            };
            black_box(Header::of(&message));
            black_box(ack::write(&message, &answer));
        });
        let micros = |time: Duration| time.as_nanos() as f64 / 1000.0;
        println!(
            "{name}, {} bytes: frame {:.2} µs (by bytes {:.2}), parse {:.2}, all texts {:.2}, \
             header and answer {:.2}",
            raw.len(),
            micros(frame),
            micros(single),
            micros(parse),
            micros(read),
            micros(answer),
        );
    }
}
