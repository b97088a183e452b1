//! A search over Slots: stored ones, and those that follow from rules minus claims, in one order.
//!
//! Nothing is expanded beforehand. The condition is settled once for each Schedule and kind of
//! visit but for start, status and id; then slot by slot is looked at in the order asked for,
//! from where the page before ended, until the page is full. Where too many would have to be
//! looked at a page ends early, and the next one goes on there.

use std::{cmp::Ordering, collections::BTreeSet};

use resources::{index::key, model::ResourceType, primitive::DateRange};

use super::{
    Engine, Error, ErrorKind,
    board::{PAST, State},
    offered::{Offered, entries},
    sought::{Settled, Sought},
};
use crate::{
    access::Access,
    engine::{
        cursor::{Cursor, Place},
        search::{Found, compare},
        submit::{parse_stored, resource},
    },
    scheduling::{
        appointment::Slot,
        offers::{Offer, Order, Spot, Step, Walk, offer_at, state_of},
        span::Span,
        status::SlotStatus,
    },
    search::{
        matches::{Facts, matches},
        memory::sort_values,
        partly::Nobody,
        plan::{Clause, KeyRange, Plan, Sort, TotalMode},
    },
    store::Page,
};

/// Slots that one page looks at.
const LOOKED_AT: usize = 50_000;
/// Slots that are looked at for an order that is not by time.
const SORTED: usize = 50_000;
/// Slots that are counted, and those that are looked at for it.
const COUNTED: usize = 10_000;
const COUNTED_OF: usize = 400_000;
/// And for each Schedule so many more.
const EACH: usize = 64;
/// Those that are read together.
const PAGE: usize = 1_000;
/// What is looked at before others get their turn, in slots: about a millisecond.
const MOMENT: usize = 1_000;
/// Slots beyond which they are sorted where nobody waits.
const MANY: usize = 5_000;
/// Slots of which the store is asked whether stored ones hide them.
const TOGETHER: usize = 500;

static ALL: Access = Access::system("what is stored hides what is computed");

const SLOT: ResourceType = ResourceType::SLOT;

/// Why a walk has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// There are no more.
    Done,
    /// There are as many as were wanted.
    Full,
    /// Too many were looked at.
    Spent,
}

/// Some of what was sought, behind a place.
#[derive(Default)]
struct Part {
    hits: Vec<Offered>,
    /// There are more, or may be.
    more: bool,
    /// Up to here there is nothing else: it was too much to look further.
    cut: Option<Place>,
}

/// What has come of looking so far.
#[derive(Default)]
struct Sifted {
    found: Vec<Offered>,
    /// The last that was looked at.
    last: Option<Spot>,
}

impl Engine {
    /// A page of Slots, as [`Engine::page`].
    pub(in crate::engine) async fn slot_page(
        &self,
        plan: &Plan,
        mut cursor: Cursor,
        room: usize,
        access: &Access,
    ) -> Result<Found, Error> {
        let stored = self.stored_page(plan, &cursor, room, access).await?;
        let sought = Sought::of(self, plan, access).await?;
        let (mut total, mut at_least) = match stored.total {
            Some((count, is_exact)) => (Some(count), !is_exact),
            None => (None, false),
        };
        if let (Some(count), Some(sought)) = (&mut total, &sought) {
            let (computed, all) = self.count_offered(sought).await?;
            *count += computed as u64;
            at_least |= !all;
        }
        let mut explain = stored.explain.clone();
        if let Some(sought) = &sought {
            explain.push(sought.explained());
        }
        let Page {
            hits: stored_hits,
            more: stored_more,
            ..
        } = stored;
        // Without an order the stored ones come first.
        let free = match plan.sort.is_empty() {
            true => plan.limit.saturating_sub(stored_hits.len()),
            false => plan.limit,
        };
        let part = match &sought {
            _ if plan.limit == 0 || (plan.sort.is_empty() && stored_more) => Part::default(),
            Some(sought) => {
                let after = cursor.computed.as_ref();
                self.part(sought, after, free + 1).await?
            }
            None => Part::default(),
        };
        let mut left = stored_hits.into_iter().peekable();
        let (mut hits, mut last, mut at) = (Vec::with_capacity(plan.limit), None, 0);
        while hits.len() < plan.limit {
            let takes_stored = match (left.peek(), part.hits.get(at)) {
                (Some(hit), Some(other)) => {
                    compare(&plan.sort, &hit.sort, &other.sort) != Ordering::Greater
                }
                // What comes next of the computed ones is not known.
                (Some(_), None) if part.cut.is_some() && !plan.sort.is_empty() => break,
                (Some(_), None) => true,
                (None, _) if stored_more => break,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            if takes_stored {
                if let Some(hit) = left.next() {
                    last = Some(hit.position.clone());
                    hits.push(resource(&hit.stored));
                }
            } else {
                hits.push(part.hits[at].resource());
                at += 1;
            }
        }
        let stored_left = left.peek().is_some() || stored_more;
        if last.is_some() {
            cursor.stored = last;
        }
        cursor.stored_done = !stored_left;
        let rest = at < part.hits.len();
        if !rest && part.cut.is_some() {
            cursor.computed = part.cut;
        } else if at > 0 {
            cursor.computed = Some(place(&part.hits[at - 1]));
        }
        let more = plan.limit > 0 && (stored_left || rest || part.more);
        Ok(Found {
            hits,
            next: more.then_some(cursor),
            total,
            at_least,
            explain,
        })
    }

    /// Those behind a place, as many as are wanted.
    async fn part(
        &self,
        sought: &Sought,
        after: Option<&Place>,
        wanted: usize,
    ) -> Result<Part, Error> {
        let after = after.and_then(|place| Some((place, Spot::read(&place.id)?)));
        if sought.listed.is_some() || sought.order().is_none() {
            return self.sorted_part(sought, after, wanted).await;
        }
        let order = sought.order().unwrap_or(Order::Schedules);
        let spot = after.map(|(_, spot)| spot);
        let mut walk = self.walk(sought, order, spot);
        let (mut part, mut settled) = (Part::default(), Settled::new());
        loop {
            let missing = wanted - part.hits.len();
            let most = (missing, LOOKED_AT);
            let (mut found, end, last) = self.sift(sought, &mut walk, &mut settled, most).await;
            self.without_stored(&mut found).await?;
            part.hits.extend(found);
            match end {
                End::Full if part.hits.len() < wanted => {}
                End::Full => {
                    part.more = true;
                    return Ok(part);
                }
                End::Done => return Ok(part),
                End::Spent => {
                    part.more = true;
                    part.cut = last.map(|spot| Place {
                        kind: SLOT,
                        id: spot.write(),
                        sort: Vec::new(),
                    });
                    return Ok(part);
                }
            }
        }
    }

    /// As [`Engine::part`] for an order in which all must be known before the first.
    async fn sorted_part(
        &self,
        sought: &Sought,
        after: Option<(&Place, Spot)>,
        wanted: usize,
    ) -> Result<Part, Error> {
        let mut all = match &sought.listed {
            Some(listed) => self.listed(sought, listed),
            None => {
                let mut walk = self.walk(sought, Order::Schedules, None);
                let most = (usize::MAX, SORTED);
                let mut settled = Settled::new();
                let (found, end, _) = self.sift(sought, &mut walk, &mut settled, most).await;
                if end == End::Spent {
                    return Err(Error::new(
                        ErrorKind::TooCostly,
                        "too-costly",
                        "there are too many Slots for this order; sort by start, or name \
                         schedule and a range of start",
                    ));
                }
                found
            }
        };
        all = match all.len() {
            ..=MANY => in_order(all, &sought.sort),
            _ => {
                let sort = sought.sort.clone();
                self.aside(move || in_order(all, &sort)).await?
            }
        };
        if let Some((place, spot)) = after {
            let from = all.partition_point(|hit| {
                let order = compare(&sought.sort, &hit.sort, &place.sort);
                order.then(hit.spot().cmp(&spot)) != Ordering::Greater
            });
            all.drain(..from);
        }
        let (mut part, mut rest) = (Part::default(), all.into_iter());
        while part.hits.len() < wanted {
            let mut some: Vec<Offered> = rest.by_ref().take(wanted - part.hits.len()).collect();
            if some.is_empty() {
                return Ok(part);
            }
            self.without_stored(&mut some).await?;
            part.hits.extend(some);
        }
        part.more = true;
        Ok(part)
    }

    /// How many there are, and whether these are all.
    async fn count_offered(&self, sought: &Sought) -> Result<(usize, bool), Error> {
        if let Some(listed) = &sought.listed {
            let mut found = self.listed(sought, listed);
            self.without_stored(&mut found).await?;
            return Ok((found.len(), true));
        }
        let mut walk = self.walk(sought, Order::Schedules, None);
        let (mut count, mut settled) = (0, Settled::new());
        loop {
            let wanted = (COUNTED - count).min(PAGE);
            let most = (wanted, COUNTED_OF);
            let (mut found, end, _) = self.sift(sought, &mut walk, &mut settled, most).await;
            self.without_stored(&mut found).await?;
            count += found.len();
            match end {
                End::Done => return Ok((count, true)),
                End::Spent => return Ok((count, false)),
                End::Full if count >= COUNTED => return Ok((count, false)),
                End::Full => {}
            }
        }
    }

    fn walk<'s>(&self, sought: &'s Sought, order: Order, after: Option<Spot>) -> Walk<'s> {
        let with = (self.board.cache().as_ref(), sought.now);
        Walk::new(&sought.bookables, sought.within, order, after, with)
    }

    /// Goes on until `wanted` are found, or so many were looked at; and the place of the last that
    /// was. After each moment others get their turn.
    async fn sift(
        &self,
        sought: &Sought,
        walk: &mut Walk<'_>,
        settled: &mut Settled,
        (wanted, most): (usize, usize),
    ) -> (Vec<Offered>, End, Option<Spot>) {
        // By time each Schedule is looked at before the first slot is known.
        let most = most.saturating_add(sought.bookables.len() * EACH);
        let mut sifted = Sifted::default();
        loop {
            let toil = walk.toil() + MOMENT;
            let end = self.sift_some(sought, walk, settled, &mut sifted, (wanted, most, toil));
            if let Some(end) = end {
                return (sifted.found, end, sifted.last);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Does some of that; `None` if there is more to do.
    fn sift_some(
        &self,
        sought: &Sought,
        walk: &mut Walk<'_>,
        settled: &mut Settled,
        sifted: &mut Sifted,
        (wanted, most, toil): (usize, usize, usize),
    ) -> Option<End> {
        let state = self.board.read();
        while sifted.found.len() < wanted {
            if walk.cost() >= most && sifted.last.is_some() {
                return Some(End::Spent);
            }
            let offer = match walk.step(toil) {
                Step::Offer(offer) => offer,
                Step::Done => return Some(End::Done),
                Step::Paused => return None,
            };
            sifted.last = Some(walk.spot(&offer));
            sifted
                .found
                .extend(self.tested(sought, &offer, settled, &state));
        }
        Some(End::Full)
    }

    /// Those of a list that are what is sought.
    pub(super) fn listed(&self, sought: &Sought, listed: &[(usize, Span)]) -> Vec<Offered> {
        let state = self.board.read();
        let mut settled = Settled::new();
        let earliest = sought.now - PAST;
        let offers = listed
            .iter()
            .filter(|(_, span)| span.start >= earliest)
            .filter_map(|(at, span)| {
                let offer = offer_at(&sought.bookables[*at], *span, sought.now)?;
                Some(Offer {
                    bookable: *at,
                    ..offer
                })
            });
        offers
            .filter_map(|offer| self.tested(sought, &offer, &mut settled, &state))
            .collect()
    }

    /// The slot, if it is what is sought.
    fn tested(
        &self,
        sought: &Sought,
        offer: &Offer,
        settled: &mut Settled,
        state: &State,
    ) -> Option<Offered> {
        let bookable = &sought.bookables[offer.bookable];
        let updated = sought.updated[offer.bookable];
        let (now, visits) = state_of(bookable, offer, state, sought.now);
        let key = (offer.bookable, visits);
        let (template, clause) = settled
            .entry(key)
            .or_insert_with(|| self.settled(sought, key));
        if clause.is_never() {
            return None;
        }
        let own = sought.own_entries(offer.span, now);
        if !sought.by_text && !sought.fits(clause, bookable, offer, &own, updated) {
            return None;
        }
        let mut found = Offered::new(bookable, (offer.span, visits, now), updated, state)?;
        if !sought.by_text && sought.sort.is_empty() {
            return Some(found);
        }
        let all = if sought.by_text {
            let body = found.resource().body;
            let text = std::str::from_utf8(&body).ok()?;
            entries(text, &sought.registry, &sought.base_url)
        } else {
            let mut all = template.to_vec();
            all.extend(own);
            all.sort_unstable();
            all
        };
        if sought.by_text {
            let facts = Facts {
                kind: SLOT,
                id: &found.id,
                updated,
                entries: &all,
                text: None,
            };
            if !matches(&sought.clause, &facts, &Nobody) {
                return None;
            }
        }
        found.sort = sort_values(&sought.sort, (&found.id, updated), &all);
        Some(found)
    }

    /// Leaves out what stored Slots hide: one with the same id, even a deleted one, or one of the
    /// same Schedule with the same start and end.
    pub(super) async fn without_stored(&self, hits: &mut Vec<Offered>) -> Result<(), Error> {
        let mut hidden: BTreeSet<String> = BTreeSet::new();
        for some in hits.chunks(TOGETHER) {
            let keys: Vec<(ResourceType, &str)> =
                some.iter().map(|hit| (SLOT, hit.id.as_str())).collect();
            let stored = self.store.current(&keys, &ALL).await?;
            let taken = some.iter().zip(stored).filter(|(_, found)| found.is_some());
            hidden.extend(taken.map(|(hit, _)| hit.id.clone()));
        }
        let doubtful: Vec<&Offered> = hits.iter().filter(|hit| hit.is_doubtful).collect();
        for some in doubtful.chunks(TOGETHER) {
            let same = self.stored_beside(some).await?;
            let is_stored = |hit: &&&Offered| same.contains(&(hit.bookable.id.clone(), hit.span));
            hidden.extend(some.iter().filter(is_stored).map(|hit| hit.id.clone()));
        }
        hits.retain(|hit| !hidden.contains(&hit.id));
        Ok(())
    }

    /// The Schedules and times of stored Slots that begin when some others do.
    async fn stored_beside(&self, hits: &[&Offered]) -> Result<BTreeSet<(String, Span)>, Error> {
        let registry = self.registry();
        let param = |code: &str| registry.param(SLOT, code).map(|param| param.id);
        let (Some(schedule), Some(start)) = (param("schedule"), param("start")) else {
            return Ok(BTreeSet::new());
        };
        let schedules: BTreeSet<&str> = hits.iter().map(|hit| hit.bookable.id.as_str()).collect();
        let starts: BTreeSet<i64> = hits.iter().map(|hit| hit.span.start).collect();
        let named = |id: &&str| KeyRange::exact(key::reference(ResourceType::SCHEDULE, id));
        let mut plan = Plan {
            types: vec![SLOT],
            filter: Clause::All(vec![
                Clause::Keys {
                    param: schedule,
                    ranges: schedules.iter().map(named).collect(),
                },
                Clause::Keys {
                    param: start,
                    ranges: starts.iter().map(|start| within_second(*start)).collect(),
                },
            ]),
            sort: Vec::new(),
            limit: PAGE,
            after: None,
            total: TotalMode::None,
        };
        let mut found = BTreeSet::new();
        loop {
            let page = self.store.search(&plan, &ALL).await?;
            for hit in &page.hits {
                let doc = parse_stored(&hit.stored)?;
                let slot = Slot::read(&doc, &self.settings.base_url);
                let Some(slot) = slot.filter(|slot| slot.status != SlotStatus::EnteredInError)
                else {
                    continue;
                };
                let schedule = slot.schedule.unwrap_or_default();
                let id = schedule.strip_prefix("Schedule/").unwrap_or_default();
                found.insert((id.to_owned(), slot.span));
            }
            plan.after = page.hits.last().map(|hit| hit.position.clone());
            if !page.more || plan.after.is_none() {
                return Ok(found);
            }
        }
    }
}

fn in_order(mut all: Vec<Offered>, sort: &[Sort]) -> Vec<Offered> {
    all.sort_by(|a, b| compare(sort, &a.sort, &b.sort).then(a.spot().cmp(&b.spot())));
    all
}

/// The keys of instants in a second.
fn within_second(second: i64) -> KeyRange {
    let at = |ms: i64| {
        let mut key = key::date(DateRange { lo: ms, hi: ms });
        key.truncate(9);
        key
    };
    KeyRange::between(at(second * 1_000), Some(at(second * 1_000 + 1_000)))
}

fn place(offered: &Offered) -> Place {
    Place {
        kind: SLOT,
        id: offered.spot().write(),
        sort: offered.sort.clone(),
    }
}
