//! From the queue to the receiver: in order for each patient, as often as it takes, with the same
//! MSH-10 each time.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use mllp::{
    ack::{self, Answer, Code},
    header::{Condition, Header},
    message::{Message, Reading},
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{
    destination::{Asking, Destination},
    follow::UNWRITTEN,
    queue::{Next, Queue},
    wire::{Security, Wire},
};
use crate::engine::{
    Delivered, DeliveryState, Engine, Error, ErrorKind, MessageChange, QueueOrders,
};

/// How often it is looked at what was decided about the queue, and what came into it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause when the store does not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// For how long acknowledgements are waited for when the server stops.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// What a sender listens to.
pub struct Signals {
    /// Something was queued.
    pub news: Arc<Notify>,
    /// It has the turn.
    pub turn: watch::Receiver<bool>,
    /// The server stops.
    pub stop: watch::Receiver<bool>,
}

/// Sends to one destination.
pub struct Sender {
    engine: Arc<Engine>,
    destination: Arc<Destination>,
    security: Security,
    queue: Option<Queue>,
    orders: QueueOrders,
    looked: Option<Instant>,
    wire: Option<Wire>,
    flights: Vec<Flight>,
    /// Connections in a row that failed, and when the next may be tried.
    failures: u32,
    connect_at: Instant,
    /// Messages that the receiver has acknowledged.
    acknowledged: u64,
    complained: bool,
}

/// A message on the way.
#[derive(Debug)]
struct Flight {
    n: i64,
    control: String,
    sent: Instant,
    deadline: Instant,
    /// The receiver has stored it, and is to say what became of it.
    accepted: bool,
    ack: Option<Bytes>,
}

impl Sender {
    /// To a destination.
    pub fn new(engine: Arc<Engine>, destination: Arc<Destination>, security: Security) -> Self {
        Self {
            engine,
            destination,
            security,
            queue: None,
            orders: QueueOrders::default(),
            looked: None,
            wire: None,
            flights: Vec::new(),
            failures: 0,
            connect_at: Instant::now(),
            acknowledged: 0,
            complained: false,
        }
    }

    /// Sends until the server stops.
    pub async fn run(mut self, mut signals: Signals) {
        let mut until = None;
        loop {
            if *signals.stop.borrow() {
                let last = *until.get_or_insert_with(|| Instant::now() + LAST_WAIT);
                if self.flights.is_empty() || Instant::now() >= last {
                    return;
                }
            }
            if !*signals.turn.borrow_and_update() {
                self.leave();
                tokio::select! {
                    changed = signals.turn.changed() => if changed.is_err() { return },
                    _ = signals.stop.changed() => return,
                }
                continue;
            }
            if let Err(error) = self.step(&mut signals, until).await {
                tracing::warn!(
                    destination = self.destination.name, %error,
                    "the queue cannot be worked on"
                );
                // It is not known what the store has: what is on the way is sent again.
                self.leave();
                sleep(STORE_PAUSE).await;
            }
        }
    }

    /// Nothing is on the way any more, and nothing is known.
    fn leave(&mut self) {
        self.wire = None;
        self.flights.clear();
        self.queue = None;
        self.looked = None;
    }

    async fn step(&mut self, signals: &mut Signals, until: Option<Instant>) -> Result<(), Error> {
        self.look().await?;
        let mut wake = Instant::now() + LOOK_EVERY;
        if until.is_none() {
            wake = wake.min(self.fill().await?);
        }
        self.expire().await?;
        for flight in &self.flights {
            wake = wake.min(flight.deadline);
        }
        if let Some(until) = until {
            wake = wake.min(until);
        }
        let received = tokio::select! {
            received = receive(&mut self.wire) => Some(received),
            () = sleep_until(wake) => None,
            () = signals.news.notified() => {
                self.looked = None;
                None
            }
            _ = signals.turn.changed() => None,
            _ = signals.stop.changed() => None,
        };
        match received {
            Some(Ok(frame)) => self.answered(frame).await,
            Some(Err(_)) => self.lost("the receiver closed the connection").await,
            None => Ok(()),
        }
    }

    /// Finds out what was decided, and what was queued.
    async fn look(&mut self) -> Result<(), Error> {
        if self.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) && self.queue.is_some() {
            return Ok(());
        }
        let orders = self.engine.queue_orders(&self.destination.name).await?;
        if orders.stamp != self.orders.stamp {
            // Something in the queue was changed by hand.
            self.queue = None;
        }
        self.orders = orders;
        match &mut self.queue {
            Some(queue) => queue.catch_up(&self.engine, &self.destination).await?,
            none => *none = Some(Queue::load(&self.engine, &self.destination).await?),
        }
        self.looked = Some(Instant::now());
        self.measure();
        Ok(())
    }

    /// Sends what can be sent; until when there is nothing more to send.
    async fn fill(&mut self) -> Result<Instant, Error> {
        let later = Instant::now() + LOOK_EVERY;
        while !self.orders.paused && self.flights.len() < self.destination.in_flight.max(1) {
            let Some(queue) = &self.queue else { break };
            let now = self.engine.now();
            let busy: Vec<i64> = self.flights.iter().map(|flight| flight.n).collect();
            let n = match queue.next(&busy, self.destination.hold, now) {
                Next::Now(n) => n,
                Next::At(due) => {
                    let pause =
                        Duration::from_millis(due.saturating_sub(now).max(0).unsigned_abs());
                    return Ok(later.min(Instant::now() + pause));
                }
                Next::Nothing => break,
            };
            if self.wire.is_none() {
                if self.connect_at > Instant::now() {
                    return Ok(later.min(self.connect_at));
                }
                if !self.connect().await {
                    return Ok(later.min(self.connect_at));
                }
            }
            if !self.send(n).await? {
                break;
            }
        }
        Ok(later)
    }

    async fn connect(&mut self) -> bool {
        match Wire::open(&self.destination.address, &self.security).await {
            Ok(wire) => {
                self.wire = Some(wire);
                true
            }
            Err(error) => {
                self.complain(&error.to_string());
                self.back_off();
                self.count("unreachable");
                false
            }
        }
    }

    fn back_off(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.connect_at = Instant::now() + self.destination.pause_after(self.failures);
    }

    /// Says in the log once that the receiver cannot be reached.
    fn complain(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.complained, true) {
            tracing::warn!(
                destination = self.destination.name,
                address = self.destination.address,
                reason,
                "messages wait: the receiver does not take them"
            );
        }
    }

    /// Sends one; false if nothing more can be sent now.
    async fn send(&mut self, n: i64) -> Result<bool, Error> {
        let found = self.engine.delivery(n).await?;
        let waiting = found.filter(|found| found.state == DeliveryState::Waiting);
        let (Some(found), Some(queue)) = (waiting, &mut self.queue) else {
            if let Some(queue) = &mut self.queue {
                queue.remove(n);
            }
            return Ok(true);
        };
        let delivery = found.delivery;
        if let Some(reason) = delivery.raw.strip_prefix(UNWRITTEN) {
            let reason = format!("cannot be written: {}", String::from_utf8_lossy(reason));
            self.give_up(n, found.attempts, None, &reason).await?;
            return Ok(true);
        }
        if let Some(entry) = queue.entry(n) {
            entry.since.get_or_insert(self.acknowledged);
        }
        let Some(wire) = &mut self.wire else {
            return Ok(false);
        };
        let now = Instant::now();
        self.flights.push(Flight {
            n,
            control: delivery.control,
            sent: now,
            deadline: now + self.destination.ack_time,
            accepted: false,
            ack: None,
        });
        if wire.send(&delivery.raw).await.is_err() {
            self.lost("the receiver closed the connection").await?;
            return Ok(false);
        }
        Ok(true)
    }

    /// The connection is gone: what was on the way is sent again.
    async fn lost(&mut self, reason: &str) -> Result<(), Error> {
        self.wire = None;
        let flights = std::mem::take(&mut self.flights);
        if flights.is_empty() {
            // Nobody waited for anything.
            return Ok(());
        }
        self.complain(reason);
        self.back_off();
        self.count("lost");
        for flight in flights {
            self.unanswered(flight, reason).await?;
        }
        Ok(())
    }

    /// What has waited too long for an answer: the connection is closed, so that no late answer
    /// is taken for that to another message.
    async fn expire(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        while let Some(at) = self
            .flights
            .iter()
            .position(|flight| flight.deadline <= now)
        {
            if self.flights[at].accepted {
                let flight = self.flights.swap_remove(at);
                let note = "accepted; what became of it the receiver did not say in time";
                self.delivered(flight, Some(note.to_owned())).await?;
                continue;
            }
            self.count("timeout");
            return self.lost("no acknowledgement came in time").await;
        }
        Ok(())
    }

    /// A message that was sent, and of which it is not known whether it arrived.
    async fn unanswered(&mut self, flight: Flight, reason: &str) -> Result<(), Error> {
        let Some(entry) = self.queue.as_mut().and_then(|queue| queue.entry(flight.n)) else {
            return Ok(());
        };
        let attempts = entry.attempts + 1;
        // As long as the receiver takes nothing at all, it is not the message's fault.
        let others = entry.since.is_some_and(|since| since < self.acknowledged);
        if others && attempts >= self.destination.attempts {
            let reason = format!("{reason}, {attempts} times, while others were acknowledged");
            return self.give_up(flight.n, attempts, None, &reason).await;
        }
        let pause = self.destination.pause_after(attempts);
        self.again(flight.n, (attempts, pause), None, reason).await
    }

    async fn answered(&mut self, frame: Bytes) -> Result<(), Error> {
        let Ok(message) = Message::parse(frame.clone(), &Reading::default()) else {
            self.count("unreadable");
            return Ok(());
        };
        let Some(said) = ack::read(&message) else {
            // Not an answer: this side of the connection takes no messages.
            self.count("unexpected");
            return Ok(());
        };
        self.accept(&message, said.code).await;
        let found = self
            .flights
            .iter()
            .position(|flight| flight.control == said.control_id);
        let Some(at) = found else {
            tracing::warn!(
                destination = self.destination.name,
                "an acknowledgement of a message that is not on the way is not looked at"
            );
            self.count("unmatched");
            return Ok(());
        };
        let took = self.flights[at].sent.elapsed();
        metrics::histogram!(
            "rotunda_hl7_ack_duration_seconds",
            "destination" => self.destination.name.clone()
        )
        .record(took.as_secs_f64());
        self.failures = 0;
        self.complained = false;
        if said.code.is_success() {
            if said.code.is_accept() && self.destination.asking == Asking::Both {
                let flight = &mut self.flights[at];
                flight.accepted = true;
                flight.ack = Some(frame);
                flight.deadline = Instant::now() + self.destination.application_time;
                return Ok(());
            }
            let mut flight = self.flights.swap_remove(at);
            flight.ack = Some(frame);
            return self.delivered(flight, None).await;
        }
        let flight = self.flights.swap_remove(at);
        // Places and codes, not what the receiver quotes of a patient.
        let problems: Vec<String> = said
            .problems
            .iter()
            .map(|problem| format!("{} {}", problem.code, problem.place))
            .collect();
        let reason = format!("{} {}", said.code.as_str(), problems.join(", "));
        let reason = reason.trim().to_owned();
        self.refused(flight, said.code, frame, &reason).await
    }

    /// An answer after processing is a message of its own, which may want to be accepted.
    async fn accept(&mut self, message: &Message, code: Code) {
        let header = Header::of(message);
        let wants = matches!(
            header.accept_ack,
            Some(Condition::Always | Condition::Success)
        );
        if code.is_accept() || !wants {
            return;
        }
        let time = dtm(self.engine.now());
        let accepted = ack::write(
            message,
            &Answer {
                code: Code::CA,
                problems: &[],
                control_id: &format!("A{}", header.control_id),
                time: &time,
                expected_sequence: None,
            },
        );
        if let Some(wire) = &mut self.wire {
            // If it fails, the connection is read as closed.
            let _ = wire.send(&accepted).await;
        }
    }

    async fn refused(
        &mut self,
        flight: Flight,
        code: Code,
        frame: Bytes,
        reason: &str,
    ) -> Result<(), Error> {
        let Some(entry) = self.queue.as_mut().and_then(|queue| queue.entry(flight.n)) else {
            return Ok(());
        };
        let attempts = entry.attempts + 1;
        let is_final = matches!(code, Code::AR | Code::CR) && !self.destination.retry_rejected;
        if is_final || attempts >= self.destination.attempts {
            let n = flight.n;
            return self.give_up(n, attempts, Some(frame), reason).await;
        }
        self.count("error");
        let pause = self.destination.pause_after(attempts);
        let again = (attempts, pause);
        self.again(flight.n, again, Some(frame), reason).await
    }

    async fn delivered(&mut self, flight: Flight, note: Option<String>) -> Result<(), Error> {
        self.acknowledged += 1;
        self.count("delivered");
        let Some(queue) = &mut self.queue else {
            return Ok(());
        };
        let Some(entry) = queue.remove(flight.n) else {
            return Ok(());
        };
        let note = note.or_else(|| {
            let failed = queue.failed_before(entry.line, flight.n)?;
            Some(format!("sent after message {failed}, which was given up"))
        });
        self.settle(Delivered {
            n: flight.n,
            from: DeliveryState::Waiting,
            state: DeliveryState::Done,
            attempts: entry.attempts + 1,
            next: None,
            ack: flight.ack,
            error: note,
        })
        .await
    }

    async fn again(
        &mut self,
        n: i64,
        (attempts, pause): (u32, Duration),
        ack: Option<Bytes>,
        reason: &str,
    ) -> Result<(), Error> {
        let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        let due = self.engine.now().saturating_add(pause);
        if let Some(entry) = self.queue.as_mut().and_then(|queue| queue.entry(n)) {
            entry.attempts = attempts;
            entry.due = due;
        }
        self.settle(Delivered {
            n,
            from: DeliveryState::Waiting,
            state: DeliveryState::Waiting,
            attempts,
            next: Some(due),
            ack,
            error: Some(reason.to_owned()),
        })
        .await
    }

    async fn give_up(
        &mut self,
        n: i64,
        attempts: u32,
        ack: Option<Bytes>,
        reason: &str,
    ) -> Result<(), Error> {
        self.count("failed");
        tracing::warn!(
            destination = self.destination.name,
            message = n,
            reason,
            "a message is given up"
        );
        if let Some(queue) = &mut self.queue {
            queue.fail(n);
        }
        self.settle(Delivered {
            n,
            from: DeliveryState::Waiting,
            state: DeliveryState::Failed,
            attempts,
            next: None,
            ack,
            error: Some(reason.to_owned()),
        })
        .await
    }

    async fn settle(&mut self, delivered: Delivered) -> Result<(), Error> {
        self.measure();
        let change = MessageChange::Deliver(Box::new(delivered));
        match self.engine.record_messages(vec![change]).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind == ErrorKind::Conflict => {
                // Somebody has decided otherwise meanwhile.
                self.queue = None;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn count(&self, outcome: &'static str) {
        metrics::counter!(
            "rotunda_hl7_sent_total",
            "destination" => self.destination.name.clone(),
            "outcome" => outcome
        )
        .increment(1);
    }

    fn measure(&self) {
        let waiting = self.queue.as_ref().map_or(0, Queue::len);
        metrics::gauge!(
            "rotunda_hl7_queue_waiting",
            "destination" => self.destination.name.clone()
        )
        .set(waiting as f64);
    }
}

/// The next message on a connection; never, if there is none.
async fn receive(wire: &mut Option<Wire>) -> std::io::Result<Bytes> {
    match wire {
        Some(wire) => wire.receive().await,
        None => std::future::pending().await,
    }
}

/// A time in UTC as HL7 v2 writes it.
pub fn dtm(millis: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    time.strftime("%Y%m%d%H%M%S+0000").to_string()
}
