//! The language of `_filter` (R4 `search_filter.html`): `given eq "peter" and birthdate ge 2014`.

use std::borrow::Cow;

use resources::model::ResourceType;

use super::{compare, compile::Compiler, fault::Fault, filter::Filter, text::split};

/// The condition that a `_filter` value stands for. `and` and `or` have the same rank and are
/// taken from left to right, as the standard says.
pub(super) fn compile(
    compiler: &Compiler<'_>,
    kind: ResourceType,
    text: &str,
    hops: usize,
) -> Result<Filter, Fault> {
    let parsed = parse(text, compiler.limits.nesting)?;
    parsed.condition(compiler, kind, hops)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Expression<'a> {
    Compare {
        path: &'a str,
        operator: &'a str,
        value: Operand<'a>,
    },
    And(Box<Expression<'a>>, Box<Expression<'a>>),
    Or(Box<Expression<'a>>, Box<Expression<'a>>),
    Not(Box<Expression<'a>>),
}

/// What something is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operand<'a> {
    /// The value; of a string without quotation marks and escapes.
    pub text: Cow<'a, str>,
    /// It stood in quotation marks.
    pub quoted: bool,
}

impl Expression<'_> {
    fn condition(
        &self,
        compiler: &Compiler<'_>,
        kind: ResourceType,
        hops: usize,
    ) -> Result<Filter, Fault> {
        let of = |part: &Self| part.condition(compiler, kind, hops);
        Ok(match self {
            Self::And(a, b) => Filter::all(vec![of(a)?, of(b)?]),
            Self::Or(a, b) => Filter::any(vec![of(a)?, of(b)?]),
            Self::Not(part) => of(part)?.negated(),
            Self::Compare {
                path,
                operator,
                value,
            } => comparison(compiler, kind, path, operator, value, hops)?,
        })
    }
}

fn comparison(
    compiler: &Compiler<'_>,
    kind: ResourceType,
    path: &str,
    operator: &str,
    value: &Operand<'_>,
    hops: usize,
) -> Result<Filter, Fault> {
    compiler.count()?;
    match path.split_once('.') {
        Some((head, rest)) => compiler.chain(kind, head, hops, &|target| {
            comparison(compiler, target, rest, operator, value, hops + 1)
        }),
        None => compare::compare(compiler, kind, path, operator, value),
    }
}

fn parse(text: &str, nesting: usize) -> Result<Expression<'_>, Fault> {
    let mut parser = Parser {
        rest: text,
        nesting,
        terms: 0,
    };
    let parsed = parser.terms()?;
    match parser.rest.trim_start() {
        "" => Ok(parsed),
        rest => Err(Fault::invalid(format!(
            "'and', 'or' or the end is expected before '{}'",
            begin(rest)
        ))),
    }
}

/// The most comparisons of one expression.
const MAX_TERMS: usize = 200;

struct Parser<'a> {
    rest: &'a str,
    nesting: usize,
    terms: usize,
}

impl<'a> Parser<'a> {
    fn terms(&mut self) -> Result<Expression<'a>, Fault> {
        let mut left = self.term()?;
        loop {
            let before = self.rest;
            left = match self.word() {
                "and" => Expression::And(Box::new(left), Box::new(self.term()?)),
                "or" => Expression::Or(Box::new(left), Box::new(self.term()?)),
                _ => {
                    self.rest = before;
                    return Ok(left);
                }
            };
        }
    }

    fn term(&mut self) -> Result<Expression<'a>, Fault> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(Fault::too_costly(format!(
                "the filter has more than {MAX_TERMS} comparisons"
            )));
        }
        if self.opens() {
            return self.group();
        }
        let path = self.word();
        if path == "not" {
            if !self.opens() {
                return Err(Fault::invalid("'not' must be followed by '(' in a filter"));
            }
            return Ok(Expression::Not(Box::new(self.group()?)));
        }
        if path.is_empty() {
            return Err(Fault::invalid(format!(
                "a search parameter is expected at '{}'",
                begin(self.rest)
            )));
        }
        if self.rest.starts_with('[') {
            return Err(Fault::not_supported(format!(
                "'{path}[…]' (conditions on the same repetition) is not supported; \
                 write a chain ({path}.name eq …) or use _has"
            )));
        }
        if path.starts_with("_has") {
            return Err(Fault::not_supported(
                "_has cannot stand in a filter; give it as a parameter of its own",
            ));
        }
        let operator = self.word();
        if operator.is_empty() {
            return Err(Fault::invalid(format!(
                "a comparison (eq, ne, co, …) is expected after '{path}'"
            )));
        }
        let value = self.operand()?;
        Ok(Expression::Compare {
            path,
            operator,
            value,
        })
    }

    fn opens(&mut self) -> bool {
        let rest = self.rest.trim_start();
        if let Some(inner) = rest.strip_prefix('(') {
            self.rest = inner;
            return true;
        }
        false
    }

    fn group(&mut self) -> Result<Expression<'a>, Fault> {
        self.nesting = self
            .nesting
            .checked_sub(1)
            .ok_or_else(|| Fault::too_costly("the parentheses are nested too deeply"))?;
        let inner = self.terms()?;
        self.nesting += 1;
        match self.rest.trim_start().strip_prefix(')') {
            Some(rest) => {
                self.rest = rest;
                Ok(inner)
            }
            None => Err(Fault::invalid("a '(' has no ')'")),
        }
    }

    /// A name, operator or keyword.
    fn word(&mut self) -> &'a str {
        let rest = self.rest.trim_start();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':')))
            .unwrap_or(rest.len());
        self.rest = &rest[end..];
        &rest[..end]
    }

    fn operand(&mut self) -> Result<Operand<'a>, Fault> {
        let rest = self.rest.trim_start();
        if let Some(text) = rest.strip_prefix('"') {
            return self.quoted(text);
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || c == ')' || c == '(')
            .unwrap_or(rest.len());
        if end == 0 {
            return Err(Fault::invalid("a comparison has no value"));
        }
        self.rest = &rest[end..];
        Ok(Operand {
            text: Cow::Borrowed(&rest[..end]),
            quoted: false,
        })
    }

    /// A JSON string; its opening quotation mark was cut off.
    fn quoted(&mut self, text: &'a str) -> Result<Operand<'a>, Fault> {
        let Some(inner) = split(text, b'"')
            .next()
            .filter(|part| part.len() < text.len())
        else {
            return Err(Fault::invalid("a string has no closing quotation mark"));
        };
        self.rest = &text[inner.len() + 1..];
        let text = if inner.contains('\\') {
            serde_json::from_str(&format!("\"{inner}\""))
                .map(Cow::Owned)
                .map_err(|_| Fault::invalid(format!("\"{inner}\" is not a JSON string")))?
        } else {
            Cow::Borrowed(inner)
        };
        Ok(Operand { text, quoted: true })
    }
}

/// The first characters, for a message.
fn begin(text: &str) -> &str {
    &text[..text.floor_char_boundary(20)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(expression: &Expression<'_>) -> String {
        match expression {
            Expression::And(a, b) => format!("({} and {})", shown(a), shown(b)),
            Expression::Or(a, b) => format!("({} or {})", shown(a), shown(b)),
            Expression::Not(part) => format!("not {}", shown(part)),
            Expression::Compare {
                path,
                operator,
                value,
            } => format!("{path} {operator} <{}>", value.text),
        }
    }

    #[test]
    fn expressions_are_read_from_left_to_right() {
        for (text, expected) in [
            ("a eq 1", "a eq <1>"),
            (
                "a eq 1 or b eq 2 and c eq 3",
                "((a eq <1> or b eq <2>) and c eq <3>)",
            ),
            (
                "a eq 1 or (b eq 2 and c eq 3)",
                "(a eq <1> or (b eq <2> and c eq <3>))",
            ),
            ("not (a pr true)", "not a pr <true>"),
            ("not(a pr true)and b eq 2", "(not a pr <true> and b eq <2>)"),
            (
                r#"name co "O\"Neill \u00e9(x)" "#,
                "name co <O\"Neill é(x)>",
            ),
            ("patient.name.x co ab", "patient.name.x co <ab>"),
            ("subject:Patient.name co ab", "subject:Patient.name co <ab>"),
            (
                "code eq http://loinc.org|1234-5",
                "code eq <http://loinc.org|1234-5>",
            ),
            ("((a eq 1))", "a eq <1>"),
        ] {
            assert_eq!(
                parse(text, 4).map(|parsed| shown(&parsed)).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in [
            "",
            "a",
            "a eq",
            "a eq 1 and",
            "a eq 1 b eq 2",
            "(a eq 1",
            "a eq 1)",
            "not a eq 1",
            "a eq \"x",
            "a eq \"\\q\"",
            "a[b eq 1].c eq 2",
            "_has:A:b:c eq 1",
            "and",
            "= 1",
            "((((((a eq 1))))))",
        ] {
            assert!(parse(text, 4).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}|([ab()\"\\\\ ]| eq | and |not){0,30}") {
            drop(parse(&text, 8));
        }
    }
}
