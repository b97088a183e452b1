//! The operations that are part of the engine.

mod access_report;
mod care_dates;
mod everything;
mod meta;
mod validate;
