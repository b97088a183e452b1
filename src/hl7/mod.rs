//! HL7 v2: messages that engines send, received, kept, answered, and turned into resources.
//!
//! - [`channel`]: what is agreed with a sender.
//! - [`apply`]: what a message does to the record.

pub mod apply;
pub mod channel;

pub use apply::{Applied, Applier, Context, Failure};
pub use channel::{AckMode, Channel};
pub use mllp::{ack, header};
