//! The compressed blocks, and the last few of them decompressed.

use std::sync::{Arc, Mutex, PoisonError};

use super::BLOCKS;

static BLOB: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/definitions.zst"));

/// Blocks kept; each has a quarter of a megabyte, the largest ones up to one megabyte.
const KEPT: usize = 4;

/// The blocks last read, oldest first.
static RECENT: Mutex<Vec<(usize, Arc<str>)>> = Mutex::new(Vec::new());

/// The text of a block.
pub(super) fn read(number: usize) -> Arc<str> {
    let kept = {
        let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recent.iter().position(|(kept, _)| *kept == number);
        at.map(|at| {
            let block = recent.remove(at);
            recent.push(block.clone());
            block.1
        })
    };
    if let Some(block) = kept {
        return block;
    }
    let block = decompress(number);
    let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    recent.retain(|(kept, _)| *kept != number);
    if recent.len() >= KEPT {
        recent.remove(0);
    }
    recent.push((number, Arc::clone(&block)));
    block
}

#[allow(
    clippy::expect_used,
    reason = "bytes that the build made; a test reads all of them"
)]
fn decompress(number: usize) -> Arc<str> {
    let (start, end) = BLOCKS[number];
    let bytes = zstd::decode_all(&BLOB[start..end]).expect("an embedded block is zstd");
    String::from_utf8(bytes)
        .expect("an embedded block is UTF-8")
        .into()
}
