//! Text to tokens.

use super::Refused;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name or keyword, without back-ticks.
    Name(String),
    /// `$this`, `%resource` with their sign.
    Variable(String),
    Text(String),
    Number(String),
    /// A date or time, without the `@`.
    Moment(String),
    /// Punctuation and operators.
    Sign(&'static str),
}

const SIGNS: [&str; 22] = [
    "!=", "!~", "<=", ">=", ".", "|", "(", ")", "[", "]", ",", "=", "~", "<", ">", "+", "-", "*",
    "/", "&", "{", "}",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Refused> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, used) = match first {
            'a'..='z' | 'A'..='Z' | '_' => {
                let name = take(rest, 0, is_name);
                (Token::Name(name.into()), name.len())
            }
            '0'..='9' => number(rest),
            '$' | '%' => {
                let name = take(rest, 1, is_name);
                (Token::Variable(format!("{first}{name}")), 1 + name.len())
            }
            '@' => {
                let moment = take(rest, 1, |c| {
                    c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.' | '+')
                });
                (Token::Moment(moment.into()), 1 + moment.len())
            }
            '\'' => {
                let (inner, used) = quoted(rest, '\'')?;
                (Token::Text(inner), used)
            }
            '`' | '"' => {
                let (inner, used) = quoted(rest, first)?;
                (Token::Name(inner), used)
            }
            _ => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => (Token::Sign(sign), sign.len()),
                None => return Refused::new(format!("'{first}' cannot stand here")),
            },
        };
        out.push(token);
        rest = rest[used..].trim_start();
    }
    Ok(out)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn take(text: &str, from: usize, accept: impl Fn(char) -> bool) -> &str {
    let text = &text[from..];
    let end = text.find(|c| !accept(c)).unwrap_or(text.len());
    &text[..end]
}

/// A number; its point must be followed by a digit, or it is a path's.
fn number(text: &str) -> (Token, usize) {
    let whole = take(text, 0, |c| c.is_ascii_digit()).len();
    let fraction = match text[whole..].strip_prefix('.') {
        Some(rest) => take(rest, 0, |c| c.is_ascii_digit()).len(),
        None => 0,
    };
    let used = if fraction > 0 {
        whole + 1 + fraction
    } else {
        whole
    };
    (Token::Number(text[..used].into()), used)
}

fn quoted(text: &str, quote: char) -> Result<(String, usize), Refused> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok((out, at + 1));
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next() {
            Some((_, 'n')) => '\n',
            Some((_, 't')) => '\t',
            Some((_, 'r')) => '\r',
            Some((_, c @ ('\'' | '"' | '`' | '\\' | '/'))) => c,
            _ => return Refused::new("an escape that is not supported in a string"),
        });
    }
    Refused::new("a string that does not end")
}
