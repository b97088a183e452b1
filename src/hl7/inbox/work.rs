//! Messages stored, answered and applied.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mllp::{
    Message, Note,
    ack::{Code, Problem},
    header::{Condition, Header},
};
use tokio::sync::mpsc;

use super::{Case, Inbox, Peer, Reply, answer};
use crate::{
    engine::{
        Error, MessageChange, MessageId, MessageOutcome, MessageState, NewMessage, Received,
        Settled,
    },
    hl7::{
        apply::{Applied, Context, Failure},
        channel::{Channel, WhenDown},
        lines::{Entered, Turn},
        meters,
    },
};

/// The first pause before a message is tried again, and the longest.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A sender that waits for the answer sends again after about this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// Messages of more bytes are not held while they wait for their turn.
const HELD: usize = 16 << 10;

/// A stored message that waits for its turn.
pub struct Stored {
    pub id: MessageId,
    pub channel: Arc<Channel>,
    pub attempts: u32,
    /// None: it is to be fetched.
    pub message: Option<(Message, Header)>,
    pub reused: Option<MessageId>,
    /// Where the application's answer goes, and when there is one.
    pub answer: Option<(mpsc::Sender<Bytes>, Condition)>,
}

/// How a message ended.
enum Ended {
    Applied(Applied),
    Failed(Code, Vec<Problem>),
    /// The store does not take it, for this reason.
    Later(String),
    /// The server stops.
    Stopped,
}

impl Inbox {
    /// Enhanced mode: stores the message, answers, and goes on when its turn comes.
    pub(super) async fn store_first(
        self: &Arc<Self>,
        case: Case,
        entered: Entered,
        (accept, application): (Condition, Condition),
        (notes, expected): (Vec<Note>, Option<i64>),
        peer: &Peer,
    ) -> Reply {
        let started = Instant::now();
        let channel = Arc::clone(&case.channel);
        if let Some(expected) = expected {
            return self.out_of_order(&case, expected, Some(accept)).await;
        }
        let message = NewMessage {
            head: case.head.clone(),
            raw: case.message.raw().clone(),
            state: MessageState::Waiting,
            attempts: 0,
            unless_since: Some(since(&case)),
            outcome: MessageOutcome {
                notes,
                ..MessageOutcome::default()
            },
        };
        let reused = match self.engine.receive_message(message).await {
            Ok(Received::Stored(reused)) => reused,
            Ok(Received::Duplicate(id)) => {
                drop(entered);
                return self
                    .again(&case, id, Some((accept, application)), peer)
                    .await;
            }
            Err(error) => return down(&case, &error.to_string(), Some(accept)),
        };
        meters::took("accept", started.elapsed().as_secs_f64());
        let answer = |code| {
            let zone = (&channel.zone, None);
            answer::write(&case.message, (code, &[]), case.head.id, zone)
        };
        let reply = Reply {
            frames: accept
                .wants(true)
                .then(|| answer(Code::CA))
                .into_iter()
                .collect(),
            stored: Some(true),
            close: false,
        };
        if let Entered::Held(turn) = entered {
            let Case {
                message,
                header,
                channel,
                head,
                ..
            } = case;
            let wanted = application != Condition::Never;
            let stored = Stored {
                id: head.id,
                channel,
                attempts: 0,
                message: (message.raw().len() <= HELD).then_some((message, header)),
                reused,
                answer: wanted.then(|| (peer.later.clone(), application)),
            };
            self.wait(stored, turn);
        }
        reply
    }

    /// Works on a stored message when its turn comes.
    pub fn wait(self: &Arc<Self>, stored: Stored, mut turn: Turn) {
        let inbox = Arc::clone(self);
        // It is not waited for when the server stops: it is stored.
        tokio::spawn(async move {
            tokio::select! {
                () = turn.come() => {}
                () = inbox.stopped() => return,
            }
            let leave = inbox.pace.leave().await;
            let Ok(permit) = inbox.working.acquire().await else {
                return;
            };
            if inbox.is_stopping() {
                return;
            }
            let busy = inbox.busy();
            inbox.work(stored, &turn).await;
            drop((permit, busy, turn));
            leave.done().await;
        });
    }

    async fn work(self: &Arc<Self>, stored: Stored, turn: &Turn) {
        let started = Instant::now();
        let Stored {
            id,
            channel,
            attempts,
            message,
            reused,
            answer,
        } = stored;
        let (message, header) = match message {
            Some(read) => read,
            None => match self.fetch(id, &channel).await {
                Ok(Some(read)) => read,
                Ok(None) => return,
                Err(reason) => return self.give_up(id, attempts, turn, reason).await,
            },
        };
        let mut tried = attempts;
        let before = before(turn.follows(), reused);
        let settled = |state, attempts, outcome| {
            MessageChange::Settle(Box::new(Settled {
                id,
                from: MessageState::Waiting,
                state,
                attempts,
                next: None,
                outcome: Some(outcome),
            }))
        };
        let context = Context {
            channel: &channel,
            header: &header,
            id,
            received: id.received(),
        };
        loop {
            tried += 1;
            let now_tried = tried;
            let record = |applied: &Applied| {
                let ack = ack_of(applied, &message, id, &channel);
                let outcome = outcome_of(applied, &before, ack);
                settled(MessageState::Done, now_tried, outcome)
            };
            let ended = self
                .attempts(&message, &context, &record, channel.block)
                .await;
            // The store may have been down all the time: then it is not the message that failed.
            let ended = match ended {
                Ended::Later(_) => {
                    if let Err(error) = self.engine.health().await {
                        tracing::debug!(message = %id, %error, "the store is down");
                        tokio::select! {
                            () = tokio::time::sleep(PAUSE) => continue,
                            () = self.stopped() => return,
                        }
                    }
                    self.attempts(&message, &context, &record, Duration::ZERO)
                        .await
                }
                ended => ended,
            };
            let (code, problems) = match ended {
                Ended::Applied(applied) => {
                    meters::count(&channel.name, "applied");
                    meters::took("apply", started.elapsed().as_secs_f64());
                    self.lines.unmark(id);
                    let frame = ack_of(&applied, &message, id, &channel);
                    return send(answer, frame, true);
                }
                Ended::Stopped => return,
                Ended::Failed(code, problems) => (code, problems),
                Ended::Later(reason) => (Code::AE, vec![Problem::error("", "207", reason)]),
            };
            let zone = (&channel.zone, None);
            let frame = answer::write(&message, (code, &problems), id, zone);
            let outcome = MessageOutcome {
                ack: Some(frame.clone()),
                notes: before.clone(),
                error: Some(answer::told(&problems)),
                ..MessageOutcome::default()
            };
            let change = settled(MessageState::Failed, tried, outcome);
            match self.engine.record_messages(vec![change]).await {
                Ok(()) => {
                    meters::count(&channel.name, "failed");
                    tracing::warn!(message = %id, channel = channel.name, "a message failed");
                    turn.mark();
                    return send(answer, frame, false);
                }
                // Somebody else has settled it.
                Err(error) if is_settled(&error) => return,
                // The store is down: whatever was wrong, it is tried again.
                Err(_) => {
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = self.stopped() => return,
                    }
                }
            }
        }
    }

    /// A stored message that cannot even be read any more.
    async fn give_up(&self, id: MessageId, attempts: u32, turn: &Turn, reason: String) {
        let change = MessageChange::Settle(Box::new(Settled {
            id,
            from: MessageState::Waiting,
            state: MessageState::Failed,
            attempts: attempts + 1,
            next: None,
            outcome: Some(MessageOutcome {
                error: Some(reason),
                ..MessageOutcome::default()
            }),
        }));
        match self.engine.record_messages(vec![change]).await {
            Ok(()) => turn.mark(),
            Err(error) => tracing::error!(message = %id, %error, "a message cannot be worked on"),
        }
    }

    /// The message of its stored bytes; none if it is gone.
    async fn fetch(
        &self,
        id: MessageId,
        channel: &Channel,
    ) -> Result<Option<(Message, Header)>, String> {
        let mut pause = PAUSE;
        let raw = loop {
            match self.engine.message_bytes(id).await {
                Ok(Some(raw)) => break raw,
                Ok(None) => return Ok(None),
                Err(error) if !is_passing(&error) => return Err(error.to_string()),
                Err(_) => tokio::select! {
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                    () = self.stopped() => return Ok(None),
                },
            }
        };
        let message = Message::parse(raw, &channel.reading).map_err(|error| error.to_string())?;
        let header = Header::of(&message);
        Ok(Some((message, header)))
    }

    /// Original mode: the effect and the record in one commit when its turn comes, then the
    /// answer.
    pub(super) async fn apply_first(
        self: &Arc<Self>,
        case: Case,
        mut turn: Turn,
        notes: Vec<Note>,
        expected: Option<i64>,
    ) -> Reply {
        let started = Instant::now();
        let head = &case.head;
        let key = (head.hash, since(&case));
        let earlier = self
            .engine
            .earlier_message(&head.sender, &head.control, key);
        let reused = match earlier.await {
            Ok(Some((id, true))) => {
                drop(turn);
                return self.again_original(&case, id).await;
            }
            Ok(other) => other.map(|(id, _)| id),
            Err(error) => return down(&case, &error.to_string(), None),
        };
        if let Some(expected) = expected {
            return self.out_of_order(&case, expected, None).await;
        }
        let permit = tokio::select! {
            permit = async { turn.come().await; self.working.acquire().await } => permit,
            () = self.stopped() => return Reply::close(),
        };
        let Ok(_permit) = permit else {
            return Reply::close();
        };
        let mut before = before(turn.follows(), reused);
        before.extend(notes);
        let (message, id, channel) = (&case.message, head.id, &case.channel);
        let new = |state, unless_since, outcome| NewMessage {
            head: head.clone(),
            raw: message.raw().clone(),
            state,
            attempts: 1,
            unless_since,
            outcome,
        };
        let window = Some(since(&case));
        let record = |applied: &Applied| {
            let ack = ack_of(applied, message, id, channel);
            let outcome = outcome_of(applied, &before, ack);
            MessageChange::Receive(Box::new(new(MessageState::Done, window, outcome)))
        };
        let context = Context {
            channel,
            header: &case.header,
            id,
            received: case.received,
        };
        let patience = channel.block.min(PATIENCE);
        let (code, problems) = match self.attempts(message, &context, &record, patience).await {
            Ended::Applied(applied) => {
                meters::count(&channel.name, "applied");
                meters::took("process", started.elapsed().as_secs_f64());
                return Reply::frame(ack_of(&applied, message, id, channel), true);
            }
            Ended::Stopped => return Reply::close(),
            Ended::Later(reason) => {
                // Another server may have been faster.
                let earlier = self
                    .engine
                    .earlier_message(&head.sender, &head.control, key);
                return match earlier.await {
                    Ok(Some((id, true))) => self.again_original(&case, id).await,
                    _ => down(&case, &reason, None),
                };
            }
            Ended::Failed(code, problems) => (code, problems),
        };
        let frame = answer::write(message, (code, &problems), id, (&channel.zone, None));
        let outcome = MessageOutcome {
            ack: Some(frame.clone()),
            notes: before.clone(),
            error: Some(answer::told(&problems)),
            ..MessageOutcome::default()
        };
        let (state, window) = match code {
            Code::AR => (MessageState::Refused, None),
            _ => (MessageState::Failed, window),
        };
        meters::count(&channel.name, "failed");
        tracing::warn!(message = %id, channel = channel.name, "a message failed");
        match self
            .engine
            .receive_message(new(state, window, outcome))
            .await
        {
            Ok(Received::Stored(_)) => {
                if state == MessageState::Failed {
                    turn.mark();
                }
                Reply::frame(frame, true)
            }
            Ok(Received::Duplicate(id)) => self.again_original(&case, id).await,
            Err(error) => down(&case, &error.to_string(), None),
        }
    }

    /// Applies a message, and again while that makes sense.
    async fn attempts(
        &self,
        message: &Message,
        context: &Context<'_>,
        record: &(dyn Fn(&Applied) -> MessageChange + Send + Sync),
        time: Duration,
    ) -> Ended {
        let until = Instant::now() + time;
        let mut pause = PAUSE;
        loop {
            let reason = match self.applier.apply(message, context, record).await {
                Ok(applied) => return Ended::Applied(applied),
                Err(Failure::Content(problems)) => return Ended::Failed(Code::AE, problems),
                Err(Failure::Refused(problems)) => return Ended::Failed(Code::AR, problems),
                Err(Failure::Later(reason)) => reason,
            };
            meters::count(&context.channel.name, "tried again");
            if Instant::now() + pause > until {
                return Ended::Later(reason);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = self.stopped() => return Ended::Stopped,
            }
        }
    }

    /// MSH-13 is not the one that was expected.
    async fn out_of_order(&self, case: &Case, expected: i64, accept: Option<Condition>) -> Reply {
        let text = format!("the sequence number {expected} was expected");
        let problems = [Problem::error("MSH-13", "207", text)];
        let code = if accept.is_some() { Code::CE } else { Code::AE };
        let zone = (&case.channel.zone, Some(expected));
        let frame = answer::write(&case.message, (code, &problems), case.head.id, zone);
        meters::count(&case.channel.name, "out of order");
        let wanted = accept.is_none_or(|accept| accept.wants(false));
        let refused = NewMessage {
            head: case.head.clone(),
            raw: case.message.raw().clone(),
            state: MessageState::Refused,
            attempts: 0,
            unless_since: None,
            outcome: MessageOutcome {
                ack: Some(frame.clone()),
                error: Some(answer::told(&problems)),
                ..MessageOutcome::default()
            },
        };
        if let Err(error) = self.engine.receive_message(refused).await {
            tracing::warn!(%error, "a refused message could not be kept");
        }
        Reply {
            frames: wanted.then_some(frame).into_iter().collect(),
            stored: Some(false),
            close: false,
        }
    }

    /// The answer to a message that came before, in enhanced mode.
    async fn again(
        &self,
        case: &Case,
        id: MessageId,
        wants: Option<(Condition, Condition)>,
        peer: &Peer,
    ) -> Reply {
        meters::count(&case.channel.name, "duplicate");
        let Some((accept, application)) = wants else {
            return self.again_original(case, id).await;
        };
        if let Ok(Some(earlier)) = self.engine.message(id).await
            && let Some(ack) = earlier.outcome.ack
            && application.wants(earlier.state == MessageState::Done)
        {
            // Full: the sender takes none of what it asked for.
            let _ = peer.later.try_send(ack);
        }
        let zone = (&case.channel.zone, None);
        let frame = || answer::write(&case.message, (Code::CA, &[]), id, zone);
        Reply {
            frames: accept.wants(true).then(frame).into_iter().collect(),
            stored: Some(true),
            close: false,
        }
    }

    /// The answer that a message got when it came before.
    async fn again_original(&self, case: &Case, id: MessageId) -> Reply {
        meters::count(&case.channel.name, "duplicate");
        match self.engine.message(id).await {
            Ok(Some(earlier)) => match (earlier.outcome.ack, earlier.state) {
                (Some(ack), _) => Reply::frame(ack, true),
                (None, MessageState::Done) => {
                    let zone = (&case.channel.zone, None);
                    let ack = answer::write(&case.message, (Code::AA, &[]), id, zone);
                    Reply::frame(ack, true)
                }
                (None, _) => down(case, "the message is here and waits for its turn", None),
            },
            Ok(None) => down(case, "the message that came before is gone", None),
            Err(error) => down(case, &error.to_string(), None),
        }
    }
}

/// What a sender gets whose message is not taken now: never that it was.
fn down(case: &Case, reason: &str, accept: Option<Condition>) -> Reply {
    meters::count(&case.channel.name, "not taken");
    tracing::warn!(
        channel = case.channel.name,
        reason,
        "a message could not be taken"
    );
    if case.channel.when_down == WhenDown::Close {
        return Reply::close();
    }
    if accept.is_some_and(|accept| !accept.wants(false)) {
        // It must not be told in words.
        return Reply::close();
    }
    let code = if accept.is_some() { Code::CE } else { Code::AE };
    let text = "the message could not be stored now; send it again later";
    let problems = [Problem::error("", "207", text)];
    let zone = (&case.channel.zone, None);
    let frame = answer::write(&case.message, (code, &problems), case.head.id, zone);
    Reply::frame(frame, false)
}

fn since(case: &Case) -> i64 {
    let window = i64::try_from(case.channel.duplicates.as_millis()).unwrap_or(i64::MAX);
    case.received.saturating_sub(window).max(0)
}

/// What is odd about how a message came.
fn before(follows: Option<MessageId>, reused: Option<MessageId>) -> Vec<Note> {
    let note = |place: &str, text: String| Note {
        place: place.to_owned(),
        text,
    };
    let follows = follows.map(|id| {
        note(
            "",
            format!("it came after an error: message {id}, about the same, has had no effect"),
        )
    });
    let reused = reused.map(|id| {
        note(
            "MSH-10",
            format!("the sender has used this control id before, with other content: message {id}"),
        )
    });
    follows.into_iter().chain(reused).collect()
}

fn outcome_of(applied: &Applied, before: &[Note], ack: Bytes) -> MessageOutcome {
    let mut notes = before.to_vec();
    notes.extend(applied.notes.iter().cloned());
    MessageOutcome {
        ack: Some(ack),
        notes,
        made: applied.made.clone(),
        patients: applied.patients.clone(),
        error: None,
    }
}

fn ack_of(applied: &Applied, message: &Message, id: MessageId, channel: &Channel) -> Bytes {
    match &applied.answer {
        Some(answer) => answer.clone(),
        None => answer::write(message, (Code::AA, &[]), id, (&channel.zone, None)),
    }
}

fn send(answer: Option<(mpsc::Sender<Bytes>, Condition)>, frame: Bytes, success: bool) {
    if let Some((to, wanted)) = answer
        && wanted.wants(success)
    {
        // The connection is gone, or takes nothing: the answer is kept with the message.
        let _ = to.try_send(frame);
    }
}

fn is_passing(error: &Error) -> bool {
    use crate::engine::ErrorKind::{Busy, Timeout, Unavailable};
    matches!(error.kind, Busy | Timeout | Unavailable)
}

fn is_settled(error: &Error) -> bool {
    error.kind == crate::engine::ErrorKind::Conflict
}

impl Stored {
    /// One that is fetched when its turn comes.
    pub fn fetched(id: MessageId, channel: Arc<Channel>, attempts: u32) -> Self {
        Self {
            id,
            channel,
            attempts,
            message: None,
            reused: None,
            answer: None,
        }
    }
}
