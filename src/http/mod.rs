//! The FHIR REST API: HTTP requests become calls of the engine, its answers become responses.
//!
//! A request passes through [`handle`] once: identity, bounds, then [`dispatch`], which finds
//! out what the path names and calls the interaction. Interactions return `Result<Reply,
//! Failure>`; nothing else writes a status. Answers are bytes that the engine made.

mod admin;
mod auth;
mod authenticate;
mod binary;
mod body;
mod booking;
mod bundle;
mod call;
mod client;
mod compress;
mod cors;
mod dispatch;
mod failure;
mod files;
mod head;
mod headers;
mod host;
mod limit;
mod load;
mod manage;
mod metadata;
mod negotiate;
mod observe;
mod operation;
mod protect;
mod query;
mod read;
mod request_id;
mod search;
mod serve;
mod stall;
mod target;
mod write;

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use futures_util::FutureExt;
use resources::{Doc, doc::Bounds};

pub use crate::tls::{Tls, TlsError, TlsFiles};
pub use admin::{Health, Metrics, admin_router};
pub use client::{ClientAddress, ClientHeader, PeerAddress, Proxies};
pub use serve::{Connections, serve, serve_with};

use crate::{auth::Auth, engine::Engine, mail::Mailer};
use compress::Coding;
use dispatch::Seen;
use failure::Failure;
use headers::X_REQUEST_ID;
use load::Working;
use observe::Meters;

/// The path of the FHIR base on this server.
pub const BASE_PATH: &str = "/fhir";

/// An answer whose body is there as a whole.
type Reply = axum::http::Response<Bytes>;

/// What an operator decides about the HTTP side. Addresses and bounds are the engine's.
#[derive(Clone, Default)]
pub struct Settings {
    /// Who is let in; without it the server is open to all.
    pub auth: Option<Arc<Auth>>,
    /// Sends mail to users; without it, none is sent.
    pub mailer: Option<Mailer>,
    /// Origins that browsers may call from; `*` is any.
    pub cors_origins: Vec<String>,
    /// Search parameters that are not known are ignored unless the client asks for
    /// `handling=strict`.
    pub lenient_search: bool,
    /// There is no authentication: only requests to this computer or to the base URL's host are
    /// answered.
    pub open: bool,
    /// Clients may ask how a search was run (`_explain=true`).
    pub explain: bool,
    /// The proxies in front.
    pub proxies: Proxies,
}

/// What all requests share.
struct Server {
    engine: Arc<Engine>,
    settings: Settings,
    origins: cors::Origins,
    hosts: host::Hosts,
    ids: request_id::RequestIds,
    load: load::Load,
    rates: limit::Rates,
    meters: Meters,
    metadata: metadata::Cache,
}

/// The FHIR API of `engine`, under [`BASE_PATH`].
pub fn router(engine: Arc<Engine>, settings: Settings) -> Router {
    let rates = match settings.open {
        // Only this computer can reach it.
        true => limit::Rates::default(),
        false => limit::Rates::new(&engine.settings().limits),
    };
    let server = Server {
        rates,
        origins: cors::Origins::new(&settings.cors_origins, &engine.settings().base_url)
            .and_registered(settings.auth.is_some()),
        hosts: host::Hosts::new(&engine.settings().base_url),
        engine,
        settings,
        ids: request_id::RequestIds::default(),
        load: load::Load::default(),
        meters: Meters::default(),
        metadata: metadata::Cache::default(),
    };
    Router::new().fallback(handle).with_state(Arc::new(server))
}

/// One request from head to answer. This is all the middleware there is.
async fn handle(State(server): State<Arc<Server>>, request: Request) -> Response {
    let started = Instant::now();
    let (mut parts, body) = request.into_parts();
    if let Some(&PeerAddress(peer)) = parts.extensions.get() {
        let client = server.settings.proxies.client(peer, &parts.headers);
        parts.extensions.insert(ClientAddress(client));
    }
    mark_origin(&server, &mut parts).await;
    let id = server.ids.of(&parts.headers);
    let bytes_in = body.size_hint().lower();
    let mut seen = Seen::default();

    let name = id.to_str().unwrap_or("-");
    let reply = answer(&server, &parts, body, name, &mut seen).await;
    let reply = finish(&server, &parts, reply, &seen, &id).await;

    server.meters.record(&observe::Request {
        method: &parts.method,
        interaction: seen.interaction,
        kind: seen.kind,
        id: id.to_str().unwrap_or("-"),
        bytes_in,
        bytes_out: reply.body().len(),
        status: reply.status(),
        took: started.elapsed(),
    });
    reply.map(Body::from)
}

/// Marks a request of a page whose origin a client has registered.
async fn mark_origin(server: &Server, parts: &mut Parts) {
    let origin = parts.headers.get(header::ORIGIN);
    let origin = origin.and_then(|value| value.to_str().ok());
    if let (Some(auth), Some(origin)) = (&server.settings.auth, origin)
        // What cannot be looked up is not let in.
        && auth.knows_origin(origin).await.unwrap_or(false)
    {
        parts.extensions.insert(cors::Registered);
    }
}

/// The answer, within the bounds of number and time. A panic is an answer too.
async fn answer(server: &Server, parts: &Parts, body: Body, id: &str, seen: &mut Seen) -> Reply {
    let limits = &server.engine.settings().limits;
    let Some(working) = server.load.enter(limits) else {
        return Failure::overloaded().reply(seen.format);
    };
    let work = route(server, &working, parts, body, id, seen);
    let guarded = AssertUnwindSafe(work).catch_unwind();
    let result = match tokio::time::timeout(limits.request_time(), guarded).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(Failure::fault()),
        Err(_elapsed) => Err(too_slow(limits.request_time())),
    };
    result.unwrap_or_else(|failure| failure.reply(seen.format))
}

/// By the first part of the path: the authorization server, its management, or FHIR.
async fn route(
    server: &Server,
    working: &Working<'_>,
    parts: &Parts,
    body: Body,
    id: &str,
    seen: &mut Seen,
) -> Result<Reply, Failure> {
    let path = parts.uri.path();
    if auth::is_under(path) {
        return auth::answer(server, working, parts, body).await;
    }
    if manage::is_under(path) {
        return manage::answer(server, working, parts, body, id).await;
    }
    dispatch::dispatch(server, working, parts, body, id, seen).await
}

fn too_slow(allowed: Duration) -> Failure {
    Failure {
        retry_after: Some(5),
        ..Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timeout",
            format!(
                "The request took longer than the {} seconds that the server allows. If it was a \
                 write, read whether it happened before you send it again.",
                allowed.as_secs()
            ),
        )
    }
}

/// What every answer gets, success or not.
async fn finish(
    server: &Server,
    parts: &Parts,
    mut reply: Reply,
    seen: &Seen,
    id: &HeaderValue,
) -> Reply {
    if seen.pretty {
        make_pretty(&mut reply);
    }
    let headers = reply.headers_mut();
    headers.insert(X_REQUEST_ID, id.clone());
    let tls = server.engine.settings().base_url.starts_with("https://");
    protect::apply(headers, tls);
    server
        .origins
        .apply(parts, headers, auth::is_public(parts.uri.path()));
    match Coding::wanted(&parts.headers) {
        Some(coding) => compress::apply(reply, coding).await,
        None => reply,
    }
}

fn make_pretty(reply: &mut Reply) {
    if !is_json(reply.headers()) {
        return;
    }
    // What the server wrote may be nested deeper than what it accepts.
    let bounds = Bounds {
        depth: 1_000,
        ..Bounds::default()
    };
    if let Ok(doc) = Doc::parse_bytes(reply.body(), &bounds) {
        let mut text = String::with_capacity(doc.text().len() * 2);
        doc.root().write_pretty(&mut text, 0);
        text.push('\n');
        *reply.body_mut() = Bytes::from(text);
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    content_type
        .and_then(|value| value.to_str().ok())
        .is_some_and(|text| text.contains("json"))
}
