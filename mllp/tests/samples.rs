//! Every sample message: read without loss, acknowledged, shown.

#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use mllp::{
    Message,
    ack::{self, Answer, Code, Problem},
    batch,
    frame::{Decoder, Event, Limits, encode},
    header::Header,
    message::Reading,
    tree, write,
};

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")
}

fn files() -> Vec<(String, Bytes)> {
    let mut files = Vec::new();
    for folder in fs::read_dir(samples()).unwrap() {
        let folder = folder.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let kind = path.extension().unwrap_or_default().to_string_lossy();
            if matches!(&*kind, "hl7" | "mllp" | "txt" | "xml") {
                let name = path
                    .strip_prefix(samples())
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                files.push((name, Bytes::from(fs::read(&path).unwrap())));
            }
        }
    }
    files.sort();
    assert!(files.len() >= 510, "{}", files.len());
    files
}

fn read(name: &str) -> Bytes {
    Bytes::from(fs::read(samples().join("own").join(name)).unwrap())
}

fn parse(raw: Bytes) -> Message {
    Message::parse(raw, &Reading::default()).unwrap()
}

/// The text again, from segments, fields, and what is between.
fn rebuilt(message: &Message) -> String {
    let mut text = String::new();
    let delimiter = char::from(message.delimiters().field);
    for segment in message.segments() {
        text.push_str(segment.lead());
        let raw = segment.raw();
        // The name as it stands: `name` has it in upper case.
        let name = raw.find(delimiter).unwrap_or(raw.len());
        text.push_str(&raw[..name]);
        let first = match segment.name() {
            "MSH" | "BHS" | "FHS" => 2,
            _ => 1,
        };
        for number in first..=segment.fields() {
            text.push(delimiter);
            text.push_str(segment.field(number).raw());
        }
    }
    text.push_str(message.tail());
    text
}

/// All messages of a file, out of frames and batches.
fn messages(name: &str, raw: Bytes) -> Vec<Bytes> {
    let mut frames = Vec::new();
    if name.ends_with(".mllp") {
        let mut decoder = Decoder::new(Limits::default());
        decoder.push(&raw);
        while let Some(event) = decoder.next() {
            if let Event::Frame(frame) = event {
                frames.push(frame);
            }
        }
        if let Some(Event::Frame(frame)) = decoder.settle() {
            frames.push(frame);
        }
    } else {
        frames.push(raw);
    }
    let parts = frames
        .into_iter()
        .flat_map(|frame| batch::split(frame).messages);
    parts.map(|part| part.raw).collect()
}

#[test]
fn all_are_read_without_loss_and_can_be_answered() {
    let mut count = 0;
    let mut unreadable = Vec::new();
    for (name, raw) in files() {
        let mut together = 0;
        for raw in messages(&name, raw.clone()) {
            count += 1;
            together += raw.len();
            let message = match Message::parse(raw.clone(), &Reading::default()) {
                Ok(message) => message,
                Err(_) => {
                    unreadable.push(name.clone());
                    let answer = ack::unreadable(&raw, "1", "20260101", "not HL7");
                    assert_eq!(acknowledged(&answer).code, Code::AR, "{name}");
                    continue;
                }
            };
            assert_eq!(message.raw(), &raw, "{name}");
            let text = rebuilt(&message);
            assert_eq!(text, message.text(), "{name}");
            // ISO 2022 can be written in more than one way.
            if message.encoding() != encoding_rs::ISO_2022_JP {
                assert_eq!(write::encode(&text, message.encoding()), raw, "{name}");
            }
            let shown = tree::render(&message);
            assert!(shown.starts_with("MSH\n"), "{name}");
            answered(&name, &message);
        }
        assert!(together <= raw.len(), "{name}");
    }
    assert!(count >= 520, "{count}");
    assert_eq!(unreadable, ["own/bad_not_hl7.hl7", "own/xml_v2.xml"]);
}

fn acknowledged(raw: &Bytes) -> ack::Acknowledged {
    ack::read(&parse(raw.clone())).unwrap()
}

fn answered(name: &str, message: &Message) {
    let header = Header::of(message);
    let problems = [
        Problem::error("PID-3[2].4.1", "101", "no authority | ^ ~ \\ & given"),
        Problem::warning("OBX[2]-5", "103", "unknown"),
    ];
    for code in [Code::AA, Code::AE, Code::AR, Code::CA, Code::CE, Code::CR] {
        let answer = Answer {
            code,
            problems: &problems,
            control_id: "R1",
            time: "20260101120000+0000",
            expected_sequence: Some(7),
        };
        let raw = ack::write(message, &answer);
        let ack = parse(raw);
        assert_eq!(ack.delimiters(), message.delimiters(), "{name}");
        assert_eq!(ack.notes(), [], "{name}");
        let its = Header::of(&ack);
        assert_eq!(
            (its.code.as_str(), its.control_id.as_str()),
            ("ACK", "R1"),
            "{name}"
        );
        assert_eq!(its.sending, header.receiving, "{name}");
        assert_eq!(its.receiving, header.sending, "{name}");
        if !header.version.is_empty() {
            assert_eq!(its.version, header.version, "{name}");
        }
        let read = ack::read(&ack).unwrap();
        assert_eq!(read.code, code);
        assert_eq!(read.control_id, header.control_id, "{name}");
        assert_eq!(read.expected_sequence, Some(7));
        assert_eq!(read.problems.len(), 2, "{name} {:?}", read.problems);
        assert!(read.problems[0].place.starts_with("PID-3"), "{name}");
        assert_eq!(read.problems[0].code, "101", "{name}");
    }
}

/// The header's own verdict on messages that are wrong.
#[test]
fn the_malformed_are_found_with_their_places() {
    let verdicts = [
        ("bad_no_msh9.hl7", vec![("MSH-9", "101")]),
        ("bad_no_msh10.hl7", vec![("MSH-10", "101")]),
        ("bad_unknown_version.hl7", vec![("MSH-12", "203")]),
        ("bad_no_version.hl7", vec![("MSH-12", "101")]),
        ("bad_msh_only.hl7", vec![]),
        ("bad_debug_mode.hl7", vec![]),
        ("adt_a01.hl7", vec![]),
    ];
    for (name, expected) in verdicts {
        let problems = Header::of(&parse(read(name))).problems();
        let found: Vec<_> = problems
            .iter()
            .map(|found| (found.place.as_str(), found.code))
            .collect();
        assert_eq!(found, expected, "{name}");
    }
    let modes = ["bad_debug_mode.hl7", "bad_training_mode.hl7"];
    let modes = modes.map(|name| Header::of(&parse(read(name))).processing);
    assert_eq!(modes, ["D", "T"]);
}

#[test]
fn what_is_odd_is_noted_and_kept() {
    let noted = [
        ("bad_cr_in_text.hl7", vec!["line 5", "line 6"]),
        ("bad_tabs_spaces.hl7", vec!["EVN"]),
        ("lower_case_segment.hl7", vec!["PID"]),
        ("charset_8859_1_undeclared.hl7", vec!["MSH-18"]),
        ("charset_8859_1_says_utf8.hl7", vec!["MSH-18"]),
        ("segment_without_fields.hl7", vec![]),
        ("term_blank_lines.hl7", vec![]),
        ("bad_null_bytes.hl7", vec![]),
        ("z_segments.hl7", vec![]),
        ("charset_utf8_bom.hl7", vec![]),
    ];
    for (name, expected) in noted {
        let message = parse(read(name));
        let places: Vec<_> = message
            .notes()
            .iter()
            .map(|note| note.place.as_str())
            .collect();
        assert_eq!(places, expected, "{name}: {:?}", message.notes());
    }
    let message = parse(read("lower_case_segment.hl7"));
    assert_eq!(message.first("PID").unwrap().field(8).text(), "F");
    let message = parse(read("bad_cr_in_text.hl7"));
    assert_eq!(message.segment(5).unwrap().raw(), "line three||||||F");
    let message = parse(read("segment_without_fields.hl7"));
    let names: Vec<_> = message.segments().map(|segment| segment.name()).collect();
    assert_eq!(names, ["MSH", "EVN", "PID", "PV1", "PV2", "GT1"]);
}

#[test]
fn character_sets() {
    let names = [
        ("charset_utf8.hl7", encoding_rs::UTF_8),
        ("charset_utf8_bom.hl7", encoding_rs::UTF_8),
        ("charset_8859_1.hl7", encoding_rs::WINDOWS_1252),
        ("charset_8859_1_undeclared.hl7", encoding_rs::WINDOWS_1252),
        ("charset_8859_1_says_utf8.hl7", encoding_rs::WINDOWS_1252),
        ("charset_8859_2.hl7", encoding_rs::ISO_8859_2),
        ("charset_8859_15.hl7", encoding_rs::ISO_8859_15),
        ("charset_8859_5.hl7", encoding_rs::ISO_8859_5),
        ("charset_utf16le_bom.hl7", encoding_rs::UTF_16LE),
        ("charset_utf16be.hl7", encoding_rs::UTF_16BE),
        ("charset_gb18030.hl7", encoding_rs::GB18030),
        ("charset_shift_in_iso2022jp.hl7", encoding_rs::ISO_2022_JP),
    ];
    let mut out = String::new();
    for (name, encoding) in names {
        let message = parse(read(name));
        assert_eq!(message.encoding(), encoding, "{name}");
        let people = message.first("PID").unwrap().field(5);
        for person in people.repetitions() {
            out.push_str(&format!(
                "{} {}; ",
                person.component(1).text(),
                person.component(2).text()
            ));
        }
        out.push('\n');
    }
    let expected = "\
        Müller Zoë; 山田 太郎; Łoś Ωμέγα; \n\
        Müller Zoë; \nMüller Zoë; \nMüller Zoë; \nMüller Zoë; \nČapek Łukasz; \n\
        Œuvre Šárka; \nИванов Иван; \nMüller Zoë; \nMüller Zoë; \n张 三丰; \n\
        Yamada Taro; 山田 太郎; \n";
    assert_eq!(out, expected);
}

#[test]
fn frames() {
    let events = |name: &str, chunk: usize| {
        let raw = read(name);
        let mut decoder = Decoder::new(Limits::default());
        let mut out = Vec::new();
        for part in raw.chunks(chunk) {
            decoder.push(part);
            while let Some(event) = decoder.next() {
                out.push(match event {
                    Event::Frame(frame) => {
                        assert!(frame.starts_with(b"MSH|"));
                        "frame".to_owned()
                    }
                    other => format!("{other:?}"),
                });
            }
        }
        out.extend(decoder.settle().map(|event| match event {
            Event::Frame(_) => "frame".to_owned(),
            other => format!("{other:?}"),
        }));
        out.join(" ")
    };
    for chunk in [1, 2, 3, 7, 1000, 100_000] {
        let of = |name| events(name, chunk);
        assert_eq!(of("frame_leading_junk.mllp"), "Skipped(7) frame");
        assert_eq!(of("frame_two_in_one_write.mllp"), "frame frame");
        assert_eq!(of("frame_no_final_cr.mllp"), "frame frame");
        assert_eq!(of("frame_fs_lf.mllp"), "frame");
        assert_eq!(of("frame_double_start.mllp"), "frame");
        assert_eq!(of("frame_restart_midway.mllp"), "Restarted(120) frame");
        assert_eq!(of("frame_empty.mllp"), "Empty");
        assert_eq!(of("frame_fs_inside_text.mllp"), "frame");
        assert_eq!(of("frame_mllp2_ack.mllp"), "Commit(true)");
        assert_eq!(of("frame_mllp2_nak.mllp"), "Commit(false)");
    }
    let raw = read("adt_a01.hl7");
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(&encode(&raw));
    assert_eq!(decoder.next(), Some(Event::Frame(raw)));
}

#[test]
fn batches() {
    let counts = [
        ("batch_full.hl7", 3, 2, vec![]),
        ("batch_bhs_only.hl7", 3, 1, vec![]),
        ("batch_wrong_count.hl7", 3, 2, vec!["BTS-1"]),
        ("batch_no_trailers.hl7", 3, 2, vec!["BTS", "FTS"]),
        ("batch_bare_messages.hl7", 3, 0, vec![]),
        ("batch_other_delims.hl7", 3, 2, vec![]),
        ("batch_two_batches.hl7", 4, 3, vec![]),
        ("adt_a01.hl7", 1, 0, vec![]),
        ("bad_not_hl7.hl7", 1, 0, vec![]),
        ("charset_utf16be.hl7", 1, 0, vec![]),
    ];
    for (name, messages, headers, notes) in counts {
        let raw = read(name);
        let batch = batch::split(raw.clone());
        let places: Vec<_> = batch.notes.iter().map(|note| note.place.as_str()).collect();
        assert_eq!(
            (batch.messages.len(), batch.headers.len(), places),
            (messages, headers, notes),
            "{name}: {:?}",
            batch.notes
        );
        for part in &batch.messages {
            let end = part.offset + part.raw.len();
            assert_eq!(raw[part.offset..end], part.raw);
        }
        assert_eq!(batch.is_batch, name.starts_with("batch_"), "{name}");
    }
}

/// Headers and trailers that stand within a message are lines of it.
#[test]
fn a_batch_takes_nothing_out_of_a_message() {
    let text = "MSH|^~\\&|A\rBTS|1\rBHS|x\rFTS|1\rFHS|x\rPID|1\r";
    let batch = batch::split(Bytes::from(text));
    assert_eq!(batch.messages[0].raw, text);
    assert_eq!((batch.messages.len(), batch.is_batch), (1, false));
    let text = "hello\rBHS|^~\\&|||||||||7\r\nMSH|^~\\&|A\rPID|1\n\nBTS|1\rtail\r";
    let batch = batch::split(Bytes::from(text));
    assert_eq!(batch.messages[0].raw, "MSH|^~\\&|A\rPID|1\n\n");
    assert_eq!(batch.messages[0].batch, "7");
    assert_eq!(batch.notes[0].text, "2 lines that belong to no message");
}
