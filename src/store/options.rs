//! The bounds of the store, each with its reason.

use std::time::Duration;

/// Bounds and sizes.
#[derive(Debug, Clone)]
pub struct Options {
    /// PostgreSQL: the most connections of this process. SQLite: the connections for searches.
    pub connections: usize,
    /// A query that takes longer is stopped: it would keep others from the database.
    pub query_time: Duration,
    /// How long an operation waits for a free connection before it is refused as busy.
    pub acquire_time: Duration,
    /// Commits that may wait for the writer (SQLite); more are refused as busy.
    pub queue_commits: usize,
    /// The most commits that share one transaction (SQLite): bounds the delay of the first.
    pub batch_commits: usize,
    /// The most bytes of text that share one transaction (SQLite).
    pub batch_bytes: usize,
    /// Candidates that a search collects and sorts; beyond that it walks an index in order.
    pub candidates: usize,
    /// Page cache of the SQLite writer, KiB.
    pub writer_cache: usize,
    /// Page cache of each SQLite reader, KiB.
    pub reader_cache: usize,
    /// Size of the SQLite log (in pages of 4 KiB) from which on it is moved into the database. The
    /// larger, the more changes of a page become one, and the longer a start after a crash.
    pub checkpoint_pages: u32,
    /// A store that is not there is made; otherwise it is an error, and nothing is left behind.
    pub create: bool,
    /// Another process may have it open. Settings and records may then be read and written, and
    /// nothing else; the schema must be that of this release.
    pub beside: bool,
    /// For the proof that the tests of races can fail: claims are checked, but nobody waits for
    /// others meanwhile. No configuration leads here.
    pub without_claim_locks: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 16,
            query_time: Duration::from_secs(10),
            acquire_time: Duration::from_secs(5),
            queue_commits: 4096,
            batch_commits: 256,
            batch_bytes: 4 << 20,
            candidates: 10_000,
            writer_cache: 128 << 10,
            reader_cache: 8 << 10,
            checkpoint_pages: 64_000,
            create: true,
            beside: false,
            without_claim_locks: false,
        }
    }
}
