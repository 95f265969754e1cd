//! What only the hook's outbox has: asked of the hook itself, which holds the file.

use std::time::Duration;

use super::row::Row;
use crate::outbox::listing::{Listed, PATH, Page};

const WITHIN: Duration = Duration::from_secs(5);
/// Pages that are asked for at most.
const MOST_PAGES: usize = 2_000;

/// The open incidents of the hook whose admin address this is, without those on the stream: they are listed from there.
pub async fn rows(http: &reqwest::Client, admin: &str, now_ms: i64) -> Result<Vec<Row>, String> {
    let (mut rows, mut after) = (Vec::new(), None);
    for _ in 0..MOST_PAGES {
        let page = page(http, admin, after).await?;
        let Some(last) = page.open.last() else { break };
        after = Some(last.number);
        rows.extend(page.open.into_iter().filter(|listed| listed.place != "published").map(|l| row(l, now_ms)));
    }
    Ok(rows)
}

async fn page(http: &reqwest::Client, admin: &str, after: Option<u64>) -> Result<Page, String> {
    let query = after.map_or_else(String::new, |number| format!("?after={number}"));
    let url = format!("{}{PATH}{query}", admin.trim_end_matches('/'));
    let ask = async {
        let response = http.get(&url).send().await?.error_for_status()?;
        response.bytes().await
    };
    match tokio::time::timeout(WITHIN, ask).await {
        Ok(Ok(body)) => serde_json::from_slice(&body).map_err(|error| format!("{url}: {error}")),
        Ok(Err(error)) => Err(error.without_url().to_string()),
        Err(_) => Err(format!("{url}: no answer")),
    }
}

fn row(listed: Listed, now_ms: i64) -> Row {
    Row {
        state: "outbox",
        stream: String::new(),
        entry_id: String::new(),
        workflow_id: listed.workflow_id,
        record: String::new(),
        agent: listed.agent,
        owner: String::new(),
        idle_ms: None,
        age_ms: now_ms.saturating_sub(listed.accepted_ms).max(0),
        deliveries: None,
        attempts: String::new(),
        reason: listed.place,
        alertname: listed.alertname,
    }
}
