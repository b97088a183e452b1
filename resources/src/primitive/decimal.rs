//! Decimals with the precision that their text shows.

use std::cmp::Ordering;

/// The most significant digits that are kept; further ones are cut off.
const MAX_DIGITS: u32 = 36;
/// Exponents outside of these bounds are moved to the bound.
const MAX_EXPONENT: i32 = 12_000;

/// A decimal number, `coefficient × 10^exponent`, as precise as its text: `1.00` has the
/// coefficient 100 and the exponent -2. Equality and order are by value: `1.00 == 1`.
#[derive(Debug, Clone, Copy)]
pub struct Decimal {
    coefficient: i128,
    exponent: i32,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self::new(0, 0);

    /// `coefficient × 10^exponent`.
    pub const fn new(coefficient: i128, exponent: i32) -> Self {
        Self {
            coefficient,
            exponent,
        }
    }

    /// Reads a number as JSON and FHIR write it (a leading `+`, which searches may have, too).
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, power) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], parse_power(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let fraction_written = mantissa.len() > whole.len();
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let mut number = Accumulator::default();
        whole
            .bytes()
            .for_each(|digit| number.push(digit - b'0', false));
        if fraction_written {
            fraction
                .bytes()
                .for_each(|digit| number.push(digit - b'0', true));
        }
        let exponent = (i64::from(number.exponent) + power)
            .clamp(-i64::from(MAX_EXPONENT), i64::from(MAX_EXPONENT));
        let coefficient = if negative {
            -number.coefficient
        } else {
            number.coefficient
        };
        Some(Self::new(coefficient, exponent as i32))
    }

    /// The digits without the point.
    pub fn coefficient(&self) -> i128 {
        self.coefficient
    }

    /// The power of ten of the last digit.
    pub fn exponent(&self) -> i32 {
        self.exponent
    }

    /// True for zero of any precision.
    pub fn is_zero(&self) -> bool {
        self.coefficient == 0
    }

    /// The same number with the opposite sign.
    #[must_use]
    pub fn negated(&self) -> Self {
        Self::new(-self.coefficient, self.exponent)
    }

    /// The range `[from, to)` of the numbers that round to this one at its precision: `100` is
    /// `[99.5, 100.5)`, `5.40e-3` is `[0.005395, 0.005405)`. As R4 has it (`search.html#number`),
    /// `1e2` is `[95, 105)`: a mantissa without a fraction counts as if it had one digit more;
    /// see [`Decimal::parse_search`].
    pub fn implicit_range(&self) -> (Self, Self) {
        let center = self.coefficient * 10;
        (
            Self::new(center - 5, self.exponent - 1),
            Self::new(center + 5, self.exponent - 1),
        )
    }

    /// As [`Decimal::parse`], for the value of a search: `1e2` has the precision of `1.0e2`.
    pub fn parse_search(text: &str) -> Option<Self> {
        let number = Self::parse(text)?;
        if text.contains(['e', 'E']) && !text.contains('.') {
            return Some(Self::new(number.coefficient * 10, number.exponent - 1));
        }
        Some(number)
    }

    /// The number rounded to at most `digits` significant digits (ties away from zero).
    #[must_use]
    pub fn rounded(&self, digits: u32) -> Self {
        let have = digits_of(self.coefficient.unsigned_abs());
        if have <= digits {
            return *self;
        }
        let drop = have - digits;
        let unit = 10i128.pow(drop);
        let half = if self.coefficient < 0 {
            -unit / 2
        } else {
            unit / 2
        };
        Self::new(
            (self.coefficient + half) / unit,
            self.exponent + drop as i32,
        )
    }

    /// The same value with no zeros at the end of the coefficient; zero has the exponent 0.
    #[must_use]
    pub fn normalised(&self) -> Self {
        if self.coefficient == 0 {
            return Self::ZERO;
        }
        let mut out = *self;
        while out.coefficient % 10 == 0 {
            out.coefficient /= 10;
            out.exponent += 1;
        }
        out
    }

    /// Sign, place of the first digit and digits: what order is made of.
    fn order(&self) -> (i128, i32, u128) {
        let digits = self.coefficient.unsigned_abs();
        let count = digits_of(digits);
        // Digits are compared as fractions 0.ddd, so they are scaled to the same length.
        let scaled = digits * 10u128.pow(38 - count);
        (
            self.coefficient.signum(),
            count as i32 + self.exponent,
            scaled,
        )
    }

    /// Appends bytes that compare like the values and tell where they end.
    ///
    /// Zero is `80`. A positive number is `81`, the place of its first digit (two bytes, biased by
    /// `8000`), its digits in pairs (`pair + 1`), `00`. A negative number is `7e` and the
    /// complement of the rest of its absolute value's bytes.
    pub fn write_key(&self, out: &mut Vec<u8>) {
        let number = self.normalised();
        if number.coefficient == 0 {
            out.push(0x80);
            return;
        }
        let negative = number.coefficient < 0;
        let flip = if negative { 0xff } else { 0 };
        let mut digits = number.coefficient.unsigned_abs();
        let count = digits_of(digits);
        let place = (count as i32 + number.exponent + 0x8000).clamp(0, 0xffff) as u16;
        out.push(if negative { 0x7e } else { 0x81 });
        out.extend(place.to_be_bytes().map(|byte| byte ^ flip));
        if count % 2 == 1 {
            digits *= 10;
        }
        let from = out.len();
        while digits > 0 {
            out.push(((digits % 100) as u8 + 1) ^ flip);
            digits /= 100;
        }
        out[from..].reverse();
        out.push(flip);
    }
}

#[derive(Default)]
struct Accumulator {
    coefficient: i128,
    exponent: i32,
    digits: u32,
}

impl Accumulator {
    fn push(&mut self, digit: u8, fraction: bool) {
        if self.digits >= MAX_DIGITS {
            self.exponent = self.exponent.saturating_add(i32::from(!fraction));
            return;
        }
        self.coefficient = self.coefficient * 10 + i128::from(digit);
        self.digits += u32::from(self.coefficient != 0);
        if fraction {
            self.exponent = self.exponent.saturating_sub(1);
        }
    }
}

fn parse_power(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    let size = match significant.len() {
        0 => 0,
        1..=9 => significant.parse().ok()?,
        _ => i64::from(i32::MAX),
    };
    Some(if text.starts_with('-') { -size } else { size })
}

fn digits_of(number: u128) -> u32 {
    number.checked_ilog10().map_or(0, |log| log + 1)
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let (sign, place, digits) = self.order();
        let (other_sign, other_place, other_digits) = other.order();
        let by_sign = sign.cmp(&other_sign);
        if by_sign != Ordering::Equal || sign == 0 {
            return by_sign;
        }
        let by_size = (place, digits).cmp(&(other_place, other_digits));
        if sign < 0 { by_size.reverse() } else { by_size }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    fn key(number: &Decimal) -> Vec<u8> {
        let mut out = Vec::new();
        number.write_key(&mut out);
        out
    }

    #[test]
    fn precision_is_that_of_the_text() {
        for (text, from, to) in [
            ("100", "99.5", "100.5"),
            ("100.00", "99.995", "100.005"),
            ("1e2", "95", "105"),
            ("5.40e-3", "0.005395", "0.005405"),
            ("-2", "-2.5", "-1.5"),
            ("0", "-0.5", "0.5"),
        ] {
            let range = Decimal::parse_search(text).unwrap().implicit_range();
            assert_eq!(range, (decimal(from), decimal(to)), "{text}");
        }
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in [
            "", "-", ".5", "1.", "1e", "1e+", "e5", "0x1", "1,5", "NaN", "--1", "1.-5",
        ] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn numbers_beyond_the_bounds_keep_their_order() {
        let huge = format!("1{}", "0".repeat(20_000));
        let tiny = format!("0.{}1", "0".repeat(20_000));
        let ascending = [
            "-9e99999", "-1e50", "-1.5", "-1", "-1e-50", "0", "1e-50", "0.1", "1", "1.5", "1e50",
        ];
        for pair in ascending.windows(2) {
            assert!(decimal(pair[0]) < decimal(pair[1]), "{pair:?}");
            assert!(key(&decimal(pair[0])) < key(&decimal(pair[1])), "{pair:?}");
        }
        assert!(decimal(&huge) > decimal("1e50"));
        assert!(key(&decimal(&tiny)) < key(&decimal("1e-50")));
        assert!(decimal(&"9".repeat(60)) > decimal(&"9".repeat(59)));
    }

    fn any_decimal() -> impl Strategy<Value = Decimal> {
        (-1_000_000i128..1_000_000, -8i32..8).prop_map(|(c, e)| Decimal::new(c, e))
    }

    proptest! {
        #[test]
        fn keys_are_ordered_like_values(a in any_decimal(), b in any_decimal()) {
            prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
        }

        #[test]
        fn order_is_that_of_the_numbers(a in any_decimal(), b in any_decimal()) {
            let scale = |d: &Decimal| d.coefficient() * 10i128.pow((d.exponent() + 8) as u32);
            prop_assert_eq!(a.cmp(&b), scale(&a).cmp(&scale(&b)));
        }

        #[test]
        fn no_key_is_the_beginning_of_another(a in any_decimal(), b in any_decimal()) {
            if a != b {
                prop_assert!(!key(&a).starts_with(&key(&b)));
            }
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "[-+0-9.eE]{0,60}") {
            if let Some(number) = Decimal::parse(&text) {
                let (from, to) = number.implicit_range();
                prop_assert!(from < number && number < to);
                key(&number);
            }
        }
    }
}
