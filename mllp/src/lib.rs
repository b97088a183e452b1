//! HL7 v2 as Rotunda knows it. Pure: bytes and values in, bytes and values out.
//!
//! - [`frame`]: MLLP, the frames around messages on a connection.
//! - [`Message`]: what came, byte for byte, with places for all that its delimiters divide.
//! - [`header`]: what MSH says; [`ack`]: the answer to it.
//! - [`map`]: from a message to FHIR resources, by HL7's tables.

pub mod ack;
pub mod batch;
mod charset;
pub mod frame;
pub mod header;
pub mod map;
pub mod message;
pub mod text;
pub mod time;
pub mod tree;
pub mod write;

pub use message::{Message, Note, Segment, Unreadable, Value};
