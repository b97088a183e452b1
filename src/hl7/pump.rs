//! All of HL7 v2 that runs in a server.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
};

use super::{
    channel::Channel,
    connection::{Bounds, Shared},
    inbox::{Inbox, Stored},
    lines::{Lines, Room},
    listener::{self, Listener},
    meters,
};
use crate::engine::{
    Engine, Error, MessageChange, MessageId, MessageState, Settled, StoredMessage,
};

/// Messages that are fetched at a time.
const FETCHED: usize = 1_000;
/// Failed messages whose followers are told after a restart.
const MARKED: usize = 10_000;
/// How long to wait before the store is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// What messages may cost.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Of connections.
    pub bounds: Bounds,
    /// Messages that wait in memory; more wait in the store.
    pub held: usize,
    /// Messages that are applied at the same time.
    pub parallel: usize,
    /// For what has begun to end when the server stops.
    pub shutdown: Duration,
}

/// How often it is looked for what was requeued, and the pause while what was fetched is worked on.
const TAKE_EVERY: Duration = Duration::from_secs(1);
const TAKE_PAUSE: Duration = Duration::from_millis(20);

/// Receives messages, and sees to it that each has its effect.
pub struct Pump {
    inbox: Arc<Inbox>,
    memory: Arc<Semaphore>,
    settings: Settings,
    stop: watch::Sender<bool>,
    fetcher: JoinHandle<()>,
    taker: JoinHandle<()>,
}

impl Pump {
    /// Begins with what was stored before. Listeners come after this: what they receive is behind.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn start(
        engine: Arc<Engine>,
        channels: &[Arc<Channel>],
        settings: Settings,
    ) -> Result<Self, Error> {
        let lines = Lines::new(settings.held);
        let inbox = Inbox::new(engine, channels, lines, settings.parallel);
        recover(&inbox).await?;
        let (stop, stopped) = watch::channel(false);
        let taker = tokio::spawn(keep_taking(Arc::clone(&inbox), stopped.clone()));
        let fetcher = tokio::spawn(keep_fetching(Arc::clone(&inbox), stopped));
        Ok(Self {
            taker,
            inbox,
            memory: Arc::new(Semaphore::new(Shared::units(settings.bounds.buffered))),
            settings,
            stop,
            fetcher,
        })
    }

    /// Serves a listener, until the pump stops. How many connections were cut off then.
    pub fn listen(&self, listener: Listener) -> JoinHandle<usize> {
        let bounds = (self.settings.bounds.clone(), Arc::clone(&self.memory));
        tokio::spawn(listener::serve(
            listener,
            Arc::clone(&self.inbox),
            bounds,
            self.stop.subscribe(),
            self.settings.shutdown,
        ))
    }

    /// Takes no more frames: listeners answer what has come, and end.
    pub fn stop(&self) {
        let _ = self.stop.send(true);
    }

    /// Waits until what has begun has ended. What only waits for its turn stays stored. How much
    /// was left.
    pub async fn drain(&self) -> usize {
        self.stop();
        self.fetcher.abort();
        self.taker.abort();
        self.inbox.drain(self.settings.shutdown).await
    }

    /// Messages that are held, waiting or worked on.
    pub fn held(&self) -> usize {
        self.inbox.lines().held()
    }

    /// Works on a failed or dropped message again, behind those that wait now. False if it is
    /// neither.
    ///
    /// # Errors
    /// The store does not answer, or somebody else was faster.
    pub async fn retry(&self, id: MessageId) -> Result<bool, Error> {
        let Some(message) = self.in_hand(id).await? else {
            return Ok(false);
        };
        let change = settle(&message, MessageState::Waiting);
        self.inbox.engine().record_messages(vec![change]).await?;
        if let Some(turn) = self.inbox.lines().enter_stored(id, &message.head.lines) {
            self.inbox
                .resume(id, &message.head.channel, message.attempts, turn);
        }
        Ok(true)
    }

    /// Leaves a failed message as it is. False if it has not failed.
    ///
    /// # Errors
    /// The store does not answer, or somebody else was faster.
    pub async fn drop_message(&self, id: MessageId) -> Result<bool, Error> {
        let found = self.in_hand(id).await?;
        let Some(message) = found.filter(|found| found.state == MessageState::Failed) else {
            return Ok(false);
        };
        let change = settle(&message, MessageState::Dropped);
        self.inbox.engine().record_messages(vec![change]).await?;
        self.inbox.lines().unmark(id);
        Ok(true)
    }

    /// A message that is failed or dropped.
    async fn in_hand(&self, id: MessageId) -> Result<Option<StoredMessage>, Error> {
        let found = self.inbox.engine().message(id).await?;
        let is_open = |state| matches!(state, MessageState::Failed | MessageState::Dropped);
        Ok(found.filter(|message| is_open(message.state)))
    }
}

fn settle(message: &StoredMessage, to: MessageState) -> MessageChange {
    MessageChange::Settle(Box::new(Settled {
        id: message.head.id,
        from: message.state,
        state: to,
        attempts: message.attempts,
        next: None,
        outcome: None,
    }))
}

/// Marks the lines of failed messages, and fetches the first of those that wait.
async fn recover(inbox: &Arc<Inbox>) -> Result<(), Error> {
    let mut after = MessageId::FIRST;
    let mut marked = 0;
    while marked < MARKED {
        let failed = inbox
            .engine()
            .messages_in(MessageState::Failed, after, FETCHED)
            .await?;
        for message in &failed {
            inbox.lines().mark(message.id, &message.lines);
        }
        marked += failed.len();
        match failed.last() {
            Some(last) if failed.len() == FETCHED => after = last.id,
            _ => break,
        }
    }
    inbox.lines().spill();
    let mut fetched = 0;
    while let Some(room) = inbox.lines().room() {
        let (count, is_all) = fetch(inbox, &room).await?;
        fetched += count;
        if is_all {
            break;
        }
    }
    if fetched > 0 {
        tracing::info!(messages = fetched, "messages of before wait for their turn");
    }
    Ok(())
}

/// Fetches stored messages while there is room. True if there are no more.
async fn fetch(inbox: &Arc<Inbox>, room: &Room) -> Result<(usize, bool), Error> {
    let limit = room.count.min(FETCHED);
    let page = inbox
        .engine()
        .messages_in(MessageState::Waiting, room.after, limit)
        .await?;
    let mut fetched = 0;
    let mut is_cut = page.len() == limit;
    for message in &page {
        if room.below.is_some_and(|below| message.id >= below) {
            is_cut = true;
            break;
        }
        if let Some(turn) = inbox.lines().enter_stored(message.id, &message.lines) {
            inbox.resume(message.id, &message.channel, message.attempts, turn);
            fetched += 1;
        }
        inbox.lines().fetched(message.id);
    }
    Ok((fetched, !is_cut && inbox.lines().all_fetched(room)))
}

async fn keep_fetching(inbox: Arc<Inbox>, mut stop: watch::Receiver<bool>) {
    loop {
        meters::held(inbox.lines().held());
        match inbox.lines().room() {
            None => tokio::select! {
                () = inbox.lines().left() => {}
                () = tokio::time::sleep(PAUSE) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            },
            Some(room) => match fetch(&inbox, &room).await {
                Ok((1.., _)) | Ok((_, true)) => {}
                // What is being stored will be there soon.
                Ok((0, false)) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(error) => {
                    tracing::warn!(%error, "waiting messages could not be fetched");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
}

/// Takes up what operators have requeued, here or beside the server.
async fn keep_taking(inbox: Arc<Inbox>, mut stop: watch::Receiver<bool>) {
    let desk = inbox.engine().message_desk();
    let mut seen = None;
    loop {
        match desk.inbox_stamp().await {
            // What was requeued before the start is fetched with all else.
            Ok(stamp) if seen.is_none() => seen = Some(stamp),
            Ok(stamp) if seen.as_ref() != Some(&stamp) => match take_up(&inbox).await {
                Ok(()) => seen = Some(stamp),
                Err(error) => tracing::warn!(%error, "requeued messages were not taken up"),
            },
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "whether messages were requeued is not known"),
        }
        tokio::select! {
            () = tokio::time::sleep(TAKE_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Gives all that waits a place, if it has none.
async fn take_up(inbox: &Arc<Inbox>) -> Result<(), Error> {
    let mut after = MessageId::FIRST;
    loop {
        let page = inbox
            .engine()
            .messages_in(MessageState::Waiting, after, FETCHED)
            .await?;
        for message in &page {
            inbox.lines().unmark(message.id);
            if let Some(turn) = inbox.lines().enter_stored(message.id, &message.lines) {
                inbox.resume(message.id, &message.channel, message.attempts, turn);
            }
            after = message.id;
        }
        if page.len() < FETCHED {
            return Ok(());
        }
        // Those of a long replay come bit by bit.
        while inbox.lines().held() > FETCHED {
            tokio::time::sleep(TAKE_PAUSE).await;
        }
    }
}

impl Inbox {
    /// Works on a stored message when its turn comes.
    fn resume(
        self: &Arc<Self>,
        id: MessageId,
        channel: &str,
        attempts: u32,
        turn: super::lines::Turn,
    ) {
        let channel = self.channel_named(channel);
        self.wait(Stored::fetched(id, channel, attempts), turn);
    }
}
