use proptest::prelude::*;
use resources::{index::key, primitive::Decimal};

use crate::search::{number, plan::KeyRange};

fn found(ranges: &[KeyRange], key: &[u8]) -> bool {
    ranges.iter().any(|range| range.holds(key))
}

fn finds(search: &str, value: &str) -> bool {
    let key = key::number(&Decimal::parse(value).unwrap());
    found(&number::number(search, false).unwrap(), &key)
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
        assert!(number::number(text, false).is_err(), "{text}");
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
        let ranges = number::quantity(search, false).unwrap();
        assert_eq!(found(&ranges, &mg("5")), expected_mg, "{search}");
        assert_eq!(found(&ranges, &none), expected_none, "{search}");
    }
    assert!(number::quantity("5|a|b|c", false).is_err());
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
        let ranges = number::quantity(search, false).unwrap();
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
            let ranges = number::number(&format!("{prefix}{text}"), false).unwrap();
            prop_assert_eq!(found(&ranges, &key::number(&target)), expected, "{}{}", prefix, text);
        }
    }
}

#[test]
fn ranges_are_compared_by_both_of_their_bounds() {
    let value = |text: &str| Some(Decimal::parse(text).unwrap());
    let (closed, open_above, open_below) = (
        key::number_range(value("20"), value("40")),
        key::number_range(value("20"), None),
        key::number_range(None, value("40")),
    );
    for (search, expected) in [
        ("20", [false, false, false]),
        ("3e1", [false, false, false]),
        ("0.0e3", [true, false, false]),
        ("ne20", [true, true, true]),
        ("ne0.0e3", [false, true, true]),
        ("sa19", [true, true, false]),
        ("sa20", [false, false, false]),
        ("sa25", [false, false, false]),
        ("eb35", [false, false, false]),
        ("eb40", [false, false, false]),
        ("eb41", [true, false, true]),
        ("gt39", [true, true, true]),
        ("gt40", [false, true, false]),
        ("gt50", [false, true, false]),
        ("ge40", [true, true, true]),
        ("lt20", [false, false, true]),
        ("lt21", [true, true, true]),
        ("le20", [true, true, true]),
        ("ap42", [true, true, true]),
        ("ap50", [false, true, false]),
        ("ap18", [false, false, true]),
        ("ap19", [true, true, true]),
    ] {
        let ranges = number::number(search, true).unwrap();
        let finds = [&closed, &open_above, &open_below].map(|key| found(&ranges, key));
        assert_eq!(finds, expected, "{search}");
    }
}

proptest! {
    #[test]
    fn a_range_of_one_number_is_found_like_the_number(
        prefix in prop::sample::select(vec!["", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap"]),
        search in -500i128..500,
        value in -5000i128..5000,
    ) {
        let value = Decimal::new(value, -1);
        let ranges = number::number(&format!("{prefix}{search}"), true).unwrap();
        let range = key::number_range(Some(value), Some(value));
        prop_assert_eq!(found(&ranges, &key::number(&value)), found(&ranges, &range));
    }
}

fn decimal_text(coefficient: i128, scale: i32) -> String {
    let digits = format!("{:0>width$}", coefficient.abs(), width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    let sign = if coefficient < 0 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}
