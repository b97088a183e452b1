//! The operations that are part of the engine.

mod care_dates;
mod everything;
mod meta;
mod validate;
