//! HL7 v2: messages that engines send, received, kept, answered, and turned into resources.
//!
//! - [`channel`]: what is agreed with a sender.
//! - [`apply`]: what a message does to the record.
//! - [`outbound`]: what happens here, told to others.

pub mod apply;
pub mod channel;
pub mod outbound;
mod stand_in;

pub use apply::{Applied, Applier, Context, Failure};
pub use channel::{AckMode, Channel};
pub use stand_in::{ack, header};
