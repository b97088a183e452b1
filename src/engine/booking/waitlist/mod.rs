//! Those who wait for time, and the offers that are made to them when some becomes free.
//!
//! All of it is in resources: an Appointment of status waitlist waits, an Appointment that names
//! no patient holds a time while it is offered (so the claims keep it from all others, and it
//! ends by itself), and a Task is the offer to one patient. What is kept here in memory is found
//! again from them, and from the log; several nodes may tend the same list: that of two who offer
//! the same time one succeeds is the claims' doing.

mod accept;
mod entry;
mod fill;
mod join;
mod news;
mod offer;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, PoisonError, Weak},
};

use resources::model::ResourceType;
use tokio::sync::{Mutex, Notify};

use self::{
    entry::Entry,
    news::Freed,
    offer::{ALL, Offer, TASK},
};
use super::{APPOINTMENT, Engine, Error, claims::expiry};
use crate::{
    engine::submit::parse_stored,
    scheduling::{appointment::Appointment, bookable::Bookables, status::Status, waitlist::ROUND},
    store::{Seen, Stored},
};

/// What is followed.
const KINDS: [ResourceType; 3] = [APPOINTMENT, ResourceType::SLOT, TASK];
/// Resources that are read together.
const PAGE: usize = 500;
/// Looks at what has changed, in one go: what is made of one may lead to another.
const PASSES: usize = 16;
/// Milliseconds before the newest change, and changes, that are looked at when a node starts.
const RECENT: (i64, usize) = (600_000, 2_000);
/// Milliseconds by which the clocks of nodes may differ.
const SKEW: i64 = 5_000;

/// Who waits, as this node knows it.
#[derive(Default)]
pub struct Waitlist {
    wake: Arc<Notify>,
    tender: Mutex<Option<Tender>>,
    /// Whose turn it is to accept, by round.
    turns: std::sync::Mutex<HashMap<String, Weak<Mutex<()>>>>,
}

impl Waitlist {
    /// The turn of those who accept an offer of a round.
    fn turn(&self, round: &str) -> Arc<Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(round).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Mutex::new(()));
        turns.insert(round.to_owned(), Arc::downgrade(&turn));
        turn
    }

    /// Something may have become free.
    pub(in crate::engine) fn wake(&self) {
        self.wake.notify_one();
    }
}

/// What came of looking after those who wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tended {
    /// Rounds of offers that were started.
    pub rounds: u64,
    /// Offers in them.
    pub offers: u64,
    /// Rounds that nobody accepted, and that have ended.
    pub ended: u64,
    /// Offers that were taken back.
    pub withdrawn: u64,
}

/// What is known of those who wait.
struct Tender {
    seen: Seen,
    /// Changes from this instant on are news (milliseconds).
    since: i64,
    /// By the id of the Appointment.
    entries: HashMap<String, Arc<Entry>>,
    /// Those that are open, by the id of the Task.
    offers: HashMap<String, Offer>,
    /// Appointments that hold a time while it is offered.
    rounds: HashSet<String>,
    /// When holds end, of rounds and others.
    ends: BTreeSet<(i64, String)>,
    /// By which rules can be booked; none while nobody waits.
    rules: Option<Bookables>,
    /// What has changed before the first look.
    missed: Vec<(ResourceType, String)>,
}

/// What has changed.
#[derive(Default)]
struct News {
    freed: BTreeSet<Freed>,
    /// Rounds of which an offer was answered.
    answered: HashSet<String>,
}

impl Engine {
    /// Wakes whoever waits when something may have become free on this node.
    pub fn waitlist_wake(&self) -> Arc<Notify> {
        Arc::clone(&self.waitlist.wake)
    }

    /// Offers what has become free to those who wait, and ends offers that are over.
    ///
    /// # Errors
    /// The store fails.
    pub async fn tend_waitlist(&self) -> Result<Tended, Error> {
        let mut lock = self.waitlist.tender.lock().await;
        // What is half done when something fails is found again from the beginning.
        let mut tender = match lock.take() {
            Some(tender) => tender,
            None => self.first_look().await?,
        };
        let mut all = Tended::default();
        for _ in 0..PASSES {
            let one = self.look_after(&mut tender).await?;
            if one == Tended::default() {
                break;
            }
            all.rounds += one.rounds;
            all.offers += one.offers;
            all.ended += one.ended;
            all.withdrawn += one.withdrawn;
        }
        *lock = Some(tender);
        Ok(all)
    }

    async fn first_look(&self) -> Result<Tender, Error> {
        let mut tender = Tender {
            seen: self.store.start_seen(KINDS.to_vec()).await?,
            since: self.clock.now() - SKEW,
            entries: HashMap::new(),
            offers: HashMap::new(),
            rounds: HashSet::new(),
            ends: BTreeSet::new(),
            rules: None,
            missed: Vec::new(),
        };
        for query in [
            "status=waitlist".to_owned(),
            format!("status=pending&identifier={ROUND}|"),
        ] {
            let found = self.find(APPOINTMENT, &query, 1, &ALL).await?;
            let mut position = None;
            while let Some(page) = self
                .page_of(APPOINTMENT, &found.clause, &mut position)
                .await?
            {
                for stored in &page {
                    self.note(&mut tender, stored).await?;
                }
            }
        }
        let query = format!(
            "code={}|offer&status=requested",
            crate::scheduling::waitlist::CODES
        );
        let found = self.find(TASK, &query, 1, &ALL).await?;
        let mut position = None;
        while let Some(page) = self.page_of(TASK, &found.clause, &mut position).await? {
            for stored in &page {
                tender.note_offer(stored);
            }
        }
        if !tender.entries.is_empty() {
            for kind in [APPOINTMENT, ResourceType::SLOT] {
                let (names, since) = self.recently_changed(kind, RECENT).await?;
                tender.since = tender.since.min(since);
                tender.missed.extend(names.into_iter().map(|id| (kind, id)));
            }
        }
        Ok(tender)
    }

    async fn look_after(&self, tender: &mut Tender) -> Result<Tended, Error> {
        let began = self.clock.now();
        let mut changed = std::mem::take(&mut tender.missed);
        changed.extend(self.store.changed(&mut tender.seen).await?);
        if tender.is_idle() {
            let may_wait = changed.iter().any(|(kind, _)| *kind == APPOINTMENT);
            let waits = || self.find(APPOINTMENT, "status=waitlist", 1, &ALL);
            if !may_wait || waits().await?.hits.is_empty() {
                tender.rules = None;
                tender.ends.clear();
                tender.since = began - SKEW;
                return Ok(Tended::default());
            }
        }
        self.update_board().await?;
        let mut news = News::default();
        for some in changed.chunks(PAGE) {
            let keys: Vec<(ResourceType, &str)> =
                some.iter().map(|(kind, id)| (*kind, id.as_str())).collect();
            let found = self.store.current(&keys, &ALL).await?;
            for stored in found.into_iter().flatten() {
                self.take_in(tender, &stored, &mut news).await?;
            }
        }
        let rules = Arc::clone(self.board.read().bookables());
        if let Some(before) = tender.rules.replace(Arc::clone(&rules))
            && !Arc::ptr_eq(&before, &rules)
        {
            self.freed_by_rules(&before, &rules, &mut news.freed);
        }
        let mut tended = Tended::default();
        self.end_what_is_over(tender, &mut news, &mut tended)
            .await?;
        for freed in &news.freed {
            let (rounds, offers) = self.offer_time(tender, freed).await?;
            tended.rounds += rounds;
            tended.offers += offers;
        }
        tender.since = began - SKEW;
        Ok(tended)
    }

    /// Takes a change in.
    async fn take_in(
        &self,
        tender: &mut Tender,
        stored: &Stored,
        news: &mut News,
    ) -> Result<(), Error> {
        match stored.head.kind {
            APPOINTMENT => {
                self.note(tender, stored).await?;
                self.freed_by_appointment(stored, tender.since, &mut news.freed)
                    .await
            }
            ResourceType::SLOT => {
                self.freed_by_slot(stored, tender.since, &mut news.freed)
                    .await
            }
            _ => {
                news.answered.extend(tender.note_offer(stored));
                Ok(())
            }
        }
    }

    /// Notes who waits, and which holds there are.
    async fn note(&self, tender: &mut Tender, stored: &Stored) -> Result<(), Error> {
        let id = &stored.head.id;
        tender.entries.remove(id);
        tender.rounds.remove(id);
        if stored.head.deleted {
            return Ok(());
        }
        let doc = parse_stored(stored)?;
        let Some(appointment) = Appointment::read(&doc, &self.settings.base_url) else {
            return Ok(());
        };
        match appointment.status {
            Status::Waitlist => {
                let since = match appointment.created {
                    Some(_) => 0,
                    None => self.began_to_wait(stored).await?,
                };
                match self.entry(id, &doc, since) {
                    Ok(Some(entry)) if !entry.wanted.patients.is_empty() => {
                        tender.entries.insert(id.clone(), Arc::new(entry));
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(id, %error, "nothing is offered to who waits"),
                }
            }
            Status::Pending => {
                if let Some(end) = expiry(&appointment) {
                    tender.ends.insert((end, id.clone()));
                    if appointment.offered.is_some() {
                        tender.rounds.insert(id.clone());
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// When somebody began to wait who does not say it.
    async fn began_to_wait(&self, stored: &Stored) -> Result<i64, Error> {
        let head = &stored.head;
        let mut since = head.updated;
        if head.version > 1 {
            let first = self.store.version(head.kind, &head.id, 1, &ALL).await?;
            let first = first.map(|entry| entry.stored);
            let waited = first.filter(|first| {
                let doc = parse_stored(first).ok();
                let read = doc.and_then(|doc| Appointment::read(&doc, &self.settings.base_url));
                read.is_some_and(|one| one.status == Status::Waitlist)
            });
            since = waited.map_or(since, |first| first.head.updated);
        }
        Ok(since / 1_000)
    }

    /// Ends rounds whose time is over, or that all have declined, and offers of rounds and of
    /// people that are no more.
    async fn end_what_is_over(
        &self,
        tender: &mut Tender,
        news: &mut News,
        tended: &mut Tended,
    ) -> Result<(), Error> {
        let now = self.clock.now() / 1_000;
        let mut over: HashSet<String> = HashSet::new();
        while let Some((end, id)) = tender.ends.first().cloned() {
            if end > now {
                break;
            }
            tender.ends.pop_first();
            if tender.rounds.contains(&id) {
                over.insert(id);
                continue;
            }
            let Some((_, _, held)) = self.any_appointment(&id).await? else {
                continue;
            };
            let is_over = expiry(&held).is_some_and(|end| end <= now) && held.offered.is_none();
            if let Some(span) = held.span.filter(|_| is_over) {
                news.freed.extend(self.time_of(&held, span).await?);
            }
        }
        let is_open = |tender: &Tender, round: &String| {
            let mut offers = tender.offers.values();
            offers.any(|offer| offer.round == *round)
        };
        let answered = news.answered.drain();
        let declined = answered.filter(|id| tender.rounds.contains(id) && !is_open(tender, id));
        over.extend(declined.collect::<Vec<_>>());
        // Offers to who no longer waits, or of a time that is no longer held.
        let dangling: Vec<(String, String)> = tender
            .offers
            .iter()
            .filter(|(_, offer)| {
                !tender.rounds.contains(&offer.round) || !tender.entries.contains_key(&offer.entry)
            })
            .map(|(task, offer)| (task.clone(), offer.round.clone()))
            .collect();
        for (task, round) in dangling {
            tended.withdrawn += u64::from(self.withdraw(&task).await?);
            tender.offers.remove(&task);
            if tender.rounds.contains(&round) && !is_open(tender, &round) {
                over.insert(round);
            }
        }
        for id in over {
            tended.ended += u64::from(self.end_round(&id).await?);
            tender.rounds.remove(&id);
            tender.offers.retain(|_, offer| offer.round != id);
        }
        Ok(())
    }

    /// Takes an offer back.
    async fn withdraw(&self, task: &str) -> Result<bool, Error> {
        let found = self.store.current(&[(TASK, task)], &ALL).await?;
        let Some(stored) = found.into_iter().flatten().next() else {
            return Ok(false);
        };
        if stored.head.deleted {
            return Ok(false);
        }
        let offer = Offer::read(&parse_stored(&stored)?);
        if !offer.is_some_and(|offer| offer.is_open()) {
            return Ok(false);
        }
        let why = r#"{"text":"It is no longer offered."}"#;
        let ended = self.ended(&stored, "cancelled", Some(why))?;
        self.written_unless_lost(vec![ended]).await
    }
}

impl Tender {
    /// Nobody waits, and nothing is offered.
    fn is_idle(&self) -> bool {
        self.entries.is_empty() && self.offers.is_empty() && self.rounds.is_empty()
    }

    /// Notes an offer; if it is answered, the round that it was of.
    fn note_offer(&mut self, stored: &Stored) -> Option<String> {
        let known = self.offers.remove(&stored.head.id);
        let doc = (!stored.head.deleted).then(|| parse_stored(stored).ok())?;
        let offer = doc.and_then(|doc| Offer::read(&doc));
        match offer.filter(Offer::is_open) {
            Some(offer) => {
                self.offers.insert(stored.head.id.clone(), offer);
                None
            }
            None => known.map(|known| known.round),
        }
    }
}
