//! A row of the audit: events behind one another, each identity once, packed if that pays.
//!
//! Rows are kept for years: a row says its form, and a form that was ever written stays readable.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use resources::model::ResourceType;

use super::event::{Code, Event, Item, Outcome};
use crate::access::Identity;

/// The forms: as it is, and packed with zstd behind its length.
const PLAIN: u8 = 1;
const PACKED: u8 = 2;
/// Shorter rows are not packed: zstd has nothing to find in one event.
const SHORTEST: usize = 400;
const LEVEL: i32 = 1;
/// What a row may unpack to: what says so may be damaged.
const LONGEST: usize = 64 << 20;
/// The longest query that is kept; what is longer is cut.
const QUERY: usize = 8 << 10;

const HAS_QUERY: u8 = 4;
const HAS_DETAIL: u8 = 8;

/// A row cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row of the audit cannot be read: it is damaged, or of a newer release")]
pub struct Unreadable;

/// A row in the making.
#[derive(Debug, Default)]
pub struct Group {
    base: i64,
    identities: Vec<Arc<Identity>>,
    /// Where the latest event's identity is.
    latest: usize,
    events: Vec<u8>,
    count: usize,
}

impl Group {
    /// How many events are in it.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// True if there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the events.
    pub const fn bytes(&self) -> usize {
        self.events.len()
    }

    /// When its first event was.
    pub const fn at(&self) -> i64 {
        self.base
    }

    /// Adds an event.
    pub fn push(&mut self, event: &Event<'_>) {
        if self.count == 0 {
            self.base = event.at;
        }
        self.count += 1;
        let identity = self.identity(&event.identity);
        let out = &mut self.events;
        push_number(out, identity as u64);
        push_signed(out, event.at - self.base);
        let mut flags = event.outcome as u8;
        if event.query.is_some() {
            flags |= HAS_QUERY;
        }
        if event.detail.is_some() {
            flags |= HAS_DETAIL;
        }
        out.push(flags);
        push_address(out, event.address);
        push_text(out, &event.request);
        if let Some(query) = &event.query {
            push_text(out, cut(query, QUERY));
        }
        if let Some(detail) = &event.detail {
            push_text(out, cut(detail, QUERY));
        }
        push_number(out, event.items.len() as u64);
        for item in &event.items {
            push_item(out, item);
        }
    }

    fn identity(&mut self, wanted: &Arc<Identity>) -> usize {
        let known = &self.identities;
        if known
            .get(self.latest)
            .is_some_and(|known| Arc::ptr_eq(known, wanted))
        {
            return self.latest;
        }
        let found = known.iter().position(|known| Arc::ptr_eq(known, wanted));
        self.latest = found.unwrap_or_else(|| {
            self.identities.push(Arc::clone(wanted));
            self.identities.len() - 1
        });
        self.latest
    }

    /// The row's body.
    pub fn finish(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.events.len() + 128);
        out.push(PLAIN);
        push_signed(&mut out, self.base);
        push_number(&mut out, self.identities.len() as u64);
        for identity in &self.identities {
            push_identity(&mut out, identity);
        }
        push_number(&mut out, self.count as u64);
        out.extend_from_slice(&self.events);
        pack(out)
    }
}

/// The row of one event.
pub fn row(event: &Event<'_>) -> Vec<u8> {
    let mut group = Group::default();
    group.push(event);
    group.finish()
}

fn pack(plain: Vec<u8>) -> Vec<u8> {
    if plain.len() < SHORTEST {
        return plain;
    }
    match zstd::bulk::compress(&plain[1..], LEVEL) {
        Ok(packed) if packed.len() + 8 < plain.len() => {
            let mut out = Vec::with_capacity(packed.len() + 8);
            out.push(PACKED);
            push_number(&mut out, plain.len() as u64 - 1);
            out.extend_from_slice(&packed);
            out
        }
        _ => plain,
    }
}

/// A row that is read.
#[derive(Debug)]
pub struct Row<'b> {
    content: Cow<'b, [u8]>,
}

impl<'b> Row<'b> {
    /// The row with this body.
    ///
    /// # Errors
    /// It is not from [`Group::finish`].
    pub fn read(body: &'b [u8]) -> Result<Self, Unreadable> {
        let (form, mut rest) = body.split_first().ok_or(Unreadable)?;
        let content = match *form {
            PLAIN => Cow::Borrowed(rest),
            PACKED => {
                let length = usize::try_from(number(&mut rest)?).map_err(|_| Unreadable)?;
                if length > LONGEST {
                    return Err(Unreadable);
                }
                Cow::Owned(zstd::bulk::decompress(rest, length).map_err(|_| Unreadable)?)
            }
            _ => return Err(Unreadable),
        };
        Ok(Self { content })
    }

    /// Its events, in the order in which they were recorded.
    ///
    /// # Errors
    /// Its head is not from [`Group::finish`].
    pub fn events(&self) -> Result<Events<'_>, Unreadable> {
        let mut rest = &*self.content;
        let base = signed(&mut rest)?;
        let identities = (0..number(&mut rest)?)
            .map(|_| identity(&mut rest).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let left = number(&mut rest)?;
        Ok(Events {
            rest,
            base,
            identities,
            left,
        })
    }
}

/// The events of a row.
#[derive(Debug)]
pub struct Events<'r> {
    rest: &'r [u8],
    base: i64,
    identities: Vec<Arc<Identity>>,
    left: u64,
}

impl<'r> Iterator for Events<'r> {
    type Item = Result<Event<'r>, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let event = self.event();
        if event.is_err() {
            self.left = 0;
        }
        Some(event)
    }
}

impl<'r> Events<'r> {
    /// On whose behalf they were, each once.
    pub fn identities(&self) -> &[Arc<Identity>] {
        &self.identities
    }

    fn event(&mut self) -> Result<Event<'r>, Unreadable> {
        let rest = &mut self.rest;
        let at = usize::try_from(number(rest)?).map_err(|_| Unreadable)?;
        let identity = Arc::clone(self.identities.get(at).ok_or(Unreadable)?);
        let at = self.base.checked_add(signed(rest)?).ok_or(Unreadable)?;
        let flags = byte(rest)?;
        let outcome = Outcome::ALL.get(usize::from(flags & 3));
        let outcome = *outcome.ok_or(Unreadable)?;
        let address = address(rest)?;
        let request = text(rest)?.into();
        let mut optional = |flag: u8| match flags & flag {
            0 => Ok(None),
            _ => text(rest).map(|text| Some(text.into())),
        };
        let query = optional(HAS_QUERY)?;
        let detail = optional(HAS_DETAIL)?;
        let items = (0..number(rest)?)
            .map(|_| item(rest))
            .collect::<Result<_, _>>()?;
        Ok(Event {
            at,
            identity,
            address,
            request,
            outcome,
            query,
            detail,
            items,
        })
    }
}

fn push_item(out: &mut Vec<u8>, item: &Item<'_>) {
    out.push(item.code as u8);
    push_number(out, item.kind.map_or(0, |kind| kind.number() as u64 + 1));
    push_text(out, &item.id);
    push_number(out, item.version.unsigned_abs());
    // The patient who is the resource itself is named once.
    let own = item.kind == Some(ResourceType::PATIENT)
        && item.patients.len() == 1
        && item.patients[0] == item.id;
    let count = if own { 0 } else { item.patients.len() };
    push_number(out, (count as u64) << 1 | u64::from(own));
    for patient in item.patients.iter().take(count) {
        push_text(out, patient);
    }
}

fn item<'r>(rest: &mut &'r [u8]) -> Result<Item<'r>, Unreadable> {
    let code = *Code::ALL.get(usize::from(byte(rest)?)).ok_or(Unreadable)?;
    let kind = match number(rest)? {
        0 => None,
        kind => {
            let kind = i64::try_from(kind - 1)
                .ok()
                .and_then(ResourceType::from_number);
            Some(kind.ok_or(Unreadable)?)
        }
    };
    let id: Cow<'r, str> = text(rest)?.into();
    let version = i64::try_from(number(rest)?).map_err(|_| Unreadable)?;
    let patients = number(rest)?;
    let patients = match patients & 1 {
        0 => (0..patients >> 1)
            .map(|_| text(rest).map(Cow::Borrowed))
            .collect::<Result<_, _>>()?,
        _ => vec![id.clone()],
    };
    Ok(Item {
        code,
        kind,
        id,
        version,
        patients,
    })
}

fn push_identity(out: &mut Vec<u8>, identity: &Identity) {
    for value in texts(identity) {
        match value {
            Some(text) => {
                push_number(out, text.len() as u64 + 1);
                out.extend_from_slice(text.as_bytes());
            }
            None => push_number(out, 0),
        }
    }
    push_number(out, identity.roles.len() as u64);
    for role in &identity.roles {
        push_text(out, role);
    }
}

fn texts(identity: &Identity) -> [&Option<String>; 6] {
    [
        &identity.client,
        &identity.user,
        &identity.fhir_user,
        &identity.patient,
        &identity.purpose,
        &identity.reason,
    ]
}

fn identity(rest: &mut &[u8]) -> Result<Identity, Unreadable> {
    let mut value = || match number(rest)? {
        0 => Ok(None),
        length => taken(rest, length - 1).map(|text| Some(text.to_owned())),
    };
    let (client, user, fhir_user) = (value()?, value()?, value()?);
    let (patient, purpose, reason) = (value()?, value()?, value()?);
    let roles = (0..number(rest)?)
        .map(|_| text(rest).map(str::to_owned))
        .collect::<Result<_, _>>()?;
    Ok(Identity {
        client,
        user,
        fhir_user,
        roles,
        patient,
        purpose,
        reason,
    })
}

fn push_address(out: &mut Vec<u8>, address: Option<IpAddr>) {
    match address {
        None => out.push(0),
        Some(IpAddr::V4(address)) => {
            out.push(4);
            out.extend_from_slice(&address.octets());
        }
        Some(IpAddr::V6(address)) => {
            out.push(16);
            out.extend_from_slice(&address.octets());
        }
    }
}

fn address(rest: &mut &[u8]) -> Result<Option<IpAddr>, Unreadable> {
    fn octets<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Unreadable> {
        let (octets, after) = rest.split_first_chunk().ok_or(Unreadable)?;
        *rest = after;
        Ok(*octets)
    }
    Ok(match byte(rest)? {
        0 => None,
        4 => Some(IpAddr::from(octets::<4>(rest)?)),
        16 => Some(IpAddr::from(octets::<16>(rest)?)),
        _ => return Err(Unreadable),
    })
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    push_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn text<'r>(rest: &mut &'r [u8]) -> Result<&'r str, Unreadable> {
    let length = number(rest)?;
    taken(rest, length)
}

fn taken<'r>(rest: &mut &'r [u8], length: u64) -> Result<&'r str, Unreadable> {
    let length = usize::try_from(length).map_err(|_| Unreadable)?;
    let (text, after) = rest.split_at_checked(length).ok_or(Unreadable)?;
    *rest = after;
    std::str::from_utf8(text).map_err(|_| Unreadable)
}

/// At most `most` bytes of a text.
fn cut(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    &text[..text.floor_char_boundary(most)]
}

/// Seven bits in a byte, the lowest first.
fn push_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn number(rest: &mut &[u8]) -> Result<u64, Unreadable> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = byte(rest)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Unreadable)
}

/// Small numbers of either sign are short.
fn push_signed(out: &mut Vec<u8>, number: i64) {
    push_number(out, (number << 1 ^ number >> 63) as u64);
}

fn signed(rest: &mut &[u8]) -> Result<i64, Unreadable> {
    let number = number(rest)?;
    Ok((number >> 1) as i64 ^ -((number & 1) as i64))
}

fn byte(rest: &mut &[u8]) -> Result<u8, Unreadable> {
    let (first, after) = rest.split_first().ok_or(Unreadable)?;
    *rest = after;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts() -> impl Strategy<Value = Option<String>> {
        prop::option::of("[a-zA-Z0-9/é-]{0,12}")
    }

    fn identities() -> impl Strategy<Value = Identity> {
        (
            (texts(), texts(), texts()),
            (texts(), texts(), texts()),
            prop::collection::vec("[a-z]{1,9}", 0..3),
        )
            .prop_map(
                |((client, user, fhir_user), (patient, purpose, reason), roles)| Identity {
                    client,
                    user,
                    fhir_user,
                    roles,
                    patient,
                    purpose,
                    reason,
                },
            )
    }

    fn items() -> impl Strategy<Value = Item<'static>> {
        (
            0..Code::ALL.len(),
            prop::option::of(prop_oneof![
                Just(ResourceType::PATIENT),
                Just(ResourceType::VALUE_SET)
            ]),
            "[a-z0-9.-]{0,20}",
            0..i64::MAX,
            prop::collection::vec("[a-z0-9]{1,5}", 0..4),
        )
            .prop_map(|(code, kind, id, version, patients)| Item {
                code: Code::ALL[code],
                kind,
                id: id.into(),
                version,
                patients: patients.into_iter().map(Cow::Owned).collect(),
            })
    }

    fn events() -> impl Strategy<Value = Vec<Event<'static>>> {
        let one = (
            (any::<i32>(), 0..3usize),
            prop::option::of(any::<IpAddr>()),
            "[a-f0-9-]{0,30}",
            (texts(), texts()),
            prop::collection::vec(items(), 1..4),
            0..3usize,
        );
        (
            prop::collection::vec(identities(), 3),
            prop::collection::vec(one, 1..60),
        )
            .prop_map(|(identities, all)| {
                let identities: Vec<_> = identities.into_iter().map(Arc::new).collect();
                all.into_iter()
                    .map(
                        |((at, outcome), address, request, (query, detail), items, who)| Event {
                            at: i64::from(at),
                            identity: Arc::clone(&identities[who]),
                            address,
                            request: request.into(),
                            outcome: Outcome::ALL[outcome],
                            query: query.map(Cow::Owned),
                            detail: detail.map(Cow::Owned),
                            items,
                        },
                    )
                    .collect()
            })
    }

    proptest! {
        #[test]
        fn events_are_read_back(events in events()) {
            let mut group = Group::default();
            for event in &events {
                group.push(event);
            }
            let body = group.finish();
            let row = Row::read(&body).unwrap();
            let read: Vec<_> = row.events().unwrap().map(Result::unwrap).collect();
            prop_assert_eq!(read, events);
        }

        #[test]
        fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(row) = Row::read(&body)
                && let Ok(events) = row.events()
            {
                events.for_each(drop);
            }
        }
    }

    #[test]
    fn the_numbers_of_codes_are_their_places() {
        for (at, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, at);
        }
    }
}
