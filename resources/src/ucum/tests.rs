use proptest::prelude::*;

use super::*;

fn canonical(value: &str, code: &str) -> Option<Canonical> {
    canonicalise(&Decimal::parse(value).unwrap(), code)
}

#[test]
fn equal_quantities_have_equal_canonical_forms() {
    for pair in [
        [("1000", "mg"), ("1", "g")],
        [("1", "g/dL"), ("10", "g/L")],
        [("1.0", "mmol/L"), ("1000", "umol/L")],
        [("60", "L/h"), ("1", "L/min")],
        [("1", "[in_i]"), ("2.54", "cm")],
        [("1", "[lb_av]"), ("453.59237", "g")],
        [("37", "Cel"), ("310.15", "K")],
        [("98.6", "[degF]"), ("37.0", "Cel")],
        [("120", "mm[Hg]"), ("12", "cm[Hg]")],
        [("5", "10*9/L"), ("5000", "10*6/L")],
        [("5", "10*3/uL"), ("5", "10*9/L")],
        [("72", "/min"), ("1.2", "{beats}/s")],
        [("72", "{beats}/min"), ("72", "1/min")],
        [("50", "%"), ("0.5", "1")],
        [("1", "kg/m2"), ("0.1", "g/cm2")],
        [("1", "k[iU]/L"), ("1", "[iU]/mL")],
        [("1", "J"), ("1", "N.m")],
        [("1", "L"), ("1", "dm3")],
        [("1", "l"), ("1000", "mL")],
        [("3", "a"), ("1095.75", "d")],
        [("1", "m/s2"), ("1", "m.s-2")],
        [("1", "kg/(m.s2)"), ("1", "Pa")],
        [("7.4", "[pH]"), ("7.40", "[pH]")],
        [("1", "mg/kg/h"), ("1", "mg/(kg.h)")],
        [("0.3333333333333333333", "h"), ("20", "min")],
        [("1", "ug{total}/mL"), ("1", "mg/L")],
        [("1", "MiBy"), ("1048576", "By")],
    ] {
        let [(a, unit_a), (b, unit_b)] = pair;
        let first = canonical(a, unit_a).unwrap_or_else(|| panic!("{unit_a} is valid"));
        assert_eq!(Some(first), canonical(b, unit_b), "{pair:?}");
    }
}

#[test]
fn canonical_units_are_powers_of_base_units() {
    for (value, code, canonical_value, unit) in [
        ("1", "g/dL", "10000", "g.m-3"),
        ("1", "mm[Hg]", "133322", "g.m-1.s-2"),
        ("1", "1", "1", "1"),
        ("1", "%", "0.01", "1"),
        ("2", "[iU]", "2", "[iU]"),
        ("0", "Cel", "273.15", "K"),
        ("1", "mol", "6.02214076e23", "1"),
        ("10", "dB", "1", "B"),
        ("1", "[degRe]", "274.4", "K"),
    ] {
        let expected = Canonical {
            value: Decimal::parse(canonical_value).unwrap(),
            unit: unit.into(),
        };
        assert_eq!(canonical(value, code), Some(expected), "{code}");
    }
}

#[test]
fn what_is_not_valid_is_refused() {
    for code in [
        "",
        "foo",
        "mg//L",
        "mg/",
        "(mg",
        "mg)",
        "mg{",
        "mg}",
        "m-",
        "MG/DL",
        "k[in_i]",
        "Cel/min",
        "µg",
        "mg L",
        "m999",
        "beats/min",
    ] {
        assert!(!is_valid(code), "{code}");
    }
    let deep = format!("{}m{}", "(".repeat(50), ")".repeat(50));
    assert!(!is_valid(&deep));
}

#[test]
fn the_whole_table_is_understood() {
    let codes: Vec<_> = table::codes().collect();
    assert!(codes.len() > 300);
    for code in codes {
        assert!(is_valid(code), "{code}");
    }
}

proptest! {
    #[test]
    fn any_text_is_understood_or_refused(code in "[mgLk0-9./()\\[\\]{}*^%-]{0,20}") {
        canonical("1.5", &code);
    }

    #[test]
    fn scaling_by_a_prefix_does_not_matter(value in 1i64..1_000_000_000, places in 0i32..6) {
        let number = Decimal::new(i128::from(value), -places);
        let thousandth = Decimal::new(i128::from(value), 3 - places);
        prop_assert_eq!(canonicalise(&number, "g/dL"), canonicalise(&thousandth, "mg/dL"));
    }
}
