//! Decimal floating point with 18 digits: powers of ten stay exact, products fit 128 bits.

use crate::primitive::Decimal;

const DIGITS: u32 = 18;

/// `coefficient × 10^exponent`, the coefficient with at most 18 digits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    coefficient: i128,
    exponent: i32,
}

impl Number {
    pub(super) const ONE: Self = Self {
        coefficient: 1,
        exponent: 0,
    };

    pub(super) const fn new(coefficient: i128, exponent: i32) -> Self {
        Self {
            coefficient,
            exponent,
        }
    }

    pub(super) fn times(self, other: Self) -> Self {
        let product = Decimal::new(
            self.coefficient * other.coefficient,
            self.exponent.saturating_add(other.exponent),
        );
        Self::from(&product)
    }

    /// `None` if `other` is zero.
    pub(super) fn divided_by(self, other: Self) -> Option<Self> {
        if other.coefficient == 0 {
            return None;
        }
        let (wide, exponent) = self.widened();
        let quotient = wide * 10i128.pow(DIGITS) / other.coefficient;
        let exponent = exponent
            .saturating_sub(DIGITS as i32)
            .saturating_sub(other.exponent);
        Some(Self::from(&Decimal::new(quotient, exponent)))
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let (large, small) = if self.exponent >= other.exponent {
            (self, other)
        } else {
            (other, self)
        };
        if large.coefficient == 0 {
            return small;
        }
        let distance = large.exponent.abs_diff(small.exponent);
        if distance > DIGITS {
            return if small.magnitude() > large.magnitude() {
                small
            } else {
                large
            };
        }
        let sum = large.coefficient * 10i128.pow(distance) + small.coefficient;
        Self::from(&Decimal::new(sum, small.exponent))
    }

    pub(super) fn power(self, exponent: i32) -> Option<Self> {
        let mut out = Self::ONE;
        for _ in 0..exponent.unsigned_abs() {
            out = out.times(self);
        }
        if exponent < 0 {
            return Self::ONE.divided_by(out);
        }
        Some(out)
    }

    fn magnitude(self) -> i64 {
        let digits = self.coefficient.unsigned_abs().checked_ilog10();
        digits.map_or(i64::MIN, |digits| {
            i64::from(digits) + i64::from(self.exponent)
        })
    }

    /// The same number with 18 digits in its coefficient.
    fn widened(self) -> (i128, i32) {
        let digits = self.coefficient.unsigned_abs().checked_ilog10();
        let missing = DIGITS.saturating_sub(digits.map_or(DIGITS, |log| log + 1));
        (
            self.coefficient * 10i128.pow(missing),
            self.exponent.saturating_sub(missing as i32),
        )
    }
}

impl From<&Decimal> for Number {
    fn from(value: &Decimal) -> Self {
        let value = value.rounded(DIGITS).normalised();
        Self::new(value.coefficient(), value.exponent())
    }
}

impl From<Number> for Decimal {
    fn from(number: Number) -> Self {
        Self::new(number.coefficient, number.exponent)
    }
}
