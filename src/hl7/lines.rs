//! The order of messages. Each has keys: a patient's identifiers, or an order's, or an
//! appointment's. It has its turn when all that came before it with one of its keys are done, and
//! never waits for others.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mllp::{Message, Value};
use tokio::sync::{Notify, oneshot};

use crate::engine::{MessageId, content_hash};

/// Failed messages whose followers are told.
const MARKS: usize = 100_000;

/// The keys of a message as numbers: every identifier of its patients (PID-2, 3, 4 and MRG-1),
/// else its orders (ORC and OBR-2, 3), else its appointments (SCH-1, 2), else its channel.
pub fn keys(message: &Message, channel: &str) -> Vec<i64> {
    let mut found = BTreeSet::new();
    for segment in message.segments() {
        let fields: &[usize] = match segment.name() {
            "PID" => &[2, 3, 4],
            "MRG" => &[1],
            _ => continue,
        };
        for field in fields {
            add(&mut found, "patient", segment.field(*field));
        }
    }
    for (kind, names) in [
        ("order", &["ORC", "OBR"][..]),
        ("appointment", &["SCH", "ARQ"]),
    ] {
        if !found.is_empty() {
            break;
        }
        for segment in message.segments() {
            if names.contains(&segment.name()) {
                let (first, second) = match segment.name() {
                    "ORC" | "OBR" => (2, 3),
                    _ => (1, 2),
                };
                add(&mut found, kind, segment.field(first));
                add(&mut found, kind, segment.field(second));
            }
        }
    }
    if found.is_empty() {
        found.insert(number("channel", channel));
    }
    found.into_iter().collect()
}

fn add(found: &mut BTreeSet<i64>, kind: &str, field: Value<'_>) {
    for repetition in field.repetitions() {
        let id = repetition.component(1);
        if id.is_valued() {
            found.insert(number(kind, id.text().trim()));
        }
    }
}

/// The same today and after a restart.
fn number(kind: &str, id: &str) -> i64 {
    let hash = content_hash(format!("{kind}\0{id}").as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    i64::from_be_bytes(first)
}

/// All messages that wait or are worked on.
#[derive(Debug)]
pub struct Lines {
    state: Mutex<State>,
    /// Something has left: there may be room again.
    left: Notify,
    /// Messages that may be held in memory.
    most: usize,
}

#[derive(Debug, Default)]
struct State {
    latest: u128,
    waiting: HashMap<MessageId, Place>,
    queues: HashMap<i64, VecDeque<MessageId>>,
    /// Lines of failed messages, and the latest of each.
    marks: HashMap<i64, MessageId>,
    /// Messages are stored and not held, until there is room again: all behind `tail`.
    spilled: bool,
    tail: MessageId,
    /// Those of them that are being stored.
    storing: BTreeSet<MessageId>,
    /// How many there have been.
    spills: u64,
}

#[derive(Debug)]
struct Place {
    lines: Vec<i64>,
    /// Lines in which it is not the first.
    behind: usize,
    turn: Option<oneshot::Sender<()>>,
}

/// A message's place in its lines; it leaves them when this is dropped.
#[derive(Debug)]
pub struct Turn {
    lines: Arc<Lines>,
    id: MessageId,
    come: oneshot::Receiver<()>,
}

impl Turn {
    /// Done when it is the first in all of its lines.
    pub async fn come(&mut self) {
        // The sender is kept as long as the place.
        let _ = (&mut self.come).await;
    }

    /// The failed message that one of its lines is marked with.
    pub fn follows(&self) -> Option<MessageId> {
        let state = self.lines.state();
        let place = state.waiting.get(&self.id)?;
        let marks = place.lines.iter().filter_map(|line| state.marks.get(line));
        marks.copied().filter(|id| *id != self.id).max()
    }

    /// Marks its lines: it has failed.
    pub fn mark(&self) {
        let mut state = self.lines.state();
        let Some(place) = state.waiting.get(&self.id) else {
            return;
        };
        let lines = place.lines.clone();
        state.mark(&lines, self.id);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.lines.state().leave(self.id);
        self.lines.left.notify_one();
    }
}

/// A message that is stored and not held.
#[derive(Debug)]
pub struct Storing {
    lines: Arc<Lines>,
    id: MessageId,
}

impl Drop for Storing {
    fn drop(&mut self) {
        self.lines.state().storing.remove(&self.id);
        self.lines.left.notify_one();
    }
}

/// What becomes of a message that is to be stored first.
#[derive(Debug)]
pub enum Entered {
    /// It is held, at this place.
    Held(Turn),
    /// It will be fetched when there is room; this is to be kept until it is stored.
    Spilled {
        /// Dropped when it is stored.
        _storing: Storing,
    },
}

impl Lines {
    /// No message; up to `most` are held.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                tail: MessageId::FIRST,
                ..State::default()
            }),
            left: Notify::new(),
            most: most.max(1),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a message that came now (milliseconds since 1970), behind all before.
    pub fn number(&self, now: i64) -> MessageId {
        self.state().number(now)
    }

    /// A place behind all that came before, for a message that is held whatever comes.
    pub fn enter(self: &Arc<Self>, lines: &[i64], now: i64) -> (MessageId, Turn) {
        let mut state = self.state();
        let id = state.number(now);
        let come = state.enter(id, lines);
        drop(state);
        (id, self.turn(id, come))
    }

    /// A place behind all that came before, if there is room.
    pub fn enter_or_spill(self: &Arc<Self>, lines: &[i64], now: i64) -> (MessageId, Entered) {
        let mut state = self.state();
        let id = state.number(now);
        if state.spilled || state.waiting.len() >= self.most {
            state.spilled = true;
            state.spills += 1;
            state.storing.insert(id);
            drop(state);
            let lines = Arc::clone(self);
            let _storing = Storing { lines, id };
            return (id, Entered::Spilled { _storing });
        }
        state.tail = id;
        let come = state.enter(id, lines);
        drop(state);
        (id, Entered::Held(self.turn(id, come)))
    }

    /// A place for a message that is stored; none if it is held already.
    pub fn enter_stored(self: &Arc<Self>, id: MessageId, lines: &[i64]) -> Option<Turn> {
        let mut state = self.state();
        if state.waiting.contains_key(&id) {
            return None;
        }
        let come = state.enter(id, lines);
        drop(state);
        Some(self.turn(id, come))
    }

    fn turn(self: &Arc<Self>, id: MessageId, come: oneshot::Receiver<()>) -> Turn {
        Turn {
            lines: Arc::clone(self),
            id,
            come,
        }
    }

    /// Marks the lines of a failed message.
    pub fn mark(&self, id: MessageId, lines: &[i64]) {
        self.state().mark(lines, id);
    }

    /// Takes the marks of a message away: it has not failed after all, or is dropped.
    pub fn unmark(&self, id: MessageId) {
        self.state().marks.retain(|_, failed| *failed != id);
    }

    /// Messages that are held.
    pub fn held(&self) -> usize {
        self.state().waiting.len()
    }

    /// Stored messages are to be fetched: set at the start.
    pub fn spill(&self) {
        self.state().spilled = true;
    }

    /// Whether stored messages wait to be fetched, and there is room: after which, and below which
    /// number nothing is being stored.
    pub fn room(&self) -> Option<Room> {
        let state = self.state();
        let held = state.waiting.len();
        if !state.spilled || held > self.most / 2 {
            return None;
        }
        Some(Room {
            after: state.tail,
            below: state.storing.first().copied(),
            count: self.most - held,
            spills: state.spills,
        })
    }

    /// A message was fetched: the next is behind it.
    pub fn fetched(&self, id: MessageId) {
        let mut state = self.state();
        state.tail = state.tail.max(id);
    }

    /// All that was stored at `room` has been fetched. True if nothing came since.
    pub fn all_fetched(&self, room: &Room) -> bool {
        let mut state = self.state();
        if state.spills == room.spills && state.storing.is_empty() && room.below.is_none() {
            state.spilled = false;
        }
        !state.spilled
    }

    /// Done when a message has left.
    pub async fn left(&self) {
        self.left.notified().await;
    }
}

/// Room for stored messages.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// The last that was fetched.
    pub after: MessageId,
    /// From here on some may not be stored yet.
    pub below: Option<MessageId>,
    /// How many.
    pub count: usize,
    spills: u64,
}

impl State {
    fn number(&mut self, now: i64) -> MessageId {
        let time = now.max(0).unsigned_abs();
        let stamp = uuid::Timestamp::from_unix(
            uuid::NoContext,
            time / 1_000,
            (time % 1_000) as u32 * 1_000_000,
        );
        let fresh = uuid::Uuid::new_v7(stamp).as_u128();
        self.latest = fresh.max(self.latest + 1);
        MessageId(self.latest.to_be_bytes())
    }

    fn enter(&mut self, id: MessageId, lines: &[i64]) -> oneshot::Receiver<()> {
        let (turn, come) = oneshot::channel();
        let mut behind = 0;
        let mut seen = HashSet::new();
        let lines: Vec<i64> = lines
            .iter()
            .copied()
            .filter(|line| seen.insert(*line))
            .collect();
        for line in &lines {
            let queue = self.queues.entry(*line).or_default();
            behind += usize::from(!queue.is_empty());
            queue.push_back(id);
        }
        let mut turn = Some(turn);
        if behind == 0
            && let Some(turn) = turn.take()
        {
            // Its receiver is right here.
            let _ = turn.send(());
        }
        let place = Place {
            lines,
            behind,
            turn,
        };
        self.waiting.insert(id, place);
        come
    }

    fn leave(&mut self, id: MessageId) {
        let Some(place) = self.waiting.remove(&id) else {
            return;
        };
        for line in place.lines {
            let Some(queue) = self.queues.get_mut(&line) else {
                continue;
            };
            let was_first = queue.front() == Some(&id);
            if was_first {
                queue.pop_front();
            } else {
                queue.retain(|other| *other != id);
            }
            let Some(first) = queue.front().copied() else {
                self.queues.remove(&line);
                continue;
            };
            if !was_first {
                continue;
            }
            if let Some(next) = self.waiting.get_mut(&first) {
                next.behind -= 1;
                if next.behind == 0
                    && let Some(turn) = next.turn.take()
                {
                    // Nobody waits for it if it is about to leave.
                    let _ = turn.send(());
                }
            }
        }
    }

    fn mark(&mut self, lines: &[i64], id: MessageId) {
        if self.marks.len() < MARKS {
            self.marks.extend(lines.iter().map(|line| (*line, id)));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt as _;
    use mllp::message::Reading;

    use super::*;

    fn is_first(turn: &mut Turn) -> bool {
        turn.come().now_or_never().is_some()
    }

    fn keys_of(text: &str) -> Vec<i64> {
        let raw = Bytes::from(text.to_owned());
        keys(&Message::parse(raw, &Reading::default()).unwrap(), "c")
    }

    #[test]
    fn each_line_is_strict_and_lines_do_not_wait_for_each_other() {
        let lines = Lines::new(100);
        let (first_id, mut first) = lines.enter(&[1], 5);
        let (id, mut second) = lines.enter(&[1, 2, 2], 5);
        let (_, mut third) = lines.enter(&[2], 4);
        let (_, mut other) = lines.enter(&[3], 5);
        assert!(first_id < id);
        assert!(is_first(&mut first) && is_first(&mut other));
        assert!(!is_first(&mut second) && !is_first(&mut third));
        drop(first);
        assert!(is_first(&mut second) && !is_first(&mut third));
        drop(second);
        assert!(is_first(&mut third));
        drop((third, other));
        assert_eq!(lines.held(), 0);
        assert!(lines.state().queues.is_empty());
    }

    #[test]
    fn who_leaves_from_the_middle_lets_nobody_pass() {
        let lines = Lines::new(100);
        let (_, first) = lines.enter(&[1], 1);
        let (_, second) = lines.enter(&[1], 1);
        let (_, mut third) = lines.enter(&[1], 1);
        drop(second);
        assert!(!is_first(&mut third));
        drop(first);
        assert!(is_first(&mut third));
    }

    #[test]
    fn those_behind_a_failed_message_are_told() {
        let lines = Lines::new(100);
        let (id, first) = lines.enter(&[1, 2], 1);
        let (_, second) = lines.enter(&[2], 1);
        assert_eq!(first.follows(), None);
        first.mark();
        drop(first);
        assert_eq!(second.follows(), Some(id));
        lines.unmark(id);
        assert_eq!(second.follows(), None);
    }

    #[test]
    fn without_room_messages_are_fetched_later_in_their_order() {
        let lines = Lines::new(2);
        let (_, Entered::Held(first)) = lines.enter_or_spill(&[1], 1) else {
            panic!("no room")
        };
        let (held, Entered::Held(second)) = lines.enter_or_spill(&[1], 1) else {
            panic!("no room")
        };
        let (spilled, Entered::Spilled { _storing: storing }) = lines.enter_or_spill(&[1], 1)
        else {
            panic!("room")
        };
        assert!(lines.room().is_none());
        drop(first);
        let room = lines.room().unwrap();
        assert_eq!((room.after, room.below), (held, Some(spilled)));
        // It is not stored yet.
        assert!(!lines.all_fetched(&room));
        drop(storing);
        let room = lines.room().unwrap();
        assert_eq!(room.below, None);
        let third = lines.enter_stored(spilled, &[1]).unwrap();
        lines.fetched(spilled);
        let (_, Entered::Spilled { _storing: late }) = lines.enter_or_spill(&[1], 1) else {
            panic!("it would pass others")
        };
        drop(late);
        assert!(!lines.all_fetched(&room));
        drop((second, third));
        assert!(lines.all_fetched(&lines.room().unwrap()));
        assert!(matches!(
            lines.enter_or_spill(&[1], 1),
            (_, Entered::Held(_))
        ));
    }

    #[test]
    fn the_keys_are_the_patients_identifiers_or_what_comes_next() {
        let msh = "MSH|^~\\&|A|B|C|D|2026||ADT^A40|1|P|2.5\r";
        let merged = keys_of(&format!("{msh}PID|||7^^^A~8||X\rMRG|9^^^A\r"));
        assert_eq!(merged.len(), 3);
        let seven = keys_of(&format!("{msh}PID|||7\rORC|NW|5\r"));
        assert_eq!(seven.len(), 1);
        assert!(merged.contains(&seven[0]));
        let order = keys_of(&format!("{msh}ORC|NW|5|6\rOBR||5|6\r"));
        assert_eq!(order.len(), 2);
        assert_eq!(keys_of(&format!("{msh}SCH|5\r")).len(), 1);
        assert_eq!(keys_of(msh), [number("channel", "c")]);
        assert_eq!(keys_of(&format!("{msh}PID|||\"\"\r")), keys_of(msh));
    }
}
