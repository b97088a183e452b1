//! Names of JSON members that the code knows, at fixed places.

use super::plan::Name;

/// Declares them with their places.
macro_rules! names {
    ($($constant:ident = $name:literal),* $(,)?) => {
        /// All of them, in the order of their places.
        pub const ALL: &[&str] = &[$($name),*];
        names!(@ 0; $($constant)*);
    };
    (@ $at:expr; $constant:ident $($rest:ident)*) => {
        #[allow(missing_docs)]
        pub const $constant: Name = $at;
        names!(@ $at + 1; $($rest)*);
    };
    (@ $at:expr;) => {};
}
names! {
    CODING = "coding",
    SYSTEM = "system",
    CODE = "code",
    DISPLAY = "display",
    VERSION = "version",
    TEXT = "text",
    VALUE = "value",
    USE = "use",
    EXTENSION = "extension",
    URL = "url",
    IDENTIFIER = "identifier",
    NAME = "name",
    PART_OF = "partOf",
    PHYSICAL_TYPE = "physicalType",
    MODE = "mode",
    DESCRIPTION = "description",
    CONTENT_TYPE = "contentType",
    DATA = "data",
    UNIT = "unit",
    START = "start",
    END = "end",
    REPEAT = "repeat",
    PERIOD = "period",
    RANK = "rank",
    FREQUENCY = "frequency",
    PERIOD_UNIT = "periodUnit",
    BOUNDS_PERIOD = "boundsPeriod",
    COUNT = "count",
    TIME_OF_DAY = "timeOfDay",
    BOUNDS_DURATION = "boundsDuration",
}
