//! Why the engine refused or could not do something.

use resources::outcome::{Issue, operation_outcome};

use crate::store::StoreError;

/// What sort of failure it is; HTTP makes a status of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request cannot be understood (400).
    Invalid,
    /// The access decision does not allow it (403).
    Forbidden,
    /// Nothing there, or nothing that the access decision lets be seen (404).
    NotFound,
    /// This interaction does not exist for this resource (405).
    NotAllowed,
    /// The state of the resource does not allow it (409).
    Conflict,
    /// The resource was deleted (410).
    Gone,
    /// `If-Match`, `If-None-Match` or a condition does not hold (412).
    PreconditionFailed,
    /// A condition that may match one resource matches several (412).
    MultipleMatches,
    /// The request is larger than the server takes (413).
    TooLarge,
    /// The resource breaks the standard's rules (422).
    Unprocessable,
    /// The answer would cost more than the server spends on one request (403, `too-costly`).
    TooCostly,
    /// The server has too much to do; later it may have less (503).
    Busy,
    /// The standard has it, this server does not (501).
    NotSupported,
    /// The database does not answer or a parameter is not indexed yet (503).
    Unavailable,
    /// The work took longer than allowed (503).
    Timeout,
    /// The server is at fault (500).
    Internal,
}

impl ErrorKind {
    /// The HTTP status: in an answer of its own, or in `entry.response` of a Bundle.
    pub fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Forbidden | Self::TooCostly => 403,
            Self::NotFound => 404,
            Self::NotAllowed => 405,
            Self::Conflict => 409,
            Self::Gone => 410,
            Self::PreconditionFailed | Self::MultipleMatches => 412,
            Self::TooLarge => 413,
            Self::Unprocessable => 422,
            Self::Internal => 500,
            Self::NotSupported => 501,
            Self::Busy | Self::Unavailable | Self::Timeout => 503,
        }
    }

    /// The status with its phrase, as in `entry.response.status`.
    pub fn status_line(self) -> String {
        let status = self.status();
        let phrase = match status {
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            409 => "Conflict",
            410 => "Gone",
            412 => "Precondition Failed",
            413 => "Content Too Large",
            422 => "Unprocessable Content",
            501 => "Not Implemented",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        };
        format!("{status} {phrase}")
    }
}

/// A failure with what to tell the client.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{kind:?}: {}", .issues.first().map_or("", |issue| issue.diagnostics.as_str()))]
pub struct Error {
    /// The sort of failure.
    pub kind: ErrorKind,
    /// At least one issue.
    pub issues: Vec<Issue>,
    /// Seconds after which a retry makes sense.
    pub retry_after: Option<u32>,
}

impl Error {
    /// A failure with one issue.
    pub fn new(kind: ErrorKind, code: &'static str, diagnostics: impl Into<String>) -> Self {
        Self::with(kind, vec![Issue::error(code, diagnostics)])
    }

    /// A failure with these issues.
    pub fn with(kind: ErrorKind, issues: Vec<Issue>) -> Self {
        Self {
            kind,
            issues,
            retry_after: None,
        }
    }

    /// A request that cannot be understood.
    pub fn invalid(diagnostics: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, "invalid", diagnostics)
    }

    /// The resource is not there, or not visible.
    pub fn not_found(kind: resources::model::ResourceType, id: &str) -> Self {
        Self::new(
            ErrorKind::NotFound,
            "not-found",
            format!("{kind}/{id} is not known"),
        )
    }

    /// The resource was there.
    pub fn gone(kind: resources::model::ResourceType, id: &str) -> Self {
        Self::new(
            ErrorKind::Gone,
            "deleted",
            format!("{kind}/{id} was deleted; its history is at {kind}/{id}/_history"),
        )
    }

    /// The same failure with its issues placed inside `prefix`, such as `Bundle.entry[3]`.
    #[must_use]
    pub fn inside(mut self, prefix: &str) -> Self {
        for issue in &mut self.issues {
            issue.expression = Some(match issue.expression.take() {
                // `Patient.name[0]` of an entry becomes `Bundle.entry[3].resource.name[0]`.
                Some(path) => match path.split_once('.') {
                    Some((_, rest)) => format!("{prefix}.resource.{rest}"),
                    None => format!("{prefix}.resource"),
                },
                None => prefix.to_owned(),
            });
        }
        self
    }

    /// The OperationOutcome of the failure.
    pub fn outcome(&self) -> String {
        operation_outcome(&self.issues)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        use ErrorKind as Kind;
        let (kind, code, text, retry_after) = match &error {
            StoreError::Refused { .. } => (
                Kind::Conflict,
                "conflict",
                "the time is no longer free",
                None,
            ),
            StoreError::Conflict(_)
            | StoreError::Guard(_)
            | StoreError::Outdated
            | StoreError::Repeated => (
                Kind::Conflict,
                "conflict",
                "others changed the same resources at the same moment; send the request again",
                Some(1),
            ),
            StoreError::Duplicate(_) | StoreError::Settled => (
                Kind::Conflict,
                "duplicate",
                "the message has been worked on by somebody else at the same moment",
                Some(1),
            ),
            StoreError::Unavailable(_) | StoreError::Open(_) => (
                Kind::Unavailable,
                "transient",
                "the database does not answer; send the request again later",
                Some(5),
            ),
            StoreError::Busy => (
                Kind::Busy,
                "throttled",
                "too many writes are waiting; send the request again later",
                Some(1),
            ),
            StoreError::Timeout(_) => (
                Kind::Timeout,
                "timeout",
                "the query took longer than the server allows; narrow it",
                None,
            ),
            StoreError::TooLarge(_) => (
                Kind::TooCostly,
                "too-costly",
                "the conditions are more than the database takes in one query; give fewer \
                 parameters or shorter lists, or send several searches",
                None,
            ),
            StoreError::Storage(_) => (
                Kind::Unavailable,
                "no-store",
                "the storage takes no writes at present; send the request again later",
                Some(30),
            ),
            StoreError::Position => (
                Kind::Invalid,
                "invalid",
                "the page token does not belong to this search; start from the first page",
                None,
            ),
            StoreError::NotSupported(_) => (
                Kind::NotSupported,
                "not-supported",
                "the database cannot answer this yet",
                None,
            ),
            StoreError::Words(_) => (
                Kind::Unavailable,
                "incomplete",
                "the words for full-text search have to be made anew; send the search again later",
                Some(1),
            ),
            StoreError::Damaged(_) | StoreError::Failed(_) => (
                Kind::Internal,
                "exception",
                "the server cannot read its own data; its operator must look at it",
                None,
            ),
        };
        if matches!(
            error,
            StoreError::Damaged(_)
                | StoreError::Failed(_)
                | StoreError::NotSupported(_)
                | StoreError::Open(_)
                | StoreError::Storage(_)
                | StoreError::Unavailable(_)
        ) {
            tracing::error!(%error, "the store failed");
        }
        Self {
            retry_after,
            ..Self::new(kind, code, text)
        }
    }
}
