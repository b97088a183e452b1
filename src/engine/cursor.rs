//! Where a page of a search ended, in the stored and in the computed resources.

use resources::model::ResourceType;

use super::error::Error;
use crate::search::plan::Position;

/// The place behind a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Behind which stored hit; `None` is the beginning.
    pub stored: Option<Position>,
    /// There are no more stored hits.
    pub stored_done: bool,
    /// Behind which computed hit; `None` is the beginning.
    pub computed: Option<Place>,
}

/// A computed hit by what stays the same when others come and go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its type.
    pub kind: ResourceType,
    /// Its logical id.
    pub id: String,
    /// The values of the sort criteria.
    pub sort: Vec<Option<Vec<u8>>>,
}

const DONE: u8 = 1;
const STARTED: u8 = 2;
const COMPUTED: u8 = 4;

impl Cursor {
    /// As the bytes of a page token.
    pub fn write(&self) -> Vec<u8> {
        let flag = |flag, is_set: bool| if is_set { flag } else { 0 };
        let mut out = vec![
            flag(DONE, self.stored_done)
                | flag(STARTED, self.stored.is_some())
                | flag(COMPUTED, self.computed.is_some()),
        ];
        if let Some(place) = &self.computed {
            place.write(&mut out);
        }
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
        Self::parse(bytes).ok_or_else(|| {
            Error::invalid("the page token '_page' is of another version of the server")
        })
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (flags, mut rest) = bytes.split_first()?;
        let computed = match flags & COMPUTED {
            0 => None,
            _ => Some(Place::read(&mut rest)?),
        };
        Some(Self {
            stored: (flags & STARTED != 0).then(|| Position(rest.to_vec())),
            stored_done: flags & DONE != 0,
            computed,
        })
    }
}

impl Place {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.kind.number().to_be_bytes());
        push_part(out, self.id.as_bytes());
        out.extend_from_slice(&(self.sort.len() as u32).to_be_bytes());
        for value in &self.sort {
            out.push(u8::from(value.is_some()));
            push_part(out, value.as_deref().unwrap_or_default());
        }
    }

    fn read(rest: &mut &[u8]) -> Option<Self> {
        let number = i64::from_be_bytes(*take(rest)?);
        let kind = ResourceType::from_number(number)?;
        let id = String::from_utf8(part(rest)?.to_vec()).ok()?;
        let count = u32::from_be_bytes(*take(rest)?);
        let mut sort = Vec::new();
        for _ in 0..count {
            let [is_some] = *take::<1>(rest)?;
            let value = part(rest)?;
            sort.push((is_some != 0).then(|| value.to_vec()));
        }
        Some(Self { kind, id, sort })
    }
}

fn push_part(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn take<'b, const N: usize>(rest: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(first)
}

fn part<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = u32::from_be_bytes(*take(rest)?);
    let (first, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cursors_are_read_back(
            stored in prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
            stored_done: bool,
            id in prop::option::of("[a-z]{1,9}"),
            sort in prop::collection::vec(
                prop::option::of(prop::collection::vec(any::<u8>(), 0..9)),
                0..4,
            ),
        ) {
            let kind = ResourceType::VALUE_SET;
            let cursor = Cursor {
                stored: stored.map(Position),
                stored_done,
                computed: id.map(|id| Place { kind, id, sort }),
            };
            let bytes = cursor.write();
            prop_assert_eq!(Cursor::read(&bytes).unwrap(), cursor);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            drop(Cursor::read(&bytes));
        }
    }
}
