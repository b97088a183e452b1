//! Possible starts as bits: one for each minute of eight days.

use crate::scheduling::span::Span;

/// Days of a block. Blocks are counted from 1970.
const DAYS: i64 = 8;
/// Seconds of a block.
pub const SECONDS: i64 = DAYS * 86_400;
/// Minutes of a block.
pub const MINUTES: i64 = DAYS * 1440;
/// Words of a block.
pub const WORDS: usize = 180;

/// The block that an instant is in.
pub const fn block_of(at: i64) -> i64 {
    at.div_euclid(SECONDS)
}

/// The time of a block.
pub const fn span_of(block: i64) -> Span {
    Span::new(
        block.saturating_mul(SECONDS),
        block.saturating_add(1).saturating_mul(SECONDS),
    )
}

/// Some of the whole minutes of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bits(pub [u64; WORDS]);

impl Bits {
    pub const fn none() -> Self {
        Self([0; WORDS])
    }

    pub const fn all() -> Self {
        Self([u64::MAX; WORDS])
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().fold(0, |all, word| all | word) == 0
    }

    /// Whether nothing is in both.
    pub fn is_apart(&self, other: &Self) -> bool {
        let words = self.0.iter().zip(&other.0);
        words.fold(0, |all, (one, two)| all | (one & two)) == 0
    }

    /// A whole minute of the block, as an instant.
    pub fn has(&self, block: i64, at: i64) -> bool {
        let minute = at / 60 - block * MINUTES;
        usize::try_from(minute).is_ok_and(|minute| {
            let word = self.0.get(minute / 64).copied().unwrap_or(0);
            word >> (minute % 64) & 1 == 1
        })
    }

    pub fn set(&mut self, block: i64, at: i64) {
        if let Ok(minute) = usize::try_from(at / 60 - block * MINUTES)
            && let Some(word) = self.0.get_mut(minute / 64)
        {
            *word |= 1 << (minute % 64);
        }
    }

    /// The whole minutes in `span`, as far as they are in the block.
    pub fn fill(&mut self, block: i64, span: Span, value: bool) {
        let minute = |at: i64| {
            let minute = (at.saturating_add(59)).div_euclid(60) - block * MINUTES;
            usize::try_from(minute.clamp(0, MINUTES)).unwrap_or(0)
        };
        let (from, end) = (minute(span.start), minute(span.end));
        if from >= end {
            return;
        }
        let (first, last) = (from / 64, (end - 1) / 64);
        for (at, word) in self.0.iter_mut().enumerate().take(last + 1).skip(first) {
            let mut mask = u64::MAX;
            if at == first {
                mask &= u64::MAX << (from % 64);
            }
            if at == last {
                mask &= u64::MAX >> (63 - (end - 1) % 64);
            }
            *word = if value { *word | mask } else { *word & !mask };
        }
    }

    pub fn and(&mut self, other: &Self) {
        for (one, two) in self.0.iter_mut().zip(&other.0) {
            *one &= two;
        }
    }

    pub fn and_not(&mut self, other: &Self) {
        for (one, two) in self.0.iter_mut().zip(&other.0) {
            *one &= !two;
        }
    }

    pub fn or(&mut self, other: &Self) {
        for (one, two) in self.0.iter_mut().zip(&other.0) {
            *one |= two;
        }
    }

    /// Keeps the minutes that, `by` minutes later, are in the block `low` or the one behind it.
    pub fn and_later(&mut self, low: &Self, high: &Self, by: usize) {
        let word = |at: usize| {
            let next = at.checked_sub(WORDS);
            next.map_or_else(|| low.0.get(at), |at| high.0.get(at))
                .copied()
                .unwrap_or(0)
        };
        let (words, bits) = (by / 64, by % 64);
        for (at, own) in self.0.iter_mut().enumerate() {
            let mut later = word(at + words) >> bits;
            if bits > 0 {
                later |= word(at + words + 1) << (64 - bits);
            }
            *own &= later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduling::samples::Dice;

    #[test]
    fn bits_are_the_minutes_of_spans() {
        let mut dice = Dice::new(3);
        let block = 2600;
        let zero = block * SECONDS;
        for _ in 0..300 {
            let mut bits = Bits::none();
            let mut expected = vec![false; MINUTES as usize];
            for _ in 0..6 {
                let start = zero + dice.pick(-90_000, SECONDS + 90_000);
                let span = Span::new(start, start + dice.one(&[0, 1, 59, 60, 61, 3600, 90_000]));
                let value = dice.chance(70);
                bits.fill(block, span, value);
                for (minute, bit) in expected.iter_mut().enumerate() {
                    let at = zero + minute as i64 * 60;
                    if span.start <= at && at < span.end {
                        *bit = value;
                    }
                }
            }
            for (minute, bit) in expected.iter().enumerate() {
                assert_eq!(bits.has(block, zero + minute as i64 * 60), *bit);
            }
        }
    }

    #[test]
    fn later_minutes_are_in_the_next_block() {
        let mut dice = Dice::new(4);
        let filled = |dice: &mut Dice| {
            let mut bits = Bits::none();
            for word in &mut bits.0 {
                *word = (dice.pick(0, 1 << 32) as u64) << 32 | dice.pick(0, 1 << 32) as u64;
            }
            bits
        };
        for by in [0, 1, 63, 64, 65, 1440, 11_519] {
            let (low, high) = (filled(&mut dice), filled(&mut dice));
            let mut bits = Bits::all();
            bits.and_later(&low, &high, by);
            for minute in 0..MINUTES {
                let later = minute + by as i64;
                let expected = if later < MINUTES {
                    low.has(0, later * 60)
                } else {
                    high.has(0, (later - MINUTES) * 60)
                };
                assert_eq!(bits.has(0, minute * 60), expected, "{by} {minute}");
            }
        }
    }
}
