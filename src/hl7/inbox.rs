//! A message from its receipt to its effect: checked, known again, stored, answered, applied.

mod answer;
mod intake;
mod work;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use mllp::{Message, header::Header};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

use super::{apply::Applier, channel::Channel, lines::Lines, pace::Pace};
use crate::engine::{Engine, MessageHead, MessageId};

pub(super) use work::Stored;

/// Where messages come from.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// SHA-256 of its certificate.
    pub certificate: Option<[u8; 32]>,
    /// The channels that messages may come through.
    pub channels: Arc<[Arc<Channel>]>,
    /// Where answers go that are messages of their own.
    pub later: mpsc::Sender<Bytes>,
}

/// What is to be sent back for a frame.
#[derive(Debug, Default)]
pub struct Reply {
    /// Answers, each a frame.
    pub frames: Vec<Bytes>,
    /// Whether what came is stored (MLLP release 2); none: there was nothing to store.
    pub stored: Option<bool>,
    /// The connection is to be closed without an answer.
    pub close: bool,
}

impl Reply {
    fn frame(bytes: Bytes, stored: bool) -> Self {
        Self {
            frames: vec![bytes],
            stored: Some(stored),
            close: false,
        }
    }

    fn close() -> Self {
        Self {
            stored: Some(false),
            close: true,
            ..Self::default()
        }
    }
}

/// How a frame goes on.
#[derive(Debug)]
pub enum Begun {
    /// It is answered, or needs no answer.
    Now(Reply),
    /// Its answer will come.
    Soon(oneshot::Receiver<Reply>),
}

/// A message that is being worked on.
struct Case {
    message: Message,
    header: Header,
    channel: Arc<Channel>,
    head: MessageHead,
    received: i64,
    /// Nobody else works on the same message meanwhile.
    _alone: Alone,
}

/// What knows a message again: sender, control id and bytes.
type Key = (String, String, [u8; 16]);

/// The same message may not be worked on twice at the same time.
struct Alone {
    inbox: Arc<Inbox>,
    key: Key,
}

impl Drop for Alone {
    fn drop(&mut self) {
        // Those who wait see that the sender is gone.
        self.inbox.under_way().remove(&self.key);
    }
}

/// All that messages come to.
pub struct Inbox {
    engine: Arc<Engine>,
    applier: Applier,
    lines: Arc<Lines>,
    pace: Pace,
    channels: HashMap<String, Arc<Channel>>,
    /// Messages that may be applied at the same time.
    working: Semaphore,
    under_way: Mutex<HashMap<Key, watch::Sender<()>>>,
    /// The next MSH-13 of each channel and sender.
    sequences: Mutex<HashMap<(String, String), i64>>,
    /// Tasks that have not ended.
    busy: AtomicUsize,
    idle: Notify,
    stopping: AtomicBool,
    stopped: Notify,
}

impl Inbox {
    pub fn new(
        engine: Arc<Engine>,
        channels: &[Arc<Channel>],
        lines: Arc<Lines>,
        parallel: usize,
    ) -> Arc<Self> {
        let named = channels
            .iter()
            .map(|channel| (channel.name.clone(), Arc::clone(channel)));
        Arc::new(Self {
            applier: Applier::new(Arc::clone(&engine)),
            engine,
            lines,
            pace: Pace::new(),
            channels: named.collect(),
            working: Semaphore::new(parallel.max(1)),
            under_way: Mutex::default(),
            sequences: Mutex::default(),
            busy: AtomicUsize::new(0),
            idle: Notify::new(),
            stopping: AtomicBool::new(false),
            stopped: Notify::new(),
        })
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub fn lines(&self) -> &Arc<Lines> {
        &self.lines
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Key, watch::Sender<()>>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to work on a message; else what ends when whoever has it is done.
    fn alone(self: &Arc<Self>, key: Key) -> Result<Alone, watch::Receiver<()>> {
        let mut under_way = self.under_way();
        if let Some(other) = under_way.get(&key) {
            return Err(other.subscribe());
        }
        under_way.insert(key.clone(), watch::Sender::new(()));
        drop(under_way);
        Ok(Alone {
            inbox: Arc::clone(self),
            key,
        })
    }

    /// The channel of a stored message; what is left of one that is no longer configured.
    pub(super) fn channel_named(&self, name: &str) -> Arc<Channel> {
        self.channels.get(name).cloned().unwrap_or_else(|| {
            Arc::new(Channel {
                name: name.to_owned(),
                ..Channel::default()
            })
        })
    }

    /// Runs work that goes on when the connection is gone, and that [`Inbox::drain`] waits for.
    fn spawn(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let busy = self.busy();
        tokio::spawn(async move {
            work.await;
            drop(busy);
        });
    }

    fn busy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(self))
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Done when the server stops.
    async fn stopped(&self) {
        loop {
            let heard = self.stopped.notified();
            tokio::pin!(heard);
            heard.as_mut().enable();
            if self.is_stopping() {
                return;
            }
            heard.await;
        }
    }

    /// Begins nothing more, and waits until what has begun is done; what only waits for its turn
    /// stays stored. How many had to be left.
    pub async fn drain(&self, time: Duration) -> usize {
        self.stopping.store(true, Ordering::Release);
        self.stopped.notify_waiters();
        let all = async {
            while self.busy.load(Ordering::Acquire) > 0 {
                tokio::select! {
                    () = self.idle.notified() => {}
                    () = tokio::time::sleep(Duration::from_millis(10)) => {}
                }
            }
        };
        let _ = tokio::time::timeout(time, all).await;
        self.busy.load(Ordering::Acquire)
    }

    /// A message's number for an answer that no stored message stands behind.
    fn number(&self) -> MessageId {
        self.lines.number(self.engine.now())
    }
}

struct Busy(Arc<Inbox>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
        self.0.idle.notify_one();
    }
}
