//! Names and values of queries and forms.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use resources::outcome::Issue;

use super::failure::Failure;

/// Name and value pairs, decoded, in their order.
pub type Pairs = Vec<(String, String)>;

/// Reads `a=b&c=d` (a query, or the body of a form), after the pairs that are there.
///
/// # Errors
/// 400 if an escape is not UTF-8, or a value holds NUL, which no FHIR string can.
pub fn read(text: &str, pairs: &mut Pairs) -> Result<(), Failure> {
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((decode(name)?, decode(value)?));
    }
    Ok(())
}

fn decode(text: &str) -> Result<String, Failure> {
    if !text.bytes().any(|b| matches!(b, b'%' | b'+' | 0)) {
        return Ok(text.to_owned());
    }
    let spaced: Cow<'_, str> = if text.contains('+') {
        Cow::Owned(text.replace('+', " "))
    } else {
        Cow::Borrowed(text)
    };
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(decoded) if !decoded.contains('\0') => Ok(decoded.into_owned()),
        _ => Err(Failure::of(
            axum::http::StatusCode::BAD_REQUEST,
            Issue::error(
                "value",
                "A query parameter is not UTF-8 text after percent-decoding, or holds a NUL.",
            ),
        )),
    }
}

/// True for the values that FHIR's boolean parameters take as true.
pub fn is_true(value: &str) -> bool {
    value.eq_ignore_ascii_case("true")
}

/// The last value of a parameter.
pub fn last<'p>(pairs: &'p [(String, String)], name: &str) -> Option<&'p str> {
    let found = pairs.iter().rev().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Pairs, Failure> {
        let mut pairs = Pairs::new();
        read(text, &mut pairs)?;
        Ok(pairs)
    }

    #[test]
    fn pairs_are_decoded_in_order() {
        let pairs = parse("name=J%C3%B6rg+M&&a%3Aexact=1%2B1&b&c==&name=x").unwrap();
        let expected = [
            ("name", "Jörg M"),
            ("a:exact", "1+1"),
            ("b", ""),
            ("c", "="),
            ("name", "x"),
        ];
        let got: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(got, expected);
        assert_eq!(last(&pairs, "name"), Some("x"));
    }

    #[test]
    fn bad_utf8_and_nul_are_refused() {
        for text in ["a=%ff", "a=%00", "%c3=1", "a=%C3%28"] {
            assert!(parse(text).is_err(), "{text}");
        }
        // A stray percent sign is a percent sign.
        assert_eq!(parse("a=100%").unwrap()[0].1, "100%");
    }

    proptest::proptest! {
        #[test]
        fn what_is_encoded_is_decoded(pairs in proptest::collection::vec((".{1,8}", ".{0,20}"), 0..5)) {
            let clean = |text: &str| !text.contains('\0');
            let pairs: Pairs = pairs.into_iter().filter(|(n, v)| clean(n) && clean(v)).collect();
            let encode = |text: &str| {
                percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                    .to_string()
            };
            let text: Vec<String> = pairs
                .iter()
                .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
                .collect();
            proptest::prop_assert_eq!(parse(&text.join("&")).unwrap(), pairs);
        }
    }
}
