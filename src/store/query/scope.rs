//! A search over one type: its conditions, and the candidates that satisfy them.

use resources::model::ResourceType;

use super::{
    super::{
        error::StoreError,
        fulltext,
        session::Session,
        sql::{Sql, Value, rid_range},
        view::View,
    },
    condition, fold,
    source::{Source, are_exact, push_bounds, push_union, sources},
    table::FEW,
};
use crate::search::plan::{Clause, KeyRange};

/// What drives a search over one type. The numbers are places in [`Scope::parts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Driver {
    /// All resources of the type.
    Scan,
    /// The one key of this condition, or its few: each gives resources in the order of their
    /// numbers.
    Exact(usize),
    /// The many resources with the words of this condition, in the order of their numbers.
    Words(usize),
    /// The few candidates of this condition.
    Small(usize),
    /// The many keys of this condition, in their order.
    Keys(usize),
    /// Very many, by the time of their last change.
    Updated(usize),
}

/// Sizes at which candidates are counted, before the bound itself.
const STEPS: [usize; 2] = [64, 1_000];
/// So many times the bound are counted, and collected, for whoever does not see all: what they
/// see of a type may be many, and yet few of all that there are.
const MORE: usize = 4;

/// A search over one type.
#[derive(Debug)]
pub(super) struct Scope<'v> {
    pub kind: ResourceType,
    /// All must hold; what the view adds is among them. Cheap ones first.
    pub parts: Vec<Clause>,
    pub view: &'v View,
    /// The most candidates that are collected.
    pub cap: usize,
}

impl<'v> Scope<'v> {
    /// `None` if nothing of the type can match.
    pub fn new(kind: ResourceType, filter: &Clause, view: &'v View, cap: usize) -> Option<Self> {
        let filter = fold::fold(filter, kind);
        let mut all = unasked(&filter, kind, view);
        all.push(view.stored(filter, kind));
        let folded = fold::fold(&Clause::All(all), kind);
        if fold::is_nothing(&folded) {
            return None;
        }
        let mut parts = fold::parts(folded);
        parts.sort_by_key(cost);
        Some(Self {
            kind,
            parts,
            view,
            cap,
        })
    }

    /// The same search with one more condition, in terms of stored rows; `None` if nothing can
    /// match.
    pub fn narrowed(&self, by: Clause) -> Option<Self> {
        let mut all = self.parts.clone();
        all.push(by);
        let folded = fold::fold(&Clause::All(all), self.kind);
        if fold::is_nothing(&folded) {
            return None;
        }
        let mut parts = fold::parts(folded);
        parts.sort_by_key(cost);
        Some(Self { parts, ..*self })
    }

    /// Chooses what to start from: the condition with the fewest candidates, as far as a look at
    /// a bounded number of index entries tells.
    pub async fn choose<S: Session>(
        &self,
        session: &mut S,
        explain: &mut Vec<String>,
    ) -> Result<Driver, StoreError> {
        let candidates = self.candidates();
        let smallest = self.smallest(session, &candidates, self.most(), explain);
        Ok(match smallest.await? {
            Some((_, at)) => Driver::Small(at),
            None => self.largest(&candidates),
        })
    }

    /// What drives a search for the first `wanted` matches in the order of something that is no
    /// condition. Where nothing is asked but what the view asks, the order may lead to them sooner
    /// than all that is seen.
    pub async fn choose_sorted<S: Session>(
        &self,
        session: &mut S,
        wanted: usize,
        explain: &mut Vec<String>,
    ) -> Result<Driver, StoreError> {
        let candidates = self.candidates();
        let smallest = self.smallest(session, &candidates, self.most(), explain);
        Ok(match smallest.await? {
            Some((count, at)) if count < self.cap || self.parts.len() > 1 => Driver::Small(at),
            Some((count, at)) => {
                let all = self.all(session).await?;
                explain.push(format!("{}: {count} of about {all} are seen", self.kind));
                match wanted.saturating_mul(all) < count.saturating_mul(count) {
                    true => self.largest(&candidates),
                    false => Driver::Small(at),
                }
            }
            None => self.largest(&candidates),
        })
    }

    fn candidates(&self) -> Vec<(usize, Vec<Source<'_>>)> {
        let parts = self.parts.iter().enumerate();
        parts
            .filter_map(|(at, part)| Some((at, sources(part)?)))
            .collect()
    }

    /// The most candidates that are counted.
    fn most(&self) -> usize {
        match self.view.limits(self.kind) {
            true => self.cap.saturating_mul(MORE),
            false => self.cap,
        }
    }

    /// About how many resources of the type there are.
    async fn all<S: Session>(&self, session: &mut S) -> Result<usize, StoreError> {
        let (low, high) = rid_range(self.kind);
        let sql = Sql::new(
            session.dialect(),
            &format!(
                "SELECT coalesce(max(rid),{low})-{low} FROM resource WHERE rid>={low} AND rid<{high}"
            ),
        );
        Ok(match session.rows(&sql).await?.pop() {
            Some(mut row) => usize::try_from(row.int()?).unwrap_or(usize::MAX),
            None => 0,
        })
    }

    /// The fewest candidates that a condition has, and its place, if they are fewer than `most`.
    async fn smallest<S: Session>(
        &self,
        session: &mut S,
        candidates: &[(usize, Vec<Source<'_>>)],
        most: usize,
        explain: &mut Vec<String>,
    ) -> Result<Option<(usize, usize)>, StoreError> {
        let steps = STEPS.into_iter().chain([self.cap]);
        let steps = steps.filter(|&step| step < most && step <= self.cap);
        for step in steps.chain([most]) {
            let mut best: Option<(usize, usize)> = None;
            for (at, sources) in candidates {
                // No need to know by how much another is worse.
                let bound = best.map_or(step, |(least, _)| least.max(1));
                let count = self.count(session, sources, bound).await?;
                explain.push(format!(
                    "{}: condition {at} has {count} of {bound}",
                    self.kind
                ));
                if count < bound {
                    best = Some((count, *at));
                }
            }
            if best.is_some() {
                return Ok(best);
            }
        }
        Ok(None)
    }

    /// True if some condition has just a few candidates.
    pub async fn has_few<S: Session>(&self, session: &mut S) -> Result<bool, StoreError> {
        let bound = STEPS[0].min(self.cap);
        let (candidates, mut explain) = (self.candidates(), Vec::new());
        let found = self.smallest(session, &candidates, bound, &mut explain);
        Ok(found.await?.is_some())
    }

    /// True if what is visible of some type is a condition.
    pub fn looks_at_the_view(&self) -> bool {
        self.view.limits(self.kind) || self.parts.iter().any(has_hop)
    }

    fn largest(&self, candidates: &[(usize, Vec<Source<'_>>)]) -> Driver {
        let first = |fits: fn(&Clause) -> bool| {
            candidates
                .iter()
                .map(|(at, _)| *at)
                .find(|&at| fits(&self.parts[at]))
        };
        let single = |part: &Clause| exact_keys(part).is_some_and(|keys| keys.len() == 1);
        if let Some(at) = first(single) {
            Driver::Exact(at)
        } else if let Some(at) = first(|part| matches!(part, Clause::Text { .. })) {
            Driver::Words(at)
        } else if let Some(at) = first(can_be_walked) {
            Driver::Keys(at)
        } else if let Some(at) = first(|part| exact_keys(part).is_some()) {
            Driver::Exact(at)
        } else if let Some(at) = first(|part| matches!(part, Clause::Updated { .. })) {
            Driver::Updated(at)
        } else {
            Driver::Scan
        }
    }

    /// What drives a search whose result comes in the order of numbers.
    pub async fn choose_unsorted<S: Session>(
        &self,
        session: &mut S,
        explain: &mut Vec<String>,
    ) -> Result<Driver, StoreError> {
        let mut indexed = (0..self.parts.len()).filter(|&at| sources(&self.parts[at]).is_some());
        if let (Some(only), None) = (indexed.next(), indexed.next())
            && exact_keys(&self.parts[only]).is_some()
        {
            return Ok(Driver::Exact(only));
        }
        let driver = self.choose(session, explain).await?;
        Ok(match driver {
            Driver::Small(at) if exact_keys(&self.parts[at]).is_some() => Driver::Exact(at),
            other => other,
        })
    }

    /// What drives a look at all matches: rather the many candidates of single keys than all
    /// resources.
    pub async fn choose_for_all<S: Session>(
        &self,
        session: &mut S,
        explain: &mut Vec<String>,
    ) -> Result<Driver, StoreError> {
        let driver = self.choose_unsorted(session, explain).await?;
        let exact = |part: &Clause| sources(part).is_some_and(|found| are_exact(&found));
        Ok(match driver {
            Driver::Scan => self
                .parts
                .iter()
                .position(exact)
                .map_or(Driver::Scan, Driver::Small),
            other => other,
        })
    }

    /// The logical ids of which a resource must have one, if there is such a condition.
    pub fn only_ids(&self) -> Option<&[String]> {
        let mut ids = self.parts.iter().filter_map(|part| match part {
            Clause::Ids(ids) => Some(ids.as_slice()),
            _ => None,
        });
        ids.next()
    }

    /// The condition with the fewest candidates, by single keys, with their count: what may be
    /// seen of a type, as far as that is not much.
    pub async fn few<S: Session>(
        &self,
        session: &mut S,
    ) -> Result<Option<(usize, usize)>, StoreError> {
        let (candidates, mut explain) = (self.candidates(), Vec::new());
        let smallest = self.smallest(session, &candidates, self.most(), &mut explain);
        Ok(smallest
            .await?
            .filter(|(_, at)| sources(&self.parts[*at]).is_some_and(|found| are_exact(&found))))
    }

    /// How many candidates the sources give, counted up to a bound. What they hop from is
    /// bounded too: a hop from too many counts as too many.
    async fn count<S: Session>(
        &self,
        session: &mut S,
        sources: &[Source<'_>],
        bound: usize,
    ) -> Result<usize, StoreError> {
        if let [Source::Ids(ids)] = sources {
            return Ok(ids.len());
        }
        let mut levels = vec![(sources, self.kind)];
        let mut at = 0;
        while let Some((level, _)) = levels.get(at).copied() {
            for source in level {
                match source {
                    Source::Refers { target, inner, .. } => levels.push((inner, *target)),
                    Source::ReferredBy { source, inner, .. } => levels.push((inner, *source)),
                    _ => {}
                }
            }
            at += 1;
        }
        let mut count = bound;
        for (level, kind) in levels.into_iter().rev() {
            let mut sql = Sql::new(session.dialect(), "SELECT count(*) FROM (SELECT 1 FROM (");
            push_union(&mut sql, level, kind);
            sql.push(") a LIMIT ").int(bound as i64).push(") b");
            count = match session.rows(&sql).await?.pop() {
                Some(mut row) => row.int()? as usize,
                None => 0,
            };
            if count >= bound {
                return Ok(bound);
            }
        }
        Ok(count)
    }

    /// Appends ` AND` each condition on the resource with the number `rid`, but for the one that
    /// the candidates already satisfy.
    pub fn push_filter(
        &self,
        sql: &mut Sql,
        rid: &str,
        skip: Option<usize>,
    ) -> Result<(), StoreError> {
        for (at, part) in self.parts.iter().enumerate() {
            if Some(at) != skip {
                sql.push(" AND ");
                condition::push(sql, part, self.kind, rid, self.view)?;
            }
        }
        Ok(())
    }

    /// Appends a query that gives, in their order, once each, the numbers of all matches after
    /// `after`; [`Driver::Keys`] and [`Driver::Updated`] are collected.
    pub fn push_numbers(
        &self,
        sql: &mut Sql,
        driver: Driver,
        after: i64,
        limit: Option<usize>,
    ) -> Result<(), StoreError> {
        let (_, high) = rid_range(self.kind);
        let at = match driver {
            Driver::Scan => {
                sql.push("SELECT r.rid AS rid FROM resource r WHERE r.deleted=0 AND r.rid>");
                sql.int(after).push(&format!(" AND r.rid<{high}"));
                self.push_filter(sql, "r.rid", None)?;
                push_order(sql, "r.rid", limit);
                return Ok(());
            }
            Driver::Exact(at) => match exact_keys(&self.parts[at]) {
                Some(keys) => return self.push_exact(sql, (at, &keys), after, limit),
                None => at,
            },
            Driver::Words(at) => {
                self.push_words(sql, at, after)?;
                let number = fulltext::number_column(sql.dialect);
                push_order(sql, &format!("w.{number}"), limit);
                return Ok(());
            }
            Driver::Small(at) | Driver::Keys(at) | Driver::Updated(at) => at,
        };
        sql.push("SELECT d.rid AS rid FROM (");
        self.push_candidates(sql, at);
        sql.push(") d WHERE d.rid>").int(after);
        self.push_filter(sql, "d.rid", self.skip(at))?;
        push_order(sql, "d.rid", limit);
        Ok(())
    }

    /// Appends a query of the matches after `after`, from the keys of a condition: each gives
    /// resources in the order of their numbers.
    fn push_exact(
        &self,
        sql: &mut Sql,
        (at, keys): (usize, &[(u32, &[u8])]),
        after: i64,
        limit: Option<usize>,
    ) -> Result<(), StoreError> {
        if keys.len() > 1 {
            sql.push("SELECT DISTINCT u.rid AS rid FROM (");
        }
        for (nth, (param, key)) in keys.iter().enumerate() {
            let d = sql.alias('d');
            if keys.len() > 1 {
                let joint = if nth > 0 { " UNION ALL " } else { "" };
                sql.push(&format!("{joint}SELECT rid FROM ("));
            }
            sql.push(&format!(
                "SELECT {d}.rid AS rid FROM entry {d} WHERE {d}.param="
            ));
            sql.bind(Value::Param(*param));
            sql.push(&format!(" AND {d}.key=")).bytes(key);
            sql.push(&format!(" AND {d}.rid>")).int(after);
            let (_, high) = rid_range(self.kind);
            sql.push(&format!(" AND {d}.rid<{high}"));
            let rid = format!("{d}.rid");
            self.push_filter(sql, &rid, Some(at))?;
            push_order(sql, &rid, limit);
            if keys.len() > 1 {
                let b = sql.alias('b');
                sql.push(&format!(") {b}"));
            }
        }
        if keys.len() > 1 {
            sql.push(") u");
            push_order(sql, "u.rid", limit);
        }
        Ok(())
    }

    /// Appends a query of the matches after `after`, from the words of a condition.
    fn push_words(&self, sql: &mut Sql, at: usize, after: i64) -> Result<(), StoreError> {
        let Clause::Text { part, words } = &self.parts[at] else {
            return Err(StoreError::Position);
        };
        let (_, high) = rid_range(self.kind);
        let number = fulltext::number_column(sql.dialect);
        sql.push("SELECT r.rid AS rid FROM fulltext w CROSS JOIN resource r WHERE ");
        fulltext::push_match(sql, "w", *part, words);
        sql.push(&format!(" AND w.{number}>")).int(after);
        sql.push(&format!(
            " AND w.{number}<{high} AND r.rid=w.{number} AND r.deleted=0"
        ));
        self.push_filter(sql, "r.rid", Some(at))
    }

    /// Appends a query of the numbers of a condition's candidates, once each.
    pub fn push_candidates(&self, sql: &mut Sql, at: usize) {
        sql.push("SELECT DISTINCT rid FROM (");
        push_union(
            sql,
            &sources(&self.parts[at]).unwrap_or_default(),
            self.kind,
        );
        sql.push(") u WHERE 1=1");
        push_bounds(sql, "rid", self.kind);
    }

    /// The condition itself, if its candidates all satisfy it.
    pub fn skip(&self, at: usize) -> Option<usize> {
        is_given_by_sources(&self.parts[at]).then_some(at)
    }
}

/// What the view asks that does not follow from the filter: whoever sees one patient's resources
/// and asks for those of this patient is asked no more.
fn unasked(filter: &Clause, kind: ResourceType, view: &View) -> Vec<Clause> {
    let Some(seen) = view.clause(kind) else {
        return Vec::new();
    };
    let mut seen = fold::parts(fold::fold(&seen, kind));
    for part in fold::parts(filter.clone()) {
        let part = fold::fold(&view.stored(part, kind), kind);
        seen.retain(|seen| !fold::follows(seen, &part));
    }
    seen
}

/// True if all that the condition's [`sources`] give satisfies it.
fn is_given_by_sources(part: &Clause) -> bool {
    match part {
        Clause::Keys { .. } | Clause::Ids(_) | Clause::Updated { .. } | Clause::Text { .. } => true,
        Clause::Any(parts) => parts.iter().all(is_given_by_sources),
        // Its hops look at everything: what may be seen is no further condition.
        Clause::Decided(part) => is_given_by_hops(part),
        _ => false,
    }
}

fn is_given_by_hops(part: &Clause) -> bool {
    match part {
        Clause::Refers {
            canonical: None,
            inner,
            ..
        }
        | Clause::ReferredBy {
            canonical: None,
            inner,
            ..
        } => is_given_by_hops(inner),
        Clause::Any(parts) => parts.iter().all(is_given_by_hops),
        other => is_given_by_sources(other),
    }
}

fn push_order(sql: &mut Sql, rid: &str, limit: Option<usize>) {
    if let Some(limit) = limit {
        sql.push(&format!(" ORDER BY {rid} LIMIT "))
            .int(limit as i64);
    }
}

/// The parameters and keys of a condition on one or a few single keys.
fn exact_keys(part: &Clause) -> Option<Vec<(u32, &[u8])>> {
    let keys = match part {
        Clause::Keys { param, ranges } if ranges.len() <= FEW => {
            let exact = |range: &KeyRange| range.is_exact() && range.test.is_empty();
            if !ranges.iter().all(exact) {
                return None;
            }
            let each = ranges.iter();
            each.map(|range| (param.0, range.low.as_slice())).collect()
        }
        Clause::Any(parts) if parts.len() <= FEW => {
            let each: Option<Vec<_>> = parts.iter().map(exact_keys).collect();
            each?.concat()
        }
        _ => Vec::new(),
    };
    (1..=FEW).contains(&keys.len()).then_some(keys)
}

/// True if the condition is on more than the resource itself.
fn has_hop(part: &Clause) -> bool {
    match part {
        Clause::Refers { .. } | Clause::ReferredBy { .. } => true,
        Clause::Not(part) => has_hop(part),
        Clause::All(parts) | Clause::Any(parts) => parts.iter().any(has_hop),
        _ => false,
    }
}

/// More ranges than this are not walked one after the other.
const RANGES: usize = 16;

/// True if the keys of the condition can be walked in order: not too many ranges, none of which
/// overlaps another.
fn can_be_walked(part: &Clause) -> bool {
    match part {
        Clause::Keys { ranges, .. } => ranges.len() <= RANGES && walk_order(ranges).is_some(),
        _ => false,
    }
}

/// The ranges in the order of their keys; `None` if two overlap.
pub(super) fn walk_order(ranges: &[KeyRange]) -> Option<Vec<&KeyRange>> {
    let mut ordered: Vec<&KeyRange> = ranges.iter().collect();
    ordered.sort_by(|a, b| a.low.cmp(&b.low));
    let apart = ordered.windows(2).all(|pair| {
        pair[0]
            .high
            .as_ref()
            .is_some_and(|high| *high <= pair[1].low)
    });
    apart.then_some(ordered)
}

/// How much a condition costs to test, roughly.
fn cost(part: &Clause) -> usize {
    match part {
        Clause::Type(_) => 0,
        Clause::Ids(_) => 1,
        Clause::Keys { ranges, .. } if ranges.len() == 1 => 2,
        Clause::Keys { .. } | Clause::HasParam(_) | Clause::Updated { .. } => 3,
        Clause::Not(part) => cost(part) + 1,
        Clause::Decided(part) => cost(part),
        Clause::All(parts) | Clause::Any(parts) => parts.iter().map(cost).sum::<usize>() + 1,
        Clause::Refers { inner, .. } | Clause::ReferredBy { inner, .. } => 8 + cost(inner),
        Clause::Text { .. } => 6,
    }
}
