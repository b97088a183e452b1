//! A write as the engine works on it, whether it came alone or inside a Bundle.

use std::borrow::Cow;

use resources::{Doc, Value, model::ResourceType, outcome::Issue};

use super::{
    error::{Error, ErrorKind},
    operation::{IfMatch, Operation, Target},
};

/// What is done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

/// The document that comes with a write.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// A deletion has none.
    None,
    /// A document of its own.
    Own(&'a Doc),
    /// A resource inside a Bundle.
    Entry(Value<'a>),
}

/// One write.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// The type of the URL.
    pub kind: ResourceType,
    /// What is done.
    pub verb: Verb,
    /// Which resource; for a create its `If-None-Exist`, if there is one.
    pub target: Option<Target>,
    /// The resource or the patch.
    pub body: Body<'a>,
    /// `If-Match`.
    pub if_match: Option<IfMatch>,
    /// `If-None-Match: *`.
    pub if_none_match_any: bool,
    /// The answer shall have the text of the new version.
    pub wants_text: bool,
    /// The id of what a create makes; the server makes one if there is none.
    pub given_id: Option<String>,
    /// It follows from what the caller does, and is not theirs: the audit does not name them.
    pub is_silent: bool,
}

impl Draft<'_> {
    /// The same as a PUT of what the patch comes to, its precondition checked.
    pub fn as_put(&self) -> Self {
        Self {
            verb: Verb::Update,
            if_match: None,
            ..self.clone()
        }
    }
}

impl<'a> From<&'a Operation> for Draft<'a> {
    fn from(operation: &'a Operation) -> Self {
        let (kind, verb, target, body, if_match, if_none_match_any) = match operation {
            Operation::Create {
                kind,
                body,
                if_none_exist,
            } => (
                kind,
                Verb::Create,
                if_none_exist.clone().map(Target::Search),
                Body::Own(body),
                None,
                false,
            ),
            Operation::Update {
                kind,
                target,
                body,
                if_match,
                if_none_match_any,
            } => (
                kind,
                Verb::Update,
                Some(target.clone()),
                Body::Own(body),
                *if_match,
                *if_none_match_any,
            ),
            Operation::Patch {
                kind,
                target,
                patch,
                if_match,
            } => (
                kind,
                Verb::Patch,
                Some(target.clone()),
                Body::Own(patch),
                *if_match,
                false,
            ),
            Operation::Delete {
                kind,
                target,
                if_match,
            } => (
                kind,
                Verb::Delete,
                Some(target.clone()),
                Body::None,
                *if_match,
                false,
            ),
        };
        Self {
            kind: *kind,
            verb,
            target,
            body,
            if_match,
            if_none_match_any,
            wants_text: true,
            given_id: None,
            is_silent: false,
        }
    }
}

impl<'a> Draft<'a> {
    /// The outermost value of the body.
    pub fn root(&self) -> Option<Value<'a>> {
        match self.body {
            Body::None => None,
            Body::Own(doc) => Some(doc.root()),
            Body::Entry(value) => Some(value),
        }
    }

    /// The body as a document of its own.
    ///
    /// # Errors
    /// An entry whose text is no document by itself.
    pub fn doc(&self) -> Result<Cow<'a, Doc>, Error> {
        match self.body {
            Body::Own(doc) => Ok(Cow::Borrowed(doc)),
            Body::Entry(value) => Ok(Cow::Owned(parse(value.raw())?)),
            Body::None => Err(Error::invalid("the resource is missing")),
        }
    }

    /// Checks what can be checked without looking at anything else: types and ids.
    ///
    /// # Errors
    /// What contradicts the URL.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(Target::Id(id)) = &self.target {
            check_id(id)?;
        }
        if !matches!(self.verb, Verb::Create | Verb::Update) {
            return Ok(());
        }
        let Some(root) = self.root() else {
            return Err(Error::invalid("the request needs a resource as its body"));
        };
        let named = root.get("resourceType").and_then(|name| name.as_str());
        if named.as_deref() != Some(self.kind.name()) {
            return Err(match named {
                Some(named) => Error::invalid(format!(
                    "the resource is a '{named}', but the address is that of {}; \
                     send it to /{named}",
                    self.kind
                )),
                None => Error::invalid(format!(
                    "the resource has no resourceType; expected \"resourceType\": \"{}\"",
                    self.kind
                )),
            });
        }
        match (&self.target, root.get("id")) {
            (Some(Target::Id(id)), Some(own)) if self.verb == Verb::Update => {
                if own.as_str().as_deref() == Some(id) {
                    return Ok(());
                }
                Err(Error::with(
                    ErrorKind::Invalid,
                    vec![
                        Issue::error(
                            "invalid",
                            format!("the resource's id must be '{id}', as in the address"),
                        )
                        .at(format!("{}.id", self.kind)),
                    ],
                ))
            }
            (Some(Target::Id(id)), None) if self.verb == Verb::Update => Err(Error::with(
                ErrorKind::Invalid,
                vec![
                    Issue::error(
                        "required",
                        format!("the resource of an update needs its id: \"id\": \"{id}\""),
                    )
                    .at(format!("{}.id", self.kind)),
                ],
            )),
            _ => Ok(()),
        }
    }

    /// The resource's own id.
    pub fn body_id(&self) -> Option<Cow<'a, str>> {
        self.root()?.get("id")?.as_str()
    }
}

/// Refuses what is no logical id.
///
/// # Errors
/// The id has other characters than letters, digits, `-` and `.`, or more than 64.
pub fn check_id(id: &str) -> Result<(), Error> {
    if is_id(id) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Invalid,
        "value",
        "a logical id has 1 to 64 letters (A-Z, a-z), digits, '-' and '.'",
    ))
}

/// True for a logical id.
pub fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

/// Parses text that came inside another document, or that the engine made.
///
/// # Errors
/// As [`Doc::parse`].
pub fn parse(text: impl Into<String>) -> Result<Doc, Error> {
    Doc::parse(text).map_err(|error| {
        Error::new(
            ErrorKind::Invalid,
            "structure",
            format!("not acceptable JSON: {error}"),
        )
    })
}
