//! All that can be booked, in memory: Schedules with what follows from them, and the claims on
//! the time of those who were asked about. It is brought up to date before each use, by one
//! request for all that wait, so that a node sees what another has committed.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use resources::{Doc, doc::Bounds, model::ResourceType, outcome::Issue};
use tokio::sync::{Mutex, Semaphore};

use super::{assign::Chosen, number, offered::Templates, refusal::schedule_number};
use crate::{
    access::Access,
    engine::{
        Engine,
        error::{Error, ErrorKind},
    },
    scheduling::{
        bookable::{Bookable, Bookables},
        calendar::{Calendar, Calendars},
        claim::{Claim, Number},
        find::Cache,
        rules::{self, Defaults},
    },
    search::plan::{Clause, Plan, TotalMode},
    store::{Head, Seen, Stored},
};

/// The types that claim time.
const CLAIMING: &[ResourceType] = &[ResourceType::APPOINTMENT, ResourceType::SLOT];
/// Schedules that are read together.
const PAGE: usize = 500;
/// Schedules that are made ready where they are asked for; for more it takes too long.
const FEW: usize = 8;
/// Claims that are taken over at a time, while others wait for the board.
const TOGETHER: usize = 4_000;
/// Steps from a Schedule to what it depends on: role, place, the place that is part of.
const STEPS: usize = 5;
/// Changed owners of claims beyond which all calendars are read anew.
const MANY: usize = 5_000;
/// Calendars that are kept.
const CALENDARS: usize = 50_000;
/// Bytes of hours that were expanded and of bits that were made of them.
const CACHE_BYTES: usize = 256 << 20;
/// Seconds of the past that calendars have.
pub(super) const PAST: i64 = 35 * 86_400;

static ALL: Access =
    Access::system("what can be booked follows from all rules; who may see it is asked later");

/// What can be booked, as this node knows it.
pub struct Board {
    turn: Mutex<Turn>,
    /// Updates that have begun.
    begun: AtomicU64,
    state: RwLock<State>,
    /// Hours that were expanded, and what was made of them.
    cache: Arc<Cache>,
    /// A permit for each thread that may work aside.
    aside: Arc<Semaphore>,
    /// What is about to be booked.
    chosen: Chosen,
    /// What searches know of the Slots that follow from rules.
    templates: Templates,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            turn: Mutex::default(),
            begun: AtomicU64::new(0),
            state: RwLock::default(),
            cache: Arc::new(Cache::new(CACHE_BYTES)),
            aside: Arc::new(Semaphore::new(threads())),
            chosen: Chosen::default(),
            templates: Templates::default(),
        }
    }
}

/// As many as do no harm to those that answer requests.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |all| all.get().div_ceil(2))
}

#[derive(Default)]
struct Turn {
    /// Up to where the log was read; `None` before the first time.
    seen: Option<Seen>,
    /// The number of the last update that has ended.
    done: u64,
}

/// A moment of the board.
#[derive(Default)]
pub struct State {
    /// By id of the Schedule.
    bookables: HashMap<String, Arc<Bookable>>,
    /// When each Schedule was written, in milliseconds since 1970.
    updated: HashMap<String, i64>,
    list: Bookables,
    by_actor: HashMap<Number, Vec<Arc<Bookable>>>,
    /// Why a Schedule cannot be booked.
    unusable: HashMap<String, Vec<Issue>>,
    /// On what a Schedule depends, and the other way round: `Location/1`.
    depends: HashMap<String, BTreeSet<String>>,
    dependents: HashMap<String, BTreeSet<String>>,
    calendars: HashMap<Number, Arc<Calendar>>,
    /// Whose time an Appointment or Slot claims.
    claimed: HashMap<Number, Vec<Number>>,
}

impl State {
    /// All that can be booked, in the order of their numbers.
    pub fn bookables(&self) -> &Bookables {
        &self.list
    }

    /// The Schedule with this id, if it can be booked.
    pub fn bookable(&self, id: &str) -> Option<&Arc<Bookable>> {
        self.bookables.get(id)
    }

    /// When the Schedule with this id was written, in milliseconds since 1970.
    pub fn updated(&self, id: &str) -> i64 {
        self.updated.get(id).copied().unwrap_or_default()
    }

    /// Why the Schedule with this id cannot be booked, if that is so.
    pub fn unusable(&self, id: &str) -> Option<&[Issue]> {
        self.unusable.get(id).map(Vec::as_slice)
    }

    /// The Schedules of an actor.
    pub fn of_actor(&self, actor: Number) -> &[Arc<Bookable>] {
        self.by_actor.get(&actor).map_or(&[], Vec::as_slice)
    }

    fn arrange(&mut self) {
        let mut list: Vec<Arc<Bookable>> = self.bookables.values().cloned().collect();
        list.sort_by_key(|bookable| bookable.rid);
        self.by_actor.clear();
        for bookable in &list {
            for actor in &bookable.actors {
                let of_actor = self.by_actor.entry(actor.number).or_default();
                of_actor.push(Arc::clone(bookable));
            }
        }
        self.list = Arc::new(list);
    }

    fn forget(&mut self, schedule: &str) {
        self.bookables.remove(schedule);
        self.updated.remove(schedule);
        self.unusable.remove(schedule);
        for reference in self.depends.remove(schedule).unwrap_or_default() {
            if let Some(of) = self.dependents.get_mut(&reference) {
                of.remove(schedule);
            }
        }
    }

    /// Takes over some calendars, and whose time the owners in them claim.
    fn add_calendars(&mut self, calendars: Vec<(Number, Arc<Calendar>)>) {
        for (actor, calendar) in calendars {
            for claim in calendar.claims() {
                let owned = self.claimed.entry(claim.owner).or_default();
                if !owned.contains(&actor) {
                    owned.push(actor);
                }
            }
            self.calendars.insert(actor, calendar);
        }
    }

    /// The calendars of some actors as they are now.
    pub fn snapshot(&self, actors: &[Number]) -> Snapshot {
        let known = actors.iter().filter_map(|actor| {
            let calendar = self.calendars.get(actor)?;
            Some((*actor, Arc::clone(calendar)))
        });
        Snapshot(known.collect())
    }

    fn replace_claims(&mut self, owners: &[Number], claims: &[Claim]) {
        let mut by_owner: HashMap<Number, Vec<Claim>> = HashMap::new();
        for claim in claims {
            by_owner.entry(claim.owner).or_default().push(*claim);
        }
        for owner in owners {
            let claims = by_owner.remove(owner).unwrap_or_default();
            let mut actors = self.claimed.remove(owner).unwrap_or_default();
            let now: HashSet<Number> = claims.iter().map(|claim| claim.actor).collect();
            actors.extend(
                now.iter()
                    .copied()
                    .filter(|actor| !actors.contains(actor))
                    .collect::<Vec<_>>(),
            );
            for actor in actors {
                if let Some(calendar) = self.calendars.get_mut(&actor) {
                    let own = claims.iter().filter(|claim| claim.actor == actor);
                    let calendar = Arc::make_mut(calendar);
                    calendar.replace(*owner, own.copied().collect());
                }
            }
            let kept: Vec<Number> = now
                .into_iter()
                .filter(|actor| self.calendars.contains_key(actor))
                .collect();
            if !kept.is_empty() {
                self.claimed.insert(*owner, kept);
            }
        }
    }
}

impl Calendars for State {
    fn of(&self, actor: Number) -> Option<&Calendar> {
        self.calendars.get(&actor).map(Arc::as_ref)
    }

    fn openings(&self, bookable: &Bookable) -> Option<&Calendar> {
        self.of(schedule_number(&bookable.id))
    }
}

/// Some calendars as they were at a moment: whoever looks at them keeps nobody waiting.
pub struct Snapshot(HashMap<Number, Arc<Calendar>>);

impl Calendars for Snapshot {
    fn of(&self, actor: Number) -> Option<&Calendar> {
        self.0.get(&actor).map(Arc::as_ref)
    }

    fn openings(&self, bookable: &Bookable) -> Option<&Calendar> {
        self.of(schedule_number(&bookable.id))
    }
}

/// Calendars of these actors, also of those without claims, some at a time.
fn calendars(actors: &[Number], claims: Vec<Claim>) -> Vec<Vec<(Number, Arc<Calendar>)>> {
    let mut of_actor: HashMap<Number, Vec<Claim>> =
        actors.iter().map(|actor| (*actor, Vec::new())).collect();
    for claim in claims {
        of_actor.entry(claim.actor).or_default().push(claim);
    }
    let (mut all, mut some, mut count) = (Vec::new(), Vec::new(), 0);
    for (actor, claims) in of_actor {
        count += claims.len() + 1;
        some.push((actor, Arc::new(Calendar::new(claims))));
        if count >= TOGETHER {
            all.push(std::mem::take(&mut some));
            count = 0;
        }
    }
    all.push(some);
    all
}

impl Board {
    /// The board as it is; not to be held over an await.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was chosen among several and is not yet committed.
    pub fn chosen(&self) -> &Chosen {
        &self.chosen
    }

    /// Hours that were expanded before.
    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// What searches know of the Slots that follow from rules.
    pub fn templates(&self) -> &Templates {
        &self.templates
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Brings the board up to date with all that was acknowledged before this call.
    pub(in crate::engine) async fn update_board(&self) -> Result<(), Error> {
        let board = &self.board;
        let before = board.begun.load(Ordering::Acquire);
        let mut turn = board.turn.lock().await;
        if turn.done > before {
            // An update that began after this call has ended meanwhile.
            return Ok(());
        }
        let number = board.begun.fetch_add(1, Ordering::AcqRel) + 1;
        self.follow(&mut turn).await?;
        turn.done = number;
        Ok(())
    }

    /// The calendars of `actors`, which are kept up to date from then on.
    pub(in crate::engine) async fn load_calendars(&self, actors: &[Number]) -> Result<(), Error> {
        let missing = |state: &State| -> Vec<Number> {
            let new = |actor: &&Number| !state.calendars.contains_key(actor);
            actors.iter().filter(new).copied().collect()
        };
        if missing(&self.board.read()).is_empty() {
            return Ok(());
        }
        let _turn = self.board.turn.lock().await;
        let mut wanted = missing(&self.board.read());
        wanted.sort_unstable();
        wanted.dedup();
        if self.board.read().calendars.len() + wanted.len() > CALENDARS {
            let mut state = self.board.write();
            state.calendars.clear();
            state.claimed.clear();
            drop(state);
            wanted = actors.to_vec();
            wanted.sort_unstable();
            wanted.dedup();
        }
        let from = self.clock.now() / 1_000 - PAST;
        for some in wanted.chunks(PAGE) {
            let claims = self.store.claims_of(some, from).await?;
            let made = if claims.len() < TOGETHER / 4 {
                calendars(some, claims)
            } else {
                let some = some.to_vec();
                self.aside(move || calendars(&some, claims)).await?
            };
            for some in made {
                self.board.write().add_calendars(some);
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Does what takes more than a moment on a thread on which no request waits; few at once.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let failed = || {
            let text = "what was asked for cannot be computed";
            Error::new(ErrorKind::Internal, "exception", text)
        };
        let permit = Arc::clone(&self.board.aside).acquire_owned().await;
        let permit = permit.map_err(|_| failed())?;
        let work = move || {
            // Whoever asked may have gone: it is kept until the work is done.
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "work of scheduling failed");
            failed()
        })
    }

    async fn follow(&self, turn: &mut Turn) -> Result<(), Error> {
        let Some(seen) = &mut turn.seen else {
            let rules = rules::KINDS
                .iter()
                .filter_map(|name| ResourceType::from_name(name));
            let kinds = rules.chain(CLAIMING.iter().copied()).collect();
            // First where the log ends, then what there is: nothing lies between.
            let seen = self.store.start_seen(kinds).await?;
            self.load_schedules().await?;
            turn.seen = Some(seen);
            return Ok(());
        };
        let changed = match self.store.changed(seen).await {
            Ok(changed) => changed,
            Err(error) => {
                // What was read of the log may be lost: all is read anew the next time.
                turn.seen = None;
                *self.board.write() = State::default();
                return Err(error.into());
            }
        };
        if changed.is_empty() {
            return Ok(());
        }
        let done = self.take_over(changed).await;
        if done.is_err() {
            turn.seen = None;
            *self.board.write() = State::default();
        }
        done
    }

    /// What could be booked of a Schedule if these resources were as they are given, and on what it
    /// depends.
    pub(super) async fn bookable_with(
        &self,
        schedule: Stored,
        given: HashMap<String, Arc<Doc>>,
    ) -> Result<(Result<Arc<Bookable>, Vec<Issue>>, BTreeSet<String>), Error> {
        let built = self.built_with(vec![schedule], given).await?;
        let built = built.into_iter().next();
        Ok(built.map_or((Err(Vec::new()), BTreeSet::new()), |built| {
            (built.bookable, built.depends)
        }))
    }

    async fn take_over(&self, changed: Vec<(ResourceType, String)>) -> Result<(), Error> {
        let (claiming, rules): (Vec<_>, Vec<_>) = changed
            .into_iter()
            .partition(|(kind, _)| CLAIMING.contains(kind));
        if claiming.len() > MANY {
            let mut state = self.board.write();
            state.calendars.clear();
            state.claimed.clear();
        } else if !claiming.is_empty() && !self.board.read().calendars.is_empty() {
            let owners: Vec<Number> = claiming
                .iter()
                .map(|(kind, id)| number(&format!("{kind}/{id}")))
                .collect();
            for some in owners.chunks(PAGE) {
                let claims = self.store.claims_by(some).await?;
                self.board.write().replace_claims(some, &claims);
            }
        }
        if rules.is_empty() {
            return Ok(());
        }
        let schedules = self.touched(&rules);
        if schedules.is_empty() {
            return Ok(());
        }
        for some in schedules.chunks(PAGE) {
            let keys: Vec<(ResourceType, &str)> = some
                .iter()
                .map(|id| (ResourceType::SCHEDULE, id.as_str()))
                .collect();
            let found = self.store.current(&keys, &ALL).await?;
            let built = self.built(found.into_iter().flatten().collect()).await?;
            self.board.write().put(some, built);
        }
        self.board.write().arrange();
        Ok(())
    }

    /// The Schedules that depend on what has changed.
    fn touched(&self, changed: &[(ResourceType, String)]) -> Vec<String> {
        let state = self.board.read();
        let mut schedules = BTreeSet::new();
        for (kind, id) in changed {
            if *kind == ResourceType::SCHEDULE {
                schedules.insert(id.clone());
            } else if let Some(of) = state.dependents.get(&format!("{kind}/{id}")) {
                schedules.extend(of.iter().cloned());
            }
        }
        schedules.into_iter().collect()
    }

    async fn load_schedules(&self) -> Result<(), Error> {
        let mut after = None;
        *self.board.write() = State::default();
        loop {
            let plan = Plan {
                types: vec![ResourceType::SCHEDULE],
                filter: Clause::All(Vec::new()),
                sort: Vec::new(),
                limit: PAGE,
                after,
                total: TotalMode::None,
            };
            let page = self.store.search(&plan, &ALL).await?;
            let Some(last) = page.hits.last() else { break };
            after = Some(last.position.clone());
            let stored: Vec<Stored> = page.hits.into_iter().map(|hit| hit.stored).collect();
            let ids: Vec<String> = stored.iter().map(|one| one.head.id.clone()).collect();
            let built = self.built(stored).await?;
            self.board.write().put(&ids, built);
            if !page.more {
                break;
            }
        }
        self.board.write().arrange();
        Ok(())
    }

    /// What can be booked of these Schedules, with all that they depend on read at once, step by
    /// step.
    async fn built(&self, schedules: Vec<Stored>) -> Result<Vec<Built>, Error> {
        self.built_with(schedules, HashMap::new()).await
    }

    /// As [`Engine::built`], with these resources (`Location/1`) as they are given in place of what
    /// is stored.
    async fn built_with(
        &self,
        schedules: Vec<Stored>,
        given: HashMap<String, Arc<Doc>>,
    ) -> Result<Vec<Built>, Error> {
        let mut building = Building {
            given,
            docs: HashMap::new(),
            schedules: Vec::new(),
            wanted: BTreeSet::new(),
            defaults: Defaults {
                zone: self.settings.time_zone.clone(),
                base: self.settings.base_url.clone(),
                number,
            },
        };
        let is_quick = schedules.len() <= FEW;
        building = self
            .built_aside(is_quick, move || building.begin(schedules))
            .await?;
        for _ in 0..STEPS {
            let docs = &building.docs;
            building
                .wanted
                .retain(|reference| !docs.contains_key(reference));
            if building.wanted.is_empty() {
                break;
            }
            let wanted = std::mem::take(&mut building.wanted);
            let keys = wanted.iter().filter_map(|reference| split(reference));
            let keys: Vec<(ResourceType, &str)> = keys.collect();
            let mut found = Vec::with_capacity(keys.len());
            for some in keys.chunks(PAGE) {
                let stored = self.store.current(some, &ALL).await?;
                let named = some.iter().map(|(kind, id)| format!("{kind}/{id}"));
                found.extend(named.zip(stored));
            }
            drop(keys);
            let is_quick = is_quick && found.len() <= FEW;
            building = self
                .built_aside(is_quick, move || building.add(wanted, found))
                .await?;
        }
        self.built_aside(is_quick, move || building.end()).await
    }

    /// Does a step of the building here, if it is done at once.
    async fn built_aside<T: Send + 'static>(
        &self,
        is_quick: bool,
        step: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        match is_quick {
            true => Ok(step()),
            false => self.aside(step).await,
        }
    }
}

/// Schedules with what they depend on, as far as it was read.
struct Building {
    /// What stands in place of what is stored.
    given: HashMap<String, Arc<Doc>>,
    docs: HashMap<String, Option<Arc<Doc>>>,
    schedules: Vec<(Head, Arc<Doc>)>,
    /// What is to be read next.
    wanted: BTreeSet<String>,
    defaults: Defaults,
}

impl Building {
    fn begin(mut self, schedules: Vec<Stored>) -> Self {
        let base = self.defaults.base.as_str();
        let given = std::mem::take(&mut self.given);
        for stored in schedules.iter().filter(|stored| !stored.head.deleted) {
            let given = given.get(&format!("Schedule/{}", stored.head.id));
            let Some(doc) = given.cloned().or_else(|| parse(stored)) else {
                continue;
            };
            self.wanted.extend(rules::needs(&doc, base));
            self.schedules.push((stored.head.clone(), doc));
        }
        for (reference, doc) in given {
            self.wanted.extend(rules::needs(&doc, base));
            self.docs.insert(reference, Some(doc));
        }
        self
    }

    fn add(mut self, wanted: BTreeSet<String>, found: Vec<(String, Option<Stored>)>) -> Self {
        for (reference, stored) in found {
            let alive = stored.filter(|stored| !stored.head.deleted);
            let doc = alive.as_ref().and_then(parse);
            if let Some(doc) = &doc {
                self.wanted.extend(rules::needs(doc, &self.defaults.base));
            }
            self.docs.insert(reference, doc);
        }
        for reference in wanted {
            self.docs.entry(reference).or_default();
        }
        self
    }

    fn end(self) -> Vec<Built> {
        let built = self.schedules.into_iter().map(|(head, doc)| {
            let used = std::cell::RefCell::new(BTreeSet::new());
            let get = |reference: &str| {
                used.borrow_mut().insert(reference.to_owned());
                self.docs.get(reference).cloned().flatten()
            };
            let bookable = rules::bookable(head.rid, &doc, &get, &self.defaults).map(Arc::new);
            Built {
                id: head.id,
                updated: head.updated,
                bookable,
                depends: used.into_inner(),
            }
        });
        built.collect()
    }
}

fn parse(stored: &Stored) -> Option<Arc<Doc>> {
    let doc = Doc::parse_bytes(&stored.body, &Bounds::default());
    doc.ok().map(Arc::new)
}

/// What came of a Schedule.
struct Built {
    id: String,
    updated: i64,
    bookable: Result<Arc<Bookable>, Vec<Issue>>,
    /// On what it depends, there or not.
    depends: BTreeSet<String>,
}

impl State {
    /// Replaces what is known of the Schedules `ids`.
    fn put(&mut self, ids: &[String], built: Vec<Built>) {
        for id in ids {
            self.forget(id);
        }
        for one in built {
            for reference in &one.depends {
                let of = self.dependents.entry(reference.clone()).or_default();
                of.insert(one.id.clone());
            }
            self.depends.insert(one.id.clone(), one.depends);
            match one.bookable {
                Ok(bookable) => {
                    self.updated.insert(one.id.clone(), one.updated);
                    self.bookables.insert(one.id, bookable);
                }
                Err(issues) => {
                    self.unusable.insert(one.id, issues);
                }
            }
        }
    }
}

/// `Practitioner/1` as type and id.
pub(super) fn split(reference: &str) -> Option<(ResourceType, &str)> {
    let (kind, id) = reference.split_once('/')?;
    Some((ResourceType::from_name(kind)?, id))
}
