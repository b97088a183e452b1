//! Messages of HL7 v2, for those who receive, send and browse them. Whoever calls decides who may.

use bytes::Bytes;

use super::{
    Engine, Error, MessageChange, MessageId, MessageState, NewMessage, StoredMessage,
    WaitingMessage,
};
use crate::{
    access::Access,
    store::{Commit, StoreError},
};

/// What became of a message that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It is stored. An earlier one of the same sender had its control id and other bytes.
    Stored(Option<MessageId>),
    /// It is stored already, as this one.
    Duplicate(MessageId),
}

impl Engine {
    /// Makes all changes of messages, or none; durable when this returns.
    ///
    /// # Errors
    /// A message has come before or is not in the state that is expected
    /// ([`ErrorKind::Conflict`](super::ErrorKind::Conflict)); the store does not answer.
    pub async fn record_messages(&self, changes: Vec<MessageChange>) -> Result<(), Error> {
        self.commit_messages(changes).await?;
        Ok(())
    }

    /// Stores a message that came; durable when this returns.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn receive_message(&self, message: NewMessage) -> Result<Received, Error> {
        let change = MessageChange::Receive(Box::new(message));
        match self.commit_messages(vec![change]).await {
            Ok(reused) => Ok(Received::Stored(reused.first().copied().flatten())),
            Err(StoreError::Duplicate(id)) => Ok(Received::Duplicate(id)),
            Err(error) => Err(error.into()),
        }
    }

    async fn commit_messages(
        &self,
        messages: Vec<MessageChange>,
    ) -> Result<Vec<Option<MessageId>>, StoreError> {
        let commit = Commit {
            messages,
            ..Commit::default()
        };
        let access = Access::system("messages are no resources");
        Ok(self.store.commit(commit, &access).await?.reused)
    }

    /// The newest message of a sender with a control id that came at or after `since`
    /// (milliseconds since 1970), and whether it has the same bytes.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn earlier_message(
        &self,
        sender: &str,
        control: &str,
        (hash, since): ([u8; 16], i64),
    ) -> Result<Option<(MessageId, bool)>, Error> {
        let found = self.store.earlier_message(sender, control, (hash, since));
        Ok(found.await?)
    }

    /// A message without its bytes.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn message(&self, id: MessageId) -> Result<Option<StoredMessage>, Error> {
        Ok(self.store.message(id).await?)
    }

    /// The bytes of a message.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn message_bytes(&self, id: MessageId) -> Result<Option<Bytes>, Error> {
        Ok(self.store.message_bytes(id).await?)
    }

    /// Messages in a state other than done, in the order in which they came, after one.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn messages_in(
        &self,
        state: MessageState,
        after: MessageId,
        limit: usize,
    ) -> Result<Vec<WaitingMessage>, Error> {
        Ok(self.store.messages_in(state, after, limit).await?)
    }

    /// Removes up to `limit` messages that came before a time (milliseconds since 1970) and that
    /// nobody has to look at any more; how many.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn sweep_messages(&self, before: i64, limit: usize) -> Result<u64, Error> {
        Ok(self.store.sweep_messages(before, limit).await?)
    }
}
