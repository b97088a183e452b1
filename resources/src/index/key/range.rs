//! Values that are ranges of numbers. Both bounds have a fixed length, so that a condition on the
//! second finds it in the key.

use super::{hash8, space};
use crate::primitive::Decimal;

/// The bytes of a bound: [`Decimal::write_key`] gives at most as many.
pub const BOUND: usize = 24;

const LOWEST: [u8; BOUND] = [0; BOUND];
const HIGHEST: [u8; BOUND] = [0xff; BOUND];

/// A number as a bound, with zeros at its end.
pub fn bound(value: &Decimal) -> [u8; BOUND] {
    let mut key = Vec::with_capacity(BOUND);
    value.write_key(&mut key);
    let mut out = LOWEST;
    out.iter_mut().zip(key).for_each(|(to, byte)| *to = byte);
    out
}

/// A range of numbers; what is open has no bound.
pub fn number_range(low: Option<Decimal>, high: Option<Decimal>) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + 2 * BOUND);
    key.push(space::NUMBER_RANGE);
    push_bounds(&mut key, low, high);
    key
}

/// A range of quantities as written; what it lacks is empty.
pub fn quantity_range(
    (low, high): (Option<Decimal>, Option<Decimal>),
    code: &str,
    unit: &str,
    system: &str,
) -> Vec<u8> {
    let mut key = Vec::with_capacity(25 + 2 * BOUND);
    key.push(space::QUANTITY_RANGE);
    push_bounds(&mut key, low, high);
    key.extend(hash8(code));
    key.extend(hash8(unit));
    key.extend(hash8(system));
    key
}

/// A range of quantities whose bounds went through [`crate::ucum::canonicalise`].
pub fn quantity_range_canonical(
    low: Option<Decimal>,
    high: Option<Decimal>,
    unit: &str,
) -> Vec<u8> {
    let mut key = Vec::with_capacity(9 + 2 * BOUND);
    key.push(space::QUANTITY_RANGE_CANONICAL);
    key.extend(hash8(unit));
    push_bounds(&mut key, low, high);
    key
}

/// A number that has others behind it in a composite.
pub fn number_fixed(value: &Decimal) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + BOUND);
    key.push(space::NUMBER_FIXED);
    key.extend(bound(value));
    key
}

fn push_bounds(key: &mut Vec<u8>, low: Option<Decimal>, high: Option<Decimal>) {
    key.extend(low.map_or(LOWEST, |low| bound(&low)));
    key.extend(high.map_or(HIGHEST, |high| bound(&high)));
}
