//! What a search looks for among the Slots that follow from rules: a condition without chains, the
//! Schedules concerned, and the time.

use std::{collections::HashMap, sync::Arc};

use resources::{
    index::{Entry, ParamId, Registry, key},
    model::ResourceType,
    primitive::DateRange,
};

use super::{
    Engine, Error, ErrorKind,
    board::PAST,
    offered::{entries, status},
    refusal::schedule_number,
};
use crate::{
    access::Access,
    engine::{operation::Resource, submit::resource},
    scheduling::{
        bookable::Bookable,
        calendar::SlotState,
        offers::{Offer, Order, lengths},
        slots::{ComputedSlot, SlotId},
        span::{FAR_FUTURE, Span},
    },
    search::{
        access_clause,
        matches::{Facts, matches},
        partly::{self, Nobody},
        plan::{Clause, KeyRange, Plan, Sort, SortKey, TotalMode},
    },
};

/// Resources that a chain leads to.
const CHAINED: usize = 50_000;
/// Those that are read together.
const PAGE: usize = 1_000;
/// Templates that are made before others get their turn.
const TEMPLATES: usize = 16;

static ALL: Access = Access::system("what decides of access looks at everything");

const SLOT: ResourceType = ResourceType::SLOT;

/// What is looked for among the Slots that follow from rules.
pub struct Sought {
    /// Without chains.
    pub(super) clause: Clause,
    pub(super) sort: Vec<Sort>,
    /// Of whom, in the order of their numbers, and when their Schedules were written.
    pub(super) bookables: Vec<Arc<Bookable>>,
    pub(super) updated: Vec<i64>,
    /// When the slots begin.
    pub(super) within: Span,
    /// Only these, if ids are asked for.
    pub(super) listed: Option<Vec<(usize, Span)>>,
    pub(super) now: i64,
    pub(super) registry: Arc<Registry>,
    generation: i64,
    pub(super) base_url: String,
    /// The parameters `start` and `status`.
    open: [ParamId; 2],
    /// The index entries of each status.
    statuses: HashMap<&'static str, Vec<Entry>>,
    /// Parameters are asked for that somebody has posted: what they find is not known beforehand.
    pub(super) by_text: bool,
}

/// What is settled of a condition, and the entries that settle it, by Schedule and kinds of visit.
pub type Settled = HashMap<(usize, u64), (Arc<Vec<Entry>>, Clause)>;

impl Engine {
    /// The condition as far as it is settled for a Schedule and kinds of visit.
    pub(super) fn settled(
        &self,
        sought: &Sought,
        (at, visits): (usize, u64),
    ) -> (Arc<Vec<Entry>>, Clause) {
        let updated = sought.updated[at];
        let template = self.board.templates().entries(
            &sought.bookables[at],
            visits,
            updated,
            (&sought.registry, sought.generation),
            &sought.base_url,
        );
        if sought.by_text {
            return (template, Clause::All(Vec::new()));
        }
        let facts = Facts {
            kind: SLOT,
            id: "",
            updated,
            entries: &template,
            text: None,
        };
        let clause = partly::given(&sought.clause, &facts, &sought.open);
        (template, clause)
    }

    /// The same condition with what chains lead to in their place.
    async fn flat(&self, clause: &Clause, access: &Access) -> Result<Clause, Error> {
        Ok(match clause {
            Clause::All(parts) => Clause::All(self.flat_each(parts, access).await?),
            Clause::Any(parts) => Clause::Any(self.flat_each(parts, access).await?),
            Clause::Not(part) => Clause::Not(Box::new(Box::pin(self.flat(part, access)).await?)),
            // What decides looks at everything.
            Clause::Decided(part) => Box::pin(self.flat(part, &ALL)).await?,
            Clause::Refers {
                param,
                target,
                canonical: None,
                inner,
            } => {
                let found = self.chained(*target, inner, access).await?;
                let named = |found: &Resource| KeyRange::exact(key::reference(*target, &found.id));
                Clause::Keys {
                    param: *param,
                    ranges: found.iter().map(named).collect(),
                }
            }
            Clause::Refers { .. } => Clause::Any(Vec::new()),
            Clause::ReferredBy {
                source,
                param,
                canonical: None,
                inner,
            } => {
                let inner = Clause::All(vec![Clause::HasParam(*param), (**inner).clone()]);
                let registry = self.registry();
                let mut ids = Vec::new();
                for found in self.chained(*source, &inner, access).await? {
                    let references = self.references(&registry, &found)?;
                    let to_slots = references
                        .into_iter()
                        .filter(|(by, (kind, _))| by == param && *kind == SLOT);
                    ids.extend(to_slots.map(|(_, (_, id))| id));
                }
                Clause::Ids(ids)
            }
            Clause::ReferredBy { .. } => Clause::Any(Vec::new()),
            other => other.clone(),
        })
    }

    async fn flat_each(&self, parts: &[Clause], access: &Access) -> Result<Vec<Clause>, Error> {
        let mut out = Vec::with_capacity(parts.len());
        for part in parts {
            out.push(Box::pin(self.flat(part, access)).await?);
        }
        Ok(out)
    }

    /// What the end of a chain satisfies.
    async fn chained(
        &self,
        kind: ResourceType,
        inner: &Clause,
        access: &Access,
    ) -> Result<Vec<Resource>, Error> {
        let mut plan = Plan {
            types: vec![kind],
            filter: inner.clone(),
            sort: Vec::new(),
            limit: PAGE,
            after: None,
            total: TotalMode::None,
        };
        let mut all = Vec::new();
        loop {
            let page = self.store.search(&plan, access).await?;
            all.extend(page.hits.iter().map(|hit| resource(&hit.stored)));
            plan.after = page.hits.last().map(|hit| hit.position.clone());
            if !page.more || plan.after.is_none() {
                return Ok(all);
            }
            if all.len() > CHAINED {
                return Err(Error::new(
                    ErrorKind::TooCostly,
                    "too-costly",
                    format!("a chain of the search leads to too many resources of type {kind}"),
                ));
            }
        }
    }
}

impl Sought {
    /// What a plan looks for; `None` if nothing can be found.
    pub(super) async fn of(
        engine: &Engine,
        plan: &Plan,
        access: &Access,
    ) -> Result<Option<Self>, Error> {
        engine.update_board().await?;
        let list = Arc::clone(engine.board.read().bookables());
        if list.iter().all(|bookable| bookable.visits.is_empty()) {
            return Ok(None);
        }
        let hidden = engine.personal(access).await?;
        let registry = engine.registry();
        let mut filter = vec![plan.filter.clone()];
        filter.extend(access_clause(access, SLOT, &registry));
        let clause = engine.flat(&Clause::All(filter), access).await?;
        if clause.is_never() {
            return Ok(None);
        }
        let mut sought = Self::new(engine, clause, plan.sort.clone());
        let (Some(schedule), [start, _]) = (
            registry.param(SLOT, "schedule").map(|param| param.id),
            sought.open,
        ) else {
            return Ok(None);
        };
        let referred = partly::referred(&sought.clause, schedule, ResourceType::SCHEDULE);
        let ids = partly::ids(&sought.clause);
        let mut spans: HashMap<String, Vec<Span>> = HashMap::new();
        {
            let state = engine.board.read();
            for id in ids.iter().flatten() {
                let Some(slot) = SlotId::parse(id) else {
                    continue;
                };
                if let Some(bookable) = state.bookable_of(&slot) {
                    let span = Span::new(slot.start, slot.start + slot.duration);
                    spans.entry(bookable.id.clone()).or_default().push(span);
                }
            }
            let known = |id: &String| state.bookable(id).cloned();
            let mut concerned: Vec<Arc<Bookable>> = match (&ids, &referred) {
                (Some(_), Some(referred)) => {
                    let both = spans.keys().filter(|id| referred.contains(*id));
                    both.filter_map(known).collect()
                }
                (Some(_), None) => spans.keys().filter_map(known).collect(),
                (None, Some(referred)) => referred.iter().filter_map(known).collect(),
                (None, None) => list.to_vec(),
            };
            concerned
                .retain(|bookable| !bookable.visits.is_empty() && !hidden.contains(&bookable.id));
            concerned.sort_unstable_by_key(|bookable| bookable.rid);
            for bookable in concerned {
                sought.updated.push(state.updated(&bookable.id));
                sought.bookables.push(bookable);
            }
        }
        sought.within = sought.times(partly::instants(&sought.clause, start));
        sought.clause = settle(sought.clause, schedule);
        sought.narrow(engine).await;
        if ids.is_some() {
            let listed = sought
                .bookables
                .iter()
                .enumerate()
                .flat_map(|(at, bookable)| {
                    let spans = spans.remove(&bookable.id).unwrap_or_default();
                    spans.into_iter().map(move |span| (at, span))
                });
            sought.listed = Some(listed.collect());
        }
        if sought.bookables.is_empty() {
            return Ok(None);
        }
        let of = |bookable: &Arc<Bookable>| {
            let actors = bookable.actors.iter().map(|actor| actor.number);
            actors
                .chain([schedule_number(&bookable.id)])
                .collect::<Vec<_>>()
        };
        let actors: Vec<_> = sought.bookables.iter().flat_map(of).collect();
        engine.load_calendars(&actors).await?;
        Ok(Some(sought))
    }

    /// All Slots of one Schedule that `access` lets be seen.
    pub(super) async fn of_one(
        engine: &Engine,
        bookable: Arc<Bookable>,
        access: &Access,
    ) -> Result<Self, Error> {
        let condition = access_clause(access, SLOT, &engine.registry());
        let condition = condition.unwrap_or(Clause::All(Vec::new()));
        let clause = engine.flat(&condition, access).await?;
        let mut sought = Self::new(engine, clause, Vec::new());
        let updated = engine.board.read().updated(&bookable.id);
        sought.updated.push(updated);
        sought.bookables.push(bookable);
        Ok(sought)
    }

    fn new(engine: &Engine, clause: Clause, sort: Vec<Sort>) -> Self {
        let (registry, generation) = engine.search_parameters();
        let base_url = engine.settings.base_url.clone();
        let param = |code: &str| {
            let found = registry.param(SLOT, code);
            found.map_or(ParamId::FIRST_CUSTOM, |param| param.id)
        };
        let open = [param("start"), param("status")];
        let states = [
            SlotState::Free,
            SlotState::Busy,
            SlotState::Tentative(0),
            SlotState::Unavailable,
        ];
        let statuses = states.map(|state| {
            let code = status(state);
            let text = format!(r#"{{"resourceType":"Slot","status":"{code}"}}"#);
            let mut entries = entries(&text, &registry, &base_url);
            entries.retain(|entry| entry.param == open[1]);
            (code, entries)
        });
        let mut params = Vec::new();
        crate::engine::search::parameters(&clause, &mut params);
        for sort in &sort {
            if let SortKey::Keys { params: by, .. } = &sort.by {
                params.extend(by);
            }
        }
        Self {
            clause,
            sort,
            bookables: Vec::new(),
            updated: Vec::new(),
            within: Span::new(0, 0),
            listed: None,
            now: engine.clock.now().div_euclid(1_000),
            generation,
            base_url,
            open,
            statuses: statuses.into_iter().collect(),
            by_text: params.iter().any(|param| param.is_custom()),
            registry,
        }
    }

    /// When slots begin that begin at one of these milliseconds. Who does not say since when asks
    /// for what is still to come, and who asks for what is past for as much of it as is known.
    fn times(&self, (from, to): (i64, i64)) -> Span {
        let up = |ms: i64| ms.div_euclid(1_000) + i64::from(ms.rem_euclid(1_000) > 0);
        let end = up(to).min(FAR_FUTURE);
        let start = match from {
            i64::MIN if end > self.now => self.now,
            from => up(from).max(self.now - PAST),
        };
        Span::new(start, end.max(start))
    }

    /// Leaves out Schedules that have nothing of what is sought.
    async fn narrow(&mut self, engine: &Engine) {
        let templates = engine.board.templates();
        let mut kept = Vec::with_capacity(self.bookables.len());
        let mut made = templates.made();
        for at in 0..self.bookables.len() {
            let mut sets = lengths(&self.bookables[at]).into_iter();
            // Which of several kinds of visit a slot is for is not known before it is looked at.
            kept.push(sets.any(|(_, set)| {
                set.count_ones() > 1 || !engine.settled(self, (at, set)).1.is_never()
            }));
            // The first time it takes a while.
            if templates.made() >= made + TEMPLATES {
                tokio::task::yield_now().await;
                made = templates.made();
            }
        }
        let mut keep = kept.iter();
        self.bookables.retain(|_| *keep.next().unwrap_or(&false));
        let mut keep = kept.iter();
        self.updated.retain(|_| *keep.next().unwrap_or(&false));
    }

    /// In which order slots are looked at, if that is the order asked for.
    pub(super) fn order(&self) -> Option<Order> {
        match &self.sort[..] {
            [] => Some(Order::Schedules),
            [
                Sort {
                    by: SortKey::Keys { params, .. },
                    descending,
                },
            ] if params[..] == [self.open[0]] => Some(match descending {
                true => Order::TimesBackwards,
                false => Order::Times,
            }),
            _ => None,
        }
    }

    /// The index entries of start and status, sorted.
    pub(super) fn own_entries(&self, span: Span, state: SlotState) -> Vec<Entry> {
        let lo = span.start * 1_000;
        let mut own = vec![Entry {
            param: self.open[0],
            key: key::date(DateRange { lo, hi: lo + 999 }),
        }];
        own.extend(
            self.statuses
                .get(status(state))
                .into_iter()
                .flatten()
                .cloned(),
        );
        own.sort_unstable();
        own
    }

    /// Whether a slot satisfies what is not settled yet.
    pub(super) fn fits(
        &self,
        clause: &Clause,
        bookable: &Bookable,
        offer: &Offer,
        own: &[Entry],
        updated: i64,
    ) -> bool {
        if clause.is_always() {
            return true;
        }
        let slot = ComputedSlot {
            start: offer.span.start,
            end: offer.span.end,
            state: SlotState::Free,
        };
        let id = match partly::asks_for_ids(clause) {
            true => SlotId::text(bookable, &slot),
            false => String::new(),
        };
        let facts = Facts {
            kind: SLOT,
            id: &id,
            updated,
            entries: own,
            text: None,
        };
        matches(clause, &facts, &Nobody)
    }

    pub(super) fn explained(&self) -> String {
        let at = |second: i64| resources::primitive::format_instant(second.saturating_mul(1_000));
        match &self.listed {
            Some(listed) => format!("computed Slots: {} by id", listed.len()),
            None => format!(
                "computed Slots: of {} Schedules, from {} to {}",
                self.bookables.len(),
                at(self.within.start),
                at(self.within.end)
            ),
        }
    }
}

/// Without what holds for all Schedules that are looked at, as these are those that it names.
fn settle(clause: Clause, schedule: ParamId) -> Clause {
    match clause {
        Clause::All(parts) => {
            let parts = parts.into_iter().map(|part| settle(part, schedule));
            Clause::All(parts.collect())
        }
        Clause::Keys { .. }
            if partly::referred(&clause, schedule, ResourceType::SCHEDULE).is_some() =>
        {
            Clause::All(Vec::new())
        }
        other => other,
    }
}
