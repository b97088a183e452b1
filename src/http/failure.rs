//! Every answer that is not a success: an OperationOutcome and its status.

use axum::{
    body::Bytes,
    http::{HeaderValue, StatusCode, header},
};
use resources::{
    doc::{ParseError, ParseErrorKind},
    outcome::{Issue, Severity, operation_outcome},
};

use super::{Reply, negotiate::Format};
use crate::{auth::Problem, engine::Error};

/// Why a request is not answered as it wanted.
#[derive(Debug)]
pub struct Failure {
    /// The status of the answer.
    pub status: StatusCode,
    /// What the OperationOutcome says.
    pub issues: Vec<Issue>,
    /// Seconds after which a retry makes sense.
    pub retry_after: Option<u32>,
    /// The methods of the path, for 405.
    pub allow: Option<&'static str>,
    /// How to authenticate, for 401 (RFC 6750, section 3).
    pub challenge: Option<&'static str>,
}

impl Failure {
    /// A failure with one issue.
    pub fn of(status: StatusCode, issue: Issue) -> Self {
        Self {
            status,
            issues: vec![issue],
            retry_after: None,
            allow: None,
            challenge: None,
        }
    }

    /// A failure with one issue of this code and sentence.
    pub fn new(status: StatusCode, code: &'static str, diagnostics: impl Into<String>) -> Self {
        Self::of(status, Issue::error(code, diagnostics))
    }

    /// A request that cannot be understood.
    pub fn bad_request(diagnostics: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", diagnostics)
    }

    /// The server is at fault; what happened stands in its log.
    pub fn fault() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "exception",
            "The server failed on this request. If it was a write, read whether it happened. Its \
             operator finds the request by its X-Request-Id.",
        )
    }

    /// More requests than the server works on at a time.
    pub fn overloaded() -> Self {
        Self {
            retry_after: Some(1),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "throttled",
                "The server works on as much as it can at a time. Send the request again after \
                 the time in Retry-After.",
            )
        }
    }

    /// No token where one is needed.
    pub fn no_token() -> Self {
        Self {
            challenge: Some("Bearer"),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "login",
                "This address needs an access token: send `Authorization: Bearer …`. Where to \
                 get one says .well-known/smart-configuration under the FHIR base.",
            )
        }
    }

    /// There is no authorization server while the server is open to all.
    pub fn is_open() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "The server runs with --open: there is no authentication, and nothing to manage.",
        )
    }

    /// What an administrator wrote does not fit.
    pub fn unfit(problems: &[Problem]) -> Self {
        let issues = problems.iter().map(|one| {
            Issue::error("invalid", format!("{}: {}", one.element, one.reason))
                .at(one.element.clone())
        });
        Self {
            issues: issues.collect(),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "")
        }
    }

    /// A token that is not valid (any more).
    pub fn bad_token() -> Self {
        Self {
            challenge: Some("Bearer error=\"invalid_token\""),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "login",
                "The access token is unknown, expired or revoked; get a new one.",
            )
        }
    }

    /// A method that the path does not have.
    pub fn method(allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "not-supported",
                format!("This address has the methods {allow}."),
            )
        }
    }

    /// The answer, in the format that the client wants if that is known.
    pub fn reply(self, format: Format) -> Reply {
        let mut reply = Reply::new(Bytes::from(operation_outcome(&self.issues)));
        *reply.status_mut() = self.status;
        let headers = reply.headers_mut();
        headers.insert(header::CONTENT_TYPE, format.content_type());
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge {
            let challenge = HeaderValue::from_static(challenge);
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        reply
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status =
            StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let must_name_a_time = status == StatusCode::SERVICE_UNAVAILABLE;
        Self {
            status,
            issues: error.issues,
            retry_after: error.retry_after.or(must_name_a_time.then_some(5)),
            allow: (status == StatusCode::METHOD_NOT_ALLOWED).then_some("GET, HEAD"),
            challenge: None,
        }
    }
}

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        let status = match error.kind {
            ParseErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        let code = match error.kind {
            ParseErrorKind::TooLarge => "too-long",
            _ => "structure",
        };
        let issue = Issue {
            severity: Severity::Fatal,
            ..Issue::error(code, format!("The body is not acceptable JSON: {error}."))
        };
        Self::of(status, issue)
    }
}
