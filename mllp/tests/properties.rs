//! What holds of any bytes.

#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

use bytes::Bytes;
use mllp::{
    Message,
    ack::{self, Answer, Code, Problem},
    batch,
    frame::{Decoder, Event, Limits, encode},
    header::Header,
    message::{Delimiters, Reading},
    text::{Lines, escape},
    tree,
    write::{self, Composite, Writer},
};
use proptest::{collection::vec, prelude::*};

/// A usable MSH with delimiters of all kinds.
fn header() -> impl Strategy<Value = Vec<u8>> {
    let marks = prop::sample::subsequence(b"|^~\\&#*@%$!{}[]".to_vec(), 3..=6).prop_shuffle();
    (marks, "[A-Z^]{0,6}").prop_map(|(marks, sender)| {
        let field = marks[0];
        let mut header = b"MSH".to_vec();
        header.extend(&marks);
        header.push(field);
        header.extend(sender.bytes().filter(|byte| *byte != b'^'));
        header
    })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let likely = prop::sample::select(b"|^~\\&\r\n\"AZ09 \x0B\x1C\x1B$(B".to_vec());
    vec(prop_oneof![4 => likely, 1 => any::<u8>()], 0..300)
}

fn lead() -> impl Strategy<Value = Vec<u8>> {
    let marks: Vec<&[u8]> = vec![b"", b"\xEF\xBB\xBF", b"\r\n", b" \t", b"\x0B"];
    prop::sample::select(marks).prop_map(<[u8]>::to_vec)
}

/// The text again, from segments, fields, and what is between.
fn rebuilt(message: &Message) -> String {
    let mut text = String::new();
    let delimiter = char::from(message.delimiters().field);
    for segment in message.segments() {
        text.push_str(segment.lead());
        let raw = segment.raw();
        text.push_str(&raw[..raw.find(delimiter).unwrap_or(raw.len())]);
        let first = match segment.name() {
            "MSH" | "BHS" | "FHS" => 2,
            _ => 1,
        };
        for number in first..=segment.fields() {
            text.push(delimiter);
            let field = segment.field(number);
            let whole = field.raw();
            let repetitions: Vec<&str> = field.repetitions().map(|value| value.raw()).collect();
            let marks = message.delimiters();
            if number > 2 || first == 1 {
                assert_eq!(
                    repetitions.join(&char::from(marks.repetition).to_string()),
                    whole
                );
            }
            for repetition in field.repetitions().take(3) {
                let parts: Vec<&str> = repetition.components().map(|part| part.raw()).collect();
                if number > 2 || first == 1 {
                    assert_eq!(
                        parts.join(&char::from(marks.component).to_string()),
                        repetition.raw()
                    );
                }
                for part in repetition.components().take(3) {
                    let _ = part.text();
                    assert_eq!(
                        message.get(&part.place()).map(|found| found.raw()),
                        named(&part, &segment)
                    );
                }
            }
            text.push_str(whole);
        }
    }
    text.push_str(message.tail());
    text
}

/// A place can be looked up if its segment has a name.
fn named<'m>(value: &mllp::Value<'m>, segment: &mllp::Segment<'m>) -> Option<&'m str> {
    segment.is_named().then_some(value.raw())
}

proptest! {
    #[test]
    fn the_view_covers_all_bytes(lead in lead(), start in header(), rest in bytes()) {
        let raw = Bytes::from([lead, start, rest].concat());
        // Delimiters that make no header are refused, and that is all that may happen.
        if let Ok(message) = Message::parse(raw.clone(), &Reading::default()) {
            prop_assert_eq!(message.raw(), &raw);
            let text = rebuilt(&message);
            prop_assert_eq!(&text, message.text());
            let lossy = message.encoding() == encoding_rs::ISO_2022_JP
                || raw.contains(&0x1B)
                || text.contains(char::REPLACEMENT_CHARACTER);
            if !lossy {
                prop_assert_eq!(write::encode(&text, message.encoding()), raw);
            }
            let _ = tree::render(&message);
            let _ = Header::of(&message).problems();
        }
    }

    #[test]
    fn any_header_can_be_answered(start in header(), rest in bytes()) {
        let raw = Bytes::from([start, rest].concat());
        let problem = [Problem::error("PID-3", "101", "none")];
        let answer = Answer { code: Code::AE, problems: &problem, control_id: "1", time: "2026", expected_sequence: None };
        if let Ok(message) = Message::parse(raw.clone(), &Reading::default()) {
            let ack = Message::parse(ack::write(&message, &answer), &Reading::default()).unwrap();
            prop_assert_eq!(ack::read(&ack).unwrap().code, Code::AE);
        }
        let refused = ack::unreadable(&raw, "1", "2026", "odd");
        let refused = Message::parse(refused, &Reading::default()).unwrap();
        prop_assert_eq!(ack::read(&refused).unwrap().code, Code::AR);
    }

    #[test]
    fn escaped_text_is_read_as_it_was(text in any::<String>(), spare in any::<bool>()) {
        // A line end is what is left of them in formatted text.
        let delimiters = Delimiters { truncation: spare.then_some(b'#'), ..Delimiters::default() };
        let mut writer = Writer::new(delimiters, encoding_rs::UTF_8, "2.5.1");
        writer.segment("MSH");
        let mut value = Composite::new();
        value.set(2, &text).sub(3, 2, &text);
        writer.segment("NTE").text(3, &text).formatted(4, &text).repeat(5, &value);
        let message = Message::parse(writer.finish(), &Reading::default()).unwrap();
        prop_assert_eq!(message.segments().len(), 2);
        prop_assert_eq!(message.get("NTE-3").unwrap().text(), text.as_str());
        prop_assert_eq!(message.get("NTE-5.2").unwrap().text(), text.as_str());
        prop_assert_eq!(message.get("NTE-5.3.2").unwrap().text(), text.as_str());
        let lines = text.replace("\r\n", "\n").replace('\r', "\n");
        prop_assert_eq!(message.get("NTE-4").unwrap().text(), lines);
        prop_assert!(!escape(&text, &delimiters, Lines::Break).contains('|'));
    }

    #[test]
    fn frames_are_the_same_however_they_are_cut(
        bytes in vec(prop_oneof![Just(0x0B), Just(0x1C), Just(b'\r'), Just(b'\n'), Just(0), Just(6), any::<u8>()], 0..200),
        cuts in vec(1_usize..9, 1..50),
        tolerant in any::<bool>(),
        frame in prop_oneof![Just(4_usize), Just(1000)],
    ) {
        let limits = Limits { frame, tolerant };
        let whole = events(limits, &[&bytes]);
        let mut parts = Vec::new();
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (part, after) = rest.split_at((*cut).min(rest.len()));
            parts.push(part);
            rest = after;
        }
        prop_assert_eq!(events(limits, &parts), whole);
    }

    #[test]
    fn what_is_framed_arrives(messages in vec("[A-Z|\\x1C]{1,40}", 1..5)) {
        let messages: Vec<String> = messages.iter().map(|message| format!("MSH{message}|")).collect();
        let bytes: Vec<u8> = messages.iter().flat_map(|message| encode(message.as_bytes())).collect();
        let frames: Vec<Event> = messages.into_iter().map(|message| Event::Frame(message.into())).collect();
        prop_assert_eq!(events(Limits::default(), &[&bytes]), frames);
    }

    #[test]
    fn a_batch_loses_no_message(parts in vec(("(MSH|FHS|BHS|BTS|FTS|PID|)", "[|^a-z0-9]{0,10}", "[\\r\\n]{1,2}"), 0..20)) {
        let text: String = parts.iter().map(|(name, rest, end)| format!("{name}|{rest}{end}")).collect();
        let raw = Bytes::from(text.clone());
        let batch = batch::split(raw.clone());
        let headers = parts.iter().filter(|(name, ..)| name == "MSH").count();
        if headers > 0 {
            prop_assert_eq!(batch.messages.len(), headers);
        }
        let mut end = 0;
        for part in batch.messages {
            prop_assert!(part.offset >= end);
            end = part.offset + part.raw.len();
            prop_assert_eq!(&raw[part.offset..end], &part.raw[..]);
        }
    }
}

fn events(limits: Limits, parts: &[&[u8]]) -> Vec<Event> {
    let mut decoder = Decoder::new(limits);
    let mut events: Vec<Event> = Vec::new();
    let mut take = |event: Event| events.push(event);
    for part in parts {
        decoder.push(part);
        while let Some(event) = decoder.next() {
            take(event);
        }
    }
    while let Some(event) = decoder.settle() {
        take(event);
    }
    events
}
