//! Search: from the text of the query to a page of a Bundle.

use std::cmp::Ordering;

use resources::{
    model::ResourceType,
    outcome::{Issue, Severity},
};

use super::{
    Engine,
    audit::record::{search_asked, search_query},
    bundle_text::{BundleText, Mode},
    computed::ComputedHit,
    cursor::Cursor,
    error::{Error, ErrorKind},
    includes::Included,
    operation::{Resource, SearchRequest},
    submit::{parse_body, resource},
    subset::{Subset, subset},
};
use crate::{
    access::{Access, Right},
    search::{
        self, Query, Scope, Summary, encode,
        plan::{Clause, Plan, Sort, TotalMode},
    },
    store::{Hit, Page},
};

/// A page of what a plan finds, stored and computed resources merged.
pub(super) struct Found {
    /// The resources in order.
    pub hits: Vec<Resource>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
    /// The count, if it was asked for.
    pub total: Option<u64>,
    /// There may be more than `total`.
    pub at_least: bool,
    /// How the page was found.
    pub explain: Vec<String>,
}

/// A search ready to be run.
pub(super) struct Prepared {
    query: Query,
    plan: Plan,
    /// Its address without the page token.
    own: String,
    cursor: Cursor,
}

impl Engine {
    /// A page of search results, as the text of a Bundle.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for parameters that make no sense, and what the store reports.
    pub async fn search(&self, request: &SearchRequest, access: &Access) -> Result<String, Error> {
        let room = self.settings.limits.answer_bytes;
        self.search_within(request, room, access).await
    }

    /// A page with about `room` bytes of resources at most, and at least one.
    pub(super) async fn search_within(
        &self,
        request: &SearchRequest,
        room: usize,
        access: &Access,
    ) -> Result<String, Error> {
        let found = self.searched(request, room, access).await;
        let query = || search_query(&request.scope, &request.params);
        let asked = search_asked(&request.scope, &query);
        let seen = found
            .as_ref()
            .map(|(_, _, found, included)| found.hits.iter().chain(&included.resources));
        self.record(access, asked, seen).await?;
        let (query, own, found, included) = found?;
        self.write_searchset(&query, &own, found, included)
    }

    async fn searched(
        &self,
        request: &SearchRequest,
        room: usize,
        access: &Access,
    ) -> Result<(Query, String, Found, Included), Error> {
        let Prepared {
            query,
            plan,
            own,
            cursor,
        } = self.prepared(request, access).await?;
        let access = &access.to(Right::Search);
        let found = self.page(&plan, cursor, room, access).await?;
        let included = if plan.limit == 0 {
            Included::default()
        } else {
            let room = room.saturating_sub(weight(&found.hits));
            self.included(&query.includes, &found.hits, room, access)
                .await?
        };
        Ok((query, own, found, included))
    }

    /// Reads and compiles a search, and so finds all that is wrong with it.
    pub(super) async fn prepared(
        &self,
        request: &SearchRequest,
        access: &Access,
    ) -> Result<Prepared, Error> {
        let access = &access.to(Right::Search);
        let registry = self.registry();
        let query = search::parse(
            &search::Request {
                scope: request.scope.clone(),
                params: &request.params,
                strict: request.strict,
                base_url: &self.settings.base_url,
                now: self.clock.now(),
            },
            &registry,
            &self.search_limits,
        )
        .map_err(|issues| Error::with(ErrorKind::Invalid, issues))?;
        self.permit_some(&query.types, access)?;
        if query.explain && !request.explain {
            return Err(Error::new(
                ErrorKind::Forbidden,
                "forbidden",
                "_explain is for administrators; leave it out",
            ));
        }
        let mut plan = self.compile(&query, access).await?;
        if query.summary == Summary::Count || query.count == 0 {
            plan.limit = 0;
            plan.total = TotalMode::Accurate;
        }
        let own = self.self_link(&request.scope, &query);
        let cursor = match &query.page {
            Some(token) => Cursor::read(&self.tokens.open(&own, token)?)?,
            None => Cursor::default(),
        };
        Ok(Prepared {
            query,
            plan,
            own,
            cursor,
        })
    }

    /// Resolves what terminology has to say and makes the plan.
    pub(super) async fn compile(&self, query: &Query, access: &Access) -> Result<Plan, Error> {
        let resolved = self.resolve_needs(query.needs(), access).await?;
        let plan = query
            .plan(&resolved)
            .map_err(|issues| Error::with(ErrorKind::Invalid, issues))?;
        self.check_indexed(&plan).await?;
        self.catch_up_texts(&plan).await?;
        Ok(plan)
    }

    /// The address of the search without its page token; it is also what tokens are bound to.
    fn self_link(&self, scope: &Scope, query: &Query) -> String {
        let base = &self.settings.base_url;
        let path = match scope {
            Scope::System => base.clone(),
            Scope::Type(kind) => format!("{base}/{kind}"),
            Scope::Compartment { kind, id, member } => match member {
                Some(member) => format!("{base}/{kind}/{id}/{member}"),
                None => format!("{base}/{kind}/{id}/*"),
            },
        };
        let params = query
            .accepted
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        with_query(path, &encode(params))
    }

    /// A page of what `plan` finds behind `cursor`, with about `room` bytes at most.
    pub(super) async fn page(
        &self,
        plan: &Plan,
        cursor: Cursor,
        room: usize,
        access: &Access,
    ) -> Result<Found, Error> {
        if Self::is_of_events(plan) {
            // Boxed, so that other searches do not carry the room for it.
            return Box::pin(self.event_page(plan, cursor, access)).await;
        }
        if plan.types == [ResourceType::SLOT] {
            return Box::pin(self.slot_page(plan, cursor, room, access)).await;
        }
        let computed = self.computed_hits(plan, access).await?;
        let stored = self.stored_page(plan, &cursor, room, access).await?;
        let total = stored.total.map(|(count, _)| count + computed.len() as u64);
        let at_least = stored.total.is_some_and(|(_, is_exact)| !is_exact);
        let explain = stored.explain.clone();
        let from = match &cursor.computed {
            Some(last) => self.behind(plan, &computed, last),
            None => 0,
        };
        let merged = merge(plan, cursor, stored, &computed, from);
        let hits = merged
            .order
            .iter()
            .filter_map(|from| match from {
                From::Stored(hit) => Some(resource(&hit.stored)),
                From::Computed(at) => self.computed.read(computed[*at].kind, &computed[*at].id),
            })
            .collect();
        Ok(Found {
            hits,
            next: merged.next,
            total,
            at_least,
            explain,
        })
    }

    /// The stored part of a page.
    pub(super) async fn stored_page(
        &self,
        plan: &Plan,
        cursor: &Cursor,
        room: usize,
        access: &Access,
    ) -> Result<Page, Error> {
        if cursor.stored_done && plan.total == TotalMode::None {
            return Ok(Page::default());
        }
        if cursor.stored_done {
            let counted = Plan {
                limit: 0,
                after: None,
                ..plan.clone()
            };
            return Ok(Page {
                more: false,
                ..self.store.search(&counted, access).await?
            });
        }
        let plan = Plan {
            after: cursor.stored.clone(),
            ..plan.clone()
        };
        Ok(self.store.search_within(&plan, room, access).await?)
    }

    fn write_searchset(
        &self,
        query: &Query,
        own: &str,
        found: Found,
        included: Included,
    ) -> Result<String, Error> {
        let mut links = vec![("self", own.to_owned()), ("first", own.to_owned())];
        if let Some(cursor) = &found.next {
            let token = self.tokens.seal(own, &cursor.write());
            links.push((
                "next",
                with_query(own.to_owned(), &format!("_page={token}")),
            ));
        }
        let room = found.hits.iter().chain(&included.resources);
        let room = room.map(|hit| hit.body.len() + 200).sum();
        let mut bundle = BundleText::new("searchset", &links, found.total, self.clock.now(), room);
        let wanted = Subset::of(query.summary, &query.elements);
        for (hits, mode) in [
            (&found.hits, Mode::Match),
            (&included.resources, Mode::Include),
        ] {
            for hit in hits {
                let text = self.shown(hit, wanted.as_ref())?;
                bundle.hit(&self.settings.base_url, hit, &text, mode);
            }
        }
        let mut issues = query.warnings.clone();
        issues.extend(included.warnings);
        if let (true, Some(total)) = (found.at_least, found.total) {
            let text = match query.total {
                TotalMode::Estimate => format!(
                    "there are at least {total} matches; an estimate counts no further, \
                     '_total=accurate' counts all"
                ),
                _ => format!(
                    "there are at least {total} matches; no more were counted, name \
                     schedule and a range of start"
                ),
            };
            issues.push(Issue {
                severity: Severity::Information,
                ..Issue::warning("informational", text)
            });
        }
        if query.explain {
            issues.extend(found.explain.into_iter().map(|line| Issue {
                severity: Severity::Information,
                ..Issue::warning("informational", line)
            }));
        }
        if !issues.is_empty() {
            bundle.outcome(&issues);
        }
        Ok(bundle.finish())
    }

    /// The text of a resource as a search shows it.
    pub(super) fn shown<'r>(
        &self,
        resource: &'r Resource,
        wanted: Option<&Subset>,
    ) -> Result<std::borrow::Cow<'r, str>, Error> {
        if let Some(wanted) = wanted {
            let doc = parse_body(resource.kind, &resource.id, &resource.body)?;
            return Ok(subset(&doc, resource.kind, wanted).into());
        }
        Ok(resource.text()?.into())
    }
}

impl Resource {
    /// The JSON as text.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`]: what is stored was text before.
    pub fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(&self.body).map_err(|_| {
            tracing::error!(kind = %self.kind, id = self.id, "a stored resource is not UTF-8");
            Error::new(
                ErrorKind::Internal,
                "exception",
                format!("the stored text of {}/{} is damaged", self.kind, self.id),
            )
        })
    }
}

/// Bytes of the texts of resources.
pub(super) fn weight(resources: &[Resource]) -> usize {
    resources.iter().map(|resource| resource.body.len()).sum()
}

/// `url` with one more piece of query.
pub(super) fn with_query(url: String, query: &str) -> String {
    match query {
        "" => url,
        _ if url.contains('?') => format!("{url}&{query}"),
        _ => format!("{url}?{query}"),
    }
}

enum From {
    Stored(Box<Hit>),
    Computed(usize),
}

struct Merged {
    order: Vec<From>,
    next: Option<Cursor>,
}

/// Takes a page from two ordered lists. Without sort criteria the stored ones come first.
fn merge(
    plan: &Plan,
    mut cursor: Cursor,
    stored: Page,
    computed: &[ComputedHit],
    from: usize,
) -> Merged {
    let mut order = Vec::with_capacity(plan.limit);
    let mut left = stored.hits.into_iter().peekable();
    let (mut last, mut at) = (None, from);
    while order.len() < plan.limit {
        let take_stored = match (left.peek(), computed.get(at)) {
            (Some(hit), Some(other)) => {
                compare(&plan.sort, &hit.sort, &other.sort) != Ordering::Greater
            }
            (Some(_), None) => true,
            // The stored ones end early, and what comes next is not known.
            (None, _) if stored.more => break,
            (None, Some(_)) => false,
            (None, None) => break,
        };
        if take_stored {
            if let Some(hit) = left.next() {
                last = Some(hit.position.clone());
                order.push(From::Stored(Box::new(hit)));
            }
        } else {
            order.push(From::Computed(at));
            at += 1;
        }
    }
    let stored_left = left.peek().is_some() || stored.more;
    if last.is_some() {
        cursor.stored = last;
    }
    cursor.stored_done = !stored_left;
    if at > from {
        cursor.computed = computed.get(at - 1).map(ComputedHit::place);
    }
    let more = plan.limit > 0 && (stored_left || at < computed.len());
    Merged {
        order,
        next: more.then_some(cursor),
    }
}

/// The order of two hits by their sort values; resources without a value come last.
pub(super) fn compare(sort: &[Sort], a: &[Option<Vec<u8>>], b: &[Option<Vec<u8>>]) -> Ordering {
    for ((sort, a), b) in sort.iter().zip(a).zip(b) {
        let order = match (a, b) {
            (Some(a), Some(b)) if sort.descending => b.cmp(a),
            (Some(a), Some(b)) => a.cmp(b),
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// All parameters that a clause looks at.
pub(super) fn parameters(clause: &Clause, out: &mut Vec<resources::index::ParamId>) {
    match clause {
        Clause::All(parts) | Clause::Any(parts) => {
            for part in parts {
                parameters(part, out);
            }
        }
        Clause::Not(part) | Clause::Decided(part) => parameters(part, out),
        Clause::Keys { param, .. } | Clause::HasParam(param) => out.push(*param),
        Clause::Refers { param, inner, .. } | Clause::ReferredBy { param, inner, .. } => {
            out.push(*param);
            parameters(inner, out);
        }
        Clause::Type(_) | Clause::Ids(_) | Clause::Updated { .. } | Clause::Text { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use resources::model::ResourceType;

    use super::*;
    use crate::{
        search::plan::{Position, SortKey},
        store::{Head, Stored},
    };

    fn plan(limit: usize, sorted: bool) -> Plan {
        Plan {
            types: vec![ResourceType::VALUE_SET],
            filter: Clause::All(vec![]),
            sort: if sorted {
                vec![Sort {
                    by: SortKey::Id,
                    descending: false,
                }]
            } else {
                Vec::new()
            },
            limit,
            after: None,
            total: TotalMode::None,
        }
    }

    /// A page of at most `limit` hits.
    fn stored(all: &[&str], after: Option<&Position>, limit: usize) -> Page {
        let from = after.map_or(0, |position| usize::from(position.0[0]) + 1);
        let hits: Vec<Hit> = all
            .iter()
            .enumerate()
            .skip(from)
            .take(limit)
            .map(|(at, id)| Hit {
                stored: Stored {
                    head: Head {
                        rid: 0,
                        kind: ResourceType::VALUE_SET,
                        id: (*id).to_owned(),
                        version: 1,
                        vid: 0,
                        updated: 0,
                        deleted: false,
                    },
                    body: bytes::Bytes::new(),
                },
                sort: vec![Some(id.as_bytes().to_vec())],
                position: Position(vec![at as u8]),
            })
            .collect();
        Page {
            more: from + hits.len() < all.len(),
            hits,
            ..Page::default()
        }
    }

    #[test]
    fn pages_of_two_lists_have_every_hit_once_and_in_order() {
        let (a, b) = (["a", "c", "d", "h"], ["b", "e", "f", "g", "i"]);
        let computed: Vec<ComputedHit> = b.iter().map(|id| ComputedHit::named(id)).collect();
        for (sorted, expected) in [(true, "abcdefghi"), (false, "acdhbefgi")] {
            for (limit, room) in (1..12).flat_map(|limit| [(limit, 12), (limit, 1), (limit, 2)]) {
                let plan = plan(limit, sorted);
                let mut seen = String::new();
                let mut cursor = Some(Cursor::default());
                while let Some(at) = cursor {
                    let page = if at.stored_done {
                        Page::default()
                    } else {
                        stored(&a, at.stored.as_ref(), limit.min(room))
                    };
                    let at = Cursor::read(&at.write()).unwrap();
                    let last = at.computed.as_ref().map(|place| place.id.as_str());
                    let from = b.iter().position(|id| Some(*id) == last);
                    let from = from.map_or(0, |at| at + 1);
                    let merged = merge(&plan, at, page, &computed, from);
                    assert!(merged.order.len() <= limit);
                    for from in &merged.order {
                        seen.push_str(match from {
                            From::Stored(hit) => &hit.stored.head.id,
                            From::Computed(at) => b[*at],
                        });
                    }
                    cursor = merged.next;
                }
                assert_eq!(seen, expected, "limit {limit}, room for {room}");
            }
        }
    }
}
