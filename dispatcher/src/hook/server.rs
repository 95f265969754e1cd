//! The hook's HTTP side: who may send, how much, in which form, and the status of the answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use daemon::{Readiness, Secret, TraceContext, probe_router};
use http::{HeaderMap, StatusCode, header};
use secrecy::ExposeSecret as _;
use serde_json::json;
use subtle::ConstantTimeEq as _;

use super::intake::Intake;
use super::payload::Webhook;

/// Alertmanager may give up after ten seconds; the answer comes before that.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// Webhooks worked on at the same time.
const AT_ONCE: usize = 64;

/// What the server needs.
pub struct Server {
    /// Takes webhooks in.
    pub intake: Intake,
    /// Expected bearer token.
    pub token: Option<Secret>,
    /// Longest body, bytes.
    pub max_body: usize,
    slots: tokio::sync::Semaphore,
}

impl Server {
    /// A server that asks for `token` where there is one.
    pub fn new(intake: Intake, token: Option<Secret>, max_body: usize) -> Arc<Self> {
        Arc::new(Self { intake, token, max_body, slots: tokio::sync::Semaphore::new(AT_ONCE) })
    }
}

/// `POST /webhook/alertmanager`, `GET /healthz`, `GET /readyz`.
pub fn router(server: Arc<Server>, readiness: Readiness) -> Router {
    let limit = DefaultBodyLimit::max(server.max_body);
    Router::new()
        .route("/webhook/alertmanager", post(webhook).layer(limit))
        .with_state(server)
        .merge(probe_router(readiness))
}

async fn webhook(State(server): State<Arc<Server>>, request: Request) -> Response {
    match tokio::time::timeout(ANSWER_WITHIN, answer(&server, request)).await {
        Ok(response) => response,
        Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "not done within 8 s, send it again"),
    }
}

async fn answer(server: &Server, request: Request) -> Response {
    if let Some(refusal) = refusal(server, request.headers()) {
        return refusal;
    }
    let Ok(_slot) = server.slots.acquire().await else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "stopping");
    };
    let trace = TraceContext::extract(request.headers()).unwrap_or_else(TraceContext::generate);
    let body = match Bytes::from_request(request, &()).await {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let text = format!("the body is longer than {} bytes (WEBHOOK_MAX_BODY)", server.max_body);
            return problem(StatusCode::PAYLOAD_TOO_LARGE, &text);
        }
        Err(_) => return problem(StatusCode::SERVICE_UNAVAILABLE, "the body did not arrive"),
    };
    let webhook = match Webhook::parse(&body) {
        Ok(webhook) => webhook,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    drop(body);
    let tally = server.intake.take(webhook, &trace).await;
    let status = if tally.refused == 0 { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(tally)).into_response()
}

/// The answer to a sender who may not send, or sends something else.
fn refusal(server: &Server, headers: &HeaderMap) -> Option<Response> {
    if let Some(token) = &server.token {
        let Ok(expected) = token.read() else {
            tracing::error!("WEBHOOK_BEARER_TOKEN_FILE cannot be read");
            return Some(problem(StatusCode::SERVICE_UNAVAILABLE, "the expected token cannot be read"));
        };
        let given = headers.get(header::AUTHORIZATION).map(http::HeaderValue::as_bytes).unwrap_or_default();
        let given = given.strip_prefix(b"Bearer ").unwrap_or_default();
        if given.ct_eq(expected.expose_secret().as_bytes()).unwrap_u8() != 1 {
            let mut response = problem(StatusCode::UNAUTHORIZED, "a bearer token is expected");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
            return Some(response);
        }
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = media_type == "application/json" || media_type.ends_with("+json");
    (!json).then(|| problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/json is expected"))
}

fn problem(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({"status": "error", "error": text}))).into_response()
}
