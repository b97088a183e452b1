//! Records as values: what the authorization server keeps, each kind a type.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use serde::{Serialize, de::DeserializeOwned};

use super::error::AuthError;
use crate::store::{Expect, Record, RecordChange, Store, StoreError};

/// A kind of record.
pub trait Kept: Serialize + DeserializeOwned + Send + Sync {
    /// Its number in the store; never used for another.
    const KIND: i64;
    /// What it is called.
    const NAME: &'static str;

    /// Whether access decisions are made from it.
    const DECIDES: Decides = Decides::Always;

    /// What it goes with: a session's user, a token's grant.
    fn owner(&self) -> &str {
        ""
    }

    /// Milliseconds since 1970 from which on it is not valid.
    fn expires(&self) -> Option<i64> {
        None
    }
}

/// Which changes of a kind of record make the access decisions that are kept old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decides {
    /// Any: that there is none means something too.
    Always,
    /// Those of one that is there: its name is random, nobody asked for it before.
    OnceThere,
    /// None.
    Never,
}

impl Decides {
    fn by(self, expect: Expect) -> bool {
        match self {
            Self::Always => true,
            Self::OnceThere => expect != Expect::Absent,
            Self::Never => false,
        }
    }
}

/// A value as it was read: with its name and version, for compare and swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// Its name.
    pub id: String,
    /// The version that was read.
    pub version: i64,
    /// The value.
    pub value: T,
}

/// The store's records by type.
#[derive(Debug, Clone)]
pub struct Records {
    store: Arc<Store>,
    changes: Arc<AtomicU64>,
}

/// A set of changes, made all or not at all.
#[derive(Debug, Default)]
pub struct Changes {
    all: Vec<RecordChange>,
    /// A decision that is kept may be another after it.
    decides: bool,
}

impl Changes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn put<T: Kept>(mut self, id: &str, value: &T, expect: Expect) -> Result<Self, AuthError> {
        let body = serde_json::to_vec(value)
            .map_err(|error| AuthError::Damaged(format!("{}: {error}", T::NAME)))?;
        let record = Record {
            kind: T::KIND,
            id: id.to_owned(),
            owner: value.owner().to_owned(),
            version: 0,
            expires: value.expires(),
            body,
        };
        self.all.push(RecordChange::Put(record, expect));
        self.decides |= T::DECIDES.by(expect);
        Ok(self)
    }

    /// Adds one that must not be there yet.
    ///
    /// # Errors
    /// The value has no JSON form.
    pub fn create<T: Kept>(self, id: &str, value: &T) -> Result<Self, AuthError> {
        self.put(id, value, Expect::Absent)
    }

    /// Changes one that must be as it was read.
    ///
    /// # Errors
    /// The value has no JSON form.
    pub fn replace<T: Kept>(self, found: &Found<T>) -> Result<Self, AuthError> {
        self.put(&found.id, &found.value, Expect::Version(found.version))
    }

    /// Adds or replaces.
    ///
    /// # Errors
    /// The value has no JSON form.
    pub fn set<T: Kept>(self, id: &str, value: &T) -> Result<Self, AuthError> {
        self.put(id, value, Expect::Any)
    }

    /// Removes one that must be as it was read: of several who try, one succeeds.
    #[must_use]
    pub fn take<T: Kept>(mut self, found: &Found<T>) -> Self {
        let expect = Expect::Version(found.version);
        let change = RecordChange::Remove(T::KIND, found.id.clone(), expect);
        self.all.push(change);
        self.decides |= T::DECIDES.by(Expect::Any);
        self
    }

    /// Removes one, if it is there.
    #[must_use]
    pub fn remove<T: Kept>(mut self, id: &str) -> Self {
        let change = RecordChange::Remove(T::KIND, id.to_owned(), Expect::Any);
        self.all.push(change);
        self.decides |= T::DECIDES.by(Expect::Any);
        self
    }

    /// Removes all of a kind that go with an owner.
    #[must_use]
    pub fn remove_owned<T: Kept>(mut self, owner: &str) -> Self {
        let change = RecordChange::RemoveOwned(T::KIND, owner.to_owned());
        self.all.push(change);
        self.decides |= T::DECIDES.by(Expect::Any);
        self
    }

    /// Those of another set too.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.all.extend(others.all);
        self.decides |= others.decides;
        self
    }
}

impl Records {
    /// The records of a store.
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            changes: Arc::default(),
        }
    }

    /// The store behind it.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A number that is another after each change that this process made of what access decisions
    /// are made from.
    pub fn epoch(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The record with this name, expired or not.
    ///
    /// # Errors
    /// The store refuses, or the record is damaged.
    pub async fn find<T: Kept>(&self, id: &str) -> Result<Option<Found<T>>, AuthError> {
        let record = self.store.record(T::KIND, id).await?;
        record.map(read).transpose()
    }

    /// The record with this name, unless it has expired at `now`.
    ///
    /// # Errors
    /// The store refuses, or the record is damaged.
    pub async fn find_valid<T: Kept>(
        &self,
        id: &str,
        now: i64,
    ) -> Result<Option<Found<T>>, AuthError> {
        let found = self.find::<T>(id).await?;
        Ok(found.filter(|found| found.value.expires().is_none_or(|at| now < at)))
    }

    /// The record with this name.
    ///
    /// # Errors
    /// [`AuthError::Unknown`]; the store refuses, or the record is damaged.
    pub async fn get<T: Kept>(&self, id: &str) -> Result<Found<T>, AuthError> {
        let found = self.find(id).await?;
        found.ok_or_else(|| AuthError::Unknown(T::NAME, id.to_owned()))
    }

    /// Records in the order of their names after `after`; only those that go with `owner`, if one
    /// is given.
    ///
    /// # Errors
    /// The store refuses, or a record is damaged.
    pub async fn list<T: Kept>(
        &self,
        owner: Option<&str>,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Found<T>>, AuthError> {
        let found = self.store.records(T::KIND, owner, after, limit).await?;
        found.into_iter().map(read).collect()
    }

    /// All records of an owner, or all.
    ///
    /// # Errors
    /// The store refuses, or a record is damaged.
    pub async fn all<T: Kept>(&self, owner: Option<&str>) -> Result<Vec<Found<T>>, AuthError> {
        const PAGE: usize = 500;
        let mut all: Vec<Found<T>> = Vec::new();
        loop {
            let after = all.last().map_or(String::new(), |last| last.id.clone());
            let page = self.list(owner, &after, PAGE).await?;
            let done = page.len() < PAGE;
            all.extend(page);
            if done {
                return Ok(all);
            }
        }
    }

    /// Makes all changes or none; they are durable when this returns.
    ///
    /// # Errors
    /// [`AuthError::Conflict`] if an expectation does not hold; the store refuses.
    pub async fn commit(&self, changes: Changes) -> Result<(), AuthError> {
        let decides = changes.decides;
        let done = self.store.change_records(changes.all).await;
        if decides {
            // For a failure too: whether that happened is not known.
            self.changes.fetch_add(1, Ordering::AcqRel);
        }
        match done {
            Err(StoreError::Conflict(_)) => Err(AuthError::Conflict),
            other => Ok(other?),
        }
    }

    /// Changes one record, again if somebody else was faster; gives it as it then is.
    ///
    /// # Errors
    /// [`AuthError::Unknown`]; what `change` says; the store refuses.
    pub async fn update<T: Kept>(
        &self,
        id: &str,
        mut change: impl FnMut(&mut T) -> Result<(), AuthError>,
    ) -> Result<Found<T>, AuthError> {
        loop {
            let mut found = self.get::<T>(id).await?;
            change(&mut found.value)?;
            match self.commit(Changes::new().replace(&found)?).await {
                Err(AuthError::Conflict) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    found.version += 1;
                    return Ok(found);
                }
            }
        }
    }
}

fn read<T: Kept>(record: Record) -> Result<Found<T>, AuthError> {
    let value = serde_json::from_slice(&record.body)
        .map_err(|error| AuthError::Damaged(format!("{} {}: {error}", T::NAME, record.id)))?;
    Ok(Found {
        id: record.id,
        version: record.version,
        value,
    })
}
