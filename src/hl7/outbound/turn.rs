//! One node of several sends to a destination: who has the turn gives signs of life, and who sees
//! none for a while takes it. Clocks are not compared: each node measures by its own.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::engine::{Engine, Error, Turn};

/// How often a sign of life is given, or looked for.
const EVERY: Duration = Duration::from_secs(2);
/// Without a sign of life for this long the turn is lost, for who has it,
const LOST_AFTER: Duration = Duration::from_secs(6);
/// and free, for who has not.
const FREE_AFTER: Duration = Duration::from_secs(10);

/// Takes part until the other side of `turn` is gone or the server stops.
pub async fn take_part(
    engine: Arc<Engine>,
    name: String,
    turn: watch::Sender<bool>,
    mut stop: watch::Receiver<bool>,
) {
    if engine.is_alone() {
        turn.send_replace(true);
        turn.closed().await;
        return;
    }
    let mut part = Part {
        holder: uuid::Uuid::new_v4().to_string(),
        engine,
        name: format!("hl7:{name}"),
        renewed: None,
        seen: None,
    };
    while !*stop.borrow() && !turn.is_closed() {
        let has = match part.look().await {
            Ok(has) => has,
            Err(error) => {
                tracing::warn!(%error, "whose turn it is to send cannot be found out");
                part.renewed.is_some_and(|at| at.elapsed() < LOST_AFTER)
            }
        };
        turn.send_if_modified(|turn| std::mem::replace(turn, has) != has);
        tokio::select! {
            () = sleep(EVERY) => {}
            _ = stop.changed() => break,
        }
    }
    // The sender finishes what is on the way.
    turn.closed().await;
    part.end().await;
}

struct Part {
    engine: Arc<Engine>,
    name: String,
    holder: String,
    /// When it last gave a sign of life.
    renewed: Option<Instant>,
    /// What it saw last, and since when.
    seen: Option<(Option<Turn>, Instant)>,
}

impl Part {
    /// Gives a sign of life, or takes the turn if nobody has it; whether it has it.
    async fn look(&mut self) -> Result<bool, Error> {
        let before = Instant::now();
        let found = self.engine.turn(&self.name).await?;
        let is_own = found
            .as_ref()
            .is_some_and(|turn| turn.holder == self.holder);
        let is_new = self.seen.as_ref().is_none_or(|(seen, _)| *seen != found);
        if is_new {
            self.seen = Some((found.clone(), before));
        }
        let is_free = match &self.seen {
            Some((Some(_), since)) => since.elapsed() >= FREE_AFTER,
            _ => true,
        };
        if !is_own && !is_free {
            self.renewed = None;
            return Ok(false);
        }
        let taken = self
            .engine
            .take_turn(&self.name, &self.holder, found.as_ref())
            .await?;
        self.renewed = taken.then_some(before);
        Ok(taken)
    }

    async fn end(&self) {
        let found = self.engine.turn(&self.name).await.ok().flatten();
        if let Some(own) = found.filter(|turn| turn.holder == self.holder) {
            // If it fails, others wait a little.
            let _ = self.engine.end_turn(&self.name, &own).await;
        }
    }
}
