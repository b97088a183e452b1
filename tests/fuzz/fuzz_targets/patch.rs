//! A JSON Patch on a document, with a zero byte between them. What comes out can be read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resources::{Doc, patch};

fuzz_target!(|text: &str| {
    let Some((document, operations)) = text.split_once('\0') else {
        return;
    };
    let (Ok(document), Ok(operations)) = (Doc::parse(document), Doc::parse(operations)) else {
        return;
    };
    if let Ok(patched) = patch::apply(&document, &operations) {
        Doc::parse(patched).expect("a patched document is one");
    }
});
