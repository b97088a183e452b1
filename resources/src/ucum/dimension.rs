//! Products of powers of base units.

use std::fmt;

/// Base units with their exponents, sorted by code, none with exponent 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dimension(Vec<(&'static str, i32)>);

impl Dimension {
    pub(super) fn base(code: &'static str) -> Self {
        Self(vec![(code, 1)])
    }

    /// Multiplies with `other` to the power of `exponent`.
    pub(super) fn multiply(&mut self, other: &Self, exponent: i32) {
        for (code, power) in &other.0 {
            let power = power.saturating_mul(exponent);
            match self.0.binary_search_by(|(known, _)| known.cmp(code)) {
                Err(at) if power != 0 => self.0.insert(at, (code, power)),
                Err(_) => {}
                Ok(at) => {
                    let sum = self.0[at].1.saturating_add(power);
                    self.0[at].1 = sum;
                    if sum == 0 {
                        self.0.remove(at);
                    }
                }
            }
        }
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("1");
        }
        for (i, (code, power)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            f.write_str(code)?;
            if *power != 1 {
                write!(f, "{power}")?;
            }
        }
        Ok(())
    }
}
