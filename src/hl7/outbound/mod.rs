//! Messages to engines: what happens here becomes messages, which wait in a durable queue for
//! each destination until the receiver has them.
//!
//! - [`write`]: which message a new version is, if it is one.
//! - [`event`]: what it keeps its order with, and where it came from.
//! - [`follow`]: from the log to the queue.
//! - [`queue`], [`send`]: from the queue to the receiver.
//! - [`turn`]: one node of several does it.

pub mod destination;
pub mod event;
mod follow;
mod queue;
mod send;
mod turn;
mod wire;
pub mod write;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::sleep,
};

pub use destination::Destination;
pub use send::dtm;
pub use wire::{Security, Wire};
pub use write::{Scribe, Told, Written};

use follow::Follower;
use send::{Sender, Signals};

use crate::engine::Engine;

/// The pause when the store does not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Follows and sends until it is stopped.
pub struct Outbound {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Outbound {
    /// Begins for all destinations. Each that is new is told of what happens from now on.
    ///
    /// # Errors
    /// Why a destination cannot be used, with its name.
    pub async fn start(
        engine: &Arc<Engine>,
        destinations: Vec<Destination>,
        scribe: &Arc<dyn Scribe>,
    ) -> Result<Self, String> {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for destination in destinations {
            let wrong = |reason: String| format!("destination {}: {reason}", destination.name);
            let security = Security::new(destination.tls.as_ref(), &destination.address);
            let security = security.map_err(wrong)?;
            let destination = Arc::new(destination.clone());
            let scribe = Arc::clone(scribe);
            let mut follower = Follower::new(Arc::clone(engine), Arc::clone(&destination), scribe);
            // What happens once the server serves is told.
            let begun = follower.begin().await;
            begun.map_err(|error| wrong(error.to_string()))?;
            let news = Arc::new(Notify::new());
            let (has, turn) = watch::channel(false);
            tasks.spawn(turn::take_part(
                Arc::clone(engine),
                destination.name.clone(),
                has,
                stopped.clone(),
            ));
            let signals = || Signals {
                news: Arc::clone(&news),
                turn: turn.clone(),
                stop: stopped.clone(),
            };
            tasks.spawn(follow(follower, signals()));
            let sender = Sender::new(Arc::clone(engine), destination, security);
            tasks.spawn(sender.run(signals()));
        }
        Ok(Self { stop, tasks })
    }

    /// Takes nothing more, waits a little for acknowledgements, and ends.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn follow(mut follower: Follower, mut signals: Signals) {
    while !*signals.stop.borrow() {
        if !*signals.turn.borrow_and_update() {
            follower.forget();
            tokio::select! {
                changed = signals.turn.changed() => if changed.is_err() { return },
                _ = signals.stop.changed() => return,
            }
            continue;
        }
        match follower.look().await {
            Ok((queued, more)) => {
                if queued > 0 {
                    signals.news.notify_one();
                }
                if more {
                    continue;
                }
                tokio::select! {
                    () = sleep(follow::EVERY) => {}
                    _ = signals.stop.changed() => return,
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the log cannot be followed for messages");
                tokio::select! {
                    () = sleep(STORE_PAUSE) => {}
                    _ = signals.stop.changed() => return,
                }
            }
        }
    }
}
