//! Dates, decimals, units, references and the syntax of primitives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resources::{
    primitive::{DateRange, Decimal, is_date, is_date_time, is_instant},
    ucum,
};

fuzz_target!(|text: &str| {
    if is_date(text) || is_date_time(text) || is_instant(text) {
        let range = DateRange::parse(text).expect("a date has a range");
        assert!(range.lo <= range.hi);
    } else {
        DateRange::parse(text);
    }
    ucum::is_valid(text);
    let (number, rest) = text.split_once('|').unwrap_or((text, ""));
    let Some(value) = Decimal::parse(number) else {
        return;
    };
    let key = |value: &Decimal| {
        let mut key = Vec::new();
        value.write_key(&mut key);
        key
    };
    ucum::canonicalise(&value, rest);
    let (low, high) = value.implicit_range();
    assert!(key(&low) <= key(&value) && key(&value) <= key(&high));
    if let Some(other) = Decimal::parse(rest) {
        assert_eq!(value.cmp(&other), key(&value).cmp(&key(&other)));
    }
});
