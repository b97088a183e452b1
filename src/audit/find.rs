//! Finds events: block by block, in the order wanted, passing over the blocks whose filter or time
//! says that they have none.

use std::{borrow::Cow, collections::HashSet, time::Duration};

use tokio::time::Instant;

use super::{
    encode::{Row, Unreadable},
    event::{Event, Item},
    filter::{self, Mark},
};
use crate::store::{AuditRow, AuditSeal, SealWalk, Store, StoreError};

/// Blocks whose seals are read together.
const BLOCKS: usize = 64;
/// Rows that are not sealed yet and are read together.
const ROWS: usize = 4_096;

/// The place of an AuditEvent: by time, then by where it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When it was.
    pub at: i64,
    /// Its row.
    pub seq: i64,
    /// Its number in the row, from 0.
    pub number: u32,
}

/// What stands for one AuditEvent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub place: Place,
    /// The event with the one thing that was done, and the one patient, if it touches one.
    pub event: Event<'static>,
}

/// What every event that is looked for has. More may be asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The first instant,
    pub from: i64,
    /// and the one at which it is too late.
    pub before: i64,
    /// One mark of each set.
    pub marks: Vec<HashSet<Mark>>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            from: i64::MIN,
            before: i64::MAX,
            marks: Vec::new(),
        }
    }
}

/// How many events, in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The latest first.
    pub newest_first: bool,
    /// Only those behind this place.
    pub after: Option<Place>,
    /// The most events.
    pub limit: usize,
    /// All are counted.
    pub count: bool,
    /// How long it may take.
    pub time: Duration,
}

/// The first events that are `wanted` and pass `check`, and how many there are, if they are
/// counted.
///
/// # Errors
/// [`StoreError::Timeout`], and what the store reports.
pub async fn find(
    store: &Store,
    wanted: &Wanted,
    page: Page,
    check: impl Fn(&Found) -> bool + Send,
) -> Result<(Vec<Found>, u64), StoreError> {
    let mut wanted = wanted.clone();
    if let (Some(after), false) = (page.after, page.count) {
        match page.newest_first {
            true => wanted.before = wanted.before.min(after.at.saturating_add(1)),
            false => wanted.from = wanted.from.max(after.at),
        }
    }
    let mut search = Search {
        wanted,
        page,
        check,
        found: Vec::new(),
        counted: 0,
    };
    let deadline = Instant::now() + page.time;
    let last = store.last_audit_seal().await?;
    let (number, sealed) = last.map_or((0, 0), |seal| (seal.number, seal.last_seq));
    let mut from = sealed + 1;
    loop {
        let rows = store.audit_rows((from, i64::MAX), ROWS, usize::MAX).await?;
        search.take(&rows);
        match rows.last().and_then(|row| row.seq.checked_add(1)) {
            Some(next) if rows.len() == ROWS => from = next,
            _ => break,
        }
        in_time(deadline, page.time).await?;
    }
    let mut walk = SealWalk {
        up_to: number,
        from: search.wanted.from,
        before: search.wanted.before,
        newest_first: page.newest_first,
        after: None,
    };
    loop {
        let seals = store.audit_walk(walk, BLOCKS).await?;
        for seal in &seals {
            if search.is_done(seal) {
                return Ok(search.result());
            }
            if search.may_be_in(seal) {
                let range = (seal.first_seq, seal.last_seq);
                let rows = store.audit_rows(range, usize::MAX, usize::MAX).await?;
                search.take(&rows);
                in_time(deadline, page.time).await?;
            }
        }
        match seals.last() {
            Some(last) if seals.len() == BLOCKS => {
                let at = match page.newest_first {
                    true => last.last_at,
                    false => last.first_at,
                };
                walk.after = Some((at, last.number));
                in_time(deadline, page.time).await?;
            }
            _ => return Ok(search.result()),
        }
    }
}

/// The event with this number in its row, if there is one.
///
/// # Errors
/// What the store reports.
pub async fn read(store: &Store, seq: i64, number: u32) -> Result<Option<Found>, StoreError> {
    let rows = store.audit_rows((seq, seq), 1, usize::MAX).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let all = Wanted::default();
    let mut found = None;
    let read = each(row, &all, false, |place, event, item, patient| {
        if place.number == number {
            found = Some(owned(place, event, item, patient));
        }
    });
    read.map_err(|error| StoreError::Damaged(format!("row {seq} of the audit: {error}")))?;
    Ok(found)
}

/// Lets others work, and ends what takes too long.
async fn in_time(deadline: Instant, allowed: Duration) -> Result<(), StoreError> {
    tokio::task::yield_now().await;
    match Instant::now() > deadline {
        true => Err(StoreError::Timeout(allowed.as_millis() as u64)),
        false => Ok(()),
    }
}

struct Search<C> {
    wanted: Wanted,
    page: Page,
    check: C,
    /// The best so far, in order.
    found: Vec<Found>,
    counted: u64,
}

impl<C: Fn(&Found) -> bool> Search<C> {
    /// True if neither the block nor one behind it can have one of the page.
    fn is_done(&self, seal: &AuditSeal) -> bool {
        let full = self.found.len() == self.page.limit;
        let beyond = self
            .found
            .last()
            .is_none_or(|last| match self.page.newest_first {
                true => seal.last_at < last.place.at,
                false => seal.first_at > last.place.at,
            });
        full && beyond && !self.page.count
    }

    fn may_be_in(&self, seal: &AuditSeal) -> bool {
        self.wanted.marks.iter().all(|marks| {
            let mut marks = marks.iter();
            marks.any(|mark| filter::may_have(&seal.filter, *mark))
        })
    }

    /// True if an event at this place is none of the page.
    fn is_beyond(&self, place: Place) -> bool {
        let before = |a: Place, b: Place| match self.page.newest_first {
            true => a > b,
            false => a < b,
        };
        if self.page.after.is_some_and(|after| !before(after, place)) {
            return true;
        }
        match self.found.last() {
            Some(last) => self.found.len() == self.page.limit && !before(place, last.place),
            None => self.page.limit == 0,
        }
    }

    fn take(&mut self, rows: &[AuditRow]) {
        let newest_first = self.page.newest_first;
        let wanted = self.wanted.clone();
        let mut one = |row: &AuditRow| {
            let read = each(row, &wanted, newest_first, |place, event, item, patient| {
                self.one(place, event, item, patient);
            });
            if let Err(error) = read {
                tracing::error!(row = row.seq, %error, "passed over in a search");
            }
        };
        match newest_first {
            true => rows.iter().rev().for_each(&mut one),
            false => rows.iter().for_each(&mut one),
        }
    }

    fn one(&mut self, place: Place, event: &Event<'_>, item: &Item<'_>, patient: Option<&str>) {
        let beyond = self.is_beyond(place);
        if beyond && !self.page.count {
            return;
        }
        let found = owned(place, event, item, patient);
        if !(self.check)(&found) {
            return;
        }
        self.counted += 1;
        if beyond {
            return;
        }
        let newest_first = self.page.newest_first;
        let at = self.found.partition_point(|other| match newest_first {
            true => other.place > place,
            false => other.place < place,
        });
        self.found.insert(at, found);
        self.found.truncate(self.page.limit);
    }

    fn result(self) -> (Vec<Found>, u64) {
        (self.found, self.counted)
    }
}

/// Tells of each AuditEvent of a row that is `wanted`.
fn each(
    row: &AuditRow,
    wanted: &Wanted,
    backwards: bool,
    mut tell: impl FnMut(Place, &Event<'_>, &Item<'_>, Option<&str>),
) -> Result<(), Unreadable> {
    let read = Row::read(&row.body)?;
    let mut number = 0;
    let mut events = Vec::new();
    for event in read.events()? {
        let event = event?;
        let first = number;
        number += event.records() as u32;
        if (wanted.from..wanted.before).contains(&event.at) {
            events.push((first, event));
        }
    }
    if backwards {
        events.reverse();
    }
    for (mut number, event) in events {
        for item in &event.items {
            let missing = missing(wanted, &event, item);
            let mut one = |patient: Option<&str>| {
                let marks = patient.map(filter::patient);
                let has = |wanted: &&HashSet<Mark>| {
                    marks.is_some_and(|marks| marks.iter().any(|mark| wanted.contains(mark)))
                };
                if missing.iter().all(has) {
                    let place = Place {
                        at: event.at,
                        seq: row.seq,
                        number,
                    };
                    tell(place, &event, item, patient);
                }
                number += 1;
            };
            match &item.patients[..] {
                [] => one(None),
                patients => patients.iter().for_each(|patient| one(Some(patient))),
            }
        }
    }
    Ok(())
}

/// The sets of marks of which what was done has none; its patients may have.
fn missing<'w>(wanted: &'w Wanted, event: &Event<'_>, item: &Item<'_>) -> Vec<&'w HashSet<Mark>> {
    if wanted.marks.is_empty() {
        return Vec::new();
    }
    let mut missing: Vec<&HashSet<Mark>> = wanted.marks.iter().collect();
    filter::marks(event, item, |mark| {
        missing.retain(|marks| !marks.contains(&mark));
    });
    missing
}

fn owned(place: Place, event: &Event<'_>, item: &Item<'_>, patient: Option<&str>) -> Found {
    fn own(text: &str) -> Cow<'static, str> {
        Cow::Owned(text.to_owned())
    }
    Found {
        place,
        event: Event {
            at: event.at,
            identity: std::sync::Arc::clone(&event.identity),
            address: event.address,
            request: own(&event.request),
            outcome: event.outcome,
            query: event.query.as_deref().map(own),
            detail: event.detail.as_deref().map(own),
            items: vec![Item {
                code: item.code,
                kind: item.kind,
                id: own(&item.id),
                version: item.version,
                patients: patient.map(own).into_iter().collect(),
            }],
        },
    }
}
