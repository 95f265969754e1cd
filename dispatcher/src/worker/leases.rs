//! Renews every lease, and writes back what Redis has forgotten: of the runs behind them, and of what was finished.

use std::sync::Arc;
use std::time::{Duration, Instant};

use daemon::Heartbeat;
use redis_stream::connection::Session;
use redis_stream::error::{Class, Error};
use redis_stream::lease;

use super::crew::Crew;
#[cfg(feature = "controls")]
use crate::controls::{Control::NoRenewal, is_off};
use crate::dispatch::held::Held;
use crate::dispatch::record;

/// Oldest tick of a loop that works.
pub const TICKS_WITHIN: Duration = Duration::from_secs(30);
const LONGEST_INTERVAL: Duration = Duration::from_secs(5);
/// From a renewal that failed to the next: others wait to hear from what is held, and may not hear for a lease.
const AGAIN: Duration = Duration::from_millis(100);
/// Entries of one call at most.
const BATCH: usize = 100;

/// Runs as long as anything is held. A new session is renewed on at once, before anybody reads or
/// claims on it.
pub async fn run(crew: Arc<Crew>, heartbeat: Heartbeat) {
    let every = (crew.lease / 3).min(LONGEST_INTERVAL);
    let mut sessions = crew.link.sessions();
    let (mut failing, mut said) = (false, false);
    loop {
        heartbeat.tick();
        if let Some(session) = crew.link.current() {
            let renewed = match renew(&crew, &session).await {
                Ok(all) => crew.finals.write_back(&session, &crew.names, &crew.metrics).await.map(|()| all),
                Err(error) => Err(error),
            };
            match &renewed {
                Ok(_) => crew.renewed_on(&session),
                Err(error) => {
                    crew.metrics.redis_error(error.class());
                    if !said {
                        tracing::warn!(%error, "leases are not renewed");
                    }
                }
            }
            (failing, said) = (!matches!(renewed, Ok(true)), renewed.is_err());
        }
        tokio::select! {
            () = tokio::time::sleep(if failing { AGAIN } else { every }) => {}
            changed = sessions.changed() => if changed.is_err() { return },
            () = crew.life.finished().cancelled() => return,
        }
    }
}

/// Whether every record is written, too.
async fn renew(crew: &Crew, session: &Session) -> Result<bool, Error> {
    #[cfg(feature = "controls")]
    if is_off(NoRenewal) {
        // What nobody renews counts as held all the same: that is the harm.
        crew.all_held().iter().for_each(|held| held.renewed(Instant::now(), crew.lease));
        return Ok(true);
    }
    let mut all = true;
    for batch in crew.all_held().chunks(BATCH) {
        let since = Instant::now();
        let ids: Vec<_> = batch.iter().map(|held| held.entry.id).collect();
        let lost = match lease::renew(session, &crew.names.group, &ids).await {
            Ok(lost) => lost,
            // Without a group nobody holds anything.
            Err(error) if error.class() == Class::NoGroup => ids,
            Err(error) => return Err(error),
        };
        for held in batch {
            if lost.contains(&held.entry.id) {
                held.lose();
            } else {
                held.renewed(since, crew.lease);
            }
        }
        all &= write_back(crew, session, batch).await;
    }
    Ok(all)
}

/// Out of memory, Redis takes renewals and no write-backs: those are tried again with the next. Whether all are written.
async fn write_back(crew: &Crew, session: &Session, batch: &[Arc<Held>]) -> bool {
    let images: Vec<_> = batch.iter().filter_map(|held| held.image()).collect();
    let calls: Vec<_> =
        images.iter().map(|(subject, run)| record::hold(&crew.names, subject, run, crew.lease)).collect();
    if calls.is_empty() {
        return true;
    }
    let replies = session.invoke_all(&calls).await.unwrap_or_else(|error| vec![Err(error)]);
    let mut all = true;
    for reply in replies {
        match reply {
            Ok(reply) if record::words(&reply).first().is_some_and(|word| word == "restored") => {
                tracing::warn!("a record that Redis had forgotten was written back");
            }
            Ok(_) => {}
            Err(error) => {
                crew.metrics.redis_error(error.class());
                all = false;
            }
        }
    }
    all
}
