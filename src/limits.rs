//! Every bound of the server in one place, with its reason.

use std::time::Duration;

use resources::doc::Bounds;
use serde::{Deserialize, Serialize};

/// What the server accepts and spends before it says no. Each bound has its own error; all of
/// them can be changed in the configuration, section `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a request body that holds one resource, after decompression. The largest clinical
    /// documents (a scan inside a DocumentReference or Binary) stay below; more is memory taken
    /// from other requests.
    pub resource_bytes: usize,
    /// Bytes of a Bundle, after decompression. 25,000 entries of a long patient record are about
    /// 60 MB.
    pub bundle_bytes: usize,
    /// Bytes of all larger bodies together that are being received or worked on, with 24 for each
    /// of their JSON values: what many clients with large Bundles at the same time may take of
    /// the memory.
    pub bodies_bytes: usize,
    /// Objects and arrays inside one another, 64 at most. R4's examples have up to 16 levels, its
    /// code systems 22; every walk over a document may use the stack this deep.
    pub json_depth: usize,
    /// JSON values in one body. A value costs 24 bytes while the body is looked at, whatever its
    /// text, so that bytes alone do not bound memory.
    pub json_values: usize,
    /// Entries of a batch or transaction: one commit holds the writer for all of them.
    pub bundle_entries: usize,
    /// Bytes of path and query. What is longer belongs into `POST _search`.
    pub url_bytes: usize,
    /// Bytes of all request headers together.
    pub header_bytes: usize,
    /// Hits of a page if `_count` is not given.
    pub page_default: usize,
    /// Hits of a page at most; a larger `_count` is lowered to it, as the standard allows.
    pub page_max: usize,
    /// Bytes of resources in one answer: a page that has more ends early, with a link to the next,
    /// and further searches and reads of a batch are refused. The largest page of small resources
    /// stays below; a page of large documents would be gigabytes.
    pub answer_bytes: usize,
    /// Parameters of one search. Each is at least one condition of the query.
    pub search_params: usize,
    /// Values separated by commas in one search parameter.
    pub search_values: usize,
    /// Links of a chain or nested `_has`: each is one more hop for every candidate.
    pub chain_depth: usize,
    /// Criteria of `_sort`.
    pub sort_keys: usize,
    /// `_include` and `_revinclude` of one search.
    pub includes: usize,
    /// Rounds of `:iterate`; cycles between resources end here.
    pub include_rounds: usize,
    /// Included resources of one page; the Bundle says so when it was reached.
    pub included_max: usize,
    /// Resources that one conditional delete may remove: it is one commit.
    pub conditional_delete: usize,
    /// Codes that a value set or a hierarchy may expand to in `:in`, `:above`, `:below`.
    pub expansion_codes: usize,
    /// Requests worked on at a time. More wait in the kernel or get 503: queueing them here
    /// would only make all of them slow.
    pub requests: usize,
    /// Open connections. Each costs a file descriptor and some kilobytes.
    pub connections: usize,
    /// Requests a second of one address (of one /64 network in IPv6), with a burst of ten seconds'
    /// worth, whoever sends them; 0 is no limit. A hospital behind one address stays below. This
    /// computer has no such limit.
    pub address_requests_per_second: u32,
    /// The same for an OAuth client or an API key. All users of an app are one client.
    pub client_requests_per_second: u32,
    /// The same for a user. A screen that loads a patient's chart sends a few hundred at once.
    pub user_requests_per_second: u32,
    /// Milliseconds for the head of a request to arrive, and for a connection to be idle: slow
    /// senders hold none.
    pub header_ms: u64,
    /// Milliseconds for a whole request, body and answer included.
    pub request_ms: u64,
    /// Milliseconds for one database query; a search that needs more is answered with advice.
    pub query_ms: u64,
    /// Commits that wait for the writer before a write is answered with 503 and `Retry-After`.
    pub commit_queue: usize,
    /// Milliseconds that shutdown waits for requests in flight.
    pub shutdown_ms: u64,
    /// Open connections of each MLLP listener. An idle one costs a file descriptor and two
    /// kilobytes, with TLS thirty.
    pub mllp_connections: usize,
    /// Bytes of an HL7 message. Documents inside OBX-5 are the largest.
    pub mllp_frame_bytes: usize,
    /// Bytes of all larger HL7 messages together that are being received or answered.
    pub mllp_buffered_bytes: usize,
    /// Milliseconds without a byte after which an MLLP connection is closed: engines keep theirs
    /// open for the night.
    pub mllp_idle_ms: u64,
    /// Milliseconds from the first byte of an HL7 message to its last.
    pub mllp_frame_ms: u64,
    /// Messages of one MLLP connection that are worked on before more are read.
    pub mllp_pipelined: usize,
    /// HL7 messages that wait in memory for their turn. More wait in the store, and are fetched in
    /// their order.
    pub mllp_waiting: usize,
    /// HL7 messages that are applied at the same time.
    pub mllp_parallel: usize,
}

/// Bytes of a URL or of headers that every connection can be given room for.
const LARGEST_HEAD: usize = 1 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self {
            resource_bytes: 16 << 20,
            bundle_bytes: 128 << 20,
            bodies_bytes: 512 << 20,
            json_depth: 64,
            json_values: 8_000_000,
            bundle_entries: 30_000,
            url_bytes: 16 << 10,
            header_bytes: 32 << 10,
            page_default: 20,
            page_max: 1_000,
            answer_bytes: 64 << 20,
            search_params: 64,
            search_values: 500,
            chain_depth: 5,
            sort_keys: 5,
            includes: 20,
            include_rounds: 5,
            included_max: 1_000,
            conditional_delete: 1_000,
            expansion_codes: 10_000,
            requests: 512,
            connections: 2_048,
            address_requests_per_second: 1_000,
            client_requests_per_second: 5_000,
            user_requests_per_second: 200,
            header_ms: 10_000,
            request_ms: 60_000,
            query_ms: 10_000,
            commit_queue: 4_096,
            shutdown_ms: 30_000,
            mllp_connections: 8_192,
            mllp_frame_bytes: 16 << 20,
            mllp_buffered_bytes: 256 << 20,
            mllp_idle_ms: 3_600_000,
            mllp_frame_ms: 120_000,
            mllp_pipelined: 256,
            mllp_waiting: 20_000,
            mllp_parallel: 64,
        }
    }
}

impl Limits {
    /// The bounds of a body with one resource.
    pub fn resource_bounds(&self) -> Bounds {
        self.bounds(self.resource_bytes)
    }

    /// The bounds of a Bundle.
    pub fn bundle_bounds(&self) -> Bounds {
        self.bounds(self.bundle_bytes)
    }

    /// The time for a whole request.
    pub fn request_time(&self) -> Duration {
        Duration::from_millis(self.request_ms)
    }

    /// The time for one query.
    pub fn query_time(&self) -> Duration {
        Duration::from_millis(self.query_ms)
    }

    /// What contradicts itself, as key and sentence; empty if nothing does.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        for (key, value) in [
            ("resource_bytes", self.resource_bytes),
            ("bundle_bytes", self.bundle_bytes),
            ("json_depth", self.json_depth),
            ("json_values", self.json_values),
            ("bundle_entries", self.bundle_entries),
            ("page_default", self.page_default),
            ("answer_bytes", self.answer_bytes),
            ("search_params", self.search_params),
            ("search_values", self.search_values),
            ("conditional_delete", self.conditional_delete),
            ("requests", self.requests),
            ("connections", self.connections),
            ("commit_queue", self.commit_queue),
            ("mllp_connections", self.mllp_connections),
            ("mllp_frame_bytes", self.mllp_frame_bytes),
            ("mllp_pipelined", self.mllp_pipelined),
            ("mllp_waiting", self.mllp_waiting),
            ("mllp_parallel", self.mllp_parallel),
        ] {
            if value == 0 {
                found.push((key, "must be at least 1".to_owned()));
            }
        }
        for (key, value) in [
            ("header_ms", self.header_ms),
            ("request_ms", self.request_ms),
            ("query_ms", self.query_ms),
            ("mllp_idle_ms", self.mllp_idle_ms),
            ("mllp_frame_ms", self.mllp_frame_ms),
        ] {
            if value == 0 {
                let reason = "must be at least 1: nothing is done in no time";
                found.push((key, reason.to_owned()));
            }
        }
        if self.page_default > self.page_max {
            found.push((
                "page_default",
                format!(
                    "{} is more than page_max, which is {}",
                    self.page_default, self.page_max
                ),
            ));
        }
        if self.json_depth > Bounds::default().depth {
            let most = Bounds::default().depth;
            let reason = format!("must be at most {most}: what is stored is read with this depth");
            found.push(("json_depth", reason));
        }
        for (key, value) in [
            ("url_bytes", self.url_bytes),
            ("header_bytes", self.header_bytes),
        ] {
            if !(1_024..=LARGEST_HEAD).contains(&value) {
                let reason = format!("must be between 1024 and {LARGEST_HEAD}");
                found.push((key, reason));
            }
        }
        if self.bodies_bytes < self.bundle_bytes.max(self.resource_bytes) {
            let reason = "must be at least bundle_bytes and resource_bytes";
            found.push(("bodies_bytes", reason.to_owned()));
        }
        if self.mllp_buffered_bytes < self.mllp_frame_bytes {
            let reason = "must be at least mllp_frame_bytes";
            found.push(("mllp_buffered_bytes", reason.to_owned()));
        }
        if self.bundle_bytes > u32::MAX as usize {
            found.push(("bundle_bytes", "must be below 4 GiB".to_owned()));
        }
        found
    }

    fn bounds(&self, bytes: usize) -> Bounds {
        Bounds {
            bytes,
            depth: self.json_depth,
            nodes: self.json_values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_consistent() {
        assert_eq!(Limits::default().problems(), Vec::new());
    }

    #[test]
    fn a_default_page_larger_than_the_largest_is_named() {
        let limits = Limits {
            page_default: 50,
            page_max: 20,
            ..Limits::default()
        };
        assert_eq!(limits.problems()[0].0, "page_default");
    }

    #[test]
    fn what_would_leave_a_useless_server_is_named() {
        type Change = fn(&mut Limits);
        let with = |change: Change| {
            let mut limits = Limits::default();
            change(&mut limits);
            limits.problems().into_iter().map(|(key, _)| key).collect()
        };
        let cases: [(&str, Change); 11] = [
            ("json_depth", |limits| limits.json_depth = 65),
            ("request_ms", |limits| limits.request_ms = 0),
            ("query_ms", |limits| limits.query_ms = 0),
            ("header_ms", |limits| limits.header_ms = 0),
            ("conditional_delete", |limits| limits.conditional_delete = 0),
            ("search_params", |limits| limits.search_params = 0),
            ("search_values", |limits| limits.search_values = 0),
            ("url_bytes", |limits| limits.url_bytes = 1 << 62),
            ("url_bytes", |limits| limits.url_bytes = 1_023),
            ("header_bytes", |limits| limits.header_bytes = usize::MAX),
            ("header_bytes", |limits| limits.header_bytes = 0),
        ];
        for (key, change) in cases {
            let found: Vec<&str> = with(change);
            assert_eq!(found, [key]);
        }
    }
}
