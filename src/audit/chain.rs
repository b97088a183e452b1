//! Blocks of rows and the chain of their hashes.

use aws_lc_rs::digest::{Context, SHA256};

use super::{
    encode::{Row, Unreadable},
    filter::{self, Marks},
};
use crate::store::{AuditRow, AuditSeal};

/// What a seal's hash begins with; another form of the hash would have another.
const FORM: &[u8] = b"rotunda audit seal 1";

/// The most rows of a block, the most bytes of them, and the most AuditEvents that they stand
/// for: what a search must look through to find one event, and what is not sealed yet.
pub const ROWS: usize = 2_048;
/// See [`ROWS`].
pub const BYTES: usize = 256 << 10;
/// See [`ROWS`].
pub const RECORDS: usize = 8_192;

/// A block in the making.
#[derive(Debug, Default)]
pub struct Block {
    marks: Marks,
    records: usize,
    bytes: usize,
    rows: usize,
    first_at: Option<i64>,
    last_at: Option<i64>,
}

impl Block {
    /// Adds a row; false if the block is full with it.
    pub fn add(&mut self, row: &AuditRow) -> bool {
        self.rows += 1;
        self.bytes += row.body.len();
        self.seen(row.at);
        if self.take(row).is_err() {
            tracing::error!(
                row = row.seq,
                "a row of the audit cannot be read; it is sealed as it is"
            );
        }
        self.rows < ROWS && self.bytes < BYTES && self.records < RECORDS
    }

    fn take(&mut self, row: &AuditRow) -> Result<(), Unreadable> {
        let read = Row::read(&row.body)?;
        let events = read.events()?;
        let marks = &mut self.marks;
        let mut add = |mark| {
            marks.insert(mark);
        };
        // Most events of a row share these.
        for identity in events.identities() {
            filter::of_identity(identity, &mut add);
        }
        let mut known = None;
        let (mut first, mut last) = (row.at, row.at);
        for event in events {
            let event = event?;
            first = first.min(event.at);
            last = last.max(event.at);
            self.records += event.records();
            filter::of_request(&event, &mut add);
            for item in &event.items {
                let codes = (item.code, event.outcome);
                if known.replace(codes) != Some(codes) {
                    filter::of_codes(item.code, event.outcome, &mut add);
                }
                filter::of_item(item, &mut add);
                for id in &item.patients {
                    filter::patient(id).into_iter().for_each(&mut add);
                }
            }
        }
        self.seen(first);
        self.seen(last);
        Ok(())
    }

    fn seen(&mut self, at: i64) {
        self.first_at = Some(self.first_at.map_or(at, |first| first.min(at)));
        self.last_at = Some(self.last_at.map_or(at, |last| last.max(at)));
    }

    /// The seal over `rows`, which were added, behind `before`.
    pub fn seal(self, before: Option<&AuditSeal>, genesis: &[u8], rows: &[AuditRow]) -> AuditSeal {
        let count = rows.len() as i64;
        let mut seal = AuditSeal {
            number: before.map_or(0, |seal| seal.number) + 1,
            first_seq: before.map_or(0, |seal| seal.last_seq) + 1,
            last_seq: rows.last().map_or(0, |row| row.seq),
            rows: count,
            total: before.map_or(0, |seal| seal.total) + count,
            first_at: self.first_at.unwrap_or_default(),
            last_at: self.last_at.unwrap_or_default(),
            previous: before.map_or_else(|| genesis.to_vec(), |seal| seal.hash.clone()),
            hash: Vec::new(),
            filter: filter::build(&self.marks),
        };
        let mut hash = Hasher::new(&seal);
        rows.iter().for_each(|row| hash.row(row));
        seal.hash = hash.finish();
        seal
    }
}

/// Computes the hash of a seal and its rows.
pub struct Hasher(Context);

impl Hasher {
    /// Over all that the seal says but its hash.
    pub fn new(seal: &AuditSeal) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(FORM);
        for number in [
            seal.number,
            seal.first_seq,
            seal.last_seq,
            seal.rows,
            seal.total,
            seal.first_at,
            seal.last_at,
        ] {
            context.update(&number.to_be_bytes());
        }
        for bytes in [&seal.previous, &seal.filter] {
            context.update(&(bytes.len() as u64).to_be_bytes());
            context.update(bytes);
        }
        Self(context)
    }

    /// And a row.
    pub fn row(&mut self, row: &AuditRow) {
        self.0.update(&row.seq.to_be_bytes());
        self.0.update(&row.at.to_be_bytes());
        self.0.update(&(row.body.len() as u64).to_be_bytes());
        self.0.update(&row.body);
    }

    /// The hash.
    pub fn finish(self) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}
