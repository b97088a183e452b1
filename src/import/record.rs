//! What is remembered of a file: how far it is, and what of it was rejected.

use std::{collections::BTreeSet, fmt::Write as _, ops::RangeInclusive};

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line of an NDJSON file, from 1; 1 in a file that is one JSON text.
    pub line: u64,
    /// The entry of the Bundle there, from 0; `None` is all that stands there.
    pub entry: Option<usize>,
}

/// What of a JSON text is to be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    All,
    /// These entries of the Bundle that it is; the others are stored.
    Entries(BTreeSet<usize>),
}

/// How far the import of a file is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// All lines up to this one are done.
    pub lines: u64,
    /// There is nothing behind them.
    pub complete: bool,
    /// What is done but not stored.
    pub rejected: BTreeSet<Place>,
}

impl Place {
    fn all_of(line: u64) -> RangeInclusive<Self> {
        let place = |entry| Self { line, entry };
        place(None)..=place(Some(usize::MAX))
    }
}

impl Part {
    /// True if entry number `entry` is to be imported.
    pub fn has(&self, entry: usize) -> bool {
        match self {
            Self::All => true,
            Self::Entries(entries) => entries.contains(&entry),
        }
    }
}

impl Record {
    /// True if nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.complete && self.rejected.is_empty()
    }

    /// What is left to do on a line.
    pub fn left(&self, line: u64) -> Option<Part> {
        if line > self.lines && !self.complete {
            return Some(Part::All);
        }
        let mut entries = BTreeSet::new();
        for rejected in self.rejected.range(Place::all_of(line)) {
            match rejected.entry {
                None => return Some(Part::All),
                Some(entry) => entries.insert(entry),
            };
        }
        (!entries.is_empty()).then_some(Part::Entries(entries))
    }

    /// All that was left on these lines was tried, and this of it was rejected.
    pub fn tried(&mut self, lines: &[u64], rejected: impl IntoIterator<Item = Place>) {
        for line in lines {
            while let Some(place) = self.rejected.range(Place::all_of(*line)).next().copied() {
                self.rejected.remove(&place);
            }
        }
        self.rejected.extend(rejected);
    }

    /// The record as text: `12. 3 5:0 5:7` is 12 lines, complete, with three places rejected.
    pub fn write(&self) -> String {
        let mut text = self.lines.to_string();
        if self.complete {
            text.push('.');
        }
        for place in &self.rejected {
            // What is not done will be tried whatever became of it now.
            if place.line > self.lines && !self.complete {
                break;
            }
            let _ = match place.entry {
                None => write!(text, " {}", place.line),
                Some(entry) => write!(text, " {}:{entry}", place.line),
            };
        }
        text
    }

    /// Reads what [`Record::write`] wrote; `None` if it is something else.
    pub fn read(text: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(text).ok()?.split(' ');
        let lines = parts.next()?;
        let (lines, complete) = match lines.strip_suffix('.') {
            Some(lines) => (lines, true),
            None => (lines, false),
        };
        let rejected = parts
            .map(|part| {
                let (line, entry) = match part.split_once(':') {
                    Some((line, entry)) => (line, Some(entry.parse().ok()?)),
                    None => (part, None),
                };
                let line = line.parse().ok()?;
                Some(Place { line, entry })
            })
            .collect::<Option<_>>()?;
        Some(Self {
            lines: lines.parse().ok()?,
            complete,
            rejected,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: u64, entry: Option<usize>) -> Place {
        Place { line, entry }
    }

    #[test]
    fn a_record_reads_back_without_what_is_not_done() {
        let mut record = Record {
            lines: 6,
            complete: false,
            rejected: [place(3, None), place(5, Some(7)), place(9, None)].into(),
        };
        assert_eq!(record.write(), "6 3 5:7");
        record.complete = true;
        assert_eq!(record.write(), "6. 3 5:7 9");
        assert_eq!(Record::read(record.write().as_bytes()), Some(record));
        for other in ["done", "", "3 x", "3 4:y", "3, 4"] {
            assert_eq!(Record::read(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn what_was_rejected_is_left_and_what_was_not_reached() {
        let mut record = Record {
            lines: 5,
            complete: false,
            rejected: [place(2, None), place(4, Some(0)), place(4, Some(3))].into(),
        };
        let entries = |entries: &[usize]| Some(Part::Entries(entries.iter().copied().collect()));
        for (line, left) in [
            (1, None),
            (2, Some(Part::All)),
            (4, entries(&[0, 3])),
            (6, Some(Part::All)),
        ] {
            assert_eq!(record.left(line), left, "{line}");
        }
        record.tried(&[2, 4], [place(4, Some(3))]);
        assert_eq!(record.left(2), None);
        assert_eq!(record.left(4), entries(&[3]));
        record.complete = true;
        assert_eq!(record.left(6), None);
        assert!(!record.is_done());
    }
}
