//! What an orchestrator and a Prometheus server ask: `/livez`, `/readyz`, `/metrics`.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::readiness::Readiness;
use crate::telemetry::MetricsHandle;

/// Content type of the Prometheus text format, version 0.0.4.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The admin endpoints.
///
/// `GET /livez`: 200 unless a loop has been silent absurdly long. `GET /readyz`: 200 when ready.
/// Both answer 503 otherwise, with one line of text for each problem. `GET /metrics`: Prometheus text.
pub fn admin_router(readiness: Readiness, metrics: MetricsHandle) -> Router {
    let metrics = Router::new().route("/metrics", get(render)).with_state(metrics);
    Router::new().route("/livez", get(live)).route("/readyz", get(ready)).with_state(readiness).merge(metrics)
}

/// The probes a public listener serves next to its own routes: `GET /healthz` (as `/livez`) and `GET /readyz`.
pub fn probe_router(readiness: Readiness) -> Router {
    Router::new().route("/healthz", get(live)).route("/readyz", get(ready)).with_state(readiness)
}

async fn live(State(readiness): State<Readiness>) -> Response {
    answer("alive", readiness.alive())
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    answer("ready", readiness.verdict())
}

fn answer(well: &'static str, verdict: Result<(), Vec<String>>) -> Response {
    match verdict {
        Ok(()) => (StatusCode::OK, format!("{well}\n")).into_response(),
        Err(problems) => {
            let body = problems.join("\n") + "\n";
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

async fn render(State(metrics): State<MetricsHandle>) -> Response {
    match metrics.render() {
        Ok(text) => ([(CONTENT_TYPE, PROMETHEUS_TEXT)], text).into_response(),
        Err(error) => {
            tracing::warn!(%error, "metrics could not be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
        }
    }
}

#[cfg(test)]
mod tests;
