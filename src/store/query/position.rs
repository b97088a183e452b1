//! Where a page ended, as bytes.

use super::super::{
    error::StoreError,
    sql::{from_ordered, kind_of, ordered},
};
use crate::search::plan::{Plan, Position};

/// The place of a hit in the order of its search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In the order of resource numbers.
    Number(i64),
    /// In the order of the keys that satisfy the condition with this index, then of numbers.
    Key { part: u8, key: Vec<u8>, rid: i64 },
    /// In the order that the search asks for; where it asks for none, in that of `updated`.
    Sorted {
        keys: Vec<Option<Vec<u8>>>,
        rid: i64,
    },
}

const NUMBER: u8 = 1;
const KEY: u8 = 2;
const SORTED: u8 = 3;

impl Place {
    pub fn rid(&self) -> i64 {
        match self {
            Self::Number(rid) | Self::Key { rid, .. } | Self::Sorted { rid, .. } => *rid,
        }
    }

    pub fn encode(&self) -> Position {
        let mut bytes = Vec::with_capacity(24);
        match self {
            Self::Number(_) => bytes.push(NUMBER),
            Self::Key { part, key, .. } => {
                bytes.extend([KEY, *part]);
                push_key(&mut bytes, Some(key));
            }
            Self::Sorted { keys, .. } => {
                bytes.extend([SORTED, keys.len() as u8]);
                for key in keys {
                    push_key(&mut bytes, key.as_deref());
                }
            }
        }
        bytes.extend(ordered(self.rid()));
        Position(bytes)
    }

    /// Reads a position and checks that it can be one of this plan's.
    pub fn decode(position: &Position, plan: &Plan) -> Result<Self, StoreError> {
        let place = parse(&position.0).ok_or(StoreError::Position)?;
        let kind = kind_of(place.rid()).map_err(|_| StoreError::Position)?;
        let fits = match &place {
            Self::Number(_) | Self::Key { .. } => plan.sort.is_empty(),
            Self::Sorted { keys, .. } => keys.len() == plan.sort.len().max(1),
        };
        if fits && plan.types.contains(&kind) {
            Ok(place)
        } else {
            Err(StoreError::Position)
        }
    }
}

fn push_key(bytes: &mut Vec<u8>, key: Option<&[u8]>) {
    // 0 is no key; the length follows plus one.
    let length = key.map_or(0, |key| key.len() as u16 + 1);
    bytes.extend(length.to_be_bytes());
    bytes.extend(key.unwrap_or_default());
}

fn parse(bytes: &[u8]) -> Option<Place> {
    let (tag, rest) = bytes.split_first()?;
    let (rest, rid) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
    let rid = from_ordered(rid)?;
    match *tag {
        NUMBER => rest.is_empty().then_some(Place::Number(rid)),
        KEY => {
            let (part, rest) = rest.split_first()?;
            let (key, rest) = take_key(rest)?;
            rest.is_empty().then_some(Place::Key {
                part: *part,
                key: key?,
                rid,
            })
        }
        SORTED => {
            let (count, mut rest) = rest.split_first()?;
            let mut keys = Vec::new();
            for _ in 0..*count {
                let (key, after) = take_key(rest)?;
                keys.push(key);
                rest = after;
            }
            rest.is_empty().then_some(Place::Sorted { keys, rid })
        }
        _ => None,
    }
}

fn take_key(bytes: &[u8]) -> Option<(Option<Vec<u8>>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    match u16::from_be_bytes(*length) {
        0 => Some((None, rest)),
        more => {
            let (key, rest) = rest.split_at_checked(usize::from(more) - 1)?;
            Some((Some(key.to_vec()), rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use resources::model::ResourceType;

    use super::*;
    use crate::search::plan::{Clause, Sort, SortKey, TotalMode};

    fn plan(sort: usize) -> Plan {
        Plan {
            types: vec![ResourceType::PATIENT],
            filter: Clause::All(Vec::new()),
            sort: vec![
                Sort {
                    by: SortKey::Id,
                    descending: false
                };
                sort
            ],
            limit: 10,
            after: None,
            total: TotalMode::None,
        }
    }

    #[test]
    fn a_place_comes_back_from_its_bytes_and_only_for_a_search_that_it_fits() {
        let rid = (ResourceType::PATIENT.number() << 44) + 7;
        let places = [
            (Place::Number(rid), 0, 1),
            (
                Place::Key {
                    part: 3,
                    key: vec![],
                    rid,
                },
                0,
                1,
            ),
            (
                Place::Sorted {
                    keys: vec![Some(vec![1, 2]), None],
                    rid,
                },
                2,
                1,
            ),
        ];
        for (place, fits, not) in places {
            let position = place.encode();
            assert_eq!(Place::decode(&position, &plan(fits)).unwrap(), place);
            assert!(Place::decode(&position, &plan(not)).is_err());
            let other = Plan {
                types: vec![ResourceType::SLOT],
                ..plan(fits)
            };
            assert!(Place::decode(&position, &other).is_err());
            for cut in 0..position.0.len() {
                let short = Position(position.0[..cut].to_vec());
                assert!(Place::decode(&short, &plan(fits)).is_err(), "{cut}");
            }
        }
    }
}
