//! Which patients, agents, entities and codes a block of rows has: a Bloom filter, so that a
//! search passes over the blocks without them. It never misses one that is there.
//!
//! The filters are stored: how a mark is made, and where its bits are, is frozen.

use std::{
    collections::HashSet,
    hash::{BuildHasherDefault, Hasher},
};

use resources::model::ResourceType;

use super::event::{Code, Event, Item, Outcome};
use crate::access::Identity;

/// Bits for each mark, and how many of them are looked at: one in two thousand answers is a
/// needless look into a block.
const BITS: usize = 16;
const LOOKS: u64 = 8;

/// What a mark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum About {
    /// The search parameter `patient`.
    Patient = 1,
    /// `agent`
    Agent,
    /// `entity`
    Entity,
    /// `action`
    Action,
    /// `outcome`
    Outcome,
    /// `type`
    Type,
    /// `subtype`
    Subtype,
}

/// What stands for one value of a search parameter.
pub type Mark = u64;

/// Each once. A mark is a hash already.
pub type Marks = HashSet<Mark, BuildHasherDefault<Own>>;

/// Takes a mark as its hash.
#[derive(Debug, Clone, Copy, Default)]
pub struct Own(u64);

impl Hasher for Own {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, mark: u64) {
        self.0 = mark;
    }
}

/// Of a reference to a resource of this server.
pub fn reference(about: About, kind: ResourceType, id: &str) -> Mark {
    mark(about, kind.number() as u64 + 1, id.as_bytes())
}

/// Of an identifier's value, whatever its system.
pub fn identifier(about: About, value: &str) -> Mark {
    mark(about, 0, value.as_bytes())
}

/// Of a code, whatever its system and case.
pub fn code(about: About, code: &str) -> Mark {
    if code.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return mark(about, 0, code.to_ascii_lowercase().as_bytes());
    }
    mark(about, 0, code.as_bytes())
}

fn mark(about: About, kind: u64, value: &[u8]) -> Mark {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| {
        let hash = (hash ^ word).wrapping_mul(FACTOR);
        hash ^ hash >> 29
    };
    let mut hash = mix(value.len() as u64, (about as u64) << 32 | kind);
    let (words, rest) = value.as_chunks::<8>();
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(mix(hash, u64::from_le_bytes(last)), FACTOR)
}

/// All marks of the AuditEvents that stand for one thing that was done, beside those of their
/// patients: see [`patient`].
pub fn marks(event: &Event<'_>, item: &Item<'_>, mut each: impl FnMut(Mark)) {
    of_identity(&event.identity, &mut each);
    of_request(event, &mut each);
    of_item(item, &mut each);
    of_codes(item.code, event.outcome, &mut each);
}

/// The marks of who it was.
pub fn of_identity(identity: &Identity, each: &mut impl FnMut(Mark)) {
    if let Some((kind, id)) = identity.fhir_user.as_deref().and_then(split) {
        refer(About::Agent, kind, id, each);
    }
    for name in [&identity.user, &identity.client].into_iter().flatten() {
        each(identifier(About::Agent, name));
    }
}

/// The mark of the request.
pub fn of_request(event: &Event<'_>, each: &mut impl FnMut(Mark)) {
    each(identifier(About::Entity, &event.request));
}

/// The marks of the resource.
pub fn of_item(item: &Item<'_>, each: &mut impl FnMut(Mark)) {
    if let (Some(kind), false) = (item.kind, item.id.is_empty()) {
        refer(About::Entity, kind, &item.id, each);
    }
}

/// The marks of what was done, and of how it ended.
pub fn of_codes(code: Code, outcome: Outcome, each: &mut impl FnMut(Mark)) {
    let shape = super::shape::of(code);
    for (about, value) in [
        (About::Action, shape.action),
        (About::Outcome, outcome.code()),
        (About::Type, shape.class.1),
        (About::Subtype, shape.subtype.1),
    ] {
        each(self::code(about, value));
    }
}

fn refer(about: About, kind: ResourceType, id: &str, each: &mut impl FnMut(Mark)) {
    each(reference(about, kind, id));
    if kind == ResourceType::PATIENT {
        each(reference(About::Patient, kind, id));
    }
}

/// The marks of a patient in an AuditEvent.
pub fn patient(id: &str) -> [Mark; 2] {
    [About::Patient, About::Entity].map(|about| reference(about, ResourceType::PATIENT, id))
}

/// A local reference as type and id.
pub fn split(reference: &str) -> Option<(ResourceType, &str)> {
    let (kind, id) = reference.split_once('/')?;
    Some((ResourceType::from_name(kind)?, id))
}

/// A filter that has these marks.
pub fn build(marks: &Marks) -> Vec<u8> {
    let bytes = (marks.len() * BITS).div_ceil(8).max(8);
    let mut filter = vec![0; bytes];
    for mark in marks {
        for place in places(*mark, bytes) {
            filter[place / 8] |= 1 << (place % 8);
        }
    }
    filter
}

/// False if the filter was made without the mark.
pub fn may_have(filter: &[u8], mark: Mark) -> bool {
    filter.is_empty()
        || places(mark, filter.len()).all(|place| filter[place / 8] & 1 << (place % 8) != 0)
}

fn places(mark: Mark, bytes: usize) -> impl Iterator<Item = usize> {
    let bits = bytes as u64 * 8;
    let step = mark.rotate_left(32) | 1;
    (0..LOOKS).map(move |look| (mark.wrapping_add(look.wrapping_mul(step)) % bits) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_has_what_it_was_made_with_and_little_else() {
        let of =
            |number: usize| reference(About::Patient, ResourceType::PATIENT, &number.to_string());
        let marks: Marks = (0..3_000).map(of).collect();
        let filter = build(&marks);
        assert_eq!(filter.len(), 6_000);
        assert!((0..3_000).all(|number| may_have(&filter, of(number))));
        let wrong = (3_000..103_000)
            .filter(|number| may_have(&filter, of(*number)))
            .count();
        assert!(wrong < 200, "{wrong}");
        assert!(!may_have(&build(&Marks::default()), of(1)));
        assert!(may_have(&[], of(1)));
    }

    #[test]
    fn marks_tell_parameters_types_and_lengths_apart() {
        let marks = [
            reference(About::Patient, ResourceType::PATIENT, "1"),
            reference(About::Entity, ResourceType::PATIENT, "1"),
            reference(About::Entity, ResourceType::VALUE_SET, "1"),
            reference(About::Entity, ResourceType::PATIENT, "1\0"),
            identifier(About::Agent, "1"),
            code(About::Action, "1"),
            identifier(About::Agent, "12345678"),
            identifier(About::Agent, "123456780"),
        ];
        assert_eq!(HashSet::from(marks).len(), marks.len());
        // It is stored.
        assert_eq!(
            marks[0],
            reference(About::Patient, ResourceType::PATIENT, "1")
        );
    }
}
