//! Why something could not be fetched.

use std::{io, net::IpAddr};

/// Why something could not be fetched, in words for the log and for operators: a stranger who
/// named the URL would learn from them what the server can see.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// A setting makes no sense.
    #[error("fetch.{key}: {reason}")]
    Settings {
        /// Below `fetch.`
        key: &'static str,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// No absolute URL of a scheme that is fetched from.
    #[error("the URL is not acceptable: {0}")]
    Url(&'static str),
    /// The host is not for everybody.
    #[error(
        "the host is not reachable for everybody (its address {0} is private or special); an \
         operator can let it through in fetch.allow"
    )]
    Private(IpAddr),
    /// The name has no address.
    #[error("the host's name cannot be resolved: {0}")]
    Name(String),
    /// No connection.
    #[error("no connection to the host: {0}")]
    Connect(String),
    /// The certificate is not the host's, or another failure of TLS.
    #[error("no secure connection to the host: {0}")]
    Tls(String),
    /// The answer was not HTTP, or ended early.
    #[error("the exchange with the host failed: {0}")]
    Exchange(String),
    /// It took too long.
    #[error("the host did not answer completely within {0} seconds")]
    TooSlow(u64),
    /// It answered with a redirect, which is not followed.
    #[error("the host answered with a redirect (status {0}); name the final address")]
    Redirected(u16),
    /// It answered with a status that is no answer.
    #[error("the host answered with status {0}")]
    Status(u16),
    /// The answer was too large.
    #[error("the host's answer has more than {0} bytes")]
    TooLarge(usize),
    /// The answer was of another type or coding.
    #[error("the host's answer is not JSON: {0}")]
    NotJson(String),
    /// A request has a method that is not sent.
    #[error("{0} is not a method that is fetched with")]
    Method(String),
    /// A request has a header that is the fetcher's own.
    #[error("the header {0} cannot be set")]
    Header(String),
    /// The process ends.
    #[error("the server is stopping")]
    Ended,
}

impl FetchError {
    /// A failure of HTTP.
    pub(super) fn exchange(error: &hyper::Error) -> Self {
        Self::Exchange(error.to_string())
    }

    /// A failure of the connection.
    pub(super) fn connect(error: &io::Error) -> Self {
        Self::Connect(error.kind().to_string())
    }
}
