//! One draft and the newest version of its resource become a write.

use std::borrow::Cow;

use bytes::Bytes;
use resources::{
    Doc,
    index::{Entry, Registry},
    model::ResourceType,
    outcome::Issue,
};

use super::{
    Engine,
    audit::check_writable,
    draft::{Draft, Verb, parse},
    error::{Error, ErrorKind},
    operation::{Done, DoneStatus, IfMatch, Resource},
    permission::{Known, Subject, kept},
    resolve::Resolved,
    stamp::{Stamp, stamp},
    submit::{Planned, check_structure, parse_stored, resource},
    subset::is_subsetted,
};
use crate::{
    access::{Access, Booking},
    store::{Change, Expected, Guard, Stored, Write},
};

/// Plans the drafts of one attempt.
pub struct Planner<'e> {
    pub engine: &'e Engine,
    pub registry: &'e Registry,
    /// What is granted for what the draft does.
    pub access: &'e Access,
    /// What that depends on.
    pub known: &'e Known,
    /// `meta.lastUpdated` of the new versions.
    pub now: i64,
}

/// The newest version of what a draft is about, as far as the access decision lets it be seen.
#[derive(Debug)]
pub enum Newest {
    /// There is none.
    Missing,
    /// There is one, and nothing may be told of it.
    Hidden,
    /// There is one that may be seen, but must stay as it is.
    Kept,
    /// This one; it may be a deletion.
    Seen(Stored),
}

impl Newest {
    fn seen(self) -> Option<Stored> {
        match self {
            Self::Seen(stored) => Some(stored),
            Self::Missing | Self::Hidden | Self::Kept => None,
        }
    }
}

type Document<'f, 'd> = &'f dyn Fn() -> Result<Cow<'d, Doc>, Error>;

impl Planner<'_> {
    /// What the draft comes to.
    pub fn one(
        &self,
        draft: &Draft<'_>,
        resolved: &Resolved,
        newest: Newest,
        document: Document<'_, '_>,
    ) -> Result<Planned, Error> {
        check_writable(draft.kind)?;
        self.check_seen(draft, resolved, &newest)?;
        let before = self.before(resolved, &newest);
        let guard = resolved.guard().map(|clause| Guard {
            kind: draft.kind,
            clause: clause.clone(),
            matches: None,
        });
        let mut planned = match (draft.verb, resolved) {
            (_, Resolved::Nothing) => nothing_to_delete(None),
            (_, Resolved::Several(several)) => self.delete_all(several)?,
            (Verb::Create, Resolved::Found(stored, _)) => Planned {
                writes: Vec::new(),
                guard: None,
                audited: Vec::new(),
                claims: Vec::new(),
                done: Done {
                    status: DoneStatus::Unchanged,
                    resource: Some(resource(stored)),
                    changed: 0,
                },
            },
            (Verb::Create, _) => self.put(
                draft,
                id_of(resolved)?,
                Newest::Missing,
                &*self.valid(document)?,
            )?,
            (Verb::Update, _) => self.update(draft, resolved, newest, document)?,
            (Verb::Patch, _) => self.patch(draft, id_of(resolved)?, newest.seen(), document)?,
            (Verb::Delete, _) => self.delete(draft, id_of(resolved)?, newest.seen())?,
        };
        planned.guard = guard;
        if self.access.caller().is_some() {
            planned.audited = self.engine.audit_items(draft, &planned, &before);
        }
        Ok(planned)
    }

    /// What the audit must still know when it is replaced.
    fn before(&self, resolved: &Resolved, newest: &Newest) -> Vec<Stored> {
        match (self.access.caller(), resolved, newest) {
            (None, ..) => Vec::new(),
            // Texts are shared, not copied.
            (_, Resolved::Several(several), _) => several.clone(),
            (_, _, Newest::Seen(stored)) => vec![stored.clone()],
            _ => Vec::new(),
        }
    }

    /// Stands before all that looks at the newest version or the document: with limited access
    /// there is one answer for what is hidden and for what never was, so that no `test` of a patch,
    /// no precondition and no deletion tells the two apart. Nor does an update, which therefore
    /// creates only for those from whom nothing is hidden.
    fn check_seen(
        &self,
        draft: &Draft<'_>,
        resolved: &Resolved,
        newest: &Newest,
    ) -> Result<(), Error> {
        let (engine, kind) = (self.engine, draft.kind);
        match (resolved, newest) {
            (one, Newest::Kept) => Err(kept(kind, id_of(one)?, draft.verb)),
            (Resolved::Id(id, _), Newest::Missing | Newest::Hidden)
                if engine.is_limited(kind, self.access) =>
            {
                match draft.verb {
                    Verb::Update
                        if draft.if_match.is_none() && engine.may_choose_ids(kind, self.access) =>
                    {
                        Ok(())
                    }
                    Verb::Update => Err(not_known(kind, id)),
                    _ => Err(Error::not_found(kind, id)),
                }
            }
            _ => Ok(()),
        }
    }

    /// The document, if it is a valid resource.
    fn valid<'d>(&self, document: Document<'_, 'd>) -> Result<Cow<'d, Doc>, Error> {
        let doc = document()?;
        check_structure(&doc)?;
        Ok(doc)
    }

    fn update(
        &self,
        draft: &Draft<'_>,
        resolved: &Resolved,
        newest: Newest,
        document: Document<'_, '_>,
    ) -> Result<Planned, Error> {
        let id = id_of(resolved)?;
        let found = match &newest {
            Newest::Seen(stored) => Some(stored),
            Newest::Missing | Newest::Hidden | Newest::Kept => None,
        };
        let alive = found.is_some_and(|stored| !stored.head.deleted);
        self.check_match(draft, id, found)?;
        if draft.if_none_match_any && alive {
            return Err(Error::new(
                ErrorKind::PreconditionFailed,
                "conflict",
                format!(
                    "{}/{id} is there already, and If-None-Match: * forbids that",
                    draft.kind
                ),
            ));
        }
        if alive && resolved.guard().is_some() {
            return Err(Error::new(
                ErrorKind::Conflict,
                "conflict",
                format!(
                    "nothing matches the condition, but {}/{id} exists; \
                     leave the id out or update it by its address",
                    draft.kind
                ),
            ));
        }
        if found.is_none()
            && !self.engine.settings.update_create
            && self.access.booking() == Booking::Ruled
            && matches!(resolved, Resolved::Id(..))
        {
            return Err(Error::new(
                ErrorKind::NotAllowed,
                "not-supported",
                format!(
                    "{}/{id} is not known and this server gives ids itself; create it with POST",
                    draft.kind
                ),
            ));
        }
        let doc = self.valid(document)?;
        if alive && is_subsetted(&doc) {
            return Err(would_lose(draft, id));
        }
        self.put(draft, id, newest, &doc)
    }

    fn patch(
        &self,
        draft: &Draft<'_>,
        id: &str,
        found: Option<Stored>,
        document: Document<'_, '_>,
    ) -> Result<Planned, Error> {
        let stored = self.living(draft, id, found)?;
        self.check_match(draft, id, Some(&stored))?;
        let before = parse_stored(&stored)?;
        let after = patched(&before, &*document()?)?;
        let same = |name: &str| {
            let (old, new) = (before.root().get(name), after.root().get(name));
            old.and_then(|value| value.as_str()) == new.and_then(|value| value.as_str())
        };
        if !same("resourceType") || !same("id") {
            return Err(Error::new(
                ErrorKind::Unprocessable,
                "business-rule",
                "a patch cannot change resourceType or id",
            ));
        }
        check_structure(&after)?;
        self.put(draft, id, Newest::Seen(stored), &after)
    }

    fn delete(&self, draft: &Draft<'_>, id: &str, found: Option<Stored>) -> Result<Planned, Error> {
        self.check_match(draft, id, found.as_ref())?;
        match found {
            None if self.engine.is_computed(draft.kind, id) => Err(computed(draft, id)),
            None => Ok(nothing_to_delete(None)),
            Some(stored) if stored.head.deleted => Ok(nothing_to_delete(Some(resource(&stored)))),
            Some(stored) => {
                let write = self.deletion(&stored)?;
                let done = Done {
                    status: DoneStatus::Deleted,
                    resource: Some(Resource {
                        kind: write.kind,
                        id: write.id.clone(),
                        version: write.version,
                        updated: write.updated,
                        body: Bytes::new(),
                    }),
                    changed: 1,
                };
                Ok(Planned {
                    writes: vec![write],
                    guard: None,
                    audited: Vec::new(),
                    claims: Vec::new(),
                    done,
                })
            }
        }
    }

    fn delete_all(&self, several: &[Stored]) -> Result<Planned, Error> {
        let writes = several
            .iter()
            .map(|stored| self.deletion(stored))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Planned {
            done: Done {
                status: DoneStatus::Deleted,
                resource: None,
                changed: writes.len(),
            },
            writes,
            guard: None,
            audited: Vec::new(),
            claims: Vec::new(),
        })
    }

    fn deletion(&self, stored: &Stored) -> Result<Write, Error> {
        let head = &stored.head;
        Ok(Write {
            kind: head.kind,
            id: head.id.clone(),
            expect: Some(Expected {
                rid: head.rid,
                version: head.version,
            }),
            change: Change::Delete,
            version: head.version + 1,
            updated: self.now.max(head.updated),
            body: String::new(),
            add: Vec::new(),
            remove: self.old_entries(stored)?,
        })
    }

    /// The stored resource, if it is there and not deleted.
    fn living(&self, draft: &Draft<'_>, id: &str, found: Option<Stored>) -> Result<Stored, Error> {
        match found {
            None if self.engine.is_computed(draft.kind, id) => Err(computed(draft, id)),
            None => Err(Error::not_found(draft.kind, id)),
            Some(stored) if stored.head.deleted => Err(Error::gone(draft.kind, id)),
            Some(stored) => Ok(stored),
        }
    }

    /// A new version with the content of `doc`.
    pub(super) fn put(
        &self,
        draft: &Draft<'_>,
        id: &str,
        newest: Newest,
        doc: &Doc,
    ) -> Result<Planned, Error> {
        let kind = draft.kind;
        let hidden = matches!(newest, Newest::Hidden);
        let found = newest.seen();
        let alive = found.as_ref().filter(|stored| !stored.head.deleted);
        if let Some(stored) = alive
            && self.engine.settings.skip_unchanged_updates
            && is_unchanged(doc, stored)
        {
            return Ok(Planned {
                writes: Vec::new(),
                guard: None,
                audited: Vec::new(),
                claims: Vec::new(),
                done: Done {
                    status: DoneStatus::Unchanged,
                    resource: Some(resource(stored)),
                    changed: 0,
                },
            });
        }
        let version = found.as_ref().map_or(1, |stored| stored.head.version + 1);
        let updated = found
            .as_ref()
            .map_or(self.now, |stored| self.now.max(stored.head.updated));
        let body = stamp(
            doc,
            &Stamp {
                id,
                version,
                updated,
            },
        );
        self.check_covered(kind, id, updated, doc)?;
        if hidden {
            return Err(not_known(kind, id));
        }
        let base_url = &self.engine.settings.base_url;
        let new = self.registry.rows(kind, doc, base_url);
        let old = match alive {
            Some(stored) => self.old_entries(stored)?,
            None => Vec::new(),
        };
        let (add, remove) = difference(old, new);
        let (status, change) = match alive {
            Some(_) => (DoneStatus::Updated, Change::Update),
            None if draft.verb == Verb::Create => (DoneStatus::Created, Change::Create),
            None => (DoneStatus::Created, Change::UpdateCreate),
        };
        let done = Done {
            status,
            resource: Some(Resource {
                kind,
                id: id.to_owned(),
                version,
                updated,
                body: match draft.wants_text {
                    true => Bytes::copy_from_slice(body.as_bytes()),
                    false => Bytes::new(),
                },
            }),
            changed: 1,
        };
        let write = Write {
            kind,
            id: id.to_owned(),
            expect: found.as_ref().map(|stored| Expected {
                rid: stored.head.rid,
                version: stored.head.version,
            }),
            change,
            version,
            updated,
            body,
            add,
            remove,
        };
        Ok(Planned {
            writes: vec![write],
            guard: None,
            audited: Vec::new(),
            claims: Vec::new(),
            done,
        })
    }

    /// What a write makes must lie inside of what the access decision covers.
    fn check_covered(
        &self,
        kind: ResourceType,
        id: &str,
        updated: i64,
        doc: &Doc,
    ) -> Result<(), Error> {
        let subject = Subject {
            kind,
            id,
            updated,
            doc,
        };
        if self.engine.allows(subject, self.known, self.access, true) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Forbidden,
            "forbidden",
            format!("this {kind} would lie outside of what you may write"),
        ))
    }

    /// `If-Match`.
    fn check_match(
        &self,
        draft: &Draft<'_>,
        id: &str,
        found: Option<&Stored>,
    ) -> Result<(), Error> {
        let failed =
            |text: String| Err(Error::new(ErrorKind::PreconditionFailed, "conflict", text));
        match (draft.if_match, found) {
            (None, _) => Ok(()),
            (Some(IfMatch::Any), Some(stored)) if !stored.head.deleted => Ok(()),
            (Some(IfMatch::Any), None) if self.engine.is_computed(draft.kind, id) => Ok(()),
            (Some(IfMatch::Any), _) => {
                failed("If-Match: * asks for a resource that exists; there is none".to_owned())
            }
            (Some(IfMatch::Version(wanted)), Some(stored)) if stored.head.version == wanted => {
                Ok(())
            }
            (Some(IfMatch::Version(wanted)), Some(stored)) => failed(format!(
                "If-Match asks for version {wanted}, but version {} is the newest; \
                 read it and retry",
                stored.head.version
            )),
            (Some(IfMatch::Version(wanted)), None) => failed(format!(
                "If-Match asks for version {wanted}, but there is no such resource"
            )),
        }
    }

    fn old_entries(&self, stored: &Stored) -> Result<Vec<Entry>, Error> {
        let doc = parse_stored(stored)?;
        Ok(self
            .registry
            .rows(stored.head.kind, &doc, &self.engine.settings.base_url))
    }
}

fn id_of(resolved: &Resolved) -> Result<&str, Error> {
    resolved
        .id()
        .ok_or_else(|| Error::invalid("the request names no resource"))
}

/// What is not there, or hidden, and cannot be made under an id of the caller's choosing.
fn not_known(kind: ResourceType, id: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "not-found",
        format!(
            "{kind}/{id} is not known to you; create a new resource with POST {kind}, \
             which gives it an id"
        ),
    )
}

fn computed(draft: &Draft<'_>, id: &str) -> Error {
    if draft.kind == ResourceType::SLOT {
        return Error::new(
            ErrorKind::NotAllowed,
            "not-supported",
            format!(
                "Slot/{id} follows from the rules of its Schedule and has no stored version; \
                 PUT a Slot under this id to replace it, or close the time in the rules"
            ),
        );
    }
    Error::new(
        ErrorKind::NotAllowed,
        "not-supported",
        format!(
            "{}/{id} is a definition built into this server and has no stored version; \
             PUT a full resource under this id to replace it",
            draft.kind
        ),
    )
}

/// What a patch makes of a resource.
///
/// # Errors
/// It is no patch, or does not fit.
pub fn patched(before: &Doc, patch: &Doc) -> Result<Doc, Error> {
    let text = resources::patch::apply(before, patch).map_err(not_patched)?;
    parse(text)
}

/// A patch that is none is the client's mistake in writing, one that does not fit the resource is
/// not (RFC 5789, section 2.2).
fn not_patched(issue: Issue) -> Error {
    let kind = match issue.code {
        "invalid" => ErrorKind::Invalid,
        _ => ErrorKind::Unprocessable,
    };
    Error::with(kind, vec![issue])
}

/// A client that read a summary and sends it back would delete what the summary leaves out (R4
/// `search.html#summary`).
fn would_lose(draft: &Draft<'_>, id: &str) -> Error {
    let kind = draft.kind;
    let sentence = format!(
        "the resource is tagged SUBSETTED: it is a part, and would overwrite the whole {kind}/{id}; \
         read it without _summary and _elements, change that, and send it without the tag, or \
         use PATCH"
    );
    let issue = Issue::error("business-rule", sentence).at(format!("{kind}.meta.tag"));
    Error::with(ErrorKind::Unprocessable, vec![issue])
}

fn nothing_to_delete(resource: Option<Resource>) -> Planned {
    Planned {
        writes: Vec::new(),
        guard: None,
        audited: Vec::new(),
        claims: Vec::new(),
        done: Done {
            status: DoneStatus::NothingToDelete,
            resource,
            changed: 0,
        },
    }
}

fn is_unchanged(doc: &Doc, stored: &Stored) -> bool {
    let same = Stamp {
        id: &stored.head.id,
        version: stored.head.version,
        updated: stored.head.updated,
    };
    stamp(doc, &same).as_bytes() == &stored.body[..]
}

/// What to add and what to remove, from two sorted lists.
pub fn difference(old: Vec<Entry>, new: Vec<Entry>) -> (Vec<Entry>, Vec<Entry>) {
    if old.is_empty() {
        return (new, old);
    }
    let (mut add, mut remove) = (Vec::new(), Vec::new());
    let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
    loop {
        match (old.peek(), new.peek()) {
            (Some(before), Some(after)) if before == after => {
                old.next();
                new.next();
            }
            (Some(before), Some(after)) if before > after => add.extend(new.next()),
            (Some(_), _) => remove.extend(old.next()),
            (None, Some(_)) => add.extend(new.next()),
            (None, None) => return (add, remove),
        }
    }
}

#[cfg(test)]
mod tests {
    use resources::index::ParamId;

    use super::*;

    #[test]
    fn the_difference_is_what_changed() {
        let entries = |keys: &[u8]| -> Vec<Entry> {
            keys.iter()
                .map(|key| Entry {
                    param: ParamId(1),
                    key: vec![*key],
                })
                .collect()
        };
        for (old, new, add, remove) in [
            (&[][..], &[1, 2][..], &[1, 2][..], &[][..]),
            (&[1, 2], &[], &[], &[1, 2]),
            (&[1, 3, 5], &[1, 4, 5, 6], &[4, 6], &[3]),
            (&[1, 2], &[1, 2], &[], &[]),
        ] {
            assert_eq!(
                difference(entries(old), entries(new)),
                (entries(add), entries(remove))
            );
        }
    }
}
