//! An entry of a batch or transaction as it came.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use resources::{Doc, Value, model::ResourceType};

use super::address::{Address, Url};
use crate::{
    engine::{
        draft::{Body, Draft, Verb, parse},
        error::{Error, ErrorKind},
        operation::{IfMatch, Target},
    },
    search,
};

/// The verb of an entry's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

/// An entry.
#[derive(Debug)]
pub struct Entry<'d> {
    /// Its place in the Bundle, from 0.
    pub at: usize,
    pub method: Method,
    pub url: Url,
    pub full_url: Option<Cow<'d, str>>,
    pub resource: Option<Value<'d>>,
    pub if_match: Option<IfMatch>,
    pub if_none_match: Option<Cow<'d, str>>,
    pub if_modified_since: Option<Cow<'d, str>>,
    pub if_none_exist: Option<String>,
    /// The document of a PATCH, taken out of its Binary.
    pub patch: Option<Doc>,
}

/// Where an entry stands, for issues.
pub fn place(at: usize) -> String {
    format!("Bundle.entry[{at}]")
}

/// The entries of a Bundle, each with what is wrong with it.
pub fn entries<'d>(
    bundle: Value<'d>,
    base_url: &str,
) -> impl Iterator<Item = Result<Entry<'d>, Error>> {
    let entries = bundle.get("entry").into_iter().flat_map(|all| all.items());
    entries.enumerate().map(move |(at, value)| {
        entry(at, value, base_url).map_err(|error| error.inside(&place(at)))
    })
}

fn entry<'d>(at: usize, value: Value<'d>, base_url: &str) -> Result<Entry<'d>, Error> {
    let mut full_url = None;
    let mut resource = None;
    let mut request = None;
    for member in value.members() {
        match member.name() {
            "fullUrl" => full_url = member.as_str(),
            "resource" => resource = Some(member).filter(|resource| resource.is_object()),
            "request" => request = Some(member),
            "id" | "_fullUrl" | "link" | "search" | "response" | "extension"
            | "modifierExtension" => {}
            other => {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    "structure",
                    format!("an entry of a Bundle has no element '{other}'"),
                ));
            }
        }
    }
    let request = request.ok_or_else(|| required("the entry has no request"))?;
    let text = |name: &str| request.get(name).and_then(|value| value.as_str());
    let method = method(text("method").as_deref())?;
    let url = text("url").ok_or_else(|| required("the entry's request has no url"))?;
    let url = Url::parse(&url, base_url)?;
    if let (Some(full_url), Address::Instance(kind, id)) = (&full_url, &url.address) {
        check_identity(full_url, (*kind, id), base_url)?;
    }
    let if_match = text("ifMatch").map(|tag| matched_by(&tag)).transpose()?;
    let patch = match (method, resource) {
        (Method::Patch, Some(resource)) => Some(patch(resource)?),
        _ => None,
    };
    Ok(Entry {
        at,
        method,
        url,
        full_url,
        resource,
        if_match,
        if_none_match: text("ifNoneMatch"),
        if_modified_since: text("ifModifiedSince"),
        if_none_exist: text("ifNoneExist").map(|text| search::condition(&text).to_owned()),
        patch,
    })
}

/// A `fullUrl` below our base says which resource the entry is about (`bundle.html`, section
/// "Resource URL & Uniqueness rules in a bundle"); the request must not say another.
fn check_identity(
    full_url: &str,
    (kind, id): (ResourceType, &str),
    base_url: &str,
) -> Result<(), Error> {
    let Some(below) = full_url
        .strip_prefix(base_url)
        .and_then(|rest| rest.strip_prefix('/'))
    else {
        return Ok(());
    };
    if below == format!("{kind}/{id}") {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the fullUrl says {below}, but the request is about {kind}/{id}; let both name the same \
         resource, or leave the fullUrl out"
    )))
}

fn required(what: &str) -> Error {
    Error::new(
        ErrorKind::Invalid,
        "required",
        format!(
            "{what}; each entry of a batch or transaction needs request.method and request.url"
        ),
    )
}

fn method(text: Option<&str>) -> Result<Method, Error> {
    Ok(match text {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        Some("PUT") => Method::Put,
        Some("PATCH") => Method::Patch,
        Some("DELETE") => Method::Delete,
        Some(other) => {
            return Err(Error::new(
                ErrorKind::Invalid,
                "code-invalid",
                format!(
                    "'{other}' is no request.method; \
                     it must be GET, HEAD, POST, PUT, PATCH or DELETE"
                ),
            ));
        }
        None => return Err(required("the entry's request has no method")),
    })
}

/// The version that an entity tag names: `W/"3"`, `"3"` or `3`; any for `*`.
fn matched_by(tag: &str) -> Result<IfMatch, Error> {
    if tag == "*" {
        return Ok(IfMatch::Any);
    }
    let inner = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
    inner.parse().map(IfMatch::Version).map_err(|_| {
        Error::invalid(format!(
            "'{tag}' is no entity tag of this server; ifMatch looks like W/\"3\""
        ))
    })
}

/// The JSON Patch document inside a Binary.
fn patch(resource: Value<'_>) -> Result<Doc, Error> {
    let text = |name: &str| resource.get(name).and_then(|value| value.as_str());
    let content = text("contentType");
    if text("resourceType").as_deref() != Some("Binary")
        || content.as_deref() != Some("application/json-patch+json")
    {
        return Err(Error::new(
            ErrorKind::NotSupported,
            "not-supported",
            "a PATCH entry needs a Binary with contentType application/json-patch+json \
             and the JSON Patch as base64 in data",
        ));
    }
    let data = text("data").unwrap_or_default();
    let packed: String = data.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = STANDARD
        .decode(packed)
        .map_err(|_| Error::invalid("the Binary's data is not base64"))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::invalid("the JSON Patch in the Binary is not UTF-8"))?;
    parse(text)
}

impl<'d> Entry<'d> {
    /// True for what changes nothing: GET and HEAD, and the POSTs of searches and of `$validate`.
    pub fn is_read(&self) -> bool {
        match (&self.url.address, self.method) {
            (Address::Search(_) | Address::Validate(..), method) => method == Method::Post,
            (_, method) => matches!(method, Method::Get | Method::Head),
        }
    }

    /// The order in which entries are worked on: what is smaller comes first.
    pub fn phase(&self) -> u8 {
        match self.method {
            _ if self.is_read() => 3,
            Method::Delete => 0,
            Method::Post => 1,
            Method::Put | Method::Patch => 2,
            Method::Get | Method::Head => 3,
        }
    }

    /// The write that the entry asks for.
    ///
    /// # Errors
    /// The address does not fit the method, or the resource is missing.
    pub fn draft(&self) -> Result<Draft<'_>, Error> {
        let (kind, target) = self.target()?;
        if self.if_match == Some(IfMatch::Any) && !matches!(target, Some(Target::Id(_))) {
            return Err(Error::invalid(
                "ifMatch '*' asks whether one resource is there, so the url must name it by its \
                 id; leave ifMatch out",
            ));
        }
        let body = match self.method {
            Method::Delete => Body::None,
            Method::Patch => Body::Own(self.patch.as_ref().ok_or_else(|| self.bodiless())?),
            _ => Body::Entry(self.resource.ok_or_else(|| self.bodiless())?),
        };
        Ok(Draft {
            kind,
            verb: match self.method {
                Method::Post => Verb::Create,
                Method::Put => Verb::Update,
                Method::Patch => Verb::Patch,
                _ => Verb::Delete,
            },
            target,
            body,
            if_match: self.if_match,
            if_none_match_any: self.if_none_match.as_deref() == Some("*"),
            wants_text: false,
            given_id: None,
            is_silent: false,
        })
    }

    fn bodiless(&self) -> Error {
        Error::new(
            ErrorKind::Invalid,
            "required",
            "the entry has no resource, which its method needs",
        )
    }

    fn target(&self) -> Result<(ResourceType, Option<Target>), Error> {
        let query = self.url.query.clone().filter(|query| !query.is_empty());
        match (&self.url.address, self.method, query) {
            (Address::Type(kind), Method::Post, None) => {
                let condition = self.if_none_exist.as_deref();
                Ok((*kind, condition.map(|text| Target::Search(text.to_owned()))))
            }
            (Address::Instance(kind, id), method, None) if method != Method::Post => {
                Ok((*kind, Some(Target::Id(id.clone()))))
            }
            (Address::Type(kind), method, Some(query)) if method != Method::Post => {
                Ok((*kind, Some(Target::Search(query))))
            }
            _ => Err(Error::new(
                ErrorKind::Invalid,
                "invalid",
                "the request's url does not fit its method: POST goes to a type, to _search and \
                 to $validate; PUT, PATCH and DELETE go to a type with an id, or to a type with a search",
            )),
        }
    }
}
