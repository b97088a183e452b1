//! Messages as text, and the record after them.

mod adt;
mod merges;
mod orders;
mod others;
mod results;
mod samples;
mod schedule;
mod ward;
