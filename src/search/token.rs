//! Token searches: `code`, `system|code`, `|code`, `system|`.

use super::plan::KeyRange;

/// The entries with this code of this system; an empty system is none.
pub(super) fn coded(system: &str, code: &str) -> KeyRange {
    let mut key = vec![0x20];
    key.extend_from_slice(code.as_bytes());
    key.push(0);
    key.extend_from_slice(system.as_bytes());
    KeyRange::exact(key)
}
