//! A message of any content becomes resources that R4 accepts, and every field with a value is
//! told of.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mllp::{
    Message,
    map::{Mapper, Site},
    message::Reading,
};
use resources::Doc;

static MAPPER: LazyLock<Mapper> = LazyLock::new(|| Mapper::new(None));
static SITE: LazyLock<Site> = LazyLock::new(Site::default);

const HEADERS: &[&[u8]] = &[
    b"MSH|^~\\&|A|B|C|D|20240101||ADT^A01|1|P|2.5\rPID|||1||",
    b"MSH|^~\\&|A|B|C|D|20240101||ORU^R01|1|P|2.5\rPID|||1\rOBR|1|2|3|4\rOBX|",
    b"MSH|^~\\&|A|B|C|D|20240101||SIU^S12|1|P|2.5\rPID|||1\rSCH|1|2|",
    b"MSH|^~\\&|A|B|C|D|20240101||ORM^O01|1|P|2.5\rPID|||1\rORC|NW|2|",
    b"MSH|^~\\&|A|B|C|D|20240101||RDE^O11|1|P|2.5\rPID|||1\rORC|NW|2\rRXE|",
    b"MSH|^~\\&|A|B|C|D|20240101||VXU^V04|1|P|2.5\rPID|||1\rORC|RE|2\rRXA|",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let header = HEADERS.get(*first as usize % (HEADERS.len() + 1));
    let raw = [header.copied().unwrap_or_default(), rest].concat();
    let Ok(message) = Message::parse(Bytes::from(raw), &Reading::default()) else {
        return;
    };
    let mapped = MAPPER.map(&message, &SITE);
    for made in &mapped.resources {
        // References get their targets later: what is local now would have to be contained.
        let text = made.json.to_string().replace("\"reference\":\"#", "\"reference\":\"Basic/");
        let doc = Doc::parse(text.as_str()).expect("it is JSON");
        let issues = profiles::validate(&doc)
            .into_iter()
            .filter(|issue| !issue.diagnostics.contains("Basic"));
        assert_eq!(issues.count(), 0, "{text}");
    }
});
