//! Quantities in canonical units of UCUM, so that 1000 mg and 1 g compare as equal.
//!
//! The canonical unit is a product of powers of base units (`g.m-3`); the value is rounded to
//! 12 significant digits. Units that UCUM calls arbitrary (`[iU]`) and those on logarithmic and
//! other special scales (`[pH]`, `B`) are bases of their own; temperatures become kelvins.

mod dimension;
mod expression;
mod number;
mod table;

use dimension::Dimension;
use number::Number;
use table::Table;

use crate::primitive::Decimal;

/// The code system of UCUM in FHIR.
pub const SYSTEM: &str = "http://unitsofmeasure.org";

/// Significant digits of canonical values. Frozen: they are stored in index keys.
const DIGITS: u32 = 12;
/// Digits to which the noise of divisions is cut off before the rounding that counts.
const NOISE_FREE_DIGITS: u32 = 16;

/// A quantity in its canonical unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical {
    /// The value, at most 12 significant digits.
    pub value: Decimal,
    /// Powers of base units in alphabetical order, like `g.m-3`; `1` if there is none.
    pub unit: String,
}

/// A unit as a multiple of base units.
#[derive(Debug, Clone)]
struct Unit {
    factor: Number,
    dimension: Dimension,
    /// For temperatures: what to add before and after multiplying. Such a unit stands alone.
    offset: Option<Offset>,
}

#[derive(Debug, Clone, Copy)]
struct Offset {
    before: Number,
    after: Number,
}

/// The quantity in its canonical unit; `None` if `code` is not valid UCUM.
pub fn canonicalise(value: &Decimal, code: &str) -> Option<Canonical> {
    let unit = expression::parse(code, Table::get())?;
    let mut number = Number::from(value);
    match unit.offset {
        None => number = number.times(unit.factor),
        Some(Offset { before, after }) => {
            number = number.plus(before).times(unit.factor).plus(after);
        }
    }
    let value = Decimal::from(number)
        .rounded(NOISE_FREE_DIGITS)
        .rounded(DIGITS)
        .normalised();
    Some(Canonical {
        value,
        unit: unit.dimension.to_string(),
    })
}

/// Whether `code` is a valid UCUM expression.
pub fn is_valid(code: &str) -> bool {
    expression::parse(code, Table::get()).is_some()
}

#[cfg(test)]
mod tests;
