use proptest::prelude::*;
use resources::{index::key, primitive::Decimal};

use crate::search::{number, plan::KeyRange};

fn found(ranges: &[KeyRange], key: &[u8]) -> bool {
    ranges.iter().any(|range| range.holds(key))
}

fn finds(search: &str, value: &str) -> bool {
    let key = key::number(&Decimal::parse(value).unwrap());
    found(&number::number(search).unwrap(), &key)
}

#[test]
fn numbers_are_as_precise_as_they_are_written() {
    for (search, yes, no) in [
        ("100", "99.5 100 100.00 100.4999", "99.4999 100.5 101"),
        ("100.00", "99.995 100 100.0049", "99.99 100.005 100.01"),
        ("1e2", "95 100 104.9", "94.9 105"),
        ("eq5.4", "5.35 5.4 5.449", "5.3 5.45"),
        ("-2", "-2.5 -2 -1.6", "-2.6 -1.5 2"),
        ("0", "-0.5 0 0.49", "0.5 -0.51"),
        ("ne100", "99.49 100.5 -100", "99.5 100 100.49"),
        ("lt100", "99.9999 -1e9", "100 100.1"),
        ("le100", "100 99 100.000", "100.0001"),
        ("gt100", "100.0001 1e9", "100 99.9"),
        ("ge100", "100 100.0 101", "99.9999"),
        ("sa100", "100.1", "100 99"),
        ("eb100", "99.9", "100 101"),
        ("ap100", "90 100 110", "89.99 110.01"),
        ("ap-100", "-90 -110", "-89 -111 100"),
        ("gt-5", "-4.99 0", "-5 -5.01"),
    ] {
        for value in yes.split(' ') {
            assert!(finds(search, value), "{search} must find {value}");
        }
        for value in no.split(' ') {
            assert!(!finds(search, value), "{search} must not find {value}");
        }
    }
    for text in ["", "x", "gt", "1,2", "1..2", "xx5", "ge", "5 mg"] {
        assert!(number::number(text).is_err(), "{text}");
    }
}

#[test]
fn quantities_compare_units_as_far_as_the_search_names_them() {
    let ucum = "http://unitsofmeasure.org";
    let value = |text: &str| Decimal::parse(text).unwrap();
    let mg = |text: &str| key::quantity(&value(text), "mg", "milligram", ucum);
    let none = key::quantity(&value("5"), "", "tabs", "");
    for (search, expected_mg, expected_none) in [
        ("5", true, true),
        ("5||mg", true, false),
        ("5||milligram", true, false),
        ("5||tabs", false, true),
        ("5|http://other|mg", false, false),
        ("gt4||mg", true, false),
        ("lt4||mg", false, false),
        ("5.0|urn:x|", false, false),
        ("5|http://unitsofmeasure.org", true, false),
    ] {
        let ranges = number::quantity(search).unwrap();
        assert_eq!(found(&ranges, &mg("5")), expected_mg, "{search}");
        assert_eq!(found(&ranges, &none), expected_none, "{search}");
    }
    assert!(number::quantity("5|a|b|c").is_err());
}

#[test]
fn ucum_quantities_are_compared_in_canonical_units() {
    let canonical = |text: &str, code: &str| {
        let value = Decimal::parse(text).unwrap();
        let canonical = resources::ucum::canonicalise(&value, code).unwrap();
        key::quantity_canonical(&canonical.value, &canonical.unit)
    };
    for (search, value, code, expected) in [
        ("1000|http://unitsofmeasure.org|mg", "1", "g", true),
        ("1|http://unitsofmeasure.org|g", "1000", "mg", true),
        ("gt1|http://unitsofmeasure.org|g", "1000", "mg", false),
        ("ge1|http://unitsofmeasure.org|g", "1000", "mg", true),
        ("lt1|http://unitsofmeasure.org|kg", "999", "g", true),
        ("1|http://unitsofmeasure.org|kg", "0.4", "kg", false),
        ("1|http://unitsofmeasure.org|kg", "600", "g", true),
    ] {
        let ranges = number::quantity(search).unwrap();
        let key = canonical(value, code);
        assert_eq!(
            found(&ranges, &key),
            expected,
            "{search} and {value} {code}"
        );
    }
}

proptest! {
    #[test]
    fn keys_find_what_arithmetic_says(
        search in -5000i128..5000,
        scale in 0i32..4,
        value in -500_000i128..500_000,
    ) {
        let text = decimal_text(search, scale);
        let target = Decimal::new(value, -4);
        // All in units of 0.00001.
        let unit = 10i128.pow(5 - scale as u32);
        let (at, half, value) = (search * unit, unit / 2, value * 10);
        let tenth = at.abs() / 10;
        for (prefix, expected) in [
            ("", value >= at - half && value < at + half),
            ("ne", value < at - half || value >= at + half),
            ("gt", value > at),
            ("ge", value >= at),
            ("lt", value < at),
            ("le", value <= at),
            ("ap", value >= at - tenth && value <= at + tenth),
        ] {
            let ranges = number::number(&format!("{prefix}{text}")).unwrap();
            prop_assert_eq!(found(&ranges, &key::number(&target)), expected, "{}{}", prefix, text);
        }
    }
}

fn decimal_text(coefficient: i128, scale: i32) -> String {
    let digits = format!("{:0>width$}", coefficient.abs(), width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    let sign = if coefficient < 0 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}
