//! One connection: frames in, answers out in their order.

use std::{
    collections::VecDeque,
    future::{pending, poll_fn},
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use mllp::frame::{self, Blocks, Decoder, Event};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{
    inbox::{Begun, Inbox, Peer, Reply},
    meters,
};

/// The bounds of connections.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Open connections of a listener.
    pub connections: usize,
    /// Bytes of a message.
    pub frame: usize,
    /// Bytes of all messages together that are being received or answered, of those above 64 KiB.
    pub buffered: usize,
    /// Time without a byte.
    pub idle: Duration,
    /// Time from the first byte of a frame to its last.
    pub frame_time: Duration,
    /// Messages of a connection that are being worked on.
    pub pipelined: usize,
}

/// Bytes that a connection may buffer without asking, and that it asks for at a time.
const UNIT: usize = 64 << 10;
/// Bytes read at a time.
const READ: usize = 16 << 10;
/// Time for an answer to be taken.
const WRITE: Duration = Duration::from_secs(30);
/// After this time without a byte a frame that may be complete is.
const SILENCE: Duration = Duration::from_millis(500);
/// Answers of their own that wait for a connection.
pub const LATER: usize = 1_024;

/// What all connections of a listener share.
pub struct Shared {
    pub inbox: Arc<Inbox>,
    pub bounds: Bounds,
    /// Units of [`UNIT`] bytes.
    pub memory: Arc<Semaphore>,
    pub open: AtomicUsize,
    /// Asks an idle connection to close.
    pub make_room: Notify,
    /// True: finish.
    pub stop: watch::Receiver<bool>,
    /// MLLP release 2: whether a message is stored is said before any answer.
    pub commits: bool,
    /// A frame may end in FS alone.
    pub tolerant: bool,
}

/// An answer that will be sent, and the memory that the message holds until then.
struct Due {
    reply: oneshot::Receiver<Reply>,
    blocks: Blocks,
    _memory: Option<OwnedSemaphorePermit>,
}

enum Step {
    Read(io::Result<usize>),
    Answer(Reply, Blocks),
    Later(Bytes),
    Silence,
    Stop,
    MakeRoom,
}

struct Connection<'s, S> {
    stream: S,
    shared: &'s Shared,
    peer: Peer,
    decoder: Decoder,
    due: VecDeque<Due>,
    memory: Option<OwnedSemaphorePermit>,
    /// When the last byte came.
    last: Instant,
    /// When the frame began that has not ended.
    began: Option<Instant>,
    blocks: Blocks,
    stopping: bool,
}

/// Serves a connection until it ends.
pub async fn serve<S>(stream: S, shared: &Shared, peer: Peer, mut later: mpsc::Receiver<Bytes>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let limits = frame::Limits {
        frame: shared.bounds.frame,
        tolerant: shared.tolerant,
    };
    let mut connection = Connection {
        stream,
        shared,
        peer,
        decoder: Decoder::new(limits),
        due: VecDeque::new(),
        memory: None,
        last: Instant::now(),
        began: None,
        blocks: Blocks::Narrow,
        stopping: false,
    };
    let ended = connection.run(&mut later).await;
    if let Err(error) = ended {
        tracing::debug!(peer = %connection.peer.address, %error, "an HL7 connection ended");
    }
    // What the other side still sends is not waited for.
    let _ = timeout(Duration::from_secs(1), connection.stream.shutdown()).await;
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Connection<'_, S> {
    async fn run(&mut self, later: &mut mpsc::Receiver<Bytes>) -> io::Result<()> {
        loop {
            if self.stopping && self.due.is_empty() {
                return Ok(());
            }
            match self.step(later).await {
                Step::Read(Ok(0)) => return self.end().await,
                Step::Read(Ok(_)) => {
                    self.last = Instant::now();
                    self.take().await?;
                }
                Step::Read(Err(error)) => return Err(error),
                Step::Answer(reply, blocks) => {
                    if !self.answer(reply, blocks).await? {
                        return Ok(());
                    }
                }
                Step::Later(bytes) => {
                    let frame = frame::encode_as(&bytes, self.blocks);
                    self.write(&frame).await?;
                }
                Step::Silence => {
                    if !self.silence() {
                        return Ok(());
                    }
                }
                Step::Stop => self.stopping = true,
                Step::MakeRoom => return Ok(()),
            }
        }
    }

    /// Whatever comes first.
    async fn step(&mut self, later: &mut mpsc::Receiver<Bytes>) -> Step {
        let until = self.until();
        let may_read = !self.stopping && self.due.len() < self.shared.bounds.pipelined;
        let is_idle = self.due.is_empty() && self.decoder.pending() == 0;
        let mut stop = self.shared.stop.clone();
        let stopping = self.stopping;
        let first = self.due.front_mut();
        let answered = async {
            match first {
                Some(due) => {
                    let reply = (&mut due.reply).await;
                    // Whoever worked on it broke down.
                    (reply.unwrap_or(CLOSE), due.blocks)
                }
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            (reply, blocks) = answered => Step::Answer(reply, blocks),
            Some(bytes) = later.recv() => Step::Later(bytes),
            read = read(&mut self.stream, &mut self.decoder), if may_read => Step::Read(read),
            _ = stop.wait_for(|stop| *stop), if !stopping => Step::Stop,
            () = self.shared.make_room.notified(), if is_idle && !stopping => Step::MakeRoom,
            () = sleep_until(until) => Step::Silence,
        }
    }

    /// When to look whether nothing has come.
    fn until(&self) -> Instant {
        let bounds = &self.shared.bounds;
        match self.began {
            Some(began) => {
                let end = began + bounds.frame_time;
                let silence = self.last + SILENCE;
                if silence > Instant::now() {
                    silence.min(end)
                } else {
                    end
                }
            }
            None => {
                let (now, end) = (Instant::now(), self.last + bounds.idle);
                if end > now || self.due.is_empty() {
                    end
                } else {
                    now + bounds.idle
                }
            }
        }
    }

    /// Nothing came for a time. False if the connection is to end.
    fn silence(&mut self) -> bool {
        let bounds = &self.shared.bounds;
        let now = Instant::now();
        if let Some(began) = self.began {
            if now >= began + bounds.frame_time {
                meters::odd("unfinished");
                tracing::warn!(peer = %self.peer.address, "a frame did not end in time");
                return false;
            }
            while let Some(event) = self.decoder.settle() {
                self.event(event);
            }
            self.note_pending();
            return true;
        }
        // What it waits for is ours to give.
        !self.due.is_empty() || now < self.last + bounds.idle
    }

    /// Looks at what came.
    async fn take(&mut self) -> io::Result<()> {
        while let Some(event) = self.decoder.next() {
            self.event(event);
            if self.due.len() >= self.shared.bounds.pipelined {
                break;
            }
        }
        self.note_pending();
        self.remember().await
    }

    fn note_pending(&mut self) {
        self.began = match self.decoder.pending() {
            0 => None,
            _ => self.began.or_else(|| Some(Instant::now())),
        };
    }

    /// Asks for memory for a large frame; waits for it as long as a frame may take.
    async fn remember(&mut self) -> io::Result<()> {
        let held = match self.decoder.pending() {
            long if long > self.shared.bounds.frame => 0,
            pending => pending,
        };
        if held == 0 {
            self.memory = None;
            return Ok(());
        }
        let has = self
            .memory
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let wants = (held / UNIT).saturating_sub(has);
        if wants == 0 {
            return Ok(());
        }
        let asked = Arc::clone(&self.shared.memory).acquire_many_owned(wants as u32);
        let more = timeout(self.shared.bounds.frame_time, asked).await;
        let Ok(Ok(more)) = more else {
            meters::odd("no memory");
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        match &mut self.memory {
            Some(memory) => memory.merge(more),
            None => self.memory = Some(more),
        }
        Ok(())
    }

    fn event(&mut self, event: Event) {
        self.blocks = self.decoder.blocks();
        let peer = &self.peer.address;
        match event {
            Event::Frame(bytes) => {
                self.began = None;
                let begun = self.shared.inbox.begin(bytes, &self.peer);
                self.due(begun);
            }
            Event::Skipped(bytes) => {
                meters::odd("skipped");
                tracing::warn!(%peer, bytes, "bytes outside of any frame were skipped");
            }
            Event::Restarted(bytes) => {
                meters::odd("restarted");
                tracing::warn!(%peer, bytes, "a frame began within another, which is lost");
            }
            Event::Empty => meters::odd("empty"),
            Event::TooLong(bytes) => {
                self.began = None;
                meters::odd("too long");
                tracing::warn!(%peer, bytes, "a frame was too long");
                let head = self.decoder.head().clone();
                let begun = self.shared.inbox.too_long(&head, self.shared.bounds.frame);
                self.due(begun);
            }
            Event::Commit(_) => {}
        }
    }

    fn due(&mut self, begun: Begun) {
        let reply = match begun {
            Begun::Soon(reply) => reply,
            Begun::Now(reply) => {
                let (done, now) = oneshot::channel();
                // Its receiver is right here.
                let _ = done.send(reply);
                now
            }
        };
        self.due.push_back(Due {
            reply,
            blocks: self.blocks,
            _memory: self.memory.take(),
        });
    }

    /// Sends an answer and those behind it that are there. False if the connection is to end.
    async fn answer(&mut self, reply: Reply, blocks: Blocks) -> io::Result<bool> {
        self.due.pop_front();
        let mut out = Vec::new();
        let mut goes_on = self.write_reply(reply, blocks, &mut out);
        while goes_on
            && let Some(due) = self.due.front_mut()
            && let Some(reply) = (&mut due.reply).now_or_never()
        {
            let blocks = due.blocks;
            self.due.pop_front();
            goes_on = self.write_reply(reply.unwrap_or(CLOSE), blocks, &mut out);
        }
        self.write(&out).await?;
        if goes_on && !self.stopping {
            // Frames that were there already, and for which there was no room.
            self.take().await?;
        }
        Ok(goes_on)
    }

    fn write_reply(&self, reply: Reply, blocks: Blocks, out: &mut Vec<u8>) -> bool {
        if let Some(stored) = reply.stored.filter(|_| self.shared.commits) {
            out.extend_from_slice(&frame::commit(stored));
        }
        for bytes in &reply.frames {
            out.extend_from_slice(&frame::encode_as(bytes, blocks));
        }
        !reply.close
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout(WRITE, written)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// The other side sends no more: what is due is answered.
    async fn end(&mut self) -> io::Result<()> {
        while let Some(event) = self.decoder.settle() {
            self.event(event);
        }
        while let Some(due) = self.due.front_mut() {
            let reply = (&mut due.reply).await.unwrap_or(CLOSE);
            let blocks = due.blocks;
            if !self.answer(reply, blocks).await? {
                break;
            }
        }
        Ok(())
    }
}

const CLOSE: Reply = Reply {
    frames: Vec::new(),
    stored: None,
    close: true,
};

/// Reads what is there into the decoder. Nothing is held meanwhile, so that an idle connection
/// costs no buffer.
async fn read<S: AsyncRead + Unpin>(stream: &mut S, decoder: &mut Decoder) -> io::Result<usize> {
    poll_fn(|context| {
        let mut bytes = [0; READ];
        let mut buffer = ReadBuf::new(&mut bytes);
        match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(())) => {
                let read = buffer.filled();
                decoder.push(read);
                Poll::Ready(Ok(read.len()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

impl Shared {
    /// Units of memory for so many bytes.
    pub fn units(bytes: usize) -> usize {
        (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS)
    }
}

/// Counts a connection while it is open.
pub struct Open(pub Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        let open = self.0.open.fetch_sub(1, Ordering::AcqRel) - 1;
        meters::connections(open);
    }
}
