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
}

/// `/health/live`, `/health/ready` and `/metrics`, for those who name this computer or the host
/// of the base URL: there is never any authentication here.
pub fn admin_router(engine: Arc<Engine>, metrics: Option<Metrics>) -> Router {
    Router::new()
        .route("/health/live", get(async || "alive\n"))
        .route("/health/ready", get(ready))
        .route("/metrics", get(scrape))
        .layer(middleware::from_fn_with_state(
            Hosts::new(&engine.settings().base_url),
            guard,
        ))
        .with_state(Admin { engine, metrics })
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

/// Ready means that the store answers and takes writes.
async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    let health = tokio::time::timeout(Duration::from_secs(2), admin.engine.health()).await;
    match health {
        Ok(Ok(())) => (StatusCode::OK, "ready\n"),
        Ok(Err(error)) if error.issues.iter().any(|issue| issue.code == "no-store") => (
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: the storage takes no writes\n",
        ),
        Ok(Err(_)) | Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: the database does not answer\n",
        ),
    }
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
