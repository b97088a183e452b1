//! The parts of `mllp` that this module was written against, until they are there.

#![allow(missing_docs)]

pub mod ack {
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Problem {
        pub place: String,
        pub code: &'static str,
        pub text: String,
        pub is_error: bool,
    }
}

pub mod header {
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct Party {
        pub application: String,
        pub facility: String,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Condition {
        Always,
        Never,
        Error,
        Success,
    }

    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct Header {
        pub control_id: String,
        pub code: String,
        pub event: String,
        pub structure: String,
        pub processing: String,
        pub version: String,
        pub sending: Party,
        pub receiving: Party,
        pub accept_ack: Option<Condition>,
        pub application_ack: Option<Condition>,
        pub sequence: Option<i64>,
        pub time: String,
    }
}
