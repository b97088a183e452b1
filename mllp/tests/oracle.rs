//! Compared with hl7-parser, on what that reads: UTF-8, five delimiters in MSH, names before bars.

#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

use std::{fs, path::Path};

use bytes::Bytes;
use mllp::{Message, message::Reading};

#[test]
fn fields_are_where_hl7_parser_has_them() {
    let mut compared = 0;
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    for folder in fs::read_dir(samples).unwrap() {
        let Ok(files) = fs::read_dir(folder.unwrap().path()) else {
            continue;
        };
        for file in files {
            let path = file.unwrap().path();
            let raw = Bytes::from(fs::read(&path).unwrap());
            let Ok(text) = std::str::from_utf8(&raw) else {
                continue;
            };
            if !text.starts_with("MSH|^~\\&|") || text.contains(['\n', '\u{1B}']) {
                continue;
            }
            let Ok(theirs) = hl7_parser::parse_message(text) else {
                continue;
            };
            let ours = Message::parse(raw.clone(), &Reading::default()).unwrap();
            // It drops the rest of a message without a word where a segment is odd.
            for (their, our) in theirs.segments().zip(ours.segments()) {
                assert_eq!(their.name.to_uppercase(), our.name(), "{}", path.display());
                // A second header has no first field there.
                if matches!(our.name(), "MSH" | "BHS" | "FHS") && our.at() > 0 {
                    break;
                }
                for number in 1..=our.fields() {
                    let Some(field) = their.field(number) else {
                        assert!(our.field(number).is_empty());
                        continue;
                    };
                    assert_eq!(
                        field.raw_value(),
                        our.field(number).raw(),
                        "{} {our:?}",
                        path.display()
                    );
                    if our.name() == "MSH" && number < 3 {
                        continue;
                    }
                    for (at, value) in our.field(number).repetitions().enumerate() {
                        let theirs = field.repeats.get(at).unwrap();
                        assert_eq!(theirs.raw_value(), value.raw());
                        for (at, part) in value.components().enumerate() {
                            let theirs = theirs.components.get(at).unwrap();
                            assert_eq!(theirs.raw_value(), part.raw());
                            compared += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(compared > 20_000, "{compared}");
}
