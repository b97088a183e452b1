//! The engine over a real store: what clients are promised, without HTTP.

mod bundles;
mod fixture;
mod operations;
mod parameters;
mod reads;
mod searches;
mod writes;
