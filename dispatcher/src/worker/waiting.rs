//! Brings entries back from waiting streams: one as a probe while their agent is not known to be
//! reachable, many when it is.

use std::sync::Arc;
use std::time::Duration;

use redis::Cmd;
use redis_stream::connection::Session;
use redis_stream::error::Error;
use redis_stream::value;

use super::crew::Crew;
use crate::dispatch::record;

const EVERY: Duration = Duration::from_secs(5);
/// Entries of a reachable agent brought back at once.
const AT_ONCE: usize = 20;

/// Runs until the soft stop.
pub async fn run(crew: Arc<Crew>) {
    loop {
        let pause = EVERY.mul_f64(0.75 + 0.5 * fastrand::f64());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = crew.stops.soft.cancelled() => return,
        }
        let Some(session) = crew.link.current() else { continue };
        if let Err(error) = round(&crew, &session).await {
            crew.metrics.redis_error(error.class());
            tracing::warn!(%error, "waiting entries are not brought back");
        }
    }
}

async fn round(crew: &Crew, session: &Session) -> Result<(), Error> {
    let mut cmd = Cmd::new();
    cmd.arg("SMEMBERS").arg(crew.names.waiting_set());
    let members = session.run(&cmd).await?;
    for waiting in value::items(&members).unwrap_or_default().iter().filter_map(value::text) {
        let count = if crew.reachable(waiting) { AT_ONCE } else { 1 };
        let reply = session.invoke(&record::back(&crew.names, waiting, count)).await?;
        tracing::info!(waiting, came_and_left = ?record::words(&reply), "brought back from waiting");
    }
    Ok(())
}
