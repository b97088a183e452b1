//! The grammar of UCUM's unit expressions, and their meaning.

use super::{Dimension, Number, Unit, table::Table};
use crate::primitive::Decimal;

const MAX_LENGTH: usize = 200;
const MAX_DEPTH: usize = 8;
const MAX_POWER: i32 = 99;

/// The unit that a case-sensitive UCUM code stands for; `None` if it is not valid.
pub(super) fn parse(code: &str, table: &Table) -> Option<Unit> {
    if code.is_empty() || code.len() > MAX_LENGTH || !code.is_ascii() {
        return None;
    }
    let mut reader = Reader {
        rest: code,
        table,
        depth: 0,
    };
    let unit = reader.term()?;
    reader.rest.is_empty().then_some(unit)
}

pub(super) fn one() -> Unit {
    Unit {
        factor: Number::ONE,
        dimension: Dimension::default(),
        offset: None,
    }
}

struct Reader<'c, 't> {
    rest: &'c str,
    table: &'t Table,
    depth: usize,
}

impl<'c> Reader<'c, '_> {
    fn accept(&mut self, sign: char) -> bool {
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Components joined by `.` and `/`, from left to right; it may begin with `/`.
    fn term(&mut self) -> Option<Unit> {
        let mut divides = self.accept('/');
        let mut all = None;
        loop {
            let component = self.component()?;
            all = Some(match all {
                None if !divides => component,
                None => joined(&one(), &component, -1)?,
                Some(left) => joined(&left, &component, if divides { -1 } else { 1 })?,
            });
            divides = match self.rest.as_bytes().first() {
                Some(b'/') => true,
                Some(b'.') => false,
                _ => return all,
            };
            self.rest = &self.rest[1..];
        }
    }

    fn component(&mut self) -> Option<Unit> {
        let unit = if self.accept('(') {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return None;
            }
            let inner = self.term()?;
            self.depth -= 1;
            if !self.accept(')') {
                return None;
            }
            inner
        } else if self.rest.starts_with('{') {
            one()
        } else {
            self.atom()?
        };
        if self.accept('{') {
            let end = self.rest.find('}')?;
            if self.rest[..end].contains('{') {
                return None;
            }
            self.rest = &self.rest[end + 1..];
        }
        Some(unit)
    }

    /// A number, or a unit with an exponent.
    fn atom(&mut self) -> Option<Unit> {
        let ten = ["10*", "10^"]
            .iter()
            .find(|ten| self.rest.starts_with(**ten));
        let symbol = match ten {
            Some(ten) => &self.rest[..ten.len()],
            None => {
                let digits = self.digits();
                if !digits.is_empty() {
                    return Some(Unit {
                        factor: Number::from(&Decimal::parse(digits)?),
                        ..one()
                    });
                }
                symbol(self.rest)
            }
        };
        self.rest = &self.rest[symbol.len()..];
        let unit = self.table.unit(symbol)?;
        match self.exponent()? {
            1 => Some(unit),
            exponent => joined(&one(), &unit, exponent),
        }
    }

    fn exponent(&mut self) -> Option<i32> {
        let negative = self.accept('-');
        let signed = negative || self.accept('+');
        let digits = self.digits();
        if digits.is_empty() {
            return (!signed).then_some(1);
        }
        let exponent: i32 = digits.parse().ok()?;
        if exponent > MAX_POWER {
            return None;
        }
        Some(if negative { -exponent } else { exponent })
    }

    fn digits(&mut self) -> &'c str {
        let end = self.rest.find(|c: char| !c.is_ascii_digit());
        let (digits, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        digits
    }
}

/// The beginning of `text` that is a unit's symbol: up to an operator or a digit, but square
/// brackets hold anything.
fn symbol(text: &str) -> &str {
    let mut inside = false;
    let end = text.bytes().position(|byte| match byte {
        b'[' => {
            inside = true;
            false
        }
        b']' => {
            inside = false;
            false
        }
        _ if inside => false,
        byte => matches!(
            byte,
            b'.' | b'/' | b'(' | b')' | b'{' | b'}' | b'+' | b'-' | b'0'..=b'9'
        ),
    });
    &text[..end.unwrap_or(text.len())]
}

/// `left × right^exponent`. A temperature scale cannot be part of a product.
fn joined(left: &Unit, right: &Unit, exponent: i32) -> Option<Unit> {
    if left.offset.is_some() || right.offset.is_some() {
        return None;
    }
    let mut dimension = left.dimension.clone();
    dimension.multiply(&right.dimension, exponent);
    Some(Unit {
        factor: left.factor.times(right.factor.power(exponent)?),
        dimension,
        offset: None,
    })
}
