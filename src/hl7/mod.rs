//! HL7 v2: messages that engines send, received, kept, answered, and turned into resources.
//!
//! A [`listener`] has connections, each of which ([`connection`]) gives frames to the [`inbox`].
//! There a message is checked and gets its place in its [`lines`]; it is stored before it is
//! answered, and has its effect in the same commit as its record changes.
//!
//! - [`channel`]: what is agreed with a sender.
//! - [`apply`]: what a message does to the record.
//! - [`outbound`]: what happens here, told to others.
//! - [`pump`]: all of it, started, stopped, and begun again with what was stored.

pub mod apply;
pub mod browse;
pub mod channel;
mod connection;
mod inbox;
mod lines;
mod listener;
mod meters;
pub mod outbound;
mod pace;
mod pump;

pub use apply::{Applied, Applier, Context, Failure};
pub use channel::{AckMode, Channel, WhenDown};
pub use connection::Bounds;
pub use listener::{Listener, fingerprint};
pub use mllp::{ack, header};
pub use pump::{Pump, Settings};
