//! What operators do with messages: look at them, and have them worked on or sent again. By the
//! server, and beside it on its store.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    DeliveryFilter, DeliveryState, Engine, Error, ErrorKind, MessageChange, MessageFilter,
    MessageId, MessageState, Settled, StoredDelivery, StoredMessage,
    following::{QueueOrders, paused_key, stamp_key},
};
use crate::{
    access::Access,
    store::{Commit, Delivered, Store, StoreError},
};

const WHY: Access = Access::system("messages are no resources");

/// Messages that are changed in one commit, and that are looked at together.
const CHUNK: usize = 200;

/// The setting that changes when messages that came were changed by hand.
const INBOX: &str = "hl7-changed-inbox";

/// Messages on a store.
#[derive(Clone)]
pub struct MessageDesk {
    store: Arc<Store>,
}

/// What is to become of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// Those that failed are tried again.
    Retry,
    /// Those that failed, were done or were dropped are worked on, or sent, again.
    Replay,
    /// Those that failed or wait are left as they are.
    Drop,
}

impl Treatment {
    fn message(self, state: MessageState) -> Option<MessageState> {
        match (self, state) {
            (Self::Retry, MessageState::Failed)
            | (Self::Replay, MessageState::Failed | MessageState::Done | MessageState::Dropped) => {
                Some(MessageState::Waiting)
            }
            (Self::Drop, MessageState::Failed | MessageState::Waiting) => {
                Some(MessageState::Dropped)
            }
            _ => None,
        }
    }

    fn delivery(self, state: DeliveryState) -> Option<DeliveryState> {
        match (self, state) {
            (Self::Retry, DeliveryState::Failed)
            | (
                Self::Replay,
                DeliveryState::Failed | DeliveryState::Done | DeliveryState::Dropped,
            ) => Some(DeliveryState::Waiting),
            (Self::Drop, DeliveryState::Failed | DeliveryState::Waiting) => {
                Some(DeliveryState::Dropped)
            }
            _ => None,
        }
    }
}

impl Engine {
    /// The messages of the store.
    pub fn message_desk(&self) -> MessageDesk {
        MessageDesk::new(Arc::clone(&self.store))
    }
}

impl MessageDesk {
    /// On a store.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    /// Messages that came, newest first, without their bytes.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn messages(
        &self,
        filter: &MessageFilter,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, Error> {
        Ok(self.store.messages(filter, limit).await?)
    }

    /// A message that came, and its bytes.
    ///
    /// # Errors
    /// There is none; the store does not answer.
    pub async fn message(&self, id: MessageId) -> Result<(StoredMessage, Bytes), Error> {
        let found = self.store.message(id).await?;
        let bytes = self.store.message_bytes(id).await?;
        found.zip(bytes).ok_or_else(|| none(&id.to_string()))
    }

    /// How many messages that came are in each state other than done.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn message_counts(&self) -> Result<Vec<(MessageState, u64)>, Error> {
        Ok(self.store.message_counts().await?)
    }

    /// Treats one message that came.
    ///
    /// # Errors
    /// There is none, or it is in no state for this; the store does not answer.
    pub async fn treat_message(&self, id: MessageId, how: Treatment) -> Result<(), Error> {
        let found = self.store.message(id).await?;
        let found = found.ok_or_else(|| none(&id.to_string()))?;
        let change = changed(&found, how).ok_or_else(|| unfit(found.state.name()))?;
        self.commit(vec![change]).await?;
        self.stamp(INBOX).await
    }

    /// Treats all messages that came and that a filter finds; how many.
    ///
    /// # Errors
    /// The store does not answer; then some may have been treated.
    pub async fn treat_messages(
        &self,
        filter: &MessageFilter,
        how: Treatment,
    ) -> Result<u64, Error> {
        let mut filter = filter.clone();
        let mut treated = 0;
        loop {
            let page = self.store.messages(&filter, CHUNK).await?;
            let changes = page.iter().filter_map(|one| changed(one, how));
            treated += self.commit_all(changes.collect()).await?;
            match page.last() {
                Some(last) if page.len() == CHUNK => filter.below = Some(last.head.id),
                _ => break,
            }
        }
        self.stamp(INBOX).await?;
        Ok(treated)
    }

    /// What changes when messages that came were treated.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn inbox_stamp(&self) -> Result<Vec<u8>, Error> {
        Ok(self.store.setting(INBOX).await?.unwrap_or_default())
    }

    /// Messages to be sent, in their order.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        limit: usize,
    ) -> Result<Vec<StoredDelivery>, Error> {
        Ok(self.store.deliveries(filter, limit).await?)
    }

    /// One message to be sent.
    ///
    /// # Errors
    /// There is none; the store does not answer.
    pub async fn delivery(&self, n: i64) -> Result<StoredDelivery, Error> {
        let found = self.store.delivery(n).await?;
        found.ok_or_else(|| none(&n.to_string()))
    }

    /// How many messages to a destination are in each state other than done, and when the oldest
    /// of each was queued.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn delivery_counts(
        &self,
        destination: &str,
    ) -> Result<Vec<(DeliveryState, u64, i64)>, Error> {
        Ok(self.store.delivery_counts(destination).await?)
    }

    /// Treats one message to be sent.
    ///
    /// # Errors
    /// There is none, or it is in no state for this; the store does not answer.
    pub async fn treat_delivery(&self, n: i64, how: Treatment) -> Result<(), Error> {
        let found = self.delivery(n).await?;
        let change = moved(&found, how).ok_or_else(|| unfit(found.state.name()))?;
        self.commit(vec![change]).await?;
        self.stamp(&stamp_key(&found.delivery.destination)).await
    }

    /// Treats all messages to be sent that a filter finds and that were queued at or after
    /// `since` (milliseconds since 1970); how many.
    ///
    /// # Errors
    /// The store does not answer; then some may have been treated.
    pub async fn treat_deliveries(
        &self,
        filter: &DeliveryFilter,
        since: i64,
        how: Treatment,
    ) -> Result<u64, Error> {
        let mut filter = filter.clone();
        let mut treated = 0;
        let mut destinations = std::collections::BTreeSet::new();
        loop {
            let page = self.store.deliveries(&filter, CHUNK).await?;
            let wanted = page.iter().filter(|one| one.delivery.created >= since);
            let changes: Vec<_> = wanted
                .filter_map(|one| {
                    let change = moved(one, how)?;
                    destinations.insert(one.delivery.destination.clone());
                    Some(change)
                })
                .collect();
            treated += self.commit_all(changes).await?;
            match page.last() {
                Some(last) if page.len() == CHUNK => filter.after = last.n,
                _ => break,
            }
        }
        for destination in destinations {
            self.stamp(&stamp_key(&destination)).await?;
        }
        Ok(treated)
    }

    /// Holds the messages to a destination back, or lets them go again.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn pause(&self, destination: &str, paused: bool) -> Result<(), Error> {
        let value: &[u8] = if paused { b"1" } else { b"0" };
        let key = paused_key(destination);
        self.store.set_setting(&key, value).await?;
        self.stamp(&stamp_key(destination)).await
    }

    /// What was decided about the queue to a destination.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn orders(&self, destination: &str) -> Result<QueueOrders, Error> {
        Ok(QueueOrders::read(&self.store, destination).await?)
    }

    async fn stamp(&self, key: &str) -> Result<(), Error> {
        let stamp = uuid::Uuid::new_v4();
        Ok(self.store.set_setting(key, stamp.as_bytes()).await?)
    }

    /// Makes the changes together; if something has changed meanwhile, each by itself.
    async fn commit_all(&self, changes: Vec<MessageChange>) -> Result<u64, Error> {
        let count = changes.len() as u64;
        if count == 0 {
            return Ok(0);
        }
        match self.commit(changes.clone()).await {
            Err(error) if error.kind == ErrorKind::Conflict => {}
            done => return done.map(|()| count),
        }
        let mut done = 0;
        for change in changes {
            match self.commit(vec![change]).await {
                Ok(()) => done += 1,
                Err(error) if error.kind == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    async fn commit(&self, messages: Vec<MessageChange>) -> Result<(), Error> {
        let commit = Commit {
            messages,
            ..Commit::default()
        };
        match self.store.commit(commit, &WHY).await {
            Ok(_) => Ok(()),
            Err(StoreError::Settled) => Err(Error::new(
                ErrorKind::Conflict,
                "conflict",
                "something has happened to the message meanwhile; look at it again",
            )),
            Err(error) => Err(error.into()),
        }
    }
}

fn changed(message: &StoredMessage, how: Treatment) -> Option<MessageChange> {
    let state = how.message(message.state)?;
    Some(MessageChange::Settle(Box::new(Settled {
        id: message.head.id,
        from: message.state,
        state,
        attempts: 0,
        next: None,
        outcome: None,
    })))
}

fn moved(delivery: &StoredDelivery, how: Treatment) -> Option<MessageChange> {
    let state = how.delivery(delivery.state)?;
    Some(MessageChange::Deliver(Box::new(Delivered {
        n: delivery.n,
        from: delivery.state,
        state,
        attempts: 0,
        next: None,
        ack: None,
        error: match state {
            DeliveryState::Waiting => None,
            _ => delivery.error.clone(),
        },
    })))
}

fn none(which: &str) -> Error {
    let reason = format!("there is no message {which}");
    Error::new(ErrorKind::NotFound, "not-found", reason)
}

fn unfit(state: &str) -> Error {
    let reason = format!("the message is {state}: that cannot be done with it");
    Error::new(ErrorKind::Conflict, "conflict", reason)
}
