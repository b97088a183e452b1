//! Texts: what is escaped is read as it was, and anything between delimiters is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mllp::{
    Message,
    message::{Delimiters, Reading},
    write::Writer,
};

fuzz_target!(|text: &str| {
    let mut writer = Writer::new(Delimiters::default(), encoding_rs::UTF_8, "2.5.1");
    writer.segment("MSH").text(18, "UNICODE UTF-8");
    writer
        .segment("NTE")
        .text(3, text)
        .formatted(4, text)
        .raw(5, text);
    let message = Message::parse(writer.finish(), &Reading::default()).expect("it has MSH");
    let get = |place: &str| message.get(place).expect("it is there");
    assert_eq!(get("NTE-3").full_text(), text);
    assert_eq!(
        get("NTE-3")
            .raw()
            .matches(['|', '^', '~', '&', '\r', '\n'])
            .count(),
        0
    );
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    assert_eq!(get("NTE-4").full_text(), lines);
    let mut notes = Vec::new();
    let _ = get("NTE-5").text_noted(&mut notes);
});
