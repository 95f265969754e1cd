//! Removes consumers whose workers left without a farewell: scaled in, killed, evicted. Each would stay in the group
//! for ever.
//!
//! Redis 7.0 says how long ago a consumer was last given something, not when it last asked; so each worker says by a
//! key of its own that it is there: the guard of its name.

use std::sync::Arc;
use std::time::Duration;

use redis_stream::connection::Session;
use redis_stream::error::{Class, Error};
use redis_stream::group::{self, Consumer};
use redis_stream::lease;
use redis_stream::reader::Group;

use super::crew::Crew;

/// Leases without a sign of life after which a worker is gone. One that comes back all the same is a consumer again
/// with its next read.
const GONE_AFTER: u32 = 10;
/// Leases from one round to the next, about.
const EVERY: u32 = 3;
/// Longest time from one round to the next, about.
const AT_LEAST_EVERY: Duration = Duration::from_secs(300);
/// Consumers removed in one round at most.
const AT_ONCE: usize = 20;

/// Runs until the soft stop.
pub(super) async fn run(crew: Arc<Crew>) {
    let every = (crew.lease * EVERY).min(AT_LEAST_EVERY);
    // A name set by hand is guarded already, more closely.
    let nonce = crew.nonce.is_none().then(|| format!("{:032x}", fastrand::u128(..)));
    loop {
        let session = tokio::select! {
            session = crew.link.session(every) => session,
            () = crew.stops.soft.cancelled() => return,
        };
        if let Ok(session) = session {
            match round(&crew, &session, nonce.as_deref()).await {
                Ok(()) => {}
                // The reader creates the group.
                Err(error) if error.class() == Class::NoGroup => {}
                Err(error) => {
                    crew.metrics.redis_error(error.class());
                    tracing::warn!(%error, "consumers that were left behind stay for now");
                }
            }
        }
        // Jitter: one worker's round leaves nothing for the others.
        let pause = every.mul_f64(0.5 + fastrand::f64());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = crew.stops.soft.cancelled() => return,
        }
    }
}

async fn round(crew: &Crew, session: &Session, nonce: Option<&str>) -> Result<(), Error> {
    if let Some(nonce) = nonce {
        lease::claim_name(session, &crew.names.group, nonce, crew.lease * GONE_AFTER).await?;
    }
    let consumers = group::consumers(session, &crew.names.group).await?;
    for consumer in gone(&consumers, &crew.names.group.consumer, crew.lease).take(AT_ONCE) {
        let of = Group { consumer: consumer.name.clone(), ..crew.names.group.clone() };
        // The script looks again, in the same step, whether anything is pending.
        if !lease::is_guarded(session, &of).await? && lease::leave(session, &of).await? {
            crew.metrics.consumer_removed();
            tracing::info!(
                consumer = of.consumer,
                idle_ms = consumer.idle_ms,
                "removed a consumer that was left behind"
            );
        }
    }
    Ok(())
}

/// Those of workers that may be gone: nothing pending, and nothing given to them for so many leases.
fn gone<'a>(consumers: &'a [Consumer], own: &'a str, lease: Duration) -> impl Iterator<Item = &'a Consumer> {
    let idle = i64::try_from((lease * GONE_AFTER).as_millis()).unwrap_or(i64::MAX);
    consumers.iter().filter(move |consumer| {
        let somebodys = consumer.name == own || consumer.name == lease::HEIR;
        consumer.pending == 0 && consumer.idle_ms >= idle && !somebodys
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_idle_ones_with_nothing_pending_may_be_gone() {
        let lease = Duration::from_secs(30);
        let consumer = |name: &str, pending, idle_ms| Consumer { name: name.into(), pending, idle_ms };
        let all = [
            consumer("own", 0, 999_999),
            consumer("handed-back", 0, 999_999),
            consumer("busy", 1, 999_999),
            consumer("quiet", 0, 299_999),
            consumer("ahead of the clock", 0, -5),
            consumer("gone", 0, 300_000),
            consumer("long gone", 0, i64::MAX),
        ];
        let names: Vec<_> = gone(&all, "own", lease).map(|consumer| consumer.name.as_str()).collect();
        assert_eq!(names, ["gone", "long gone"]);
    }
}
