//! The text of a search: what a self link says.

/// The query of a condition: some clients send the whole URL of the search. A `?` behind a `=`
/// belongs to a value.
pub fn condition(text: &str) -> &str {
    match text.split_once('?') {
        Some((path, query)) if !path.contains('=') => query,
        _ => text,
    }
}

/// `name=value&…` with percent encoding, in the order given.
pub fn encode<'a>(params: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in params {
        if !out.is_empty() {
            out.push('&');
        }
        percent(&mut out, name);
        out.push('=');
        percent(&mut out, value);
    }
    out
}

/// Appends `text`; all bytes but unreserved ones (RFC 3986) and those that are harmless in a
/// query and common in FHIR's (`: / , $ * @`) are percent-encoded.
fn percent(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b',' | b'$' | b'*' | b'@' => {
                out.push(char::from(byte));
            }
            _ => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

/// The names and values of `name=value&…`; `+` is a space, wrong percent codes stay as they are.
pub fn decode(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unpercent(name), unpercent(value))
        })
        .collect()
}

fn unpercent(text: &str) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()
        });
        match (bytes[at], pair) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reserved_characters_are_encoded_and_fhirs_own_stay_readable() {
        let text = encode([
            ("identifier", "http://a.b/c|d e"),
            ("code:not", "x&y=z,é+%"),
        ]);
        assert_eq!(
            text,
            "identifier=http://a.b/c%7Cd%20e&code:not=x%26y%3Dz,%C3%A9%2B%25"
        );
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(params in prop::collection::vec((".{1,8}", ".{0,12}"), 0..5)) {
            let text = encode(params.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            prop_assert_eq!(decode(&text), params);
        }

        #[test]
        fn decode_never_panics(text in ".*") {
            decode(&text);
        }
    }
}
