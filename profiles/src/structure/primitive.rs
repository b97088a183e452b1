//! Values of primitive types.

use resources::{
    Value,
    doc::Kind,
    model::Primitive,
    primitive::{self, syntax},
};

/// R4's bound on strings, in characters.
const MAX_CHARS: usize = 1024 * 1024;

/// What is wrong with a JSON value as a value of a primitive type.
pub(super) enum Fault {
    /// It is of another kind of JSON value, or of one that the type does not use.
    Kind(&'static str),
    /// It is not in the type's syntax.
    Syntax,
}

/// Checks kind and syntax. Of XHTML only the kind.
pub(super) fn check(primitive: Primitive, value: Value<'_>) -> Result<(), Fault> {
    let valid = match primitive {
        Primitive::Boolean => match value.kind() {
            Kind::True | Kind::False => true,
            _ => return Err(Fault::Kind("true or false, without quotes")),
        },
        Primitive::Integer
        | Primitive::UnsignedInt
        | Primitive::PositiveInt
        | Primitive::Decimal => match value.number() {
            Some(number) => is_number_of(primitive, number),
            None => return Err(Fault::Kind("a JSON number, without quotes")),
        },
        _ => match value.as_str() {
            Some(text) => is_string_of(primitive, &text),
            None => return Err(Fault::Kind("a JSON string")),
        },
    };
    if valid { Ok(()) } else { Err(Fault::Syntax) }
}

fn is_number_of(primitive: Primitive, number: &str) -> bool {
    let whole = number.parse::<i32>();
    match primitive {
        Primitive::Integer => whole.is_ok(),
        Primitive::UnsignedInt => whole.is_ok_and(|n| n >= 0),
        Primitive::PositiveInt => whole.is_ok_and(|n| n > 0),
        _ => true,
    }
}

fn is_string_of(primitive: Primitive, text: &str) -> bool {
    match primitive {
        Primitive::Code => syntax::is_code(text),
        Primitive::Uri | Primitive::Url | Primitive::Canonical => syntax::is_uri(text),
        Primitive::Id => syntax::is_id(text),
        Primitive::Date => primitive::is_date(text),
        Primitive::DateTime => primitive::is_date_time(text),
        Primitive::Instant => primitive::is_instant(text),
        Primitive::Time => primitive::is_time(text),
        Primitive::Base64Binary => syntax::is_base64(text),
        Primitive::Oid => syntax::is_oid(text),
        Primitive::Uuid => syntax::is_uuid(text),
        Primitive::Xhtml => true,
        _ => syntax::is_string(text) && !is_too_long(text),
    }
}

fn is_too_long(text: &str) -> bool {
    text.len() > MAX_CHARS && text.chars().count() > MAX_CHARS
}

/// The rule for values of a type, as the end of a sentence that begins "must be".
pub(super) fn rule(primitive: Primitive) -> &'static str {
    match primitive {
        Primitive::Boolean => "true or false",
        Primitive::Integer => "a whole number between -2147483648 and 2147483647",
        Primitive::UnsignedInt => "a whole number between 0 and 2147483647",
        Primitive::PositiveInt => "a whole number between 1 and 2147483647",
        Primitive::Decimal => "a number",
        Primitive::String | Primitive::Markdown => {
            "text of 1 to 1048576 characters, without control characters"
        }
        Primitive::Uri | Primitive::Url | Primitive::Canonical => {
            "a URI: not empty and without white space"
        }
        Primitive::Base64Binary => "base64 (RFC 4648, padded with '=')",
        Primitive::Instant => "an existing instant like 2015-02-07T13:28:17.239+02:00",
        Primitive::Date => "an existing date like 2018, 1973-06 or 1905-08-23",
        Primitive::DateTime => {
            "an existing date like 2018, 1973-06 or 1905-08-23, or an instant like 2017-01-01T00:00:00Z"
        }
        Primitive::Time => "a time of day like 13:28:17",
        Primitive::Code => "a code: not empty, and no white space but single spaces inside",
        Primitive::Oid => "an OID like urn:oid:1.2.3.4.5",
        Primitive::Id => "an id: 1 to 64 of the characters A-Z, a-z, 0-9, '-' and '.'",
        Primitive::Uuid => "a UUID like urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
        Primitive::Xhtml => "an XHTML div",
    }
}
