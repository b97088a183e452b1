//! For those who tell others of changes: the log as they need it, where they are in it, and who
//! of several nodes does it.

use resources::model::ResourceType;
use serde_json::Value as Json;

use super::{DeliveryHead, DeliveryState, Engine, Error, StoredDelivery};
use crate::{
    access::Access,
    store::{Expect, LogEntry, Record, RecordChange, Store, StoreError},
};

const WHY: Access = Access::system("messages to engines tell of all resources");

/// The kind of the records that say who does something that one node is to do.
const TURN: i64 = 100;

/// A version, and the one before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its place in the log.
    pub place: i64,
    /// The resource's type,
    pub kind: ResourceType,
    /// its id,
    pub id: String,
    /// and the version.
    pub version: i64,
    /// The text before; none if the resource is new or was deleted.
    pub before: Option<Json>,
    /// The text of this version; none if it is a deletion.
    pub after: Option<Json>,
}

/// Versions for a follower.
#[derive(Debug, Clone, PartialEq)]
pub struct Steps {
    /// Oldest first.
    pub steps: Vec<Step>,
    /// From where to go on.
    pub reached: i64,
}

/// Who does something that one node of several is to do, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The node that has it.
    pub holder: String,
    /// Grows with each sign of life.
    pub version: i64,
}

impl Engine {
    /// Where a follower is; the present end of the log if it never was.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn follower(&self, name: &str, kinds: &[ResourceType]) -> Result<i64, Error> {
        Ok(self.store.follower(name, kinds).await?)
    }

    /// Versions of some types after a place in the log, each with the one before it.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn follow_log(
        &self,
        kinds: &[ResourceType],
        after: i64,
        limit: usize,
    ) -> Result<Steps, Error> {
        let followed = self.store.followed(kinds, after, limit).await?;
        let mut steps = Vec::with_capacity(followed.entries.len());
        for entry in &followed.entries {
            steps.push(self.step(entry).await?);
        }
        Ok(Steps {
            steps,
            reached: followed.reached,
        })
    }

    async fn step(&self, entry: &LogEntry) -> Result<Step, Error> {
        let head = &entry.stored.head;
        let before = match head.version {
            ..=1 => None,
            version => {
                self.store
                    .version(head.kind, &head.id, version - 1, &WHY)
                    .await?
            }
        };
        Ok(Step {
            place: head.vid,
            kind: head.kind,
            id: head.id.clone(),
            version: head.version,
            before: before.and_then(|before| json(&before.stored.body)),
            after: json(&entry.stored.body),
        })
    }

    /// The newest version of a resource, for a message about another.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn mentioned(&self, kind: ResourceType, id: &str) -> Result<Option<Json>, Error> {
        let found = self.store.current(&[(kind, id)], &WHY).await?;
        let found = found.into_iter().flatten().next();
        Ok(found.and_then(|found| json(&found.body)))
    }

    /// Messages to a destination in a state, after a number, in their order.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn deliveries_in(
        &self,
        destination: &str,
        state: DeliveryState,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeliveryHead>, Error> {
        let heads = self.store.delivery_heads(destination, state, after, limit);
        Ok(heads.await?)
    }

    /// One message to be sent.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn delivery(&self, n: i64) -> Result<Option<StoredDelivery>, Error> {
        Ok(self.store.delivery(n).await?)
    }

    /// Whether nobody else can have a part of the work: SQLite has one server.
    pub fn is_alone(&self) -> bool {
        self.store.is_alone()
    }

    /// Who has the turn at something.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn turn(&self, name: &str) -> Result<Option<Turn>, Error> {
        let found = self.store.record(TURN, name).await?;
        Ok(found.map(|record| Turn {
            holder: String::from_utf8_lossy(&record.body).into_owned(),
            version: record.version,
        }))
    }

    /// Takes a turn, or gives a sign of life; false if somebody else was faster. `seen` is what
    /// was read before.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn take_turn(
        &self,
        name: &str,
        holder: &str,
        seen: Option<&Turn>,
    ) -> Result<bool, Error> {
        let record = Record {
            kind: TURN,
            id: name.to_owned(),
            owner: String::new(),
            version: 0,
            expires: None,
            body: holder.as_bytes().to_vec(),
        };
        let expect = seen.map_or(Expect::Absent, |turn| Expect::Version(turn.version));
        let put = RecordChange::Put(record, expect);
        match self.store.change_records(vec![put]).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a turn back.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn end_turn(&self, name: &str, seen: &Turn) -> Result<(), Error> {
        let remove = RecordChange::Remove(TURN, name.to_owned(), Expect::Version(seen.version));
        match self.store.change_records(vec![remove]).await {
            Ok(()) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What operators decided about a queue.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn queue_orders(&self, destination: &str) -> Result<QueueOrders, Error> {
        Ok(QueueOrders::read(&self.store, destination).await?)
    }
}

/// What operators decided about the queue to a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueOrders {
    /// Nothing is sent.
    pub paused: bool,
    /// Another whenever something in it was changed by hand.
    pub stamp: Vec<u8>,
}

impl QueueOrders {
    pub(super) async fn read(store: &Store, destination: &str) -> Result<Self, StoreError> {
        let paused = store.setting(&paused_key(destination)).await?;
        let stamp = store.setting(&stamp_key(destination)).await?;
        Ok(Self {
            paused: paused.as_deref() == Some(b"1"),
            stamp: stamp.unwrap_or_default(),
        })
    }
}

/// The setting that says that a queue is paused.
pub(super) fn paused_key(destination: &str) -> String {
    format!("hl7-paused:{destination}")
}

/// The setting that changes when a queue was changed by hand.
pub(super) fn stamp_key(destination: &str) -> String {
    format!("hl7-changed:{destination}")
}

fn json(text: &[u8]) -> Option<Json> {
    serde_json::from_slice(text).ok()
}
