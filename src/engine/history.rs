//! History: pages of the version log.

use resources::{
    model::ResourceType,
    outcome::{Issue, operation_outcome},
    primitive::DateRange,
};

use super::{
    Engine,
    audit::record::{history_asked, history_query, versions},
    bundle_text::BundleText,
    error::{Error, ErrorKind},
    operation::{HistoryRequest, HistoryScope},
    part::Part,
    search::with_query,
    submit::resource,
    subset::Subset,
};
use crate::{
    access::{Access, Right},
    search::encode,
    store::{Change, LogEntry, LogFilter, LogPart},
};

/// Log entries read at a time beyond the page, when some may have to be left out.
const CHUNK: usize = 200;
/// Chunks after which a page ends even if it is not full; the next link continues.
const MAX_CHUNKS: usize = 50;
/// The same for chunks that the store gave up to fill, having looked at all that it may at once.
const MAX_UNFILLED: usize = 5;

/// The parameters of a history request.
#[derive(Debug, Default)]
struct Asked {
    since: Option<i64>,
    at: Option<DateRange>,
    count: usize,
    page: Option<String>,
    /// What is shown of each version; `None` for all of it.
    part: Option<Subset>,
    /// The type of all versions, if they are of one.
    kind: Option<ResourceType>,
    accepted: Vec<(String, String)>,
    warnings: Vec<Issue>,
}

/// A history request ready to be answered.
pub(super) struct Prepared {
    asked: Asked,
    filter: LogFilter,
    /// Its address without the page token.
    own: String,
}

/// A page of versions.
struct Versions {
    asked: Asked,
    entries: Vec<LogEntry>,
    links: Vec<(&'static str, String)>,
    total: Option<u64>,
}

impl Engine {
    /// A page of history, newest first, as the text of a Bundle.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for parameters that make no sense, [`ErrorKind::NotFound`].
    pub async fn history(
        &self,
        request: &HistoryRequest,
        access: &Access,
    ) -> Result<String, Error> {
        let room = self.settings.limits.answer_bytes;
        self.history_within(request, room, access).await
    }

    /// A page with about `room` bytes of resources at most, and at least one.
    pub(super) async fn history_within(
        &self,
        request: &HistoryRequest,
        room: usize,
        access: &Access,
    ) -> Result<String, Error> {
        let found = self.versions(request, room, access).await;
        if access.caller().is_some() {
            let query = || history_query(request);
            let asked = history_asked(&request.scope, &query);
            let seen = found.as_ref().map(|found| versions(&found.entries));
            let seen = seen
                .as_ref()
                .map(|seen| seen.iter())
                .map_err(|error| *error);
            self.record(access, asked, seen).await?;
        }
        let found = found?;
        self.write_history(&found.entries, &found.links, found.total, &found.asked)
    }

    async fn versions(
        &self,
        request: &HistoryRequest,
        room: usize,
        access: &Access,
    ) -> Result<Versions, Error> {
        let Prepared {
            asked,
            mut filter,
            own,
        } = self.prepared_history(request)?;
        let access = &self.permit_history(&request.scope, access)?;
        let mut total = None;
        if let HistoryScope::Instance(kind, id) = &request.scope {
            let (rid, versions) = self.head(*kind, id, access).await?;
            filter.rid = Some(rid);
            let whole = asked.since.is_none() && asked.at.is_none();
            total = (whole && !self.is_limited(*kind, access)).then_some(versions);
        }
        let (entries, next) = self.log_page(&filter, &asked, room, access).await?;
        let this = match &asked.page {
            Some(token) => with_query(own.clone(), &format!("_page={token}")),
            None => own.clone(),
        };
        let mut links = vec![("self", this), ("first", own.clone())];
        if let Some(vid) = next {
            let token = self.tokens.seal(&own, &vid.to_be_bytes());
            links.push(("next", with_query(own, &format!("_page={token}"))));
        }
        Ok(Versions {
            asked,
            entries,
            links,
            total,
        })
    }

    /// The decision for what is asked: that of one resource is reading, any other is a search.
    fn permit_history(&self, scope: &HistoryScope, access: &Access) -> Result<Access, Error> {
        let (right, kinds) = match scope {
            HistoryScope::Instance(kind, _) => (Right::Read, vec![*kind]),
            HistoryScope::Type(kind) => (Right::Search, vec![*kind]),
            HistoryScope::System => (Right::Search, ResourceType::all().collect()),
        };
        let access = access.to(right);
        self.permit_some(&kinds, &access)?;
        Ok(access)
    }

    /// Reads a history request, and so finds all that is wrong with it, whatever is stored.
    pub(super) fn prepared_history(&self, request: &HistoryRequest) -> Result<Prepared, Error> {
        let asked = self.asked(request)?;
        let mut filter = LogFilter {
            since: asked.since,
            before: asked.at.map(|at| at.hi.saturating_add(1)),
            ..LogFilter::default()
        };
        let path = match &request.scope {
            HistoryScope::System => "_history".to_owned(),
            HistoryScope::Type(kind) => {
                filter.kind = Some(*kind);
                format!("{kind}/_history")
            }
            HistoryScope::Instance(kind, id) => format!("{kind}/{id}/_history"),
        };
        let params = asked
            .accepted
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let own = with_query(
            format!("{}/{path}", self.settings.base_url),
            &encode(params),
        );
        if let Some(token) = &asked.page {
            filter.below = Some(below(&self.tokens.open(&own, token)?)?);
        }
        Ok(Prepared { asked, filter, own })
    }

    fn asked(&self, request: &HistoryRequest) -> Result<Asked, Error> {
        let limits = &self.settings.limits;
        let mut asked = Asked {
            count: limits.page_default,
            ..Asked::default()
        };
        let mut part = Part::default();
        let mut counted_only = false;
        for (name, value) in &request.params {
            let range = || {
                DateRange::parse_query(value).ok_or_else(|| {
                    Error::new(
                        ErrorKind::Invalid,
                        "value",
                        format!("'{name}' must be an instant or a date like 2026-11-20T10:00:00Z"),
                    )
                })
            };
            match name.as_str() {
                "_since" => asked.since = Some(range()?.lo),
                "_at" => asked.at = Some(range()?),
                "_count" => {
                    let count: usize = value.parse().map_err(|_| {
                        Error::new(
                            ErrorKind::Invalid,
                            "value",
                            "'_count' must be a whole number, 0 or more",
                        )
                    })?;
                    asked.count = count.min(limits.page_max);
                }
                // The total, and no versions.
                "_summary" if value == "count" => counted_only = true,
                "_summary" => part.summary = Some(value),
                "_elements" => part.elements = Some(value),
                "_page" => {
                    asked.page = Some(value.clone());
                    continue;
                }
                "_format" | "_pretty" => continue,
                other if request.strict => {
                    return Err(Error::new(
                        ErrorKind::Invalid,
                        "not-supported",
                        format!(
                            "history has no parameter '{other}'; \
                             it has _since, _at, _count, _summary and _elements"
                        ),
                    ));
                }
                other => {
                    asked.warnings.push(Issue::warning(
                        "not-supported",
                        format!("the parameter '{other}' was ignored; history does not have it"),
                    ));
                    continue;
                }
            }
            asked.accepted.push((name.clone(), value.clone()));
        }
        if counted_only {
            asked.count = 0;
        }
        asked.kind = match &request.scope {
            HistoryScope::System => None,
            HistoryScope::Type(kind) | HistoryScope::Instance(kind, _) => Some(*kind),
        };
        asked.part = match &request.scope {
            HistoryScope::System => part.wanted(&[])?,
            HistoryScope::Type(kind) | HistoryScope::Instance(kind, _) => part.wanted(&[*kind])?,
        };
        Ok(asked)
    }

    /// Number and count of versions of a resource.
    pub(super) async fn head(
        &self,
        kind: ResourceType,
        id: &str,
        access: &Access,
    ) -> Result<(i64, u64), Error> {
        let access = &access.to(Right::Read);
        self.permit(kind, access)?;
        match self.seen(kind, id, access).await? {
            Some(stored) => Ok((stored.head.rid, stored.head.version.unsigned_abs())),
            None if self.read_computed(kind, id, access).await?.is_some() => Err(Error::new(
                ErrorKind::NotFound,
                "not-found",
                format!("{kind}/{id} is a definition built into this server; it has no history"),
            )),
            None => Err(Error::not_found(kind, id)),
        }
    }

    /// A page of the log, and the position below which the next one begins.
    async fn log_page(
        &self,
        filter: &LogFilter,
        asked: &Asked,
        room: usize,
        access: &Access,
    ) -> Result<(Vec<LogEntry>, Option<i64>), Error> {
        let mut filter = filter.clone();
        let mut page = Vec::new();
        let mut taken = 0;
        if asked.count == 0 {
            return Ok((page, None));
        }
        let kind = asked.kind;
        let sifted = asked.at.is_some() || self.hides(kind, access);
        let all = Access::system("what a Binary says decides who may see it");
        let by_context = kind.is_some_and(|kind| self.is_by_context(kind, access));
        let looked = if by_context && filter.rid.is_some() {
            &all
        } else {
            access
        };
        let mut unfilled = 0;
        for nth in 0..MAX_CHUNKS {
            // What is left out is seldom much.
            let limit = match sifted && nth > 0 {
                true => CHUNK,
                false => asked.count + 1,
            };
            let chunk = self.store.log_within(&filter, (limit, room), looked);
            let LogPart { entries, reached } = chunk.await?;
            unfilled += usize::from(entries.len() < limit);
            for entry in entries {
                if page.len() == asked.count || taken > room {
                    return Ok((page, filter.below));
                }
                filter.below = Some(entry.stored.head.vid);
                if !sifted || self.belongs(&entry, asked, access).await? {
                    taken += entry.stored.body.len();
                    page.push(entry);
                }
            }
            if reached.is_none() {
                return Ok((page, None));
            }
            filter.below = reached;
            if page.len() == asked.count || taken > room || unfilled == MAX_UNFILLED {
                return Ok((page, reached));
            }
        }
        Ok((page, filter.below))
    }

    /// Whether a version is part of the answer: current at the time of `_at`, and visible.
    async fn belongs(
        &self,
        entry: &LogEntry,
        asked: &Asked,
        access: &Access,
    ) -> Result<bool, Error> {
        let head = &entry.stored.head;
        let all = Access::system("the next version, whoever sees it, ended this one");
        if let Some(at) = asked.at
            && head.updated < at.lo
        {
            let next = self
                .store
                .version(head.kind, &head.id, head.version + 1, &all)
                .await?;
            if next.is_some_and(|next| next.stored.head.updated <= at.lo) {
                return Ok(false);
            }
        }
        self.covers(&entry.stored, access).await
    }

    fn write_history(
        &self,
        entries: &[LogEntry],
        links: &[(&str, String)],
        total: Option<u64>,
        asked: &Asked,
    ) -> Result<String, Error> {
        let room = entries.iter().map(|entry| entry.stored.body.len() + 400);
        let mut bundle = BundleText::new("history", links, total, self.clock.now(), room.sum());
        for entry in entries {
            let version = resource(&entry.stored);
            let address = format!("{}/{}", version.kind, version.id);
            let (method, url, status) = match entry.change {
                Change::Create => ("POST", version.kind.name().to_owned(), "201 Created"),
                Change::UpdateCreate => ("PUT", address, "201 Created"),
                Change::Update => ("PUT", address, "200 OK"),
                Change::Delete => ("DELETE", address, "204 No Content"),
            };
            let mut out = bundle.entry();
            out.full_url(&self.settings.base_url, &version);
            if entry.change != Change::Delete {
                out.raw("resource", &self.shown(&version, asked.part.as_ref())?);
            }
            out.raw(
                "request",
                &format!(r#"{{"method":"{method}","url":"{url}"}}"#),
            );
            out.raw(
                "response",
                &format!(
                    r#"{{"status":"{status}","etag":"W/\"{}\"","lastModified":"{}"}}"#,
                    version.version,
                    resources::primitive::format_instant(version.updated)
                ),
            );
            out.end();
        }
        if !asked.warnings.is_empty() {
            // A history's entries must have a request (bdl-4), so the outcome has one, too.
            let mut out = bundle.entry();
            out.raw("resource", &operation_outcome(&asked.warnings));
            out.raw("request", r#"{"method":"GET","url":"_history"}"#);
            out.raw("response", r#"{"status":"200 OK"}"#);
            out.end();
        }
        Ok(bundle.finish())
    }
}

fn below(cursor: &[u8]) -> Result<i64, Error> {
    cursor
        .try_into()
        .map(i64::from_be_bytes)
        .map_err(|_| Error::invalid("the page token '_page' is of another version of the server"))
}
