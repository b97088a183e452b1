//! Messages that nobody sends: samples with parts exchanged. Whatever comes of them, R4 accepts.

use std::{fs, path::Path, sync::LazyLock};

use bytes::Bytes;
use mllp::{
    Message,
    map::{Mapper, Site},
    message::Reading,
};
use proptest::prelude::*;
use resources::Doc;

static MAPPER: LazyLock<Mapper> = LazyLock::new(|| Mapper::new(None));

/// Segments of all kinds, each as its fields.
static SEGMENTS: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/own");
    let mut segments = Vec::new();
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    for file in files {
        let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
        for line in text
            .split(['\r', '\n'])
            .filter(|line| line.len() > 4 && !line.starts_with("MSH"))
        {
            segments.push(line.split('|').map(str::to_owned).collect());
        }
    }
    segments
});

const EVENTS: &[&str] = &[
    "ADT^A01", "ADT^A08", "ADT^A40", "ADT^A45", "ADT^A60", "SIU^S12", "SIU^S15", "SIU^S23",
    "SRM^S01", "ORM^O01", "OML^O21", "OML^O33", "ORU^R01", "OUL^R22", "RDE^O11", "RDS^O13",
    "RAS^O17", "VXU^V04", "MDM^T02", "DFT^P03", "PPR^PC1", "MFN^M02", "XXX^Y01",
];

/// Which segments, with which field put in the place of which other.
fn message() -> impl Strategy<Value = String> {
    let segment = (
        any::<prop::sample::Index>(),
        prop::collection::vec(
            (
                0usize..40,
                any::<prop::sample::Index>(),
                any::<prop::sample::Index>(),
            ),
            0..3,
        ),
    );
    (
        prop::sample::select(EVENTS),
        prop::collection::vec(segment, 1..14),
    )
        .prop_map(|(event, chosen)| {
            let mut text = format!("MSH|^~\\&|A|B|C|D|20240101101500||{event}|1|P|2.5\r");
            for (which, changes) in chosen {
                let mut fields = which.get(&SEGMENTS[..]).clone();
                for (number, from, field) in changes {
                    let other = from.get(&SEGMENTS[..]);
                    let value = field.get(other).clone();
                    let number = number % 45 + 1;
                    if fields.len() <= number {
                        fields.resize(number + 1, String::new());
                    }
                    fields[number] = value;
                }
                text.push_str(&fields.join("|"));
                text.push('\r');
            }
            text
        })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn resources_are_valid_whatever_is_where(text in message()) {
        let message = Message::parse(Bytes::from(text.clone()), &Reading::default()).unwrap();
        let mapped = MAPPER.map(&message, &Site::default());
        for made in &mapped.resources {
            let json = made.json.to_string().replace("\"reference\":\"#", "\"reference\":\"urn:uuid:00000000-0000-0000-0000-00000000000");
            let doc = Doc::parse(json.as_str()).unwrap();
            let issues = profiles::validate(&doc);
            prop_assert!(issues.is_empty(), "{issues:?}\n{json}\n{}", text.replace('\r', "\n"));
        }
    }
}
