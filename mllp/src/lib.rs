//! HL7 v2 as Rotunda knows it. Pure: bytes and values in, bytes and values out.
//!
//! - [`frame`]: MLLP, the frames around messages on a connection.
//! - [`batch`]: several messages in one text.
//! - [`Message`]: what came, byte for byte, with places for all that its delimiters divide.
//! - [`header`]: what MSH says; [`ack`]: the answer to it.
//! - [`text`]: escapes; [`write`]: messages written; [`tree`]: a message for a person to read.
//! - [`map`]: from a message to FHIR resources, by HL7's tables.

pub mod ack;
pub mod batch;
pub mod charset;
pub mod frame;
pub mod header;
pub mod map;
pub mod message;
pub mod out;
mod place;
pub mod text;
pub mod time;
pub mod tree;
pub mod write;

pub use message::{Message, Note, Segment, Unreadable, Value};
