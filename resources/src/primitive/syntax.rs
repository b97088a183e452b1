//! The lexical rules of FHIR's primitive types (R4 `datatypes.html#primitive`).

use super::Decimal;

/// `id`: 1 to 64 of `A-Z a-z 0-9 - .`.
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// `code`: no white space at the ends, and single blanks within.
pub fn is_code(text: &str) -> bool {
    is_string(text)
        && text
            .split(|c: char| c.is_ascii_whitespace())
            .all(|word| !word.is_empty())
}

/// `string`: not empty, no control characters but tab, line feed and carriage return.
pub fn is_string(text: &str) -> bool {
    !text.is_empty() && is_text(text)
}

/// `markdown`: as `string`; white space alone says nothing.
pub fn is_markdown(text: &str) -> bool {
    is_string(text) && !text.trim().is_empty()
}

fn is_text(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r'))
}

/// `uri`, `url`, `canonical`: not empty, no white space.
pub fn is_uri(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte > b' ')
}

/// `oid`: `urn:oid:` and a dotted number that begins with 0, 1 or 2.
pub fn is_oid(text: &str) -> bool {
    let Some(oid) = text.strip_prefix("urn:oid:") else {
        return false;
    };
    let mut arcs = oid.split('.');
    let root = matches!(arcs.next(), Some("0" | "1" | "2"));
    let mut count = 0;
    let rest = arcs.all(|arc| {
        count += 1;
        is_digits(arc) && (arc == "0" || !arc.starts_with('0'))
    });
    root && rest && count > 0
}

/// `uuid`: `urn:uuid:` and 8-4-4-4-12 hexadecimal digits of either case.
pub fn is_uuid(text: &str) -> bool {
    let Some(uuid) = text.strip_prefix("urn:uuid:") else {
        return false;
    };
    uuid.len() == 36
        && uuid.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// `base64Binary`: RFC 4648 with padding; white space may stand between.
pub fn is_base64(text: &str) -> bool {
    let mut digits = 0usize;
    let mut padding = 0usize;
    for byte in text.bytes() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => digits += 1,
            _ => return false,
        }
    }
    digits > 0 && padding <= 2 && (digits + padding).is_multiple_of(4)
}

/// A media type as BCP 13 (RFC 6838) writes them, parameters included; also the short names `xml`,
/// `json` and `ttl` that FHIR has for its own formats (R4 `http.html#mime-type`).
pub fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        (1..=127).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let (media_type, parameters) = match text.split_once(';') {
        Some((media_type, parameters)) => (media_type.trim_end(), Some(parameters.trim_start())),
        None => (text, None),
    };
    // Published examples do not quote the values of parameters, so anything may follow the '='.
    let begins_parameter = |text: &str| matches!(text.split_once('='), Some((name, value)) if is_name(name) && !value.is_empty());
    match media_type.split_once('/') {
        Some((top, sub)) => is_name(top) && is_name(sub) && parameters.is_none_or(begins_parameter),
        None => matches!(text, "xml" | "json" | "ttl"),
    }
}

/// `decimal`, as JSON writes numbers.
pub fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let leading_zero =
        unsigned.len() > 1 && unsigned.starts_with('0') && unsigned.as_bytes()[1].is_ascii_digit();
    !text.starts_with('+') && !leading_zero && Decimal::parse(text).is_some()
}

/// `integer`: 32 bits with sign.
pub fn is_integer(text: &str) -> bool {
    is_whole(text.strip_prefix('-').unwrap_or(text)) && text.parse::<i32>().is_ok()
}

/// `unsignedInt`: 0 to 2,147,483,647.
pub fn is_unsigned_int(text: &str) -> bool {
    is_whole(text) && text.parse::<i32>().is_ok()
}

/// `positiveInt`: 1 to 2,147,483,647.
pub fn is_positive_int(text: &str) -> bool {
    is_unsigned_int(text) && text != "0"
}

fn is_whole(text: &str) -> bool {
    is_digits(text) && (text == "0" || !text.starts_with('0'))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_syntax_accepts_and_refuses() {
        let long_id = "a".repeat(64);
        let too_long_id = "a".repeat(65);
        type Rule = fn(&str) -> bool;
        let cases: [(Rule, &[&str], &[&str]); 13] = [
            (
                is_id,
                &["1", "a-B.9", &long_id],
                &["", "a_b", "ä", "a b", &too_long_id],
            ),
            (is_code, &["a", "a b"], &["", " a", "a ", "a  b", "a\0"]),
            (is_string, &["a", " ", "a\nb"], &["", "a\u{1}b", "\0"]),
            (is_markdown, &["# a\n"], &["", " \n"]),
            (is_uri, &["http://a.b/c", "urn:x:1", "a"], &["", "a b"]),
            (
                is_oid,
                &["urn:oid:1.2.840.0"],
                &["1.2", "urn:oid:3.1", "urn:oid:1", "urn:oid:1.02"],
            ),
            (
                is_uuid,
                &["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
                &["c757873d-ec9a-4326-a141-556f43239520", "urn:uuid:c757873d"],
            ),
            (
                is_base64,
                &["YQ==", "YWJj", "YW Jj\nYWJj"],
                &["", "YQ=", "Y", "Y===", "YQ==YQ==", "Y-_="],
            ),
            (
                is_media_type,
                &[
                    "text/plain",
                    "application/vnd.api+json",
                    "text/plain; charset=utf-8",
                    "application/dicom; variant=DICOM QIDO-RS",
                    "json",
                ],
                &[
                    "not a mime",
                    "text",
                    "text/",
                    "/plain",
                    "text/a/b",
                    "text/pl ain",
                    "text/plain;",
                    "text/plain; charset",
                    "pdf",
                    "",
                ],
            ),
            (
                is_decimal,
                &["0", "-0.00", "1e5", "1.50"],
                &["+1", "01", "1.", ".1", "-"],
            ),
            (
                is_integer,
                &["0", "-5", "2147483647"],
                &["01", "+1", "1.0", "2147483648", "-0 "],
            ),
            (is_unsigned_int, &["0", "12"], &["-1", "01"]),
            (is_positive_int, &["1"], &["0", "-1"]),
        ];
        for (i, (rule, valid, invalid)) in cases.iter().enumerate() {
            for text in *valid {
                assert!(rule(text), "rule {i} should accept {text:?}");
            }
            for text in *invalid {
                assert!(!rule(text), "rule {i} should refuse {text:?}");
            }
        }
    }
}
