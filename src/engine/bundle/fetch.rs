//! Entries that change nothing: GET and HEAD, and the POSTs of searches and of `$validate`.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use resources::{model::ResourceType, outcome::operation_outcome, primitive::DateRange};

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
        draft::parse,
        error::{Error, ErrorKind},
        operation::{
            EverythingRequest, HistoryRequest, HistoryScope, MetaScope, Resource, SearchRequest,
            ValidateRequest,
        },
    },
    search::{self, Scope},
    store::{Change, Write},
};

/// What such an entry gives.
pub enum Fetched {
    /// A resource.
    Resource(Box<Resource>),
    /// The resource has not changed since.
    NotModified(Box<Resource>),
    /// A Bundle of its own.
    Bundle(String),
}

/// What such an entry asks for.
enum Asked<'e> {
    Instance(ResourceType, &'e str),
    Version(ResourceType, &'e str, i64),
    Search(SearchRequest),
    History(HistoryRequest),
    Everything(EverythingRequest),
    Meta(&'e MetaScope),
    Validate(ValidateRequest),
}

/// The versions that a transaction is about to write.
pub struct Coming<'w>(HashMap<(ResourceType, &'w str), (i64, Change)>);

impl<'w> Coming<'w> {
    /// Of all its writes.
    pub fn new(writes: impl Iterator<Item = &'w Write>) -> Self {
        let version = |write: &'w Write| {
            let version = (write.version, write.change);
            ((write.kind, write.id.as_str()), version)
        };
        Self(writes.map(version).collect())
    }
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
    /// Carries out an entry that changes nothing, if there is room for what it gives.
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
        let text = match asked(entry, options)? {
            Asked::Instance(kind, id) => {
                let found = self.read(kind, id, access).await?;
                return Ok(unless_known(entry, found));
            }
            Asked::Version(kind, id, version) => {
                let found = self.vread(kind, id, version, access).await?;
                return Ok(Fetched::Resource(Box::new(found)));
            }
            Asked::Search(request) => self.search_within(&request, room, access).await?,
            Asked::History(request) => self.history_within(&request, room, access).await?,
            Asked::Everything(request) => self.everything_within(&request, room, access).await?,
            Asked::Meta(scope) => self.meta(scope, access).await?,
            Asked::Validate(request) => operation_outcome(&self.validate(&request, access).await?),
        };
        Ok(Fetched::Bundle(text))
    }

    /// Finds what is wrong with a GET entry, whatever is stored: a transaction must know before
    /// it commits.
    pub(super) async fn check_request(
        &self,
        entry: &Entry<'_>,
        options: &BundleOptions,
        access: &Access,
    ) -> Result<(), Error> {
        match asked(entry, options)? {
            Asked::Instance(..) | Asked::Version(..) | Asked::Meta(_) => Ok(()),
            Asked::Search(request) => self.prepared(&request, access).await.map(drop),
            Asked::History(request) => self.prepared_history(&request).map(drop),
            Asked::Everything(request) => self.prepared_everything(&request).map(drop),
            Asked::Validate(request) => self.validate(&request, access).await.map(drop),
        }
    }

    /// Finds out whether what a GET entry addresses will be there after the transaction.
    pub(super) async fn check_there(
        &self,
        entry: &Entry<'_>,
        coming: &Coming<'_>,
        access: &Access,
    ) -> Result<(), Error> {
        let (kind, id) = match &entry.url.address {
            Address::Instance(kind, id)
            | Address::Version(kind, id, _)
            | Address::Meta(MetaScope::Instance(kind, id) | MetaScope::Version(kind, id, _))
            | Address::History(HistoryScope::Instance(kind, id))
            | Address::Everything(kind, Some(id)) => (*kind, id.as_str()),
            _ => return Ok(()),
        };
        let coming = coming.0.get(&(kind, id));
        match (&entry.url.address, coming) {
            (Address::History(_), Some(_)) => Ok(()),
            (Address::History(_), None) => self.head(kind, id, access).await.map(drop),
            (
                Address::Version(_, _, asked) | Address::Meta(MetaScope::Version(_, _, asked)),
                coming,
            ) => match coming {
                Some((version, Change::Delete)) if asked == version => Err(Error::gone(kind, id)),
                Some((version, _)) if asked == version => Ok(()),
                _ => self
                    .look_at_version(kind, id, *asked, access)
                    .await
                    .map(drop),
            },
            (_, Some((_, Change::Delete))) => Err(Error::gone(kind, id)),
            (_, Some(_)) => Ok(()),
            (_, None) => self.look_at(kind, id, access).await.map(drop),
        }
    }

    /// Writes what such an entry gave.
    pub(super) fn write_fetched(
        &self,
        bundle: &mut BundleText,
        entry: &Entry<'_>,
        fetched: &Result<Fetched, Error>,
    ) -> Result<(), Error> {
        let with_body = entry.method != Method::Head;
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

fn asked<'e>(entry: &'e Entry<'_>, options: &BundleOptions) -> Result<Asked<'e>, Error> {
    let params = search::decode(entry.url.query.as_deref().unwrap_or_default());
    let strict = options.strict;
    let scope = match &entry.url.address {
        Address::Instance(kind, id) => return Ok(Asked::Instance(*kind, id)),
        Address::Version(kind, id, version) => return Ok(Asked::Version(*kind, id, *version)),
        Address::History(scope) => {
            return Ok(Asked::History(HistoryRequest {
                scope: scope.clone(),
                params,
                strict,
            }));
        }
        Address::Everything(kind, id) => {
            return Ok(Asked::Everything(EverythingRequest {
                kind: *kind,
                id: id.clone(),
                params,
                strict,
            }));
        }
        Address::Meta(scope) => return Ok(Asked::Meta(scope)),
        Address::Validate(kind, id) => {
            let last = |wanted: &str| {
                let found = params.iter().rev().find(|(name, _)| name == wanted);
                found.map(|(_, value)| value.clone())
            };
            return Ok(Asked::Validate(ValidateRequest {
                kind: *kind,
                id: id.clone(),
                body: entry
                    .resource
                    .map(|resource| parse(resource.raw()))
                    .transpose()?,
                mode: last("mode"),
                profile: last("profile"),
            }));
        }
        Address::System | Address::Search(None) => Scope::System,
        Address::Type(kind) | Address::Search(Some(kind)) => Scope::Type(*kind),
        Address::Compartment(kind, id, member) => Scope::Compartment {
            kind: *kind,
            id: id.clone(),
            member: *member,
        },
    };
    Ok(Asked::Search(SearchRequest {
        scope,
        params,
        strict,
        explain: false,
    }))
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
