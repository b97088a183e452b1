//! The audit as the engine sees it: what it tells it ([`record`]), and the AuditEvents that
//! stand for what the audit has. They are not stored as resources: nobody writes them, they have
//! one version, and a search finds them where their type alone is named.

pub mod event_text;
mod patients;
pub mod record;
mod wanted;

use resources::{
    Doc,
    index::{ParamId, Registry},
    model::ResourceType,
};

use super::{
    Engine,
    cursor::Cursor,
    error::{Error, ErrorKind},
    operation::Resource,
    search::Found as FoundPage,
    submit::parse_body,
};
use crate::{
    access::{Access, Caller},
    audit::{self, Code, Event, Found, Outcome, Page, Place, Recorder, Wanted},
    search::{
        access_clause,
        matches::{Facts, Others, matches},
        plan::{Canonical, Clause, Plan, Position, SortKey, TotalMode},
    },
};
use event_text::{place_of, resource};
use std::sync::Arc;
use wanted::needs;

/// The AuditEvents.
const KIND: ResourceType = ResourceType::AUDIT_EVENT;

/// Where a search for AuditEvents looks, and how.
struct Look {
    wanted: Wanted,
    /// What is asked beyond that.
    clause: Option<Clause>,
}

impl Engine {
    /// Where what happens is recorded.
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// An event of now that is not about a resource, for [`Recorder::record`]: a log-in, a token, a
    /// change by an administrator.
    pub fn event<'a>(&self, caller: &'a Caller, code: Code, outcome: Outcome) -> Event<'a> {
        Event::plain(caller, self.clock.now(), code, outcome)
    }

    /// An AuditEvent that there is and that may be seen.
    pub(super) async fn read_event(
        &self,
        id: &str,
        access: &Access,
    ) -> Result<Option<Resource>, Error> {
        let Some((seq, number)) = place_of(id) else {
            return Ok(None);
        };
        let mut found = audit::read(&self.store, seq, number).await?;
        self.show(&mut found, access);
        let found = found.map(|found| resource(&found, &self.settings.base_url));
        let registry = self.registry();
        Ok(found.filter(|found| {
            visible(access, &registry)
                .is_none_or(|clause| self.event_matches(&clause, found, &registry))
        }))
    }

    /// True if a plan is a search for AuditEvents.
    pub(super) fn is_of_events(plan: &Plan) -> bool {
        plan.types == [KIND]
    }

    /// A page of AuditEvents.
    pub(super) async fn event_page(
        &self,
        plan: &Plan,
        cursor: Cursor,
        access: &Access,
    ) -> Result<FoundPage, Error> {
        let after = cursor.stored.as_ref().map(read_position).transpose()?;
        // One's own request before this one is to be found.
        self.recorder.flush().await?;
        let total = match plan.total {
            TotalMode::None => None,
            _ => Some(self.count_events(plan, access).await?),
        };
        let mut hits = match plan.limit {
            0 => Vec::new(),
            _ => self.events(plan, after, access).await?,
        };
        let more = hits.len() > plan.limit;
        hits.truncate(plan.limit);
        let next = hits.last().filter(|_| more).map(|last| Cursor {
            stored: Some(position(last.place)),
            ..Cursor::default()
        });
        let base_url = &self.settings.base_url;
        Ok(FoundPage {
            hits: hits.iter().map(|found| resource(found, base_url)).collect(),
            next,
            total,
            at_least: false,
            explain: Vec::new(),
        })
    }

    /// The events that a plan finds behind a place, one more than its page has.
    pub(super) async fn events(
        &self,
        plan: &Plan,
        after: Option<Place>,
        access: &Access,
    ) -> Result<Vec<Found>, Error> {
        let page = Page {
            newest_first: newest_first(plan)?,
            after,
            limit: plan.limit + 1,
            count: false,
            time: self.settings.limits.query_time(),
        };
        Ok(self.look_for(plan, page, access).await?.0)
    }

    async fn count_events(&self, plan: &Plan, access: &Access) -> Result<u64, Error> {
        let page = Page {
            newest_first: newest_first(plan)?,
            after: None,
            limit: 0,
            count: true,
            time: self.settings.limits.query_time(),
        };
        Ok(self.look_for(plan, page, access).await?.1)
    }

    async fn look_for(
        &self,
        plan: &Plan,
        page: Page,
        access: &Access,
    ) -> Result<(Vec<Found>, u64), Error> {
        let registry = self.registry();
        let (look, ids) = self.look(plan, access, &registry)?;
        let base_url = &self.settings.base_url;
        let check = |found: &Found| {
            look.clause.as_ref().is_none_or(|clause| {
                self.event_matches(clause, &resource(found, base_url), &registry)
            })
        };
        let (mut all, total) = match ids {
            Some(ids) => named_page(self.named_events(&ids, &look.wanted, check).await?, page),
            None => audit::find(&self.store, &look.wanted, page, check).await?,
        };
        self.show(&mut all, access);
        Ok((all, total))
    }

    /// Leaves out of events what is not for whoever sees only some of them: others search for
    /// several patients at once, and each of these sees the event of the search.
    fn show<'e>(&self, events: impl IntoIterator<Item = &'e mut Found>, access: &Access) {
        if !self.is_limited(KIND, access) {
            return;
        }
        for found in events {
            let query = found.event.query.take();
            let kind = query
                .as_deref()
                .and_then(|query| query.split(['?', '/']).next());
            let kind = kind.filter(|kind| !kind.is_empty());
            found.event.query = kind.map(|kind| kind.to_owned().into());
        }
    }

    /// What a plan and the access decision ask for; the ids, if it names some.
    fn look(
        &self,
        plan: &Plan,
        access: &Access,
        registry: &Registry,
    ) -> Result<(Look, Option<Vec<String>>), Error> {
        let clause = match visible(access, registry) {
            Some(clause) => Clause::All(vec![plan.filter.clone(), clause]),
            None => plan.filter.clone(),
        };
        let needs = needs(&clause, registry);
        if needs.follows {
            return Err(Error::new(
                ErrorKind::NotSupported,
                "not-supported",
                "searches for AuditEvents follow no references to other resources; search these \
                 first, and name them",
            ));
        }
        let clause = (needs.is_open || needs.ids.is_some()).then_some(clause);
        let look = Look {
            wanted: needs.wanted,
            clause,
        };
        Ok((look, needs.ids))
    }

    /// The events with these ids that are wanted.
    async fn named_events(
        &self,
        ids: &[String],
        wanted: &Wanted,
        check: impl Fn(&Found) -> bool,
    ) -> Result<Vec<Found>, Error> {
        let mut all = Vec::new();
        for (seq, number) in ids.iter().filter_map(|id| place_of(id)) {
            if let Some(found) = audit::read(&self.store, seq, number).await?
                && (wanted.from..wanted.before).contains(&found.place.at)
                && check(&found)
            {
                all.push(found);
            }
        }
        all.sort_by_key(|found| found.place);
        all.dedup_by_key(|found| found.place);
        Ok(all)
    }

    /// Whether an AuditEvent satisfies a clause.
    fn event_matches(&self, clause: &Clause, event: &Resource, registry: &Registry) -> bool {
        let doc: Doc = match parse_body(KIND, &event.id, &event.body) {
            Ok(doc) => doc,
            Err(_) => return false,
        };
        let entries = registry.extract(KIND, &doc, &self.settings.base_url);
        let facts = Facts {
            kind: KIND,
            id: &event.id,
            updated: event.updated,
            entries: &entries,
            text: None,
        };
        matches(clause, &facts, &NoOthers)
    }
}

/// What the access decision lets be seen. Rules that follow references, as those about whoever is
/// in care do, are none for AuditEvents.
fn visible(access: &Access, registry: &Registry) -> Option<Clause> {
    let clause = access_clause(access, KIND, registry)?;
    match needs(&clause, registry).follows {
        true => Some(Clause::Any(Vec::new())),
        false => Some(clause),
    }
}

/// Events lead to no other resources.
struct NoOthers;

impl Others for NoOthers {
    fn target(&self, _: ResourceType, _: &[&str], _: &Clause) -> bool {
        false
    }

    fn named(&self, _: ResourceType, _: Canonical, _: &[&[u8]], _: &Clause) -> bool {
        false
    }

    fn source(&self, _: ResourceType, _: ParamId, _: &[Vec<u8>], _: &Clause) -> bool {
        false
    }
}

/// The page of events that are all there, sorted by place.
fn named_page(mut all: Vec<Found>, page: Page) -> (Vec<Found>, u64) {
    let total = all.len() as u64;
    if page.newest_first {
        all.reverse();
    }
    if let Some(after) = page.after {
        all.retain(|found| match page.newest_first {
            true => found.place < after,
            false => found.place > after,
        });
    }
    all.truncate(page.limit);
    (all, total)
}

/// AuditEvents are kept in the order of time.
fn newest_first(plan: &Plan) -> Result<bool, Error> {
    let Some(sort) = plan.sort.first() else {
        return Ok(true);
    };
    let by_time = match &sort.by {
        SortKey::Updated => true,
        SortKey::Keys { space, .. } => *space == resources::index::key::space::DATE,
        SortKey::Id => false,
    };
    if by_time {
        return Ok(sort.descending);
    }
    Err(Error::invalid(
        "AuditEvents are sorted by 'date' or '_lastUpdated' only",
    ))
}

fn position(place: Place) -> Position {
    let mut bytes = place.at.to_be_bytes().to_vec();
    bytes.extend(place.seq.to_be_bytes());
    bytes.extend(place.number.to_be_bytes());
    Position(bytes)
}

fn read_position(position: &Position) -> Result<Place, Error> {
    let read = || {
        let (at, rest) = position.0.split_first_chunk()?;
        let (seq, rest) = rest.split_first_chunk()?;
        Some(Place {
            at: i64::from_be_bytes(*at),
            seq: i64::from_be_bytes(*seq),
            number: u32::from_be_bytes(rest.try_into().ok()?),
        })
    };
    read()
        .ok_or_else(|| Error::invalid("the page token '_page' is of another version of the server"))
}

/// Refuses to write AuditEvents: what happened is for nobody to change.
pub fn check_writable(kind: ResourceType) -> Result<(), Error> {
    if kind != KIND {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::NotAllowed,
        "not-supported",
        "AuditEvents are written by the server alone: nobody makes, changes or deletes one",
    ))
}
