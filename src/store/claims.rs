//! Claims on the time of actors: read, checked and written inside the commit that makes them.
//!
//! Each claim is one row, whatever its length. So that a look at a range of an actor's time reads
//! little beside it, claims are kept apart by length ([`SIZES`]): of each size the look begins
//! that length before the range.

use std::collections::{HashMap, HashSet};

use super::{
    Backend, Handle, Store, StoreError, change, run,
    session::Session,
    sql::{Dialect, Row, Sql, Value},
    sqlite::now,
    types::{Commit, NewReceipt, Receipt},
};
use crate::scheduling::{
    claim::{self, BufferPolicy, Claim, ClaimKind, ClaimSet, NewClaim, Number},
    span::Span,
};

const DAY: i64 = 24 * 60 * 60;
/// The most seconds, with buffers, of a claim of each size.
const SIZES: [i64; 3] = [DAY, 32 * DAY, 1 << 61];
/// Seconds from 1970 in either direction beyond which nothing is looked for.
const FAR: i64 = 1 << 60;
/// `expires` of a claim that does not.
const NEVER: i64 = i64::MAX;
/// Actors in one call up to which SQLite reads on the caller's thread at first.
const FEW: usize = 64;

/// What [`numbered`] reads, of `claim` as `c`.
const COLUMNS: &str = "c.n, c.actor, c.owner, c.kind, c.core_start, c.core_end, c.padded_start, \
                       c.padded_end, c.buffers, c.capacity, c.seat, \
                       coalesce(c.expires,9223372036854775807)";

impl Store {
    /// Claims on the time of these actors that end, with buffers, after `from`, holds that are
    /// over too, by actor and start. Each as it was made, however long it is. All that there are:
    /// ask for some hundred actors at a time.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn claims_of(&self, actors: &[Number], from: i64) -> Result<Vec<Claim>, StoreError> {
        let looks: Vec<Look> = actors
            .iter()
            .map(|actor| Look::new(*actor, Span::new(from, FAR)))
            .collect();
        let mut found = if looks.len() <= FEW {
            run!(self, search, |session| around(session, &looks))?
        } else {
            run!(self, scan, |session| around(session, &looks))?
        };
        found.sort_unstable_by_key(|one| {
            let claim = &one.claim;
            (claim.actor, claim.padded, claim.owner, one.n)
        });
        found.dedup();
        Ok(claims(found))
    }

    /// The claims of these Appointments and Slots, by owner.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn claims_by(&self, owners: &[Number]) -> Result<Vec<Claim>, StoreError> {
        let owners = owners.to_vec();
        run!(self, search, |session| {
            let mut owners = owners.clone();
            async move {
                owners.sort_unstable();
                owners.dedup();
                let mut found = Vec::new();
                for some in owners.chunks(256) {
                    found.extend(owned(session, some).await?);
                }
                Ok(claims(found))
            }
        })
    }

    /// Claims by owner, behind an owner: at least `limit`, if there are, and all of each owner.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn claims_after(
        &self,
        owner: Option<Number>,
        limit: usize,
    ) -> Result<Vec<Claim>, StoreError> {
        run!(self, scan, |session| async move {
            let mut found = walk(session, owner, limit).await?;
            if let Some(last) = found.last().map(|one| one.claim.owner)
                && found.len() >= limit
            {
                found.retain(|one| one.claim.owner != last);
                found.extend(owned(session, &[last]).await?);
            }
            Ok(claims(found))
        })
    }

    /// Claims that overlap these ranges of these actors' time, with their buffers, holds that are
    /// over too; each once.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn claims_in(&self, ranges: &[(Number, Span)]) -> Result<Vec<Claim>, StoreError> {
        let looks = ranges.iter().map(|(actor, span)| Look::new(*actor, *span));
        let looks: Vec<Look> = looks.collect();
        let mut found = run!(self, scan, |session| around(session, &looks))?;
        found.sort_unstable_by_key(|one| (one.claim.owner, one.n));
        found.dedup();
        Ok(claims(found))
    }

    /// Actors whose time is booked, in order, behind an actor.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn booked_actors(
        &self,
        after: Option<Number>,
        limit: usize,
    ) -> Result<Vec<Number>, StoreError> {
        run!(self, scan, |session| async move {
            let mut sql = Sql::new(session.dialect(), "SELECT DISTINCT c.actor FROM claim c");
            sql.push(" WHERE c.kind=0");
            if let Some(after) = after {
                sql.push(" AND c.actor>").int(after.0);
            }
            sql.push(" ORDER BY c.actor LIMIT ").int(limit as i64);
            let rows = session.rows(&sql).await?;
            rows.into_iter()
                .map(|mut row| Ok(Number(row.int()?)))
                .collect()
        })
    }

    /// The receipt with this key, even if it is no longer valid.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn receipt(&self, key: &[u8; 32]) -> Result<Option<Receipt>, StoreError> {
        let key = *key;
        run!(self, read, |session| receipt(session, key))
    }

    /// Removes receipts that have not been valid since `before`, milliseconds; how many.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn sweep_receipts(&self, before: i64) -> Result<u64, StoreError> {
        change!(self, |session| sweep(session, before))
    }
}

/// A claim and its number among those of its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbered {
    pub n: i64,
    pub claim: Claim,
}

/// The columns of [`Numbered::values`].
pub(super) const VALUES: &str = "actor,size,padded_start,padded_end,core_start,core_end,owner,n,kind,\
                                 buffers,capacity,seat";

impl Numbered {
    /// What a row says, but for its expiry: in the order of [`VALUES`].
    pub fn values(&self) -> [i64; 12] {
        let claim = &self.claim;
        [
            claim.actor.0,
            self.size(),
            claim.padded.start,
            claim.padded.end,
            claim.core.start,
            claim.core.end,
            claim.owner.0,
            self.n,
            self.kind(),
            self.buffers(),
            claim.capacity.into(),
            claim.seat.into(),
        ]
    }

    /// Which of [`SIZES`].
    fn size(&self) -> i64 {
        let seconds = self.claim.padded.seconds();
        SIZES.iter().filter(|longest| seconds > **longest).count() as i64
    }

    /// The number of the kind.
    fn kind(&self) -> i64 {
        match self.claim.kind {
            ClaimKind::Booking => 0,
            ClaimKind::Taken => 1,
            ClaimKind::Blocked => 2,
            ClaimKind::Opening => 3,
        }
    }

    /// The number of the buffer policy.
    fn buffers(&self) -> i64 {
        match self.claim.buffers {
            BufferPolicy::Stack => 0,
            BufferPolicy::Share => 1,
            BufferPolicy::Ignore => 2,
        }
    }
}

fn claims(found: Vec<Numbered>) -> Vec<Claim> {
    found.into_iter().map(|one| one.claim).collect()
}

fn numbered(mut row: Row) -> Result<Numbered, StoreError> {
    let unknown =
        |what: &str, number: i64| StoreError::Damaged(format!("a claim with {what} {number}"));
    let n = row.int()?;
    let (actor, owner) = (Number(row.int()?), Number(row.int()?));
    let kind = match row.int()? {
        0 => ClaimKind::Booking,
        1 => ClaimKind::Taken,
        2 => ClaimKind::Blocked,
        3 => ClaimKind::Opening,
        other => return Err(unknown("kind", other)),
    };
    let core = Span::new(row.int()?, row.int()?);
    let padded = Span::new(row.int()?, row.int()?);
    let buffers = match row.int()? {
        0 => BufferPolicy::Stack,
        1 => BufferPolicy::Share,
        2 => BufferPolicy::Ignore,
        other => return Err(unknown("buffers", other)),
    };
    let seat = |number: i64| u16::try_from(number).map_err(|_| unknown("seat", number));
    let (capacity, own) = (row.int()?, row.int()?);
    let claim = Claim {
        actor,
        owner,
        kind,
        core,
        padded,
        buffers,
        capacity: seat(capacity)?,
        seat: seat(own)?,
        expires: Some(row.int()?).filter(|at| *at != NEVER),
    };
    Ok(Numbered { n, claim })
}

/// A range of an actor's time to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Look {
    pub actor: Number,
    pub during: Span,
}

impl Look {
    fn new(actor: Number, during: Span) -> Self {
        let near = |at: i64| at.clamp(-FAR, FAR);
        let during = Span::new(near(during.start), near(during.end));
        Self { actor, during }
    }
}

/// Claims that overlap what is looked at, with their buffers; one that overlaps two looks at the
/// same actor comes twice.
async fn around<S: Session>(session: &mut S, looks: &[Look]) -> Result<Vec<Numbered>, StoreError> {
    let mut found = Vec::new();
    if looks.is_empty() {
        return Ok(found);
    }
    if session.dialect() == Dialect::Postgres {
        let mut sql = Sql::new(Dialect::Postgres, "");
        push_looks(&mut sql, looks);
        for row in session.rows(&sql).await? {
            found.push(numbered(row)?);
        }
        return Ok(found);
    }
    for Look { actor, during } in looks {
        let mut sql = Sql::new(Dialect::Sqlite, "");
        for (size, longest) in SIZES.into_iter().enumerate() {
            sql.push(if size == 0 {
                "SELECT "
            } else {
                " UNION ALL SELECT "
            });
            sql.push(COLUMNS)
                .push(" FROM claim c WHERE c.actor=")
                .int(actor.0);
            sql.push(" AND c.size=").int(size as i64);
            sql.push(" AND c.padded_start>").int(during.start - longest);
            sql.push(" AND c.padded_start<").int(during.end);
            sql.push(" AND c.padded_end>").int(during.start);
        }
        for row in session.rows(&sql).await? {
            found.push(numbered(row)?);
        }
    }
    Ok(found)
}

/// Appends the query for [`around`] on PostgreSQL: the looks are the only rows that are not found
/// by an index.
fn push_looks(sql: &mut Sql, looks: &[Look]) {
    let column = |of: fn(&Look) -> i64| Value::Ints(looks.iter().map(of).collect());
    sql.push("SELECT ").push(COLUMNS).push(" FROM unnest(");
    sql.bind(column(|look| look.actor.0)).push("::bigint[],");
    sql.bind(column(|look| look.during.start))
        .push("::bigint[],");
    sql.bind(column(|look| look.during.end))
        .push("::bigint[]) AS q(actor,low,high)");
    let sizes = SIZES.iter().enumerate();
    let sizes: Vec<String> = sizes
        .map(|(size, longest)| format!("({size}::smallint,{longest}::bigint)"))
        .collect();
    sql.push(" CROSS JOIN (VALUES ").push(&sizes.join(","));
    sql.push(
        ") AS s(size,longest) CROSS JOIN LATERAL (
           SELECT * FROM claim c WHERE c.actor=q.actor AND c.size=s.size
             AND c.padded_start>q.low-s.longest AND c.padded_start<q.high AND c.padded_end>q.low
         ) c",
    );
}

async fn owned<S: Session>(
    session: &mut S,
    owners: &[Number],
) -> Result<Vec<Numbered>, StoreError> {
    let owners: Vec<i64> = owners.iter().map(|owner| owner.0).collect();
    let mut sql = Sql::new(session.dialect(), "SELECT ");
    sql.push(COLUMNS)
        .push(" FROM claim c WHERE c.owner")
        .in_ints(&owners);
    sql.push(" ORDER BY c.owner, c.n");
    session
        .rows(&sql)
        .await?
        .into_iter()
        .map(numbered)
        .collect()
}

async fn walk<S: Session>(
    session: &mut S,
    after: Option<Number>,
    limit: usize,
) -> Result<Vec<Numbered>, StoreError> {
    let mut sql = Sql::new(session.dialect(), "SELECT ");
    sql.push(COLUMNS).push(" FROM claim c");
    if let Some(after) = after {
        sql.push(" WHERE c.owner>").int(after.0);
    }
    sql.push(" ORDER BY c.owner, c.n LIMIT ").int(limit as i64);
    session
        .rows(&sql)
        .await?
        .into_iter()
        .map(numbered)
        .collect()
}

async fn receipt<S: Session>(
    session: &mut S,
    key: [u8; 32],
) -> Result<Option<Receipt>, StoreError> {
    let mut sql = Sql::new(
        session.dialect(),
        "SELECT request, expires, answer FROM receipt WHERE key=",
    );
    sql.bytes(&key);
    let Some(mut row) = session.rows(&sql).await?.pop() else {
        return Ok(None);
    };
    let damaged = |_| StoreError::Damaged("a receipt of a request without its hash".to_owned());
    Ok(Some(Receipt {
        request: row.bytes()?.try_into().map_err(damaged)?,
        expires: row.int()?,
        answer: row.bytes()?,
    }))
}

async fn sweep<S: Session>(session: &mut S, before: i64) -> Result<u64, StoreError> {
    let mut sql = Sql::new(session.dialect(), "DELETE FROM receipt WHERE expires<");
    sql.int(before);
    session.execute(&sql).await
}

/// What a commit claims, admitted: what is to be removed and what to be added.
#[derive(Debug, Default, Clone)]
pub(super) struct Claimed {
    /// Holds that are over: their time is free, their rows go with the first who looks.
    pub over: Vec<Numbered>,
    /// The new rows.
    pub rows: Vec<Numbered>,
}

/// Checks what a commit claims against what is there, and finds the seats. Everything between
/// this and the commit's end must be alone with the actors' time.
pub(super) async fn plan<S: Session>(
    session: &mut S,
    commit: &Commit,
) -> Result<Claimed, StoreError> {
    if commit.claims.is_empty() {
        return Ok(Claimed::default());
    }
    let found = around(session, &looks(commit)?).await?;
    admit(commit, found)
}

/// True if the commit's receipt is there already, and valid.
pub(super) async fn is_repeated<S: Session>(
    session: &mut S,
    commit: &Commit,
) -> Result<bool, StoreError> {
    let Some(receipt) = &commit.receipt else {
        return Ok(false);
    };
    let mut sql = Sql::new(session.dialect(), "SELECT 1 FROM receipt WHERE key=");
    sql.bytes(&receipt.key)
        .push(" AND expires>")
        .int(commit.now.saturating_mul(1_000));
    Ok(!session.rows(&sql).await?.is_empty())
}

/// As [`plan`] on PostgreSQL in one statement, which also removes what the owners claimed until
/// now: the transaction must be undone if this fails. [`StoreError::Repeated`] is found here too.
/// What is found is to be judged with [`admit`].
pub(super) async fn clear<S: Session>(
    session: &mut S,
    commit: &Commit,
) -> Result<Vec<Numbered>, StoreError> {
    let owners: Vec<i64> = commit.claims.iter().map(|set| set.owner.0).collect();
    let looks = looks(commit)?;
    let mut sql = Sql::new(Dialect::Postgres, "");
    if !owners.is_empty() {
        sql.push("WITH gone AS (DELETE FROM claim WHERE owner = ANY(");
        sql.bind(Value::Ints(owners)).push("::bigint[])) ");
    }
    push_looks(&mut sql, &looks);
    if let Some(receipt) = &commit.receipt {
        sql.push(" UNION ALL SELECT -1,0,0,0,0,0,0,0,0,0,0,0 FROM receipt WHERE key=");
        sql.bytes(&receipt.key)
            .push(" AND expires>")
            .int(commit.now.saturating_mul(1_000));
    }
    let mut found = Vec::new();
    for row in session.rows(&sql).await? {
        let one = numbered(row)?;
        if one.n < 0 {
            return Err(StoreError::Repeated);
        }
        found.push(one);
    }
    Ok(found)
}

/// The ranges in which others can be in the way, disjoint for each actor.
fn looks(commit: &Commit) -> Result<Vec<Look>, StoreError> {
    let mut looks = Vec::new();
    for new in commit.claims.iter().flat_map(|set| &set.claims) {
        let claim = &new.claim;
        let near = Span::new(-FAR, FAR);
        if claim.core.start > claim.core.end
            || !claim.padded.contains(claim.core)
            || !near.contains(claim.padded)
        {
            return Err(StoreError::Failed(format!("a claim of no time: {claim:?}")));
        }
        if !looks_at_others(claim.kind) {
            continue;
        }
        looks.push(Look::new(claim.actor, claim.padded));
        for quota in &new.quotas {
            looks.push(Look::new(claim.actor, quota.within));
        }
    }
    looks.sort_unstable();
    looks.dedup_by(|next, last| {
        let joins = next.actor == last.actor && next.during.start <= last.during.end;
        if joins {
            last.during.end = last.during.end.max(next.during.end);
        }
        joins
    });
    Ok(looks)
}

/// False if nothing can be in the way of a claim, so that nobody need wait for it.
pub(super) fn looks_at_others(kind: ClaimKind) -> bool {
    matches!(kind, ClaimKind::Booking | ClaimKind::Taken)
}

/// Admits one claim after the other, each beside those before it. What the owners claimed until
/// now counts for nothing.
pub(super) fn admit(commit: &Commit, found: Vec<Numbered>) -> Result<Claimed, StoreError> {
    let owners: HashSet<Number> = commit.claims.iter().map(|set| set.owner).collect();
    let mut claimed = Claimed::default();
    let mut times = Times::default();
    let mut seen = HashSet::new();
    for one in found {
        if owners.contains(&one.claim.owner) || !seen.insert((one.claim.owner, one.n)) {
            continue;
        }
        match one.claim.is_live(commit.now) {
            true => times.add(one.claim),
            false => claimed.over.push(one),
        }
    }
    let mut next: HashMap<Number, i64> = HashMap::new();
    for (
        set,
        ClaimSet {
            owner,
            claims,
            beside,
        },
    ) in commit.claims.iter().enumerate()
    {
        for new in claims {
            let new = &NewClaim {
                claim: Claim {
                    owner: *owner,
                    ..new.claim
                },
                ..new.clone()
            };
            let seat = claim::admit(new, times.near(new), beside, commit.now)
                .map_err(|refusal| StoreError::Refused { set, refusal })?;
            let claim = Claim { seat, ..new.claim };
            let next = next.entry(*owner).or_default();
            claimed.rows.push(Numbered { n: *next, claim });
            *next += 1;
            times.add(claim);
        }
    }
    Ok(claimed)
}

/// Claims by actor and start.
#[derive(Debug, Default)]
struct Times(HashMap<Number, Time>);

#[derive(Debug, Default)]
struct Time {
    claims: Vec<Claim>,
    longest: i64,
}

impl Times {
    fn add(&mut self, claim: Claim) {
        let time = self.0.entry(claim.actor).or_default();
        let at = time
            .claims
            .partition_point(|other| other.padded.start <= claim.padded.start);
        time.claims.insert(at, claim);
        time.longest = time.longest.max(claim.padded.seconds());
    }

    /// What can be in the way of a claim, and more.
    fn near(&self, new: &NewClaim) -> &[Claim] {
        let Some(time) = self.0.get(&new.claim.actor) else {
            return &[];
        };
        let mut during = new.claim.padded;
        for quota in &new.quotas {
            during.start = during.start.min(quota.within.start);
            during.end = during.end.max(quota.within.end);
        }
        let start = during.start.saturating_sub(time.longest);
        let from = time
            .claims
            .partition_point(|other| other.padded.start < start);
        let to = time
            .claims
            .partition_point(|other| other.padded.start <= during.end);
        &time.claims[from.min(to)..to]
    }
}

/// Removes claims from the table.
pub(super) async fn remove<S: Session>(
    session: &mut S,
    over: &[Numbered],
) -> Result<(), StoreError> {
    for one in over {
        let mut sql = Sql::new(session.dialect(), "DELETE FROM claim WHERE owner=");
        sql.int(one.claim.owner.0).push(" AND n=").int(one.n);
        session.execute(&sql).await?;
    }
    Ok(())
}

/// Puts what is claimed in place of what the owners claimed until now, and keeps the receipt
/// (SQLite).
pub(super) async fn write<S: Session>(
    session: &mut S,
    commit: &Commit,
    claimed: &Claimed,
) -> Result<(), StoreError> {
    for set in &commit.claims {
        let mut sql = Sql::new(session.dialect(), "DELETE FROM claim WHERE owner=");
        sql.int(set.owner.0);
        session.execute(&sql).await?;
    }
    remove(session, &claimed.over).await?;
    for one in &claimed.rows {
        let mut sql = Sql::new(session.dialect(), "INSERT INTO claim (");
        sql.push(VALUES).push(",expires) VALUES (");
        for value in one.values() {
            sql.int(value).push(",");
        }
        sql.bind(one.claim.expires.map_or(Value::Null, Value::Int))
            .push(")");
        session.execute(&sql).await?;
    }
    if let Some(receipt) = &commit.receipt {
        session.execute(&keep(session.dialect(), receipt)).await?;
    }
    Ok(())
}

/// The statement that keeps a receipt, in place of one that is no longer valid.
fn keep(dialect: Dialect, receipt: &NewReceipt) -> Sql {
    let mut sql = Sql::new(
        dialect,
        "INSERT INTO receipt (key,request,expires,answer) VALUES (",
    );
    sql.bytes(&receipt.key)
        .push(",")
        .bytes(&receipt.request)
        .push(",");
    sql.int(receipt.expires).push(",").bytes(&receipt.answer);
    sql.push(
        ") ON CONFLICT (key) DO UPDATE SET request=excluded.request, expires=excluded.expires,
             answer=excluded.answer",
    );
    sql
}
