//! The writer thread: takes what waits, up to a bound, into one transaction.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError},
    },
    thread::JoinHandle,
    time::Duration,
};

use resources::model::ResourceType;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    super::{
        claims::Claimed,
        error::StoreError,
        hash::{self, Hash},
        messages::MessageChange,
        options::Options,
        text,
        types::{Commit, Committed},
        view::View,
    },
    apply::Applier,
    checkpoint::Checkpointer,
    messages::Packed,
    newest::Newest,
    reader::{About, Readers},
    session::{Handle, failure},
};

/// The pause after which the writer tidies up.
const IDLE: Duration = Duration::from_secs(1);
/// How long the writer waits for a lock that another program holds.
const BUSY: Duration = Duration::from_secs(5);

type Reply = oneshot::Sender<Result<Committed, StoreError>>;
type Task = Box<dyn FnOnce(&Connection) + Send>;

/// A text ready to be written.
pub(super) struct Text {
    pub hash: Hash,
    pub packed: Vec<u8>,
}

/// A commit that waits.
pub(super) struct Waiting {
    pub commit: Commit,
    pub view: View,
    /// The texts of `commit.writes`, which has them no more.
    pub texts: Vec<Text>,
    /// What `commit.messages` have to be packed, packed.
    pub messages: Vec<Packed>,
    /// Claims that were checked elsewhere: see [`Options::without_claim_locks`].
    pub planned: Option<Claimed>,
    /// Bytes of the texts before they were packed: the work on a text's index grows with those.
    size: usize,
    reply: Reply,
}

enum Job {
    Commit(Box<Waiting>),
    Task(Task),
}

/// The way to the writer thread.
pub(super) struct Writer {
    queue: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    newest: Arc<Newest>,
    readers: Arc<Readers>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl Writer {
    /// Starts the thread; `beside` is a second connection to the same file.
    pub fn start(
        connection: Connection,
        beside: Connection,
        options: &Options,
        readers: &Arc<Readers>,
    ) -> Result<Self, StoreError> {
        let checkpointer = Checkpointer::start(beside, &connection, options.checkpoint_pages)?;
        let (sender, queue) = mpsc::sync_channel(options.queue_commits);
        let applier = Applier::new(&connection, options)?;
        let newest = Arc::new(Newest::new(applier.newest()));
        let shared = (Arc::clone(&newest), Arc::clone(readers));
        let of_others = of_others(&connection).map_err(failure)?;
        let (commits, bytes) = (options.batch_commits, options.batch_bytes);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                Thread {
                    connection,
                    checkpointer,
                    applier,
                    newest: shared.0,
                    readers: shared.1,
                    of_others,
                    commits,
                    bytes,
                }
                .run(&queue)
            })
            .map_err(|error| StoreError::Open(error.to_string()))?;
        Ok(Self {
            queue: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            newest,
            readers: Arc::clone(readers),
        })
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match queue.as_ref().map(|queue| queue.try_send(job)) {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => Err(StoreError::Busy),
            Some(Err(TrySendError::Disconnected(_))) | None => Err(closed()),
        }
    }

    /// The newest place in the log of these types whose commit is done.
    pub fn newest(&self, kinds: &[ResourceType]) -> i64 {
        self.newest.of(kinds)
    }

    pub async fn commit(
        &self,
        mut commit: Commit,
        view: View,
        planned: Option<Claimed>,
    ) -> Result<Committed, StoreError> {
        let size = commit.writes.iter().map(|write| write.body.len() + 512);
        let audit = commit.audit.as_ref().map_or(0, |row| row.body.len());
        let answer = commit.receipt.as_ref().map_or(0, |kept| kept.answer.len());
        let messages = commit.messages.iter().map(MessageChange::size);
        let size = size.sum::<usize>() + audit + answer + messages.sum::<usize>();
        // Here and not on the writer's thread, for which all others wait.
        let texts = commit.writes.iter_mut().map(|write| {
            let text = std::mem::take(&mut write.body);
            Text {
                hash: hash::of(&text),
                packed: text::pack(&text),
            }
        });
        let texts = texts.collect();
        let messages = commit.messages.iter().map(Packed::new).collect();
        let (reply, answer) = oneshot::channel();
        self.send(Job::Commit(Box::new(Waiting {
            commit,
            view,
            texts,
            messages,
            planned,
            size,
            reply,
        })))?;
        answer.await.map_err(|_| closed())?
    }

    /// Runs a task in a transaction that changes nothing but what it is about.
    pub async fn task<T, F>(&self, about: About, task: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Handle<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        self.with_connection(move |connection| {
            connection
                .execute_batch("BEGIN IMMEDIATE")
                .map_err(failure)?;
            let done = task(&mut Handle(connection)).and_then(|value| {
                let _changing = (about == About::Resources).then(|| readers.change());
                connection.execute_batch("COMMIT").map_err(failure)?;
                Ok(value)
            });
            if done.is_err() {
                roll_back(connection);
            }
            done
        })
        .await
    }

    pub async fn optimize(&self) -> Result<(), StoreError> {
        let readers = Arc::clone(&self.readers);
        self.with_connection(move |connection| {
            let _changing = readers.change();
            connection
                .execute_batch("PRAGMA analysis_limit = 1000; ANALYZE;")
                .and_then(|()| {
                    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
                })
                .map_err(failure)
        })
        .await
    }

    async fn with_connection<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Box::new(move |connection: &Connection| {
            // Nobody waits any more if this fails.
            let _ = reply.send(work(connection));
        });
        self.send(Job::Task(task))?;
        answer.await.map_err(|_| closed())?
    }

    /// Lets the thread finish what waits, then ends it.
    pub async fn close(&self) {
        drop(
            self.queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // A panic of the thread has been reported where it happened.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}

/// Changes with each commit by another connection.
fn of_others(writer: &Connection) -> rusqlite::Result<i64> {
    let mut statement = writer.prepare_cached("PRAGMA data_version")?;
    statement.query_row([], |row| row.get(0))
}

fn roll_back(connection: &Connection) {
    if connection.is_autocommit() {
        return;
    }
    if let Err(error) = connection.execute_batch("ROLLBACK") {
        tracing::error!(%error, "the writer could not roll back");
    }
}

struct Thread {
    connection: Connection,
    checkpointer: Checkpointer,
    applier: Applier,
    newest: Arc<Newest>,
    readers: Arc<Readers>,
    /// A number that differs when another process has committed.
    of_others: i64,
    commits: usize,
    bytes: usize,
}

impl Thread {
    fn run(mut self, queue: &Receiver<Job>) {
        let mut is_written = false;
        loop {
            let job = if is_written {
                queue.recv_timeout(IDLE)
            } else {
                queue.recv().map_err(RecvTimeoutError::from)
            };
            let job = match job {
                Ok(job) => job,
                Err(RecvTimeoutError::Timeout) => {
                    self.empty_log();
                    is_written = false;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            is_written = true;
            match job {
                Job::Task(task) => task(&self.connection),
                Job::Commit(first) => {
                    let task = self.batch(*first, queue);
                    if let Some(task) = task {
                        task(&self.connection);
                    }
                }
            }
            self.look_for_others();
            self.checkpointer.written(&self.connection, &self.readers);
        }
        drop(self.checkpointer);
        if let Err(error) = self.connection.execute_batch("PRAGMA optimize") {
            tracing::warn!(%error, "statistics could not be refreshed");
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::error!(%error, "the database could not be closed");
        }
    }

    /// Another process may write records, and must not write resources. If it does, it is seen.
    fn look_for_others(&mut self) {
        match of_others(&self.connection) {
            Ok(number) if number == self.of_others => {}
            Ok(number) => {
                self.of_others = number;
                drop(self.readers.change());
            }
            Err(error) => tracing::warn!(%error, "others' commits cannot be looked for"),
        }
    }

    /// Moves all of SQLite's log into the database and gives its space back; readers that still
    /// need it are not waited for.
    fn empty_log(&self) {
        let _changing = self.readers.change();
        let emptied = self.connection.busy_timeout(Duration::ZERO).and_then(|()| {
            self.connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        });
        if let Err(error) = emptied.and(self.connection.busy_timeout(BUSY)) {
            tracing::warn!(%error, "the write-ahead log could not be emptied");
        }
    }

    /// Commits `first` and what waits behind it, up to a task, which is given back.
    fn batch(&mut self, first: Waiting, queue: &Receiver<Job>) -> Option<Task> {
        let mut bytes = first.size;
        let mut batch = vec![first];
        let mut task = None;
        while batch.len() < self.commits && bytes < self.bytes {
            match queue.try_recv() {
                Ok(Job::Commit(next)) => {
                    bytes += next.size;
                    batch.push(*next);
                }
                Ok(Job::Task(next)) => {
                    task = Some(next);
                    break;
                }
                Err(_) => break,
            }
        }
        match self.together(&batch) {
            Ok(results) => reply(batch, results),
            Err(error) if batch.len() == 1 => reply(batch, vec![Err(error)]),
            // A disk that is full or failing refuses each alone as well, and takes its time.
            Err(StoreError::Storage(text)) => {
                let refused = batch.iter().map(|_| Err(StoreError::Storage(text.clone())));
                let refused = refused.collect();
                reply(batch, refused);
            }
            Err(error) => {
                tracing::warn!(%error, commits = batch.len(), "a batch failed; each goes alone");
                for waiting in batch {
                    let result = self.together(std::slice::from_ref(&waiting));
                    let result = result.unwrap_or_else(|error| vec![Err(error)]);
                    reply(vec![waiting], result);
                }
            }
        }
        task
    }

    /// One transaction. A commit that may not happen has its own error and leaves no trace; any
    /// other failure undoes all.
    ///
    /// After a failure to sync the log, whether its last frames are on disk is not known, but no
    /// connection counts them in: the next transaction writes its frames, and with them the pages
    /// that the kernel may have dropped, at the same place. So the writer goes on; what it
    /// acknowledged was synced before.
    fn together(
        &mut self,
        batch: &[Waiting],
    ) -> Result<Vec<Result<Committed, StoreError>>, StoreError> {
        self.connection
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(failure)?;
        let mut results = Vec::with_capacity(batch.len());
        for waiting in batch {
            let result = match self.applier.check(&self.connection, waiting) {
                Ok(checked) => match self.applier.write(&self.connection, waiting, checked) {
                    Ok(committed) => Ok(committed),
                    Err(error) => {
                        roll_back(&self.connection);
                        return Err(error);
                    }
                },
                // On some failures, even to read, SQLite has undone the transaction: what was
                // written after that would stand alone.
                Err(error) if self.connection.is_autocommit() => return Err(error),
                Err(refused) => Err(refused),
            };
            results.push(result);
        }
        let done = batch.iter().zip(&results).filter(|(_, done)| done.is_ok());
        let changes = done.into_iter().any(|(of, _)| !of.commit.is_audit_only());
        let _changing = changes.then(|| self.readers.change());
        if let Err(error) = self.connection.execute_batch("COMMIT") {
            roll_back(&self.connection);
            return Err(failure(error));
        }
        // Before anybody is told: who knows of a commit finds it.
        for head in results.iter().flatten().flat_map(|done| &done.heads) {
            self.newest.committed(head);
        }
        Ok(results)
    }
}

fn reply(batch: Vec<Waiting>, results: Vec<Result<Committed, StoreError>>) {
    for (waiting, result) in batch.into_iter().zip(results) {
        // A caller that has gone away does not undo its commit.
        let _ = waiting.reply.send(result);
    }
}
