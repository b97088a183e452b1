//! From a request's head to the interaction that it asks for.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, Method, StatusCode, header, request::Parts},
};
use resources::model::ResourceType;

use super::{
    BASE_PATH, Reply, Server, authenticate, binary, booking, bundle,
    call::Call,
    failure::Failure,
    head,
    headers::Prefer,
    load::Working,
    metadata,
    negotiate::{self, Format, quoted},
    observe::Interaction,
    operation,
    query::{self, Pairs},
    read, search,
    target::{Level, NoTarget, Target},
    write,
};
use crate::{
    access::Access,
    engine::{self, HistoryScope, Scope},
};

/// What was found out about a request on the way; the answer needs it whatever comes of it.
#[derive(Debug)]
pub struct Seen {
    /// What the request turned out to be.
    pub interaction: Interaction,
    /// The resource type of the address.
    pub kind: Option<ResourceType>,
    /// The format of the answer.
    pub format: Format,
    /// `_pretty=true`
    pub pretty: bool,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            interaction: Interaction::None,
            kind: None,
            format: Format::default(),
            pretty: false,
        }
    }
}

/// Answers one request.
///
/// # Errors
/// Whatever is wrong with it, ready to be answered with.
pub async fn dispatch(
    server: &Server,
    working: &Working<'_>,
    parts: &Parts,
    body: Body,
    id: &str,
    seen: &mut Seen,
) -> Result<Reply, Failure> {
    head::check(server, parts)?;
    let target = find_target(parts)?;
    seen.kind = target.resource_type();
    let mut pairs = Pairs::new();
    if let Some(text) = parts.uri.query() {
        query::read(text, &mut pairs)?;
        head::check_controls(&pairs)?;
        seen.pretty = query::last(&pairs, "_pretty").is_some_and(query::is_true);
    }
    let format = format(parts, &pairs);
    seen.format = format.unwrap_or_default();
    if let Some(methods) = preflight(parts, &target) {
        seen.interaction = Interaction::Options;
        return Ok(methods);
    }
    if let (Some((schedule, key)), true) = (feed(&target, &pairs), reads(parts)) {
        seen.interaction = Interaction::Operation;
        return booking::feed(&server.engine, schedule, key).await;
    }
    // What the server can do is for all to see, and needs no look at any resource.
    let access = match target {
        Target::Metadata => Access::system("the CapabilityStatement is public"),
        _ => match authenticate::access(server, parts, id).await {
            Ok(access) => access,
            Err(failure) => {
                authenticate::record_denial(server, parts, id, &failure).await?;
                return Err(failure);
            }
        },
    };
    let call = Call {
        server,
        working,
        parts,
        pairs,
        format: seen.format,
        prefer: Prefer::read(&parts.headers),
        access,
    };
    if format.is_none() {
        return without_json(call, target, seen).await;
    }
    interact(call, target, body, seen).await
}

/// The Schedule and the key of a feed, whose address is all that it asks for.
fn feed<'t>(target: &'t Target, pairs: &'t Pairs) -> Option<(&'t str, &'t str)> {
    let Target::Operation(Level::Instance(ResourceType::SCHEDULE, id), name) = target else {
        return None;
    };
    let key = query::last(pairs, "key").filter(|_| name == "ics")?;
    Some((id, key))
}

fn reads(parts: &Parts) -> bool {
    matches!(parts.method, Method::GET | Method::HEAD)
}

fn find_target(parts: &Parts) -> Result<Target, Failure> {
    let not_found = |diagnostics| Failure::new(StatusCode::NOT_FOUND, "not-found", diagnostics);
    let path = parts.uri.path();
    let under_base = path
        .strip_prefix(BASE_PATH)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        .ok_or_else(|| {
            not_found(format!(
                "There is nothing at this address. The FHIR base is {BASE_PATH}; begin with \
                 {BASE_PATH}/metadata."
            ))
        })?;
    Target::parse(under_base).map_err(|reason| match reason {
        NoTarget::UnknownType(name) => not_found(format!(
            "{} is not a resource type of FHIR R4. Names are case-sensitive, as in Patient; \
             {BASE_PATH}/metadata lists them.",
            quoted(&name)
        )),
        NoTarget::BadId(id) => not_found(format!(
            "{} is not a logical id: 1 to 64 characters out of A-Z, a-z, 0-9, '-' and '.'.",
            quoted(&id)
        )),
        NoTarget::Unknown => not_found(format!(
            "There is nothing of this shape under {BASE_PATH}. {BASE_PATH}/metadata lists what \
             the server can do."
        )),
        NoTarget::Malformed => Failure::bad_request(
            "The path has an empty segment, a dot segment, or characters that no FHIR path has.",
        ),
    })
}

/// What the client wants, `_format` first; `None` if that is nothing that the server writes.
fn format(parts: &Parts, pairs: &Pairs) -> Option<Format> {
    match query::last(pairs, "_format") {
        Some(value) => negotiate::from_parameter(value),
        None => negotiate::accepted(&parts.headers),
    }
}

/// The raw content of a Binary is the one thing that is not JSON.
async fn without_json(call: Call<'_>, target: Target, seen: &mut Seen) -> Result<Reply, Failure> {
    let reads = matches!(call.parts.method, Method::GET | Method::HEAD);
    let from_header = query::last(&call.pairs, "_format").is_none();
    match target {
        Target::Instance(ResourceType::BINARY, id) if reads && from_header => {
            seen.interaction = Interaction::Read;
            binary::read(&call, &id, None).await
        }
        Target::Version(ResourceType::BINARY, id, version) if reads && from_header => {
            seen.interaction = Interaction::Vread;
            binary::read(&call, &id, Some(&version)).await
        }
        Target::Operation(Level::Instance(ResourceType::PATIENT, id), name)
            if reads && name == "access-report" && operation::wants_table(&call) =>
        {
            seen.interaction = Interaction::Operation;
            operation::access_report(call, id, true).await
        }
        // Files of other types, whatever is accepted.
        Target::Operation(Level::System, name) if reads && name == "bulk-publish" => {
            seen.interaction = Interaction::Operation;
            booking::publish(&call).await
        }
        Target::Operation(level @ Level::Instance(ResourceType::APPOINTMENT, _), name)
            if reads && name == "ics" =>
        {
            seen.interaction = Interaction::Operation;
            booking::calendar(&call, level).await
        }
        _ => {
            let accept = call.headers().get(header::ACCEPT);
            let asked = query::last(&call.pairs, "_format")
                .or_else(|| accept.and_then(|value| value.to_str().ok()))
                .unwrap_or("?");
            Err(Failure::of(
                StatusCode::NOT_ACCEPTABLE,
                negotiate::not_acceptable(asked),
            ))
        }
    }
}

/// The answer to OPTIONS: which methods there are. CORS headers are added to all answers.
fn preflight(parts: &Parts, target: &Target) -> Option<Reply> {
    if parts.method != Method::OPTIONS {
        return None;
    }
    let mut reply = Reply::new(Bytes::new());
    *reply.status_mut() = StatusCode::NO_CONTENT;
    let allow = HeaderValue::from_static(methods(target));
    reply.headers_mut().insert(header::ALLOW, allow);
    Some(reply)
}

/// The methods of an address, as `Allow` lists them.
fn methods(target: &Target) -> &'static str {
    match target {
        Target::Base => "GET, HEAD, POST, OPTIONS",
        Target::Metadata
        | Target::SystemHistory
        | Target::TypeHistory(_)
        | Target::InstanceHistory(..)
        | Target::Version(..)
        | Target::Compartment { search: false, .. } => "GET, HEAD, OPTIONS",
        Target::SystemSearch | Target::TypeSearch(_) | Target::Compartment { search: true, .. } => {
            "POST, OPTIONS"
        }
        Target::Type(_) => "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        Target::Instance(..) => "GET, HEAD, PUT, PATCH, DELETE, OPTIONS",
        Target::Operation(_, name) => operation::methods(name),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    /// GET and HEAD: hyper leaves the body of an answer to HEAD away.
    Get,
    Post,
    Change(Change),
}

/// The methods that change a resource which has an address, or is found by a search.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Update,
    Patch,
    Delete,
}

fn verb(method: &Method) -> Option<Verb> {
    match *method {
        Method::GET | Method::HEAD => Some(Verb::Get),
        Method::POST => Some(Verb::Post),
        Method::PUT => Some(Verb::Change(Change::Update)),
        Method::PATCH => Some(Verb::Change(Change::Patch)),
        Method::DELETE => Some(Verb::Change(Change::Delete)),
        _ => None,
    }
}

/// Calls the interaction that method and target name.
async fn interact(
    call: Call<'_>,
    target: Target,
    body: Body,
    seen: &mut Seen,
) -> Result<Reply, Failure> {
    let allowed = methods(&target);
    let Some(verb) = verb(&call.parts.method) else {
        return Err(Failure::method(allowed));
    };
    let interaction = &mut seen.interaction;
    match (verb, target) {
        (Verb::Get, Target::Instance(kind, id)) => {
            *interaction = Interaction::Read;
            read::read(&call, kind, &id).await
        }
        (Verb::Get, Target::Version(kind, id, version)) => {
            *interaction = Interaction::Vread;
            read::vread(&call, kind, &id, &version).await
        }
        (Verb::Get, Target::Metadata) => {
            *interaction = Interaction::Capabilities;
            metadata::capabilities(&call)
        }
        (Verb::Get, Target::Base) => {
            *interaction = Interaction::SearchSystem;
            search::by_query(call, Scope::System).await
        }
        (Verb::Get, Target::Type(kind)) => {
            *interaction = Interaction::SearchType;
            search::by_query(call, Scope::Type(kind)).await
        }
        (Verb::Post, Target::SystemSearch) => {
            *interaction = Interaction::SearchSystem;
            search::by_form(call, Scope::System, body).await
        }
        (Verb::Post, Target::TypeSearch(kind)) => {
            *interaction = Interaction::SearchType;
            search::by_form(call, Scope::Type(kind), body).await
        }
        (
            _,
            Target::Compartment {
                kind,
                id,
                member,
                search: by_form,
            },
        ) if verb == if by_form { Verb::Post } else { Verb::Get } => {
            *interaction = Interaction::SearchCompartment;
            let scope = search::compartment(kind, id, member)?;
            if by_form {
                search::by_form(call, scope, body).await
            } else {
                search::by_query(call, scope).await
            }
        }
        (Verb::Get, Target::SystemHistory) => {
            *interaction = Interaction::HistorySystem;
            search::history(call, HistoryScope::System).await
        }
        (Verb::Get, Target::TypeHistory(kind)) => {
            *interaction = Interaction::HistoryType;
            search::history(call, HistoryScope::Type(kind)).await
        }
        (Verb::Get, Target::InstanceHistory(kind, id)) => {
            *interaction = Interaction::HistoryInstance;
            search::history(call, HistoryScope::Instance(kind, id)).await
        }
        (Verb::Post, Target::Base) => {
            *interaction = Interaction::Bundle;
            bundle::bundle(&call, body).await
        }
        (Verb::Get | Verb::Post, Target::Operation(level, name)) => {
            *interaction = Interaction::Operation;
            operation::call(call, level, &name, verb == Verb::Post, body).await
        }
        (Verb::Post, Target::Type(kind)) => {
            *interaction = Interaction::Create;
            write::create(&call, kind, body).await
        }
        (Verb::Change(what), Target::Type(kind)) => {
            let target = engine::Target::Search(write::condition(&call)?);
            change(&call, what, kind, target, body, interaction).await
        }
        (Verb::Change(what), Target::Instance(kind, id)) => {
            change(&call, what, kind, engine::Target::Id(id), body, interaction).await
        }
        _ => Err(Failure::method(allowed)),
    }
}

async fn change(
    call: &Call<'_>,
    what: Change,
    kind: ResourceType,
    target: engine::Target,
    body: Body,
    interaction: &mut Interaction,
) -> Result<Reply, Failure> {
    match what {
        Change::Update => {
            *interaction = Interaction::Update;
            write::update(call, kind, target, body).await
        }
        Change::Patch => {
            *interaction = Interaction::Patch;
            write::patch(call, kind, target, body).await
        }
        Change::Delete => {
            *interaction = Interaction::Delete;
            write::delete(call, kind, target).await
        }
    }
}
