//! Search text -> typed query -> [`plan::Plan`]. No SQL here.

pub mod plan;
