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

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

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
    pub unit: Arc<str>,
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
    let meaning = meaning(code)?;
    let mut number = Number::from(value);
    match meaning.offset {
        None => number = number.times(meaning.factor),
        Some(Offset { before, after }) => {
            number = number.plus(before).times(meaning.factor).plus(after);
        }
    }
    let value = Decimal::from(number)
        .rounded(NOISE_FREE_DIGITS)
        .rounded(DIGITS)
        .normalised();
    Some(Canonical {
        value,
        unit: meaning.unit,
    })
}

/// A code that has been read: how to convert its values, and to what.
#[derive(Clone)]
struct Meaning {
    factor: Number,
    offset: Option<Offset>,
    unit: Arc<str>,
}

/// The most codes whose meaning is remembered; a hospital uses a few hundred.
const MAX_REMEMBERED: usize = 2048;

/// What a code means; remembered, since the same few units come again and again.
fn meaning(code: &str) -> Option<Meaning> {
    static KNOWN: RwLock<Option<HashMap<Box<str>, Meaning>>> = RwLock::new(None);
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(meaning) = known.as_ref().and_then(|known| known.get(code)) {
        return Some(meaning.clone());
    }
    drop(known);
    let unit = expression::parse(code, Table::get())?;
    let meaning = Meaning {
        factor: unit.factor,
        offset: unit.offset,
        unit: unit.dimension.to_string().into(),
    };
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if known.len() < MAX_REMEMBERED {
        known.insert(code.into(), meaning.clone());
    }
    Some(meaning)
}

/// Whether `code` is a valid UCUM expression.
pub fn is_valid(code: &str) -> bool {
    expression::parse(code, Table::get()).is_some()
}

#[cfg(test)]
mod tests;
