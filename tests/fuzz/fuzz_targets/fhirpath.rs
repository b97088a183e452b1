//! The expression of a posted search parameter.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = resources::fhirpath::parse(text);
});
