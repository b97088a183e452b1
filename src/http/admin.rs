//! Health and metrics, on an address of their own.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::{
    host::{self, Hosts},
    negotiate::Format,
    protect,
};
use crate::engine::Engine;

/// The process's metrics, in the form that Prometheus reads.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

/// How often histograms that nobody reads are folded together.
const UPKEEP: Duration = Duration::from_secs(10);

impl Metrics {
    /// Begins to keep the metrics of the process. Must be called once, inside the runtime, and
    /// before anything is counted.
    ///
    /// # Errors
    /// They are kept already.
    pub fn install() -> Result<Self, BuildError> {
        const SECONDS: [f64; 14] = [
            0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
            5.0, 30.0,
        ];
        const BYTES: [f64; 8] = [0.0, 256.0, 1e3, 4e3, 16e3, 64e3, 1e6, 16e6];
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &BYTES)?
            .install_recorder()?;
        let upkeep = handle.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(UPKEEP);
            loop {
                ticks.tick().await;
                upkeep.run_upkeep();
            }
        });
        Ok(Self(handle))
    }
}

#[derive(Clone)]
struct Admin {
    engine: Arc<Engine>,
    metrics: Option<Metrics>,
    health: Health,
}

/// How the server is set up, for whoever watches it.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// There is no authentication.
    pub open: bool,
    /// The FHIR API speaks TLS itself.
    pub tls: bool,
    /// A proxy in front ends TLS.
    pub behind_proxy: bool,
    /// The kind of database.
    pub store: &'static str,
    /// What whoever runs it should know.
    pub warnings: Vec<String>,
}

/// `/health`, `/health/live`, `/health/ready` and `/metrics`, for those who name this computer or the host
/// of the base URL: there is never any authentication here.
pub fn admin_router(engine: Arc<Engine>, metrics: Option<Metrics>, health: Health) -> Router {
    Router::new()
        .route("/health", get(overview))
        .route("/health/live", get(async || "alive\n"))
        .route("/health/ready", get(ready))
        .route("/metrics", get(scrape))
        .layer(middleware::from_fn_with_state(
            Hosts::new(&engine.settings().base_url),
            guard,
        ))
        .with_state(Admin {
            engine,
            metrics,
            health,
        })
}

async fn guard(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let checked = host::check_one(parts.version, &parts.headers).and_then(|()| hosts.check(&parts));
    let mut response = match checked {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(failure) => failure.reply(Format::default()).map(Body::from),
    };
    protect::apply(response.headers_mut(), false);
    response
}

/// Why the server is not ready: the store does not answer, or takes no writes.
async fn not_ready(engine: &Engine) -> Option<&'static str> {
    match tokio::time::timeout(Duration::from_secs(2), engine.health()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) if error.issues.iter().any(|issue| issue.code == "no-store") => {
            Some("the storage takes no writes")
        }
        Ok(Err(_)) | Err(_) => Some("the database does not answer"),
    }
}

async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    match not_ready(&admin.engine).await {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {why}\n"),
        ),
    }
}

/// How the server is and how it is set up, as JSON.
async fn overview(State(admin): State<Admin>) -> impl IntoResponse {
    let why = not_ready(&admin.engine).await;
    let health = &admin.health;
    let body = serde_json::json!({
        "status": if why.is_none() { "ready" } else { "not ready" },
        "reason": why,
        "version": env!("CARGO_PKG_VERSION"),
        "authentication": if health.open { "none" } else { "required" },
        "tls": health.tls,
        "behind_proxy": health.behind_proxy,
        "store": health.store,
        "warnings": health.warnings,
    });
    let status = match why {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let json = [(header::CONTENT_TYPE, "application/json")];
    (status, json, format!("{body}\n"))
}

async fn scrape(State(admin): State<Admin>) -> impl IntoResponse {
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    metrics::gauge!("rotunda_store_takes_writes").set(f64::from(admin.engine.takes_writes()));
    match &admin.metrics {
        Some(Metrics(handle)) => (
            StatusCode::OK,
            [(header::CONTENT_TYPE, TEXT)],
            handle.render(),
        ),
        None => (
            StatusCode::NOT_FOUND,
            [(header::CONTENT_TYPE, TEXT)],
            "metrics are not kept\n".to_owned(),
        ),
    }
}
