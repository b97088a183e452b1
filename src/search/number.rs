//! Number and quantity searches.

use std::cmp::Ordering;

use resources::{
    index::key::{self, space},
    primitive::Decimal,
    ucum,
};

use super::{
    fault::Fault,
    plan::{KeyRange, KeyTest, successor},
    prefix::Prefix,
    text::{split, unescape},
};

/// The values between two bounds. The bool says whether the bound itself belongs to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Interval {
    pub low: Option<(Decimal, bool)>,
    pub high: Option<(Decimal, bool)>,
}

impl Interval {
    fn above(low: Decimal, inclusive: bool) -> Self {
        Self {
            low: Some((low, inclusive)),
            high: None,
        }
    }

    fn below(high: Decimal, inclusive: bool) -> Self {
        Self {
            low: None,
            high: Some((high, inclusive)),
        }
    }

    /// The numbers in both.
    fn both(self, other: Self) -> Self {
        let narrow = |a: Option<(Decimal, bool)>, b: Option<(Decimal, bool)>, ahead| match (a, b) {
            (Some(a), Some(b)) => Some(match a.0.cmp(&b.0) {
                Ordering::Equal => (a.0, a.1 && b.1),
                order if order == ahead => a,
                _ => b,
            }),
            (a, b) => a.or(b),
        };
        Self {
            low: narrow(self.low, other.low, Ordering::Greater),
            high: narrow(self.high, other.high, Ordering::Less),
        }
    }

    /// The same after a conversion of its bounds; `None` if one cannot be converted.
    fn converted(self, convert: impl Fn(&Decimal) -> Option<Decimal>) -> Option<Self> {
        let bound = |bound: Option<(Decimal, bool)>| match bound {
            None => Some(None),
            Some((value, inclusive)) => convert(&value).map(|value| Some((value, inclusive))),
        };
        Some(Self {
            low: bound(self.low)?,
            high: bound(self.high)?,
        })
    }

    /// The keys that are `prefix`, a number of the interval as `write` has it, and anything.
    fn range(&self, prefix: &[u8], write: fn(&Decimal) -> Vec<u8>) -> KeyRange {
        let at = |number: Decimal| [prefix, &write(&number)].concat();
        let low = match self.low {
            None => prefix.to_vec(),
            Some((low, true)) => at(low),
            Some((low, false)) => after(at(low)),
        };
        let high = match self.high {
            None => successor(prefix),
            Some((high, true)) => successor(&at(high)),
            Some((high, false)) => Some(at(high)),
        };
        KeyRange::between(low, high)
    }
}

/// The first key after those that begin with `key`, whose first byte is that of a space.
fn after(key: Vec<u8>) -> Vec<u8> {
    successor(&key).unwrap_or(key)
}

fn variable(number: &Decimal) -> Vec<u8> {
    let mut key = Vec::new();
    number.write_key(&mut key);
    key
}

fn fixed(number: &Decimal) -> Vec<u8> {
    key::bound(number).to_vec()
}

/// A condition on the bounds of a value: a range of numbers, or one number that is both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    low: Interval,
    high: Interval,
}

impl Span {
    /// The keys that are `prefix` and a number which satisfies the condition.
    fn numbers(&self, prefix: &[u8]) -> KeyRange {
        self.low.both(self.high).range(prefix, variable)
    }

    /// The same for numbers of a fixed length.
    fn fixed(&self, prefix: &[u8]) -> KeyRange {
        self.low.both(self.high).range(prefix, fixed)
    }

    /// The keys that are `prefix` and the two bounds of a range which satisfies the condition.
    fn ranges(&self, prefix: &[u8]) -> KeyRange {
        let mut out = self.low.range(prefix, fixed);
        let offset = prefix.len() + key::BOUND;
        if let Some((low, inclusive)) = self.high.low {
            let bytes = fixed(&low);
            let bytes = if inclusive { bytes } else { after(bytes) };
            out = out.with(KeyTest::AtLeast(offset, bytes));
        }
        if let Some((high, inclusive)) = self.high.high {
            let bytes = fixed(&high);
            let bytes = if inclusive { after(bytes) } else { bytes };
            out = out.with(KeyTest::Below(offset, bytes));
        }
        out
    }

    fn converted(self, convert: impl Fn(&Decimal) -> Option<Decimal> + Copy) -> Option<Self> {
        Some(Self {
            low: self.low.converted(convert)?,
            high: self.high.converted(convert)?,
        })
    }
}

/// The conditions of which a value must satisfy one. For `eq` and `ne` the digits written tell
/// how precise the search is; for the others the number is exact.
fn spans(text: &str) -> Result<Vec<Span>, Fault> {
    let (prefix, digits) = Prefix::take(text.trim());
    let number = Decimal::parse_search(digits).ok_or_else(|| {
        Fault::invalid(format!(
            "'{text}' is not a number, such as 5.4, ge100 or 1e-3"
        ))
    })?;
    Ok(compare(prefix, number))
}

/// What the prefixes ask of the range of a value (R4 `search.html#prefix`).
fn compare(prefix: Prefix, number: Decimal) -> Vec<Span> {
    let (from, to) = number.implicit_range();
    let low = |low| Span {
        low,
        ..Span::default()
    };
    let high = |high| Span {
        high,
        ..Span::default()
    };
    match prefix {
        Prefix::Eq => vec![Span {
            low: Interval::above(from, true),
            high: Interval::below(to, false),
        }],
        Prefix::Ne => vec![
            low(Interval::below(from, false)),
            high(Interval::above(to, true)),
        ],
        Prefix::Gt => vec![high(Interval::above(number, false))],
        Prefix::Ge => vec![high(Interval::above(number, true))],
        Prefix::Lt => vec![low(Interval::below(number, false))],
        Prefix::Le => vec![low(Interval::below(number, true))],
        Prefix::Sa => vec![low(Interval::above(number, false))],
        Prefix::Eb => vec![high(Interval::below(number, false))],
        Prefix::Ap => {
            let tenths = |n| Decimal::new(number.coefficient() * n, number.exponent() - 1);
            let (a, b) = (tenths(9), tenths(11));
            vec![Span {
                low: Interval::below(a.max(b), true),
                high: Interval::above(a.min(b), true),
            }]
        }
    }
}

/// The keys of a number parameter, some values of which may be ranges.
pub(super) fn number(text: &str, ranges: bool) -> Result<Vec<KeyRange>, Fault> {
    let spans = spans(&unescape(text))?;
    let mut out: Vec<KeyRange> = spans
        .iter()
        .map(|span| span.numbers(&[space::NUMBER]))
        .collect();
    if ranges {
        out.extend(spans.iter().map(|span| span.ranges(&[space::NUMBER_RANGE])));
    }
    Ok(out)
}

/// The keys of a number in a composite of three components or more.
pub(super) fn number_fixed(text: &str) -> Result<Vec<KeyRange>, Fault> {
    let spans = spans(&unescape(text))?;
    Ok(spans
        .iter()
        .map(|span| span.fixed(&[space::NUMBER_FIXED]))
        .collect())
}

/// The keys of a quantity parameter: `5.4`, `5.4|system|code`, `5.4||code`. Some values may be
/// ranges.
pub(super) fn quantity(text: &str, ranges: bool) -> Result<Vec<KeyRange>, Fault> {
    let mut parts = split(text, b'|').map(unescape);
    let spans = spans(&parts.next().unwrap_or_default())?;
    let (system, code) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    if parts.next().is_some() {
        return Err(Fault::invalid(format!(
            "'{text}' has too many '|'; a quantity is number, number|system|code or number||code"
        )));
    }
    if system == ucum::SYSTEM
        && !code.is_empty()
        && let Some(found) = canonical(&spans, &code, ranges)
    {
        return Ok(found);
    }
    let mut out = Vec::with_capacity(spans.len() * 4);
    for span in &spans {
        push_written(&mut out, span.numbers(&[space::QUANTITY]), &system, &code);
        if ranges {
            let range = span.ranges(&[space::QUANTITY_RANGE]);
            push_written(&mut out, range, &system, &code);
        }
    }
    Ok(out)
}

/// In the canonical unit of `code`, so that 1 g finds 1000 mg; `None` if UCUM does not have it.
fn canonical(spans: &[Span], code: &str, ranges: bool) -> Option<Vec<KeyRange>> {
    let unit = ucum::canonicalise(&Decimal::ZERO, code)?.unit;
    let prefix = |space: u8| [&[space][..], &key::hash8(&unit)].concat();
    let convert = |value: &Decimal| Some(ucum::canonicalise(value, code)?.value);
    let mut out = Vec::with_capacity(spans.len() * 2);
    for span in spans {
        let span = span.converted(convert)?;
        out.push(span.numbers(&prefix(space::QUANTITY_CANONICAL)));
        if ranges {
            out.push(span.ranges(&prefix(space::QUANTITY_RANGE_CANONICAL)));
        }
    }
    Some(out)
}

/// As the resource has it: a code is compared with the quantity's code, and without a system
/// with its unit too.
fn push_written(out: &mut Vec<KeyRange>, range: KeyRange, system: &str, code: &str) {
    let tail = |from_end, text: &str| KeyTest::TailEquals {
        from_end,
        bytes: key::hash8(text).to_vec(),
    };
    match (system, code) {
        ("", "") => out.push(range),
        ("", code) => {
            out.push(range.clone().with(tail(24, code)));
            out.push(range.with(tail(16, code)));
        }
        (system, "") => out.push(range.with(tail(8, system))),
        (system, code) => out.push(range.with(tail(24, code)).with(tail(8, system))),
    }
}
