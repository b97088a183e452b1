//! The audit: who saw, did or tried what, when and why; that nothing of it is lost or changed
//! unnoticed; and where to find it again.
//!
//! Events of writes are rows in the same transaction as the write; all others are written in
//! groups, within a moment ([`recorder`]). Rows are sealed block by block into a chain of hashes
//! ([`sealer`], [`chain`]), whose end is signed and noted outside of the database ([`anchor`]).
//! A search passes over the blocks that cannot have what it looks for ([`find`], [`filter`]).

mod anchor;
mod chain;
mod encode;
mod event;
mod filter;
mod find;
mod recorder;
mod sealer;
mod shape;
mod verify;

pub use anchor::{AnchorError, AnchorSigner, Anchors};
pub use event::{Code, Event, Item, Outcome};
pub use filter::{About, Mark, code, identifier, reference, split};
pub use find::{Found, Page, Place, Wanted, find, read};
pub use recorder::Recorder;
pub use sealer::Sealer;
pub use shape::{DICOM, Flow, Shape, of as shape};
pub use verify::{Verified, verify};
