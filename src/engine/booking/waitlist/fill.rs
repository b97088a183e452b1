//! A time that has become free is offered to those who wait: who fits, in whose turn, and the
//! round of offers that holds it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    super::{
        Engine, Error, find::is_of_patients, meters, proposed::Proposed, refusal::schedule_number,
        written::Written,
    },
    Tender,
    entry::Entry,
    news::Freed,
    offer::{Offer, TASK, name_of, offer_text, round_text},
};
use crate::{
    engine::draft::parse,
    scheduling::{
        bookable::{Bookable, Visit},
        claim::Number,
        find::find,
        span::Span,
        status::Status,
        waitlist::Turn,
    },
};

/// Open offers that somebody may have at a time.
const MOST_OPEN: usize = 3;
/// Rounds that one change may start.
const ROUNDS: usize = 64;
/// Those who are looked at together, in whose turn it is.
const CHUNK: usize = 128;
/// Times that are looked at for one who waits.
const TIMES: usize = 256;
/// An offer that lasts no longer than this many seconds is none.
const SHORTEST: i64 = 60;

/// Whose turn it could be.
struct Candidate {
    turn: Turn,
    entry: Arc<Entry>,
}

/// Who is offered what.
struct Round {
    proposed: Proposed,
    name: String,
    until: i64,
    takers: Vec<Arc<Entry>>,
}

/// What can be offered of a time that became free.
struct Reach {
    /// Schedules of those whose time it is.
    bookables: Vec<Arc<Bookable>>,
    /// What became free, with the buffers of what is offered.
    touched: Span,
    /// All that an offer may take.
    within: Span,
}

impl Engine {
    /// Offers what became free, and holds it; how many rounds of offers, and how many offers.
    pub(super) async fn offer_time(
        &self,
        tender: &mut Tender,
        freed: &Freed,
    ) -> Result<(u64, u64), Error> {
        let mut made = (0, 0);
        for _ in 0..ROUNDS {
            let now = self.clock.now() / 1_000;
            if tender.entries.is_empty() || freed.span.end <= now {
                break;
            }
            self.update_board().await?;
            let Some(reach) = self.reach(freed, now) else {
                break;
            };
            let mut actors: Vec<Number> = Vec::new();
            for bookable in &reach.bookables {
                actors.extend(bookable.actors.iter().map(|actor| actor.number));
                actors.push(schedule_number(&bookable.id));
            }
            self.load_calendars(&actors).await?;
            let queue = tender.queue(&reach, freed.span, now);
            let Some(round) = self.next_round(&queue, &reach, now).await? else {
                break;
            };
            let offers = self.offer(tender, &round, now).await?;
            if offers == 0 {
                break;
            }
            made.0 += 1;
            made.1 += offers;
        }
        Ok(made)
    }

    fn reach(&self, freed: &Freed, now: i64) -> Option<Reach> {
        let state = self.board.read();
        let mut bookables: Vec<Arc<Bookable>> = Vec::new();
        for bookable in freed.actors.iter().flat_map(|actor| state.of_actor(*actor)) {
            let is_known = bookables.iter().any(|one| one.rid == bookable.rid);
            let offers = |visit: &Visit| visit.offers > 0;
            let is_offered = bookable.visits.is_empty() || bookable.visits.iter().any(offers);
            if !is_known && is_offered && !is_of_patients(bookable) {
                bookables.push(Arc::clone(bookable));
            }
        }
        let visits = || bookables.iter().flat_map(|bookable| &bookable.visits);
        let buffer = visits().map(|visit| visit.before.max(visit.after)).max();
        let longest = visits().map(|visit| visit.duration).max();
        let touched = freed.span.padded(buffer.unwrap_or(0), buffer.unwrap_or(0));
        // Free Slots that are stored are of any length.
        let longest = longest.unwrap_or(0).max(freed.span.seconds()).max(3_600);
        let within = touched.padded(longest, longest);
        (!bookables.is_empty()).then(|| Reach {
            bookables,
            touched,
            within: Span::new(within.start.max(now), within.end),
        })
    }

    /// The first time that somebody can have, in whose turn it is, and all who are offered it.
    async fn next_round(
        &self,
        queue: &[Candidate],
        reach: &Reach,
        now: i64,
    ) -> Result<Option<Round>, Error> {
        let mut asked: HashMap<String, HashSet<String>> = HashMap::new();
        let mut round: Option<(Round, usize)> = None;
        let mut people: HashSet<&str> = HashSet::new();
        for some in queue.chunks(CHUNK) {
            let patients = some.iter().flat_map(|one| &one.entry.wanted.need.patients);
            let patients: Vec<Number> = patients.copied().collect();
            self.load_calendars(&patients).await?;
            for Candidate { entry, .. } in some {
                let known = |patient: &String| people.contains(patient.as_str());
                if entry.wanted.patients.iter().any(known) {
                    continue;
                }
                let within = match &round {
                    Some((round, _)) => round.proposed.span,
                    None => reach.within,
                };
                let times = self.times(entry, reach, within, now).await?;
                let fits = match &mut round {
                    Some((round, _)) => {
                        let is_asked = asked
                            .get(&round.name)
                            .is_some_and(|asked| asked.contains(&entry.id));
                        !is_asked && times.iter().any(|time| is_same(time, &round.proposed))
                    }
                    None => {
                        for proposed in times {
                            let name = name_of(&proposed);
                            if !asked.contains_key(&name) {
                                let known = self.already_asked(&name).await?;
                                asked.insert(name.clone(), known.into_iter().collect());
                            }
                            let Some((many, until)) = lasts(&proposed, now) else {
                                continue;
                            };
                            if !asked[&name].contains(&entry.id) {
                                let takers = Vec::new();
                                let new = Round {
                                    proposed,
                                    name,
                                    until,
                                    takers,
                                };
                                round = Some((new, many));
                                break;
                            }
                        }
                        round.is_some()
                    }
                };
                if let Some((round, many)) = round.as_mut().filter(|_| fits) {
                    people.extend(entry.wanted.patients.iter().map(String::as_str));
                    round.takers.push(Arc::clone(entry));
                    if round.takers.len() >= *many {
                        break;
                    }
                }
            }
            if round
                .as_ref()
                .is_some_and(|(round, many)| round.takers.len() >= *many)
            {
                break;
            }
        }
        Ok(round.map(|(round, _)| round))
    }

    /// The times that somebody can have of what became free, the earliest first.
    async fn times(
        &self,
        entry: &Entry,
        reach: &Reach,
        within: Span,
        now: i64,
    ) -> Result<Vec<Proposed>, Error> {
        let mut need = entry.wanted.need.clone();
        let ids = reach.bookables.iter().map(|bookable| &bookable.id);
        let own = std::mem::take(&mut need.filter.schedules);
        let is_asked = |id: &&String| own.is_empty() || own.contains(id);
        need.filter.schedules = ids.filter(is_asked).cloned().collect();
        if need.filter.schedules.is_empty() {
            return Ok(Vec::new());
        }
        let before = self.start_of_replaced(entry).await?;
        need.count = TIMES;
        need.total = TIMES;
        need.per_practitioner = None;
        let mut times = Vec::new();
        for window in entry.windows(now) {
            let (start, end) = (window.start.max(within.start), window.end.min(within.end));
            need.within = Span::new(start, end);
            if need.within.is_empty() {
                continue;
            }
            let (bookables, found) = match need.roles.is_empty() {
                true => {
                    let state = self.board.read();
                    let bookables = &reach.bookables;
                    let found = find(&need, bookables, &*state, self.board.cache(), now);
                    (Arc::new(bookables.clone()), found)
                }
                false => self.found_times(&need, now).await?,
            };
            let found = found.proposals.iter();
            let found = found.map(|proposal| Proposed::of(proposal, &bookables, Vec::new()));
            times.extend(found.filter(|time| {
                time.span.overlaps(reach.touched)
                    && before.is_none_or(|before| time.span.start < before)
            }));
        }
        times.sort_by_key(|time| time.span);
        Ok(times)
    }

    /// When that begins which would be given up.
    async fn start_of_replaced(&self, entry: &Entry) -> Result<Option<i64>, Error> {
        let id = entry.waiting.replaces.as_deref();
        let Some(id) = id.and_then(|it| it.strip_prefix("Appointment/")) else {
            return Ok(None);
        };
        let found = self.any_appointment(id).await?.map(|(_, _, one)| one);
        let ahead = found.filter(|one| matches!(one.status, Status::Booked | Status::Pending));
        Ok(ahead.and_then(|one| one.span).map(|span| span.start))
    }

    /// Holds the time and makes the offers; how many. None, if somebody else has the time.
    async fn offer(&self, tender: &mut Tender, round: &Round, now: i64) -> Result<u64, Error> {
        let id = self.new_id();
        let text = round_text(&round.proposed, &round.name, round.until)?;
        let mut writes = vec![Written::named(&id, parse(text)?)];
        let mut offers = Vec::new();
        for entry in &round.takers {
            let Some(patient) = entry.wanted.patients.first() else {
                continue;
            };
            let task = self.new_id();
            let text = offer_text(
                &round.proposed,
                (&round.name, &id),
                (&entry.id, patient),
                (now, round.until),
            );
            writes.push(Written::made(TASK, &task, parse(text)?));
            let offer = Offer {
                entry: entry.id.clone(),
                round: id.clone(),
                status: "requested".to_owned(),
            };
            offers.push((task, offer));
        }
        if !self.written_unless_lost(writes).await? {
            return Ok(0);
        }
        let many = offers.len() as u64;
        meters::offers("made", many);
        tender.rounds.insert(id.clone());
        tender.ends.insert((round.until, id));
        tender.offers.extend(offers);
        Ok(many)
    }
}

impl Tender {
    /// Those who could want what became free, in whose turn it is.
    fn queue(&self, reach: &Reach, freed: Span, now: i64) -> Vec<Candidate> {
        let mut open: HashMap<&str, usize> = HashMap::new();
        for offer in self.offers.values() {
            *open.entry(&offer.entry).or_default() += 1;
        }
        let mut queue: Vec<Candidate> = Vec::new();
        for entry in self.entries.values() {
            let has = open.get(entry.id.as_str()).copied().unwrap_or(0);
            if has >= MOST_OPEN || !entry.is_waiting(now) {
                continue;
            }
            if !entry
                .windows(now)
                .any(|window| window.overlaps(reach.within))
            {
                continue;
            }
            let need = &entry.wanted.need;
            let fits = reach
                .bookables
                .iter()
                .flat_map(|bookable| need.filter.fits(bookable, need.duration));
            let distances = fits.map(|fit| fit.distance.unwrap_or(0.0));
            let Some(distance) = distances.reduce(f64::min) else {
                continue;
            };
            let distance = need.filter.near.map(|_| distance);
            let is_beside = entry.is_beside(freed);
            queue.push(Candidate {
                turn: Turn::new(entry.priority, is_beside, entry.since, distance),
                entry: Arc::clone(entry),
            });
        }
        queue.sort_by(|one, two| {
            (one.turn, one.entry.id.as_str()).cmp(&(two.turn, two.entry.id.as_str()))
        });
        queue
    }
}

/// To how many a time is offered, and until when.
fn lasts(proposed: &Proposed, now: i64) -> Option<(usize, i64)> {
    let default = Visit::default();
    let visit = proposed.parts[0].visit().unwrap_or(&default);
    let latest = proposed.parts.iter().filter_map(|part| {
        let notice = part.visit()?.notice;
        Some(part.span.start - notice)
    });
    let latest = latest.min().unwrap_or(proposed.span.start);
    let until = (now + visit.offer_for).min(latest);
    (visit.offers > 0 && until - now >= SHORTEST).then_some((usize::from(visit.offers), until))
}

fn is_same(one: &Proposed, other: &Proposed) -> bool {
    let parts = |proposed: &Proposed| -> Vec<(i64, Option<usize>, Span)> {
        let parts = proposed.parts.iter();
        parts
            .map(|part| (part.bookable.rid, part.visit, part.span))
            .collect()
    };
    one.span == other.span && parts(one) == parts(other)
}
