//! Slots that follow from rules: one by its id, and as resources.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use resources::{
    Doc,
    doc::{Bounds, write_json_string},
    index::{Entry, Registry},
    model::ResourceType,
    primitive::format_instant,
};

use super::{
    Engine, Error, ErrorKind,
    proposed::{codes, concepts},
    refusal::schedule_number,
    rule::instant,
    sought::Sought,
};
use crate::{
    access::Access,
    engine::{
        draft::{Draft, Verb},
        operation::{IfMatch, Resource},
        planner::patched,
        submit::parse_body,
    },
    scheduling::{
        bookable::{Bookable, Coding},
        calendar::{Calendars, SlotState},
        claim::ClaimKind,
        offers::{Spot, offer_at, visits},
        slots::{ComputedSlot, SlotId},
        span::Span,
    },
};

/// Templates that are kept.
const TEMPLATES: usize = 50_000;

/// A Slot that follows from rules, or would, if no stored one hides it.
#[derive(Debug, Clone)]
pub struct Offered {
    /// Whose it is.
    pub bookable: Arc<Bookable>,
    /// For which kinds of visit.
    pub visits: u64,
    /// From start to end.
    pub span: Span,
    /// What it is for who would book it.
    pub state: SlotState,
    /// Its logical id.
    pub id: String,
    /// When its Schedule was written, in milliseconds since 1970.
    pub updated: i64,
    /// A stored Slot may say the same; only the store knows.
    pub is_doubtful: bool,
    /// What it is sorted by.
    pub sort: Vec<Option<Vec<u8>>>,
}

/// The code of `Slot.status`.
pub fn status(state: SlotState) -> &'static str {
    match state {
        SlotState::Free => "free",
        SlotState::Busy => "busy",
        SlotState::Tentative(_) => "busy-tentative",
        SlotState::Unavailable => "busy-unavailable",
    }
}

impl Offered {
    /// `None` if there is a stored Slot of the same time, by what the calendars know.
    pub fn new(
        bookable: &Arc<Bookable>,
        (span, visits, state): (Span, u64, SlotState),
        updated: i64,
        calendars: &dyn Calendars,
    ) -> Option<Self> {
        let openings = calendars.openings(bookable);
        let mut openings = openings.iter().flat_map(|calendar| calendar.near(span));
        if openings.any(|claim| claim.kind == ClaimKind::Opening && claim.core == span) {
            return None;
        }
        // What a Slot takes cannot be free.
        let is_doubtful = state != SlotState::Free
            && bookable.actors.iter().any(|actor| {
                let calendar = calendars.of(actor.number);
                let mut near = calendar.iter().flat_map(|calendar| calendar.near(span));
                near.any(|claim| {
                    claim.core == span
                        && matches!(claim.kind, ClaimKind::Taken | ClaimKind::Blocked)
                })
            });
        let slot = ComputedSlot {
            start: span.start,
            end: span.end,
            state,
        };
        Some(Self {
            bookable: Arc::clone(bookable),
            visits,
            span,
            state,
            id: SlotId::text(bookable, &slot),
            updated,
            is_doubtful,
            sort: Vec::new(),
        })
    }

    /// Its place among others.
    pub fn spot(&self) -> Spot {
        Spot {
            rid: self.bookable.rid,
            start: self.span.start,
            duration: self.span.seconds(),
        }
    }

    /// The resource.
    pub fn resource(&self) -> Resource {
        let slot = Some((self.id.as_str(), self.span, status(self.state)));
        let body = text(&self.bookable, self.visits, self.updated, slot);
        Resource {
            kind: ResourceType::SLOT,
            id: self.id.clone(),
            version: version(&body),
            updated: self.updated,
            body: Bytes::from(body),
        }
    }
}

/// What stands for the version of what has no versions: another one for another text.
fn version(text: &str) -> i64 {
    let hash = resources::index::key::hash8(text);
    (i64::from_be_bytes(hash) & 0x1f_ffff_ffff_ffff).max(1)
}

/// A Slot as JSON; without what tells it apart, all that those of the same rules have in common.
fn text(bookable: &Bookable, set: u64, updated: i64, slot: Option<(&str, Span, &str)>) -> String {
    let mut out = String::from(r#"{"resourceType":"Slot""#);
    if let Some((id, ..)) = slot {
        out.push_str(&format!(r#","id":"{id}""#));
    }
    let updated = format_instant(updated);
    out.push_str(&format!(r#","meta":{{"lastUpdated":"{updated}"}}"#));
    concepts(&mut out, "serviceCategory", &bookable.facets.categories);
    let each = |of: fn(&crate::scheduling::bookable::Visit) -> &Vec<Coding>| {
        let mut all: Vec<Coding> = Vec::new();
        for coding in visits(bookable, set).flat_map(of) {
            if !all.contains(coding) {
                all.push(coding.clone());
            }
        }
        all
    };
    concepts(&mut out, "serviceType", &each(|visit| &visit.service_types));
    concepts(&mut out, "specialty", &bookable.facets.specialties);
    let types = each(|visit| &visit.appointment_types);
    if !types.is_empty() {
        out.push_str(",\"appointmentType\":");
        codes(&mut out, &types);
    }
    out.push_str(",\"schedule\":{\"reference\":");
    write_json_string(&mut out, &format!("Schedule/{}", bookable.id));
    out.push('}');
    if let Some((_, span, status)) = slot {
        let (start, end) = (
            instant(span.start, &bookable.zone),
            instant(span.end, &bookable.zone),
        );
        out.push_str(&format!(
            r#","status":"{status}","start":"{start}","end":"{end}""#
        ));
    }
    out.push('}');
    out
}

/// What the index would have of Slots, but for start, status and id, by Schedule and kinds of
/// visit. It holds no truth: it says of which rules it is.
#[derive(Default)]
pub struct Templates {
    kept: Mutex<HashMap<(i64, u64), Template>>,
    made: AtomicUsize,
}

#[derive(Clone)]
struct Template {
    bookable: Arc<Bookable>,
    updated: i64,
    generation: i64,
    entries: Arc<Vec<Entry>>,
}

impl Templates {
    /// How many were made so far.
    pub fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    /// The index entries that all Slots of these kinds of visit have.
    pub fn entries(
        &self,
        bookable: &Arc<Bookable>,
        set: u64,
        updated: i64,
        (registry, generation): (&Registry, i64),
        base_url: &str,
    ) -> Arc<Vec<Entry>> {
        let key = (bookable.rid, set);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.get(&key)
            && Arc::ptr_eq(&found.bookable, bookable)
            && (found.updated, found.generation) == (updated, generation)
        {
            return Arc::clone(&found.entries);
        }
        if kept.len() >= TEMPLATES {
            kept.clear();
        }
        self.made.fetch_add(1, Ordering::Relaxed);
        let text = text(bookable, set, updated, None);
        let entries = Arc::new(entries(&text, registry, base_url));
        let template = Template {
            bookable: Arc::clone(bookable),
            updated,
            generation,
            entries: Arc::clone(&entries),
        };
        kept.insert(key, template);
        entries
    }
}

/// The index entries of a Slot, sorted.
pub fn entries(text: &str, registry: &Registry, base_url: &str) -> Vec<Entry> {
    let Ok(doc) = Doc::parse_bytes(text.as_bytes(), &Bounds::default()) else {
        return Vec::new();
    };
    let mut entries = registry.extract(ResourceType::SLOT, &doc, base_url);
    entries.sort_unstable();
    entries
}

impl Engine {
    /// The Slot with this id that follows from rules, if `access` lets it be seen.
    pub(in crate::engine) async fn offered_slot(
        &self,
        id: &str,
        access: &Access,
    ) -> Result<Option<Resource>, Error> {
        let Some(asked) = SlotId::parse(id) else {
            return Ok(None);
        };
        self.update_board().await?;
        let bookable = self.board.read().bookable_of(&asked).cloned();
        let Some(bookable) = bookable else {
            return Ok(None);
        };
        if self.personal(access).await?.contains(&bookable.id) {
            return Ok(None);
        }
        let mut actors: Vec<_> = bookable.actors.iter().map(|actor| actor.number).collect();
        actors.push(schedule_number(&bookable.id));
        self.load_calendars(&actors).await?;
        let sought = Sought::of_one(self, bookable, access).await?;
        let span = Span::new(asked.start, asked.start + asked.duration);
        let mut found: Vec<Offered> = self.listed(&sought, &[(0, span)]);
        found.retain(|offered| offered.id == id);
        self.without_stored(&mut found).await?;
        Ok(found.first().map(Offered::resource))
    }

    /// True if an id is that of a Slot that follows from rules, as far as this node knows.
    pub(in crate::engine) fn is_offered(&self, id: &str) -> bool {
        let Some(asked) = SlotId::parse(id) else {
            return false;
        };
        let now = self.clock.now() / 1_000;
        let span = Span::new(asked.start, asked.start + asked.duration);
        let state = self.board.read();
        let bookable = state.bookable_of(&asked);
        bookable.is_some_and(|bookable| offer_at(bookable, span, now).is_some())
    }

    /// What a patch makes of a Slot that follows from rules; `None` if there is none, or if
    /// something else is done to it.
    pub(in crate::engine) async fn patched_offer<'d>(
        &self,
        draft: &Draft<'_>,
        id: &str,
        document: &(dyn Fn() -> Result<Cow<'d, Doc>, Error> + Sync),
        access: &Access,
    ) -> Result<Option<Result<Doc, Error>>, Error> {
        if SlotId::parse(id).is_none() {
            return Ok(None);
        }
        self.update_board().await?;
        if draft.verb != Verb::Patch {
            return Ok(None);
        }
        let Some(found) = self.offered_slot(id, access).await? else {
            return Ok(None);
        };
        let is_other =
            |asked: IfMatch| matches!(asked, IfMatch::Version(asked) if asked != found.version);
        if draft.if_match.is_some_and(is_other) {
            return Ok(Some(Err(Error::new(
                ErrorKind::PreconditionFailed,
                "conflict",
                "the Slot has changed since; read it again and retry",
            ))));
        }
        let before = parse_body(found.kind, &found.id, &found.body)?;
        Ok(Some(document().and_then(|patch| {
            let after = patched(&before, &patch)?;
            let own = |name: &str| after.root().get(name)?.plain_str();
            if own("resourceType") != Some("Slot") || own("id") != Some(id) {
                return Err(Error::new(
                    ErrorKind::Unprocessable,
                    "business-rule",
                    "a patch cannot change resourceType or id",
                ));
            }
            Ok(after)
        })))
    }
}
