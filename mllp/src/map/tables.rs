//! The tables that are compiled in: HL7's, corrected and completed.

use std::borrow::Cow;

use super::table::{Code, Row, Tables};

const fn t(text: &'static str) -> Cow<'static, str> {
    Cow::Borrowed(text)
}

const fn r(texts: [&'static str; 11], many: bool, group: bool) -> Row {
    Row {
        table: t(texts[0]),
        place: t(texts[1]),
        data_type: t(texts[2]),
        condition: t(texts[3]),
        narrative: t(""),
        target: t(texts[4]),
        target_type: t(texts[5]),
        map: t(texts[6]),
        vocabulary: t(texts[7]),
        assignment: t(texts[8]),
        references: t(texts[9]),
        origin: t(texts[10]),
        many,
        group,
    }
}

const fn c(texts: [&'static str; 7]) -> Code {
    Code {
        table: t(texts[0]),
        from: t(texts[1]),
        from_system: t(texts[2]),
        code: t(texts[3]),
        display: t(texts[4]),
        system: t(texts[5]),
        origin: t(texts[6]),
    }
}

mod generated {
    #![allow(missing_docs)]
    use super::{Code, Row, c, r};

    include!(concat!(env!("OUT_DIR"), "/tables.rs"));
}

pub use generated::{DEFAULTS, STRUCTURES, SYSTEMS};

/// All of them.
pub fn all() -> Tables {
    Tables {
        messages: generated::MESSAGES.to_vec(),
        segments: generated::SEGMENTS.to_vec(),
        types: generated::TYPES.to_vec(),
        codes: generated::CODES.to_vec(),
    }
}
