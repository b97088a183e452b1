//! GET and HEAD entries.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use resources::primitive::DateRange;

use super::{
    BundleOptions,
    address::Address,
    entry::{Entry, Method},
    response,
};
use crate::{
    access::Access,
    engine::{
        Engine,
        bundle_text::BundleText,
        error::{Error, ErrorKind},
        operation::{EverythingRequest, HistoryRequest, Resource, SearchRequest},
    },
    search::{self, Scope},
};

/// What a GET entry gives.
pub enum Fetched {
    /// A resource.
    Resource(Box<Resource>),
    /// The resource has not changed since.
    NotModified(Box<Resource>),
    /// A Bundle of its own.
    Bundle(String),
}

/// Pages that have room in the answer to a Bundle: several are made at the same time.
const PAGES: usize = 16;

/// Bytes of resources that the answer to a Bundle may still have.
pub struct Room {
    limit: usize,
    taken: AtomicUsize,
}

impl Room {
    /// An answer with about `limit` bytes of resources at most.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            taken: AtomicUsize::new(0),
        }
    }

    /// Room for one more entry.
    fn next(&self) -> Result<usize, Error> {
        if self.taken.load(Relaxed) <= self.limit {
            return Ok(self.limit / PAGES);
        }
        Err(Error::new(
            ErrorKind::TooCostly,
            "too-costly",
            format!(
                "the answer to the Bundle has more than {} bytes already; send this entry in \
                 another one, or by itself",
                self.limit
            ),
        ))
    }
}

impl Engine {
    /// Carries out a GET or HEAD entry, if there is room for what it gives.
    pub(super) async fn fetch_entry(
        &self,
        entry: &Entry<'_>,
        options: &BundleOptions,
        room: &Room,
        access: &Access,
    ) -> Result<Fetched, Error> {
        let page = room.next()?;
        let fetched = self.fetch_within(entry, options, page, access).await?;
        let bytes = match &fetched {
            Fetched::Resource(resource) => resource.body.len(),
            Fetched::NotModified(_) => 0,
            Fetched::Bundle(text) => text.len(),
        };
        room.taken.fetch_add(bytes, Relaxed);
        Ok(fetched)
    }

    async fn fetch_within(
        &self,
        entry: &Entry<'_>,
        options: &BundleOptions,
        room: usize,
        access: &Access,
    ) -> Result<Fetched, Error> {
        let params = search::decode(entry.url.query.as_deref().unwrap_or_default());
        let search = |scope: Scope, params| SearchRequest {
            scope,
            params,
            strict: options.strict,
            explain: false,
        };
        let text = match &entry.url.address {
            Address::Instance(kind, id) => {
                let found = self.read(*kind, id, access).await?;
                return Ok(unless_known(entry, found));
            }
            Address::Version(kind, id, version) => {
                let found = self.vread(*kind, id, *version, access).await?;
                return Ok(Fetched::Resource(Box::new(found)));
            }
            Address::System => {
                self.search_within(&search(Scope::System, params), room, access)
                    .await?
            }
            Address::Type(kind) => {
                self.search_within(&search(Scope::Type(*kind), params), room, access)
                    .await?
            }
            Address::Compartment(kind, id, member) => {
                let scope = Scope::Compartment {
                    kind: *kind,
                    id: id.clone(),
                    member: *member,
                };
                self.search_within(&search(scope, params), room, access)
                    .await?
            }
            Address::History(scope) => {
                let request = HistoryRequest {
                    scope: scope.clone(),
                    params,
                    strict: options.strict,
                };
                self.history_within(&request, room, access).await?
            }
            Address::Everything(kind, id) => {
                let request = EverythingRequest {
                    kind: *kind,
                    id: id.clone(),
                    params,
                    strict: options.strict,
                };
                self.everything_within(&request, room, access).await?
            }
        };
        Ok(Fetched::Bundle(text))
    }

    /// Writes what a GET or HEAD entry gave.
    pub(super) fn write_fetched(
        &self,
        bundle: &mut BundleText,
        entry: &Entry<'_>,
        fetched: &Result<Fetched, Error>,
    ) -> Result<(), Error> {
        let with_body = entry.method == Method::Get;
        let out = bundle.entry();
        match fetched {
            Ok(Fetched::Resource(resource)) => {
                response::resource(out, &self.settings.base_url, resource, with_body)?;
            }
            Ok(Fetched::NotModified(resource)) => response::not_modified(out, resource),
            Ok(Fetched::Bundle(text)) => response::bundle(out, text, with_body),
            Err(error) => response::failed(out, error),
        }
        Ok(())
    }
}

/// `ifNoneMatch`, and if that is not given, `ifModifiedSince`.
fn unless_known(entry: &Entry<'_>, found: Resource) -> Fetched {
    let known = match (&entry.if_none_match, &entry.if_modified_since) {
        (Some(tags), _) => tags.split(',').any(|tag| {
            let tag = tag.trim();
            let inner = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
            inner == "*" || inner.parse() == Ok(found.version)
        }),
        (None, Some(since)) => {
            DateRange::parse(since).is_some_and(|since| found.updated <= since.hi)
        }
        (None, None) => false,
    };
    if known {
        Fetched::NotModified(Box::new(found))
    } else {
        Fetched::Resource(Box::new(found))
    }
}
