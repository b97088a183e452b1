use super::*;
use crate::scheduling::samples::{Dice, MONDAY};

/// Not a signature, but it changes with every bit.
fn sign(bytes: &[u8]) -> [u8; 32] {
    let mut state = [0_u64; 4];
    for (at, lane) in state.iter_mut().enumerate() {
        *lane = 0xcbf2_9ce4_8422_2325 ^ at as u64;
        for byte in bytes {
            *lane = (*lane ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            *lane ^= *lane >> 29;
        }
    }
    let mut signature = [0; 32];
    for (part, lane) in signature.chunks_mut(8).zip(state) {
        part.copy_from_slice(&lane.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    }
    signature
}

fn token() -> Token {
    Token {
        parts: [(1 << 33) - 1, 5, 6, (1 << 33) - 1]
            .map(|schedule| Part::new(schedule, Some(0)))
            .to_vec(),
        start: MONDAY + 8 * 86_400,
        duration: 45 * 60,
        patient: Some((1 << 33) - 1),
        issued: MONDAY,
    }
}

#[test]
fn four_schedules_and_a_patient_fit_into_an_id() {
    let text = token().seal(&sign).unwrap();
    assert!(text.len() <= 64, "{}", text.len());
    assert!(
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
    );
    assert_eq!(Token::open(&text, &sign, MONDAY, 600), Ok(token()));
    let mut token = token();
    token.parts = (1..=4)
        .map(|schedule| Part {
            offset: -900,
            duration: Some(1200),
            ..Part::new(schedule, Some(3))
        })
        .collect();
    token.patient = Some(1 << 22);
    let text = token.seal(&sign).unwrap();
    assert_eq!(Token::open(&text, &sign, MONDAY, 600), Ok(token.clone()));
    token.parts[0].schedule = 33 << 44;
    assert_eq!(token.seal(&sign), None);
    token.parts.clear();
    assert_eq!(token.seal(&sign), None);
}

#[test]
fn whatever_is_proposed_comes_back() {
    let mut dice = Dice::new(1);
    let mut fitting = 0;
    for _ in 0..2000 {
        let parts = (0..dice.pick(1, 4))
            .map(|_| Part {
                schedule: dice.pick(0, 5000),
                visit: dice.one(&[None, Some(0), Some(1), Some(30)]),
                offset: dice.one(&[0, -600, 900, 17, -86_400]),
                duration: dice.one(&[None, Some(60), Some(61), Some(40_000)]),
            })
            .collect();
        let token = Token {
            parts,
            start: MONDAY + dice.one(&[0, 1, 60, 1 << 33]),
            duration: dice.one(&[1, 60, 1800, 400_000]),
            patient: dice.one(&[None, Some(0), Some(77_777)]),
            issued: dice.pick(MONDAY / 60, MONDAY / 60 + 100_000) * 60,
        };
        let Some(text) = token.seal(&sign) else {
            assert!(token.parts.len() > 1);
            continue;
        };
        assert_eq!(Token::open(&text, &sign, token.issued, 0), Ok(token));
        fitting += 1;
    }
    assert!(fitting > 1500, "{fitting}");
}

#[test]
fn nobody_else_makes_or_changes_one() {
    let text = token().seal(&sign).unwrap();
    for at in PREFIX.len()..text.len() {
        for digit in ["0", "1", "Z", "z"] {
            if &text[at..=at] != digit {
                let other = format!("{}{digit}{}", &text[..at], &text[at + 1..]);
                assert_eq!(
                    Token::open(&other, &sign, MONDAY, 600),
                    Err(Unsealed::NotOurs)
                );
            }
        }
    }
    let long = "z".repeat(5000);
    for other in [
        "",
        "offer.",
        "offer.0",
        "offer.1",
        "offer.-",
        "1",
        long.as_str(),
    ] {
        assert_eq!(
            Token::open(other, &sign, MONDAY, 600),
            Err(Unsealed::NotOurs)
        );
        let other = format!("{PREFIX}{other}");
        assert_eq!(
            Token::open(&other, &sign, MONDAY, 600),
            Err(Unsealed::NotOurs)
        );
        let other = format!("{PREFIX}0{}", &text[PREFIX.len()..]);
        assert_eq!(
            Token::open(&other, &sign, MONDAY, 600),
            Err(Unsealed::NotOurs)
        );
    }
    let another_key = |bytes: &[u8]| sign(&[b"x", bytes].concat());
    assert_eq!(
        Token::open(&text, &another_key, MONDAY, 600),
        Err(Unsealed::NotOurs)
    );
}

#[test]
fn one_has_its_time() {
    let mut token = token();
    token.issued = MONDAY + 59;
    let text = token.seal(&sign).unwrap();
    assert!(Token::open(&text, &sign, MONDAY + 59 + 600, 600).is_ok());
    let late = Token::open(&text, &sign, MONDAY + 660, 600);
    assert_eq!(late, Err(Unsealed::Expired));
}
