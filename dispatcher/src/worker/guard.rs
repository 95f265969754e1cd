//! Guards a consumer name that was set by hand: two processes that share one would take each other's entries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis_stream::connection::Session;
use redis_stream::lease;

use super::crew::Crew;

/// Between two tries to take the name.
const TRY_EVERY: Duration = Duration::from_millis(250);

/// Another process has the name, and is alive.
#[derive(Debug, thiserror::Error)]
#[error(
    "CONSUMER_NAME {0:?} belongs to another live worker; give each worker its own name, or none: then it makes one up"
)]
pub(super) struct NameTaken(String);

/// Takes the name and keeps it until the process ends. A holder that died has it for one lease.
pub(super) async fn run(crew: Arc<Crew>, nonce: String) -> Result<(), NameTaken> {
    take(&crew, &nonce).await?;
    crew.name_is_ours();
    let every = crew.lease / 3;
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = crew.stops.last_call.cancelled() => {
                crew.life.finished().cancelled().await;
                return Ok(());
            }
        }
        if held(&crew, &nonce).await == Some(false) {
            return Err(NameTaken(crew.names.group.consumer.clone()));
        }
    }
}

/// Gives the name free for the next process; without this it is free after a lease.
pub(super) async fn drop_name(crew: &Crew, session: &Session) {
    let Some(nonce) = &crew.nonce else { return };
    if let Err(error) = lease::drop_name(session, &crew.names.group, nonce).await {
        tracing::debug!(%error, "the consumer name is free after a lease");
    }
}

/// Tries for a lease and a little more, counted from the first answer: then the holder is alive.
async fn take(crew: &Crew, nonce: &str) -> Result<(), NameTaken> {
    let mut refused_since = None;
    loop {
        match held(crew, nonce).await {
            Some(true) => return Ok(()),
            Some(false) => {
                let since: Instant = *refused_since.get_or_insert_with(Instant::now);
                if since.elapsed() > crew.lease + TRY_EVERY * 4 {
                    return Err(NameTaken(crew.names.group.consumer.clone()));
                }
            }
            None => {}
        }
        tokio::select! {
            () = tokio::time::sleep(TRY_EVERY) => {}
            () = crew.life.finished().cancelled() => return Ok(()),
        }
    }
}

/// Whether the name is ours now; `None`: Redis could not say.
async fn held(crew: &Crew, nonce: &str) -> Option<bool> {
    let session = crew.link.current()?;
    match lease::claim_name(&session, &crew.names.group, nonce, crew.lease).await {
        Ok(ours) => Some(ours),
        Err(error) => {
            crew.metrics.redis_error(error.class());
            tracing::warn!(%error, "the consumer name is not guarded for now");
            None
        }
    }
}
