//! The operations that are part of the engine.

mod everything;
mod meta;
mod validate;
