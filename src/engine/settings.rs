//! What an operator decides about the engine.

use jiff::tz::TimeZone;

use crate::limits::Limits;

/// The engine's settings and bounds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address under which clients see the server, such as `http://127.0.0.1:8080/fhir`,
    /// without a slash at the end.
    pub base_url: String,
    /// PUT to an id that never was creates the resource; else it is refused.
    pub update_create: bool,
    /// A conditional delete may delete several resources at once, up to
    /// [`Limits::conditional_delete`].
    pub conditional_delete_multiple: bool,
    /// An update that changes nothing makes no new version.
    pub skip_unchanged_updates: bool,
    /// How much one request may cost.
    pub limits: Limits,
    /// The zone of Schedules that name none.
    pub time_zone: TimeZone,
    /// Times that one patient may hold at once; 0 is no bound.
    pub holds_per_patient: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base_url: "http://127.0.0.1:8080/fhir".to_owned(),
            update_create: true,
            conditional_delete_multiple: false,
            skip_unchanged_updates: false,
            limits: Limits::default(),
            time_zone: TimeZone::UTC,
            holds_per_patient: 5,
        }
    }
}
