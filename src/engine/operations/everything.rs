//! `Patient/$everything` and `Encounter/$everything`.

use std::collections::{BTreeSet, HashSet};

use resources::{
    model::{ResourceType, compartments},
    outcome::Issue,
    primitive::DateRange,
};

use crate::{
    access::{Access, Right},
    audit::Code,
    engine::{
        Engine,
        audit::record::{self as audit, operation_query},
        bundle_text::{BundleText, Mode},
        cursor::Cursor,
        error::{Error, ErrorKind},
        operation::{EverythingRequest, Resource},
        operations::care_dates,
        part::Part,
        search::{weight, with_query},
        subset::Subset,
    },
    search::{
        access_clause, encode,
        plan::{Clause, Plan, TotalMode},
    },
};

/// The parameters of the request.
#[derive(Default)]
struct Asked {
    since: Option<i64>,
    types: BTreeSet<ResourceType>,
    count: usize,
    page: Option<String>,
    /// What is shown of each resource; `None` for all of it.
    part: Option<Subset>,
    /// The time of the care, first and last millisecond; `None` for any.
    care: Option<DateRange>,
    accepted: Vec<(String, String)>,
    warnings: Vec<Issue>,
}

/// A request ready to be answered.
pub(in crate::engine) struct Prepared {
    asked: Asked,
    /// Its address without the page token.
    own: String,
    cursor: Cursor,
}

/// A page of a record.
struct Everything {
    asked: Asked,
    links: Vec<(&'static str, String)>,
    hits: Vec<Resource>,
    /// What they refer to.
    around: Vec<Resource>,
    total: Option<u64>,
    /// Not all of that is here.
    cut: bool,
}

impl Engine {
    /// `$everything`: a page of a patient's or an encounter's record, as the text of a Bundle:
    /// the resource itself and its compartment as matches, and what these refer to outside of it
    /// (practitioners, organizations, locations, medications …) as includes.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Gone`], and as a search.
    pub async fn everything(
        &self,
        request: &EverythingRequest,
        access: &Access,
    ) -> Result<String, Error> {
        let room = self.settings.limits.answer_bytes;
        self.everything_within(request, room, access).await
    }

    /// A page with about `room` bytes of resources at most, and at least one.
    pub(in crate::engine) async fn everything_within(
        &self,
        request: &EverythingRequest,
        room: usize,
        access: &Access,
    ) -> Result<String, Error> {
        let found = self.everything_found(request, room, access).await;
        let id = request.id.as_deref();
        let query = || operation_query(request.kind, id, "everything", &request.params);
        let asked = audit::Asked {
            code: Code::Operation,
            kind: Some(request.kind),
            id: id.unwrap_or_default(),
            query: Some(&query),
        };
        let seen = found.as_ref();
        let seen = seen.map(|found| found.hits.iter().chain(&found.around));
        self.record(access, asked, seen).await?;
        let Everything {
            asked,
            links,
            hits,
            around,
            total,
            cut,
        } = found?;
        let length = hits.iter().chain(&around);
        let length = length.map(|hit| hit.body.len() + 200).sum();
        let mut bundle = BundleText::new("searchset", &links, total, self.clock.now(), length);
        for (hits, mode) in [(&hits, Mode::Match), (&around, Mode::Include)] {
            for hit in hits {
                let text = self.shown(hit, asked.part.as_ref())?;
                bundle.hit(&self.settings.base_url, hit, &text, mode);
            }
        }
        let mut warnings = asked.warnings;
        if cut {
            warnings.push(Issue::warning(
                "incomplete",
                "what this page refers to is too large to be here as a whole; ask for smaller \
                 pages with _count",
            ));
        }
        if !warnings.is_empty() {
            bundle.outcome(&warnings);
        }
        Ok(bundle.finish())
    }

    async fn everything_found(
        &self,
        request: &EverythingRequest,
        room: usize,
        access: &Access,
    ) -> Result<Everything, Error> {
        let Prepared { asked, own, cursor } = self.prepared_everything(request)?;
        let kind = request.kind;
        let access = &access.to(Right::Search);
        self.permit(kind, access)?;
        if let Some(id) = &request.id {
            self.read_seen(kind, id, access).await?;
        }
        let plan = self.everything_plan(request, &asked);
        let found = self.page(&plan, cursor, room, access).await?;
        let room = room.saturating_sub(weight(&found.hits));
        let (around, cut) = self.around(kind, &asked, &found.hits, room, access).await?;
        let mut links = vec![("self", own.clone()), ("first", own.clone())];
        if let Some(cursor) = &found.next {
            let token = self.tokens.seal(&own, &cursor.write());
            links.push(("next", with_query(own, &format!("_page={token}"))));
        }
        Ok(Everything {
            asked,
            links,
            hits: found.hits,
            around,
            total: found.total,
            cut,
        })
    }

    /// Reads the request, and so finds all that is wrong with it, whatever is stored.
    pub(in crate::engine) fn prepared_everything(
        &self,
        request: &EverythingRequest,
    ) -> Result<Prepared, Error> {
        let asked = self.asked_everything(request)?;
        let kind = request.kind;
        let path = match &request.id {
            Some(id) => format!("{kind}/{id}/$everything"),
            None => format!("{kind}/$everything"),
        };
        let params = asked
            .accepted
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let own = with_query(
            format!("{}/{path}", self.settings.base_url),
            &encode(params),
        );
        let cursor = match &asked.page {
            Some(token) => Cursor::read(&self.tokens.open(&own, token)?)?,
            None => Cursor::default(),
        };
        Ok(Prepared { asked, own, cursor })
    }

    fn asked_everything(&self, request: &EverythingRequest) -> Result<Asked, Error> {
        let limits = &self.settings.limits;
        let mut asked = Asked {
            count: limits.page_default.max(100).min(limits.page_max),
            ..Asked::default()
        };
        let wrong = |text: String| Error::new(ErrorKind::Invalid, "value", text);
        let of_patients = request.kind == ResourceType::PATIENT;
        let mut part = Part::default();
        let mut care = DateRange {
            lo: i64::MIN,
            hi: i64::MAX,
        };
        for (name, value) in &request.params {
            let date = |like: &str| {
                DateRange::parse_query(value)
                    .ok_or_else(|| wrong(format!("'{name}' must be a date like {like}")))
            };
            match name.as_str() {
                "_since" => asked.since = Some(date("2026-11-20T10:00:00Z")?.lo),
                "start" if of_patients => care.lo = date("2026-11-20")?.lo,
                "end" if of_patients => care.hi = date("2026-11-20")?.hi,
                "_summary" => part.summary = Some(value),
                "_elements" => part.elements = Some(value),
                "_type" => {
                    for name in value.split(',') {
                        let kind = ResourceType::from_name(name)
                            .ok_or_else(|| wrong(format!("'{name}' is no resource type")))?;
                        asked.types.insert(kind);
                    }
                }
                "_count" => {
                    let count: usize = value
                        .parse()
                        .map_err(|_| wrong("'_count' must be a whole number".to_owned()))?;
                    asked.count = count.clamp(1, limits.page_max);
                }
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
                            "$everything has no parameter '{other}' on this server; it has \
                             _since, _type, _count, _summary and _elements, and for patients \
                             start and end"
                        ),
                    ));
                }
                other => {
                    asked.warnings.push(Issue::warning(
                        "not-supported",
                        format!("the parameter '{other}' was ignored"),
                    ));
                    continue;
                }
            }
            asked.accepted.push((name.clone(), value.clone()));
        }
        if care.lo > care.hi {
            return Err(wrong("'start' must not be later than 'end'".to_owned()));
        }
        asked.care = (care.lo > i64::MIN || care.hi < i64::MAX).then_some(care);
        asked.part = part.wanted(&[])?;
        Ok(asked)
    }

    fn everything_plan(&self, request: &EverythingRequest, asked: &Asked) -> Plan {
        let registry = self.registry();
        let kind = request.kind;
        let members = ResourceType::all().filter(|member| {
            (*member == kind || !compartments::params(kind, *member).is_empty())
                && (asked.types.is_empty() || asked.types.contains(member))
        });
        let members: Vec<ResourceType> = members.collect();
        let belongs = match &request.id {
            Some(id) => {
                let compartment = Access::compartment(kind, id.clone());
                let of = |member: &ResourceType| {
                    let mut parts = vec![Clause::Type(*member)];
                    parts.extend(access_clause(&compartment, *member, &registry));
                    Clause::All(parts)
                };
                Clause::Any(members.iter().map(of).collect())
            }
            None => Clause::Any(
                members
                    .iter()
                    .map(|member| self.in_any(kind, *member))
                    .collect(),
            ),
        };
        let mut parts = vec![belongs];
        if asked.since.is_some() {
            parts.push(Clause::Updated {
                from: asked.since,
                to: None,
            });
        }
        if let Some(care) = asked.care {
            parts.push(care_dates::within(care, &members, &registry));
        }
        Plan {
            types: members,
            filter: Clause::All(parts),
            sort: Vec::new(),
            limit: asked.count,
            after: None,
            total: TotalMode::None,
        }
    }

    /// Resources of `member` in the compartment of any resource of `kind`.
    fn in_any(&self, kind: ResourceType, member: ResourceType) -> Clause {
        let of_type = Clause::Type(member);
        if kind == member {
            return of_type;
        }
        let registry = self.registry();
        let prefix = resources::index::key::reference_prefix(kind);
        let params = compartments::params(kind, member)
            .iter()
            .filter_map(|code| registry.param(member, code));
        let keys = params.map(|param| Clause::Keys {
            param: param.id,
            ranges: vec![crate::search::plan::KeyRange::prefix(prefix.clone())],
        });
        Clause::All(vec![of_type, Clause::Any(keys.collect())])
    }

    /// What the hits refer to outside of the compartment; true if not all has room.
    async fn around(
        &self,
        kind: ResourceType,
        asked: &Asked,
        hits: &[Resource],
        room: usize,
        access: &Access,
    ) -> Result<(Vec<Resource>, bool), Error> {
        let registry = self.registry();
        let seen: HashSet<(ResourceType, &str)> =
            hits.iter().map(|hit| (hit.kind, hit.id.as_str())).collect();
        let mut wanted = BTreeSet::new();
        for hit in hits {
            for (_, (target, id)) in self.references(&registry, hit)? {
                let outside = target != kind
                    && compartments::params(kind, target).is_empty()
                    && (asked.types.is_empty() || asked.types.contains(&target));
                if outside && !seen.contains(&(target, id.as_str())) {
                    wanted.insert((target, id));
                }
            }
        }
        let (mut found, cut) = self.fetch(wanted, room, access).await?;
        if let Some(since) = asked.since {
            found.retain(|resource| resource.updated >= since);
        }
        Ok((found, cut))
    }
}
