//! The demo hospital is valid R4, and everything it refers to is in it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::HashSet, io::Read};

use resources::Doc;

fn demo() -> Vec<Doc> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(&include_bytes!("../demo/hospital.ndjson.gz")[..])
        .read_to_string(&mut text)
        .unwrap();
    text.lines().map(|line| Doc::parse(line).unwrap()).collect()
}

fn name(doc: &Doc) -> String {
    let root = doc.root();
    let text = |name| root.get(name).unwrap().plain_str().unwrap().to_owned();
    format!("{}/{}", text("resourceType"), text("id"))
}

#[test]
fn every_resource_is_valid() {
    for doc in demo() {
        assert_eq!(profiles::validate(&doc), Vec::new(), "{}", name(&doc));
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let demo = demo();
    let names: HashSet<String> = demo.iter().map(name).collect();
    assert_eq!(names.len(), demo.len());
    for doc in &demo {
        for value in doc.root().descendants() {
            if value.name() == "reference" {
                let target = value.plain_str().unwrap();
                assert!(names.contains(target), "{}: {target}", name(doc));
            }
        }
    }
}
