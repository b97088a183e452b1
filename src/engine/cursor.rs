//! Where a page of a search ended, in the stored and in the computed resources.

use super::error::Error;
use crate::search::plan::Position;

/// The place behind a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Behind which stored hit; `None` is the beginning.
    pub stored: Option<Position>,
    /// There are no more stored hits.
    pub stored_done: bool,
    /// How many computed hits are behind.
    pub computed: usize,
}

const DONE: u8 = 1;
const STARTED: u8 = 2;

impl Cursor {
    /// As the bytes of a page token.
    pub fn write(&self) -> Vec<u8> {
        let mut flags = 0;
        if self.stored_done {
            flags |= DONE;
        }
        if self.stored.is_some() {
            flags |= STARTED;
        }
        let mut out = vec![flags];
        out.extend_from_slice(&(self.computed as u32).to_be_bytes());
        if let Some(position) = &self.stored {
            out.extend_from_slice(&position.0);
        }
        out
    }

    /// From the bytes of a page token.
    ///
    /// # Errors
    /// They are not from [`Cursor::write`].
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = || Error::invalid("the page token '_page' is of another version of the server");
        let (flags, rest) = bytes.split_first().ok_or_else(wrong)?;
        let (computed, position) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
        Ok(Self {
            stored: (flags & STARTED != 0).then(|| Position(position.to_vec())),
            stored_done: flags & DONE != 0,
            computed: u32::from_be_bytes(*computed) as usize,
        })
    }
}
