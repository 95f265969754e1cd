//! Leaves in good order: waits for what runs, gives back the rest, removes the consumer.

use std::sync::Arc;
use std::time::Duration;

use redis_stream::lease;

use super::crew::Crew;
use super::guard;

/// Kept of the grace for giving back.
const FOR_GOODBYES: Duration = Duration::from_millis(1500);

/// Runs from the start, acts at the soft stop.
pub(super) async fn run(crew: Arc<Crew>, grace: Duration) {
    crew.stops.soft.cancelled().await;
    if tokio::time::timeout(grace.saturating_sub(FOR_GOODBYES), crew.idle()).await.is_err() {
        tracing::warn!("the grace is nearly over: what still runs is given back");
    }
    crew.stops.last_call.cancel();
    if tokio::time::timeout(FOR_GOODBYES / 2, crew.idle()).await.is_err() {
        let ids: Vec<_> = crew.all_held().iter().map(|held| held.entry.id).collect();
        crew.give_back(&ids).await;
    }
    let Some(session) = crew.link.current() else { return };
    match lease::leave(&session, &crew.names.group).await {
        Ok(true) => tracing::info!(consumer = crew.names.group.consumer, "left the group"),
        Ok(false) => tracing::warn!(consumer = crew.names.group.consumer, "entries are still pending in this name"),
        Err(error) => tracing::warn!(%error, "the consumer is not removed"),
    }
    guard::drop_name(&crew, &session).await;
}
