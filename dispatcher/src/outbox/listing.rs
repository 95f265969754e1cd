//! What is open in the outbox, for an operator: over the admin address while the hook runs, from the file otherwise.

use std::sync::{Arc, OnceLock};

use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::Outbox;
use super::index::Mark;
use super::item::{Offer, Stage};
use super::store::Error;

/// Rows of a page at most.
pub const PAGE: usize = 500;
/// Where pages are served.
pub const PATH: &str = "/outbox";

/// One open incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its number in the order of acceptance; pages are continued after it.
    pub number: u64,
    /// The incident id.
    pub workflow_id: String,
    /// The agent it is meant for.
    pub agent: String,
    /// The alert's name.
    pub alertname: String,
    /// When it was accepted, Unix milliseconds.
    pub accepted_ms: i64,
    /// `kept`, `offered` (perhaps on the stream), `published`, or how far its direct dispatch is: `sending`,
    /// `unanswered`, `running`, `ended`.
    pub place: String,
    /// The agent's task; may be empty.
    pub task_id: String,
}

/// Some of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// They survive a restart.
    pub durable: bool,
    /// In the order of acceptance.
    pub open: Vec<Listed>,
}

/// Up to [`PAGE`] open incidents after a number.
pub async fn page(outbox: &Outbox, after: Option<u64>) -> Result<Page, Error> {
    let numbers = outbox.look(|index| index.after(after, PAGE));
    let row = |(number, incident): (u64, crate::incident::Incident)| {
        let mark = outbox.find(&incident.workflow_id)?;
        let task = mark.direct.as_ref().and_then(|sent| sent.run.task_id.clone());
        Some(Listed {
            number,
            agent: incident.agent_target,
            alertname: incident.alertname,
            accepted_ms: incident.timestamp.as_millisecond(),
            place: place(&mark).to_owned(),
            task_id: task.unwrap_or_default(),
            workflow_id: incident.workflow_id,
        })
    };
    let open = outbox.incidents(numbers).await?.into_iter().filter_map(row).collect();
    Ok(Page { durable: outbox.is_durable(), open })
}

fn place(mark: &Mark) -> &'static str {
    match (mark.offer, mark.stage()) {
        (Offer::Confirmed, _) => "published",
        (_, Some(Stage::Sending)) => "sending",
        (_, Some(Stage::Unanswered)) => "unanswered",
        (_, Some(Stage::Running)) => "running",
        (_, Some(Stage::Ended(_))) => "ended",
        (Offer::Never, None) => "kept",
        (Offer::Unanswered, None) => "offered",
    }
}

/// The outbox of a process, once it has one.
pub type Slot = Arc<OnceLock<Arc<Outbox>>>;

/// `GET /outbox?after=NUMBER`: a [`Page`]; 404 where there is no outbox.
pub fn router(slot: Slot) -> Router {
    Router::new().route(PATH, get(serve)).with_state(slot)
}

#[derive(Debug, Deserialize)]
struct After {
    after: Option<u64>,
}

async fn serve(State(slot): State<Slot>, Query(After { after }): Query<After>) -> Response {
    let Some(outbox) = slot.get() else { return (StatusCode::NOT_FOUND, "no outbox here\n").into_response() };
    match page(outbox, after).await {
        Ok(page) => Json(page).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}
