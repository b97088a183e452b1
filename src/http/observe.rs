//! What the operator sees of a request: one line in the log, and the metrics. Neither holds a
//! query, an id, or anything out of a body.

use std::{sync::OnceLock, time::Duration};

use axum::http::{Method, StatusCode};
use metrics::{Counter, Histogram};
use resources::model::ResourceType;

/// What a request turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Interaction {
    None,
    Read,
    Vread,
    HistoryInstance,
    HistoryType,
    HistorySystem,
    Create,
    Update,
    Patch,
    Delete,
    SearchType,
    SearchSystem,
    SearchCompartment,
    Bundle,
    Capabilities,
    Operation,
    Options,
}

impl Interaction {
    const COUNT: usize = Self::Options as usize + 1;

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Vread => "vread",
            Self::HistoryInstance => "history-instance",
            Self::HistoryType => "history-type",
            Self::HistorySystem => "history-system",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::SearchType => "search-type",
            Self::SearchSystem => "search-system",
            Self::SearchCompartment => "search-compartment",
            Self::Bundle => "batch-transaction",
            Self::Capabilities => "capabilities",
            Self::Operation => "operation",
            Self::Options => "options",
        }
    }
}

/// What is known about a request when it ends.
#[derive(Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a Method,
    /// What it was.
    pub interaction: Interaction,
    /// The resource type of the address.
    pub kind: Option<ResourceType>,
    /// The request id.
    pub id: &'a str,
    /// Bytes that the client announced.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: usize,
    /// The status of the answer.
    pub status: StatusCode,
    /// From the head's arrival to the answer.
    pub took: Duration,
}

/// The metrics of all requests. Handles are kept, so that counting looks nothing up.
#[derive(Default)]
pub struct Meters {
    requests: [[OnceLock<Counter>; CLASSES]; Interaction::COUNT],
    seconds: [OnceLock<Histogram>; Interaction::COUNT],
    request_bytes: OnceLock<Histogram>,
    response_bytes: OnceLock<Histogram>,
}

/// Classes of status codes: 1xx to 5xx.
const CLASSES: usize = 5;

impl Meters {
    /// Logs and counts a request that ended.
    pub fn record(&self, request: &Request<'_>) {
        let interaction = request.interaction;
        let place = interaction as usize;
        let class = usize::from(request.status.as_u16() / 100).clamp(1, CLASSES) - 1;
        self.requests[place][class]
            .get_or_init(|| {
                const NAMES: [&str; CLASSES] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
                metrics::counter!(
                    "rotunda_http_requests_total",
                    "interaction" => interaction.name(),
                    "status" => NAMES[class],
                )
            })
            .increment(1);
        self.seconds[place]
            .get_or_init(|| {
                metrics::histogram!(
                    "rotunda_http_request_duration_seconds",
                    "interaction" => interaction.name(),
                )
            })
            .record(request.took.as_secs_f64());
        if request.bytes_in > 0 {
            self.request_bytes
                .get_or_init(|| metrics::histogram!("rotunda_http_request_body_bytes"))
                .record(request.bytes_in as f64);
        }
        self.response_bytes
            .get_or_init(|| metrics::histogram!("rotunda_http_response_body_bytes"))
            .record(request.bytes_out as f64);
        tracing::info!(
            target: "rotunda::access",
            method = known_method(request.method),
            interaction = interaction.name(),
            resource = request.kind.map(ResourceType::name),
            status = request.status.as_u16(),
            us = u64::try_from(request.took.as_micros()).unwrap_or(u64::MAX),
            bytes_in = request.bytes_in,
            bytes_out = request.bytes_out,
            request_id = request.id,
        );
    }
}

/// A client can invent methods; the log does not repeat them.
fn known_method(method: &Method) -> &str {
    const KNOWN: [Method; 9] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
        Method::CONNECT,
    ];
    if KNOWN.contains(method) {
        method.as_str()
    } else {
        "other"
    }
}
