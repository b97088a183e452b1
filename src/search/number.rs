//! Number and quantity searches.

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

    /// The keys that are `prefix` and a number of the interval.
    fn range(&self, prefix: &[u8]) -> KeyRange {
        let at = |number: Decimal| {
            let mut key = prefix.to_vec();
            number.write_key(&mut key);
            key
        };
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

/// The intervals of which a value must lie in one. For `eq` and `ne` the digits written tell how
/// precise the search is; for the others the number is exact.
pub(super) fn intervals(text: &str) -> Result<Vec<Interval>, Fault> {
    let (prefix, digits) = Prefix::take(text.trim());
    let number = Decimal::parse_search(digits).ok_or_else(|| {
        Fault::invalid(format!(
            "'{text}' is not a number, such as 5.4, ge100 or 1e-3"
        ))
    })?;
    Ok(compare(prefix, number))
}

pub(super) fn compare(prefix: Prefix, number: Decimal) -> Vec<Interval> {
    let (low, high) = number.implicit_range();
    match prefix {
        Prefix::Eq => vec![Interval {
            low: Some((low, true)),
            high: Some((high, false)),
        }],
        Prefix::Ne => vec![Interval::below(low, false), Interval::above(high, true)],
        Prefix::Gt | Prefix::Sa => vec![Interval::above(number, false)],
        Prefix::Lt | Prefix::Eb => vec![Interval::below(number, false)],
        Prefix::Ge => vec![Interval::above(number, true)],
        Prefix::Le => vec![Interval::below(number, true)],
        Prefix::Ap => {
            let tenths = |n| Decimal::new(number.coefficient() * n, number.exponent() - 1);
            let (a, b) = (tenths(9), tenths(11));
            vec![Interval {
                low: Some((a.min(b), true)),
                high: Some((a.max(b), true)),
            }]
        }
    }
}

/// The keys of a number parameter.
pub(super) fn number(text: &str) -> Result<Vec<KeyRange>, Fault> {
    let intervals = intervals(&unescape(text))?;
    Ok(intervals
        .iter()
        .map(|interval| interval.range(&[space::NUMBER]))
        .collect())
}

/// The keys of a quantity parameter: `5.4`, `5.4|system|code`, `5.4||code`.
pub(super) fn quantity(text: &str) -> Result<Vec<KeyRange>, Fault> {
    let mut parts = split(text, b'|').map(unescape);
    let intervals = intervals(&parts.next().unwrap_or_default())?;
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
        && let Some(ranges) = canonical(&intervals, &code)
    {
        return Ok(ranges);
    }
    Ok(as_written(&intervals, &system, &code))
}

/// In the canonical unit of `code`, so that 1 g finds 1000 mg; `None` if UCUM does not have it.
fn canonical(intervals: &[Interval], code: &str) -> Option<Vec<KeyRange>> {
    let convert = |bound: Option<(Decimal, bool)>| match bound {
        None => Some(None),
        Some((value, inclusive)) => {
            ucum::canonicalise(&value, code).map(|canonical| Some((canonical.value, inclusive)))
        }
    };
    let unit = ucum::canonicalise(&Decimal::ZERO, code)?.unit;
    let mut prefix = vec![space::QUANTITY_CANONICAL];
    prefix.extend_from_slice(&key::hash8(&unit));
    intervals
        .iter()
        .map(|interval| {
            Some(
                Interval {
                    low: convert(interval.low)?,
                    high: convert(interval.high)?,
                }
                .range(&prefix),
            )
        })
        .collect()
}

/// As the resource has it: a code is compared with the quantity's code, and without a system
/// with its unit too.
fn as_written(intervals: &[Interval], system: &str, code: &str) -> Vec<KeyRange> {
    let tail = |from_end, text: &str| KeyTest::TailEquals {
        from_end,
        bytes: key::hash8(text).to_vec(),
    };
    let mut out = Vec::with_capacity(intervals.len() * 2);
    for interval in intervals {
        let range = interval.range(&[space::QUANTITY]);
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
    out
}
