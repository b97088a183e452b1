//! From a frame to a message at its place: all that is done before the next frame is looked at, so
//! that messages keep the order in which they came.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use jiff::tz::TimeZone;
use mllp::{
    Message, Note,
    ack::{Code, Problem},
    batch,
    header::Header,
    message::{Delimiters, Reading},
};
use tokio::sync::{oneshot, watch};

use super::{Alone, Begun, Case, Inbox, Peer, Reply, answer};
use crate::{
    engine::{MessageHead, MessageId, MessageOutcome, MessageState, NewMessage, content_hash},
    hl7::{
        apply::{self, Failure},
        channel::{Answering, Channel},
        lines::{self, Entered, Turn},
        meters,
    },
};

/// Bytes of what a message calls itself that are kept in full.
const NAME: usize = 200;

/// What is not to be worked on, and why.
struct Refused {
    raw: Bytes,
    /// The answer; none if nothing may be answered.
    frame: Option<Bytes>,
    id: MessageId,
    head: MessageHead,
    error: String,
}

/// A message that waits for another that is the same.
enum Place {
    /// In its lines, to be answered after its effect.
    Original(Turn),
    /// In its lines, to be answered when it is stored.
    Enhanced(Entered),
}

impl Inbox {
    /// Takes a frame.
    pub fn begin(self: &Arc<Self>, frame: Bytes, peer: &Peer) -> Begun {
        let batch = batch::split(frame);
        if !batch.is_batch {
            return match batch.messages.into_iter().next() {
                Some(part) => self.begin_one(part.raw, Vec::new(), peer),
                None => Begun::Now(Reply::default()),
            };
        }
        meters::odd("batch");
        let delimiters = batch.headers.first().and_then(|header| of_header(header));
        let id = batch
            .messages
            .first()
            .map_or(String::new(), |part| part.batch.clone());
        let mut begun = Vec::with_capacity(batch.messages.len());
        for (at, part) in batch.messages.into_iter().enumerate() {
            let notes = if at == 0 {
                batch.notes.clone()
            } else {
                Vec::new()
            };
            begun.push(self.begin_one(part.raw, notes, peer));
        }
        let (done, soon) = oneshot::channel();
        let has_header = delimiters.is_some();
        self.spawn(async move {
            let mut all = Reply::default();
            for one in begun {
                let reply = match one {
                    Begun::Now(reply) => reply,
                    Begun::Soon(reply) => reply.await.unwrap_or_else(|_| Reply::close()),
                };
                all.frames.extend(reply.frames);
                all.close |= reply.close;
                all.stored = match (all.stored, reply.stored) {
                    (Some(one), Some(other)) => Some(one && other),
                    (one, other) => one.or(other),
                };
            }
            // Answers to a batch are a batch; those to messages that only came together are not.
            if has_header && !all.frames.is_empty() {
                let joined = batch::join(delimiters.unwrap_or_default(), &id, &all.frames);
                all.frames = vec![joined];
            }
            // Nobody waits if the connection is gone.
            let _ = done.send(all);
        });
        Begun::Soon(soon)
    }

    fn begin_one(self: &Arc<Self>, raw: Bytes, notes: Vec<Note>, peer: &Peer) -> Begun {
        let started = self.engine.now();
        let reading = peer.channels.first().map(|channel| &channel.reading);
        let default = Reading::default();
        let message = match Message::parse(raw.clone(), reading.unwrap_or(&default)) {
            Ok(message) => message,
            Err(error) => {
                let id = self.number();
                let error = error.to_string();
                meters::count("", "unreadable");
                return self.refuse(Refused {
                    frame: Some(answer::unreadable(&raw, id, &error)),
                    head: head(id, "", &Header::default(), &raw, Vec::new()),
                    raw,
                    id,
                    error,
                });
            }
        };
        let header = Header::of(&message);
        let channel = peer
            .channels
            .iter()
            .find(|channel| channel.is_for(&header, peer.certificate.as_ref()));
        let name = channel.map_or("", |channel| channel.name.as_str());
        if header.is_acknowledgement() {
            meters::count(name, "acknowledgement");
            return Begun::Now(Reply::default());
        }
        let Some(channel) = channel else {
            meters::count("", "unknown sender");
            let text = "no channel here takes messages of this sender on this connection";
            let problem = Problem::error("MSH-3", "207", text);
            return self.refuse_message(&message, &header, None, &[problem]);
        };
        let mut problems = channel.problems(&header);
        if problems.is_empty()
            && let Err(Failure::Refused(refused)) = apply::check(&header)
        {
            problems = refused;
        }
        if !problems.is_empty() {
            meters::count(&channel.name, "refused");
            return self.refuse_message(&message, &header, Some(channel), &problems);
        }
        let message = match message.encoding() == channel.reading.charset
            || Arc::ptr_eq(channel, &peer.channels[0])
        {
            true => message,
            // It was read with the settings of another.
            false => Message::parse(raw, &channel.reading).unwrap_or(message),
        };
        meters::count(&channel.name, "received");
        let answering = channel.answering(&header);
        let lines = lines::keys(&message, &channel.name);
        let key = (
            sender(&header),
            fit(&header.control_id),
            content_hash(message.raw()),
        );
        let alone = self.alone(key);
        let (id, place) = match answering {
            Answering::Original => {
                let (id, turn) = self.lines.enter(&lines, started);
                (id, Place::Original(turn))
            }
            Answering::Enhanced { .. } => {
                self.pace.received();
                let (id, entered) = self.lines.enter_or_spill(&lines, started);
                (id, Place::Enhanced(entered))
            }
        };
        let head = head(id, &channel.name, &header, message.raw(), lines);
        let (done, soon) = oneshot::channel();
        let (inbox, channel, peer) = (Arc::clone(self), Arc::clone(channel), peer.clone());
        let expected = self.expected(&channel, &header);
        self.spawn(async move {
            let parts = (message, header, channel, head);
            let reply = match alone {
                Ok(alone) => {
                    let case = case(parts, alone);
                    inbox
                        .go_on(case, (answering, place), (notes, expected), &peer)
                        .await
                }
                Err(other) => {
                    inbox
                        .after(other, parts, (answering, place), notes, &peer)
                        .await
                }
            };
            // Nobody waits if the connection is gone.
            let _ = done.send(reply);
        });
        Begun::Soon(soon)
    }

    /// Goes on when another, that is the same, is done.
    async fn after(
        self: &Arc<Self>,
        mut other: watch::Receiver<()>,
        parts: (Message, Header, Arc<Channel>, MessageHead),
        how: (Answering, Place),
        notes: Vec<Note>,
        peer: &Peer,
    ) -> Reply {
        loop {
            // An error says that it is done.
            while other.changed().await.is_ok() {}
            let (_, _, _, head) = &parts;
            let key = (head.sender.clone(), head.control.clone(), head.hash);
            match self.alone(key) {
                Ok(alone) => {
                    let case = case(parts, alone);
                    return self.go_on(case, how, (notes, None), peer).await;
                }
                Err(next) => other = next,
            }
        }
    }

    async fn go_on(
        self: &Arc<Self>,
        case: Case,
        (answering, place): (Answering, Place),
        (notes, expected): (Vec<Note>, Option<i64>),
        peer: &Peer,
    ) -> Reply {
        match (answering, place) {
            (
                Answering::Enhanced {
                    accept,
                    application,
                },
                Place::Enhanced(entered),
            ) => {
                let wants = (accept, application);
                Box::pin(self.store_first(case, entered, wants, (notes, expected), peer)).await
            }
            (_, Place::Original(turn)) => {
                Box::pin(self.apply_first(case, turn, notes, expected)).await
            }
            // The place is made by the way of answering.
            _ => Reply::close(),
        }
    }

    /// The sequence number that should have come, if another has.
    fn expected(&self, channel: &Channel, header: &Header) -> Option<i64> {
        let number = header.sequence.filter(|_| channel.sequence)?;
        let key = (channel.name.clone(), sender(header));
        let mut sequences = self
            .sequences
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let next = sequences.get(&key).copied();
        match (number, next) {
            // The sender begins anew, or asks where we are.
            (0, _) => {
                sequences.insert(key, 1);
                None
            }
            (-1, _) | (_, None) => {
                if number >= 0 {
                    sequences.insert(key, number + 1);
                }
                None
            }
            (number, Some(next)) if number == next => {
                sequences.insert(key, next + 1);
                None
            }
            (_, Some(next)) => Some(next),
        }
    }

    /// Refuses a message that could be read (AR, or CR).
    pub(super) fn refuse_message(
        self: &Arc<Self>,
        message: &Message,
        header: &Header,
        channel: Option<&Arc<Channel>>,
        problems: &[Problem],
    ) -> Begun {
        let id = self.number();
        let utc = TimeZone::UTC;
        let zone = channel.map_or(&utc, |channel| &channel.zone);
        let answering = match channel {
            Some(channel) => channel.answering(header),
            None => Channel::default().answering(header),
        };
        let (code, wanted) = match answering {
            Answering::Original => (Code::AR, true),
            Answering::Enhanced { accept, .. } => (Code::CR, accept.wants(false)),
        };
        let frame = answer::write(message, (code, problems), id, (zone, None));
        let name = channel.map_or("", |channel| channel.name.as_str());
        self.refuse(Refused {
            raw: message.raw().clone(),
            frame: wanted.then_some(frame),
            id,
            head: head(id, name, header, message.raw(), Vec::new()),
            error: answer::told(problems),
        })
    }

    /// Answers a frame that was too long, of which the beginning is known.
    pub fn too_long(self: &Arc<Self>, head: &Bytes, most: usize) -> Begun {
        let text = format!("the message is longer than the {most} bytes that are taken");
        let frame = answer::unreadable(head, self.number(), &text);
        Begun::Now(Reply::frame(frame, false))
    }

    /// Keeps what was refused, so that somebody can look at it, and answers.
    fn refuse(self: &Arc<Self>, refused: Refused) -> Begun {
        let (done, soon) = oneshot::channel();
        let inbox = Arc::clone(self);
        self.spawn(async move {
            let Refused {
                raw,
                frame,
                id,
                head,
                error,
            } = refused;
            tracing::warn!(message = %id, channel = head.channel, "a message was refused");
            let message = NewMessage {
                head,
                raw,
                state: MessageState::Refused,
                attempts: 0,
                unless_since: None,
                outcome: MessageOutcome {
                    ack: frame.clone(),
                    error: Some(error),
                    ..MessageOutcome::default()
                },
            };
            if let Err(error) = inbox.engine.receive_message(message).await {
                tracing::warn!(message = %id, %error, "a refused message could not be kept");
            }
            let reply = Reply {
                frames: frame.into_iter().collect(),
                stored: Some(false),
                close: false,
            };
            // Nobody waits if the connection is gone.
            let _ = done.send(reply);
        });
        Begun::Soon(soon)
    }
}

fn case(
    (message, header, channel, head): (Message, Header, Arc<Channel>, MessageHead),
    alone: Alone,
) -> Case {
    Case {
        received: head.id.received(),
        message,
        header,
        channel,
        head,
        _alone: alone,
    }
}

fn head(id: MessageId, channel: &str, header: &Header, raw: &[u8], lines: Vec<i64>) -> MessageHead {
    MessageHead {
        id,
        channel: channel.to_owned(),
        sender: sender(header),
        control: fit(&header.control_id),
        kind: fit(&header.kind()),
        hash: content_hash(raw),
        lines,
    }
}

fn sender(header: &Header) -> String {
    format!(
        "{}|{}",
        fit(&header.sending.application),
        fit(&header.sending.facility)
    )
}

/// A name as long as an index takes it; one that is longer is still told from others.
fn fit(name: &str) -> String {
    if name.len() <= NAME {
        return name.replace('\0', "\u{fffd}");
    }
    let start: String = name.chars().take(40).collect();
    let hash: String = content_hash(name.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{}…{hash}", start.replace('\0', "\u{fffd}"))
}

/// The delimiters of FHS or BHS.
fn of_header(header: &[u8]) -> Option<Delimiters> {
    let rest = header.get(3..)?;
    let (field, rest) = rest.split_first()?;
    let length = rest.iter().position(|byte| byte == field)?;
    let marks = rest.get(..length).filter(|marks| marks.len() >= 2)?;
    Some(Delimiters {
        field: *field,
        component: marks[0],
        repetition: marks[1],
        escape: marks.get(2).copied(),
        subcomponent: marks.get(3).copied(),
        truncation: marks.get(4).copied(),
    })
}
