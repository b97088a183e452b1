//! FHIR's primitive types as text: dates and their ranges, decimals with their precision,
//! references, and the syntax of every primitive.

mod date;
mod decimal;
mod reference;
pub mod syntax;

pub use date::{DateRange, format_instant, is_date, is_date_time, is_instant, is_time};
pub use decimal::Decimal;
pub use reference::Reference;
