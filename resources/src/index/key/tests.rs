use proptest::prelude::*;

use super::*;

#[test]
fn hash8_is_frozen() {
    assert_eq!(hash8(""), 0xcbf2_9ce4_8422_2325u64.to_be_bytes());
    assert_eq!(hash8("a"), 0xaf63_dc4c_8601_ec8cu64.to_be_bytes());
    assert_eq!(hash8("foobar"), 0x8594_4171_f739_67e8u64.to_be_bytes());
}

#[test]
fn layouts_are_frozen() {
    let patient = ResourceType::from_name("Patient").unwrap();
    let number = patient.number() as u8;
    assert_eq!(token("c", "s"), b"\x20c\0s");
    assert_eq!(token("c", ""), token_prefix("c"));
    assert!(token("c", "s").ends_with(&token_suffix("s")));
    assert_eq!(
        token_of_type("s", "MR", "12"),
        [&[0x22][..], &hash8("s"), &hash8("MR"), b"12"].concat()
    );
    assert_eq!(
        pair(&reference(patient, "1"), b"\x10date"),
        [&[0x71, 0x30, 0, number, b'1', 0][..], b"\x10date"].concat()
    );
    assert_eq!(token_text(" Élan  Vital "), b"\x21elan vital");
    assert_eq!(reference(patient, "1"), [0x30, 0, number, b'1']);
    assert_eq!(reference_url("u", "2"), b"\x31u\x002");
    assert_eq!(reference_identifier("v", "s"), b"\x32v\0s");
    assert_eq!(string("Ärzte"), "\u{40}arzte\0Ärzte".as_bytes());
    assert_eq!(uri("urn:x"), b"\x50urn:x");
    assert_eq!(number_hex("-12.5"), "607e7ffdf2ccff");
    assert_eq!(number_hex("0.00"), "6080");
    assert_eq!(number_hex("12.50"), "608180020d3300");
    let day = DateRange::parse("1970-01-01").unwrap();
    assert_eq!(date(day)[..9], [0x10, 0x80, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(date_wide(day), None);
    assert!(date_wide(DateRange::parse("1970").unwrap()).is_some());
}

fn number_hex(text: &str) -> String {
    let key = number(&Decimal::parse(text).unwrap());
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn references_are_read_back() {
    let patient = ResourceType::from_name("Patient").unwrap();
    assert_eq!(
        read_reference(&reference(patient, "a.b-1")),
        Some((patient, "a.b-1"))
    );
    assert_eq!(read_reference(b"\x31\x00\x01x"), None);
    assert_eq!(read_reference(b"\x30\xff\xffx"), None);
    assert_eq!(read_reference(b"\x30"), None);
    assert_eq!(
        read_reference_url(&reference_url("http://x/y", "1.0")),
        Some(("http://x/y", "1.0"))
    );
    assert_eq!(read_reference_url(&reference(patient, "1")), None);
}

#[test]
fn text_is_compared_without_case_accents_and_spaces() {
    for (text, normalised) in [
        ("Müller", "muller"),
        ("MU\u{308}LLER", "muller"),
        ("  van\t der\n Berg ", "van der berg"),
        ("Łukasz Ørsted Straße", "lukasz orsted strasse"),
        ("İstanbul", "istanbul"),
        ("ﬁ Ⅷ", "fi viii"),
        ("日本語", "日本語"),
        ("", ""),
    ] {
        assert_eq!(normalise(text), normalised, "{text}");
    }
}

#[test]
fn long_parts_stay_distinct_and_bounded() {
    let long = "x".repeat(5000);
    let longer = "x".repeat(5001);
    assert_ne!(token(&long, "s"), token(&longer, "s"));
    assert_ne!(uri(&long), uri(&longer));
    assert_ne!(string(&long), string(&longer));
    assert!(token_of_type(&long, &long, &long).len() < 1000);
    assert!(string(&"ä".repeat(5000)).len() <= 2 + MAX_NORMAL + 17 + MAX_STRING);
    assert_eq!(uri(&long).len(), 1 + MAX_URI);
}

#[test]
fn a_zero_byte_cannot_forge_a_system() {
    assert_ne!(token("c\0s", ""), token("c", "s"));
}

/// The end of a text.
fn cut_front(text: &str, max: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(max))..]
}

#[test]
fn strings_that_differ_late_have_keys_that_differ() {
    let long = "x".repeat(600);
    let (a, b) = (format!("{long} a"), format!("{long} b"));
    assert_ne!(string_whole(&a), string_whole(&b));
    assert_eq!(string_whole(&a), string_whole(&a.to_uppercase()));
    assert!(string(&a).starts_with(&string_prefix(&long[..500])));
    let hash = &string(&a)[1 + MAX_NORMAL..];
    assert!(!hash.iter().any(|byte| byte.is_ascii_digit()), "{hash:?}");
}

proptest! {
    #[test]
    fn every_part_of_a_string_is_in_its_key_or_in_a_piece(
        text in "[a-dä日 ]{0,900}",
        from in 0usize..2500,
        length in 1usize..=MAX_CONTAINED,
    ) {
        let normalised = normalise(&text);
        let pieces = string_pieces(&text);
        let has = |part: &[u8]| {
            pieces.iter().chain([&string_whole(&text)]).any(|key| {
                key[1..].windows(part.len()).any(|window| window == part)
            })
        };
        if from < normalised.len() {
            let start = normalised.floor_char_boundary(from);
            let part = cut(&normalised[start..], length);
            prop_assert!(part.is_empty() || has(part.as_bytes()), "{}", part);
        }
        let end = cut_front(&normalised, MAX_CONTAINED);
        prop_assert!(has(&[end.as_bytes(), &[0]].concat()), "{}", end);
        prop_assert!(pieces.len() <= normalised.len() / MAX_CONTAINED);
    }

    #[test]
    fn normalising_twice_changes_nothing(text in "\\PC{0,20}") {
        let once = normalise(&text);
        prop_assert_eq!(normalise(&once), once);
    }

    #[test]
    fn dates_compare_by_their_start(a in any::<i64>(), b in any::<i64>()) {
        let key = |lo| date(DateRange { lo, hi: i64::MAX });
        prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        prop_assert_eq!(read_i64(&key(a)[1..]), Some(a));
    }

    #[test]
    fn positions_lie_in_their_cells(latitude in -90.0..90.0f64, longitude in -180.0..180.0f64) {
        let point = vector(latitude, longitude);
        let code = place(point);
        // One cell in a thousand of a face's side, so that rounding does not matter.
        let (first, last) = (code >> 40 << 40, code | ((1 << 40) - 1));
        let corners = corners(first, last).unwrap();
        let apart = |a: Vector, b: Vector| {
            (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f64>().sqrt()
        };
        let across = apart(corners[0], corners[3]).max(apart(corners[1], corners[2]));
        prop_assert!(across < 0.004, "{}", across);
        for corner in corners {
            prop_assert!(apart(point, corner) <= across);
        }
    }
}

#[test]
fn a_position_has_one_key_however_it_is_written() {
    assert_eq!(near(10.0, 180.0), near(10.0, -180.0));
    assert_eq!(near(90.0, 0.0), near(90.0, 77.0));
    assert_eq!(corners(7 << 60, 7 << 60), None);
}
