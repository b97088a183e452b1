//! MLLP: frames around messages on a connection, without the connection.
//!
//! A frame is VT, a message, FS, CR. Real senders do more than that, and all of it is taken:
//! bytes before VT, a VT within a frame (the sender began again), FS without CR, FS LF, frames
//! without a message, block characters of two bytes around UTF-16.

use bytes::{Buf, Bytes, BytesMut};

const VT: u8 = 0x0B;
const FS: u8 = 0x1C;
const ACK: u8 = 0x06;
const NAK: u8 = 0x15;

/// What a decoder takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a message. A longer one is skipped, and never kept in memory.
    pub frame: usize,
    /// A frame may end in FS LF, or in FS alone before the next VT or before silence.
    pub tolerant: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame: 16 << 20,
            tolerant: true,
        }
    }
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message.
    Frame(Bytes),
    /// So many bytes before a frame that belong to none.
    Skipped(usize),
    /// A frame began within another, of which so many bytes are lost.
    Restarted(usize),
    /// A frame without a message: some engines keep a connection open so.
    Empty,
    /// A frame of so many bytes, more than the limit. [`Decoder::head`] has its beginning.
    TooLong(usize),
    /// MLLP release 2: the message before was stored (true) or was not.
    Commit(bool),
}

/// The block characters of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Blocks {
    /// One byte each.
    #[default]
    Narrow,
    /// Two bytes each, the low one first: around UTF-16 LE.
    WideLittle,
    /// Two bytes each, the high one first: around UTF-16 BE.
    WideBig,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before VT; `zero` if the byte before was 0.
    Outside { zero: bool },
    /// VT came, and a byte is to follow that tells its width.
    Opening { zero: bool },
    /// In a frame, whose bytes begin the buffer.
    Inside,
}

/// Takes bytes as they come, and gives what they are.
///
/// After each [`push`](Self::push), [`next`](Self::next) is to be called until it gives nothing.
/// Memory is the limit of a frame and what was pushed last.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    buffer: BytesMut,
    state: State,
    blocks: Blocks,
    /// Bytes of the buffer in which no end was found.
    scanned: usize,
    /// Bytes of an overlong frame that were dropped.
    dropped: usize,
    /// Bytes outside, and whether one of them is more than a line end.
    outside: usize,
    noise: bool,
    head: Bytes,
}

impl Decoder {
    /// Bytes of an overlong frame that are kept, so that it can be answered.
    pub const HEAD: usize = 1024;
    /// A larger frame is not copied out of the buffer.
    const COPIED: usize = 64 << 10;

    /// For a new connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: BytesMut::new(),
            state: State::Outside { zero: false },
            blocks: Blocks::Narrow,
            scanned: 0,
            dropped: 0,
            outside: 0,
            noise: false,
            head: Bytes::new(),
        }
    }

    /// Takes bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes of a frame that has no end yet; 0 outside of a frame.
    pub fn pending(&self) -> usize {
        match self.state {
            State::Inside => self.dropped + self.buffer.len(),
            _ => 0,
        }
    }

    /// Bytes that came since the last frame and belong to none.
    pub fn skipped(&self) -> usize {
        self.outside
    }

    /// The beginning of the frame that was too long.
    pub fn head(&self) -> &Bytes {
        &self.head
    }

    /// The block characters of the last frame: an answer takes the same.
    pub fn blocks(&self) -> Blocks {
        self.blocks
    }

    /// The next event; nothing if more bytes are needed.
    #[allow(
        clippy::should_implement_trait,
        reason = "it goes on after giving nothing"
    )]
    pub fn next(&mut self) -> Option<Event> {
        loop {
            match self.state {
                State::Outside { zero } => {
                    let Some(at) = memchr::memchr(VT, &self.buffer) else {
                        self.leave(self.buffer.len(), zero);
                        return None;
                    };
                    let zero = match at {
                        0 => zero,
                        _ => self.buffer[at - 1] == 0,
                    };
                    self.leave(at, zero);
                    self.buffer.advance(1);
                    self.state = State::Opening { zero };
                    let skipped = std::mem::take(&mut self.outside);
                    if std::mem::take(&mut self.noise) && skipped > 0 {
                        return Some(Event::Skipped(skipped));
                    }
                }
                State::Opening { zero } => {
                    let next = *self.buffer.first()?;
                    self.blocks = match (zero, next) {
                        (true, 0) => Blocks::WideBig,
                        // Its second byte stays: it may be the first of the message.
                        (false, 0) => Blocks::WideLittle,
                        _ => Blocks::Narrow,
                    };
                    self.state = State::Inside;
                    self.scanned = 0;
                    self.dropped = 0;
                }
                State::Inside => match self.inside() {
                    Step::Event(event) => return Some(event),
                    Step::Wait => return None,
                    Step::Again => {}
                },
            }
        }
    }

    /// The other side is silent, or has closed: a frame that ended in FS alone is complete
    /// (if the limits are tolerant). Bytes that belong to no frame are told of.
    pub fn settle(&mut self) -> Option<Event> {
        let skipped = std::mem::take(&mut self.outside);
        if std::mem::take(&mut self.noise) && skipped > 0 {
            return Some(Event::Skipped(skipped));
        }
        if self.state != (State::Inside) || !self.limits.tolerant {
            return None;
        }
        let width = match self.blocks {
            Blocks::Narrow => 1,
            _ => 2,
        };
        let length = self.buffer.len();
        let start = length.checked_sub(width)?;
        let ends = match (self.blocks, &self.buffer[start..]) {
            (Blocks::Narrow, [FS]) => true,
            (Blocks::WideLittle, [FS, 0]) => start % 2 == 1,
            (Blocks::WideBig, [0, FS]) => start % 2 == 0,
            _ => false,
        };
        ends.then(|| self.close(start, length))
    }

    /// Bytes outside of a frame are counted, not kept.
    fn leave(&mut self, count: usize, zero: bool) {
        let last = count.checked_sub(1).map(|at| self.buffer[at] == 0);
        let quiet = |byte: &u8| matches!(byte, b'\r' | b'\n' | b' ' | 0);
        self.noise |= !self.buffer[..count].iter().all(quiet);
        self.outside += count;
        self.buffer.advance(count);
        self.state = State::Outside {
            zero: last.unwrap_or(zero),
        };
        self.tidy();
    }

    /// Whether the frame has UTF-16 within block characters of one byte: there VT is half a letter.
    fn is_wide_text(&self) -> bool {
        let start: &[u8] = match self.dropped {
            0 => &self.buffer,
            _ => &self.head,
        };
        matches!(
            start,
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, b'A'..=b'Z', ..] | [b'A'..=b'Z', 0, ..]
        )
    }

    fn inside(&mut self) -> Step {
        let wide_text = self.is_wide_text();
        let mut from = self.scanned;
        while let Some(found) = memchr::memchr2(FS, VT, &self.buffer[from..]) {
            let at = from + found;
            match self.mark(at, wide_text) {
                Mark::Text => from = at + 1,
                Mark::Unknown => {
                    self.scanned = at;
                    self.shed();
                    return Step::Wait;
                }
                Mark::End { content, after } => return Step::Event(self.close(content, after)),
                Mark::Restart { content, after } => {
                    let lost = self.dropped + content - self.opening();
                    let zero = self.blocks == Blocks::WideBig;
                    self.buffer.advance(after);
                    self.state = State::Opening { zero };
                    // VT sent twice loses nothing.
                    return match lost {
                        0 => Step::Again,
                        _ => Step::Event(Event::Restarted(lost)),
                    };
                }
            }
        }
        self.scanned = self.buffer.len();
        self.shed();
        Step::Wait
    }

    /// What FS or VT at a place is. Halves of characters are told by their place: what was
    /// dropped is an even number of bytes.
    fn mark(&mut self, at: usize, wide_text: bool) -> Mark {
        let buffer = &self.buffer;
        let tolerant = self.limits.tolerant;
        let is_start = buffer[at] == VT;
        // Where the content ends, and how the next character is read.
        let (content, next) = match self.blocks {
            Blocks::Narrow if is_start && !wide_text => {
                return Mark::Restart {
                    content: at,
                    after: at + 1,
                };
            }
            Blocks::Narrow if is_start || (wide_text && at % 2 == 1) => return Mark::Text,
            Blocks::Narrow => (at, at + 1),
            // UTF-16 BE after a narrow VT looks as if VT were wide, until it ends.
            Blocks::WideLittle if at.is_multiple_of(2) => match (is_start, buffer.get(at + 1)) {
                (false, None) => return Mark::Unknown,
                (false, Some(b'\r')) => {
                    self.blocks = Blocks::Narrow;
                    return Mark::End {
                        content: at,
                        after: at + 2,
                    };
                }
                _ => return Mark::Text,
            },
            Blocks::WideLittle => match buffer.get(at + 1) {
                None => return Mark::Unknown,
                Some(0) => (at, at + 2),
                Some(_) => return Mark::Text,
            },
            Blocks::WideBig if at % 2 == 1 && buffer[at - 1] == 0 => (at - 1, at + 1),
            Blocks::WideBig => return Mark::Text,
        };
        if is_start {
            return Mark::Restart {
                content,
                after: at + 1,
            };
        }
        let (low, high, after) = match self.blocks {
            Blocks::Narrow => (buffer.get(next), Some(&0), next + 1),
            Blocks::WideLittle => (buffer.get(next), buffer.get(next + 1), next + 2),
            Blocks::WideBig => (buffer.get(next + 1), buffer.get(next), next + 2),
        };
        let (Some(&low), Some(&high)) = (low, high) else {
            return Mark::Unknown;
        };
        let unit = if high == 0 { low } else { b'?' };
        match unit {
            b'\r' => Mark::End { content, after },
            b'\n' if tolerant => Mark::End { content, after },
            VT if tolerant => Mark::End {
                content,
                after: next,
            },
            _ => Mark::Text,
        }
    }

    /// Bytes at the beginning of the buffer that belong to a wide VT.
    fn opening(&self) -> usize {
        usize::from(self.blocks == Blocks::WideLittle)
    }

    /// The frame ends: its content before one place, the next bytes after the other.
    fn close(&mut self, content: usize, after: usize) -> Event {
        let opening = self.opening();
        let length = self.dropped + content - opening;
        self.state = State::Outside { zero: false };
        if length > self.limits.frame {
            if self.dropped == 0 {
                self.keep_head();
            }
            self.buffer.advance(after);
            self.tidy();
            return Event::TooLong(length);
        }
        let bytes = &self.buffer[opening..content];
        let narrow = match (self.blocks, bytes) {
            (Blocks::WideLittle, [unit, 0]) | (Blocks::WideBig, [0, unit]) => Some(*unit),
            (Blocks::Narrow, [unit]) => Some(*unit),
            _ => None,
        };
        let event = match narrow {
            _ if bytes.is_empty() => Event::Empty,
            Some(ACK) => Event::Commit(true),
            Some(NAK) => Event::Commit(false),
            _ if bytes.len() <= Self::COPIED => Event::Frame(Bytes::copy_from_slice(bytes)),
            _ => {
                let mut frame = self.buffer.split_to(after);
                frame.truncate(content);
                frame.advance(opening);
                self.tidy();
                return Event::Frame(frame.freeze());
            }
        };
        self.buffer.advance(after);
        self.tidy();
        event
    }

    /// Of an overlong frame the bytes that were looked at are dropped.
    fn shed(&mut self) {
        if self.dropped == 0 {
            if self.scanned <= self.limits.frame.saturating_add(2) {
                return;
            }
            self.keep_head();
        }
        // An even number, so that halves of characters stay what they are; and two bytes stay,
        // so that what is before a mark can be seen.
        let seen = self.scanned.saturating_sub(2) & !1;
        self.buffer.advance(seen);
        self.dropped += seen;
        self.scanned -= seen;
        self.tidy();
    }

    fn keep_head(&mut self) {
        let length = self.buffer.len().min(Self::HEAD);
        self.head = Bytes::copy_from_slice(&self.buffer[..length]);
    }

    /// A connection that is silent keeps no large buffer.
    fn tidy(&mut self) {
        if self.buffer.is_empty() && self.buffer.capacity() > Self::COPIED {
            self.buffer = BytesMut::new();
        }
    }
}

enum Step {
    Event(Event),
    /// More bytes are needed.
    Wait,
    Again,
}

enum Mark {
    Text,
    /// More bytes are needed.
    Unknown,
    End {
        content: usize,
        after: usize,
    },
    Restart {
        content: usize,
        after: usize,
    },
}

/// A message in its frame.
pub fn encode(message: &[u8]) -> Vec<u8> {
    encode_as(message, Blocks::Narrow)
}

/// A message in a frame with the block characters of [`Decoder::blocks`].
pub fn encode_as(message: &[u8], blocks: Blocks) -> Vec<u8> {
    let (start, end): (&[u8], &[u8]) = match blocks {
        Blocks::Narrow => (&[VT], &[FS, b'\r']),
        Blocks::WideLittle => (&[VT, 0], &[FS, 0, b'\r', 0]),
        Blocks::WideBig => (&[0, VT], &[0, FS, 0, b'\r']),
    };
    [start, message, end].concat()
}

/// The block by which a receiver of MLLP release 2 says that a message is stored, or is not.
pub fn commit(stored: bool) -> [u8; 4] {
    [VT, if stored { ACK } else { NAK }, FS, b'\r']
}

#[cfg(test)]
mod tests;
