//! Takes over entries whose holder has let its lease run out, or given them back; on a new session
//! also what is pending in our own name and not held: a failover can undo an acknowledgement.

use std::sync::Arc;
use std::time::{Duration, Instant};

use daemon::Heartbeat;
use redis_stream::connection::Session;
use redis_stream::error::{Class, Error};
use redis_stream::group::{self, Claimed};
use redis_stream::id::EntryId;
use tokio::sync::OwnedSemaphorePermit;

use super::crew::Crew;

/// Oldest tick of a loop that works.
pub const TICKS_WITHIN: Duration = Duration::from_secs(30);
/// Entries that were given back are taken over within two of these.
const EVERY: Duration = Duration::from_millis(500);
/// Pages of one round at most; the cursor goes on in the next.
const PAGES: usize = 20;

/// Runs until the soft stop.
pub async fn run(crew: Arc<Crew>, heartbeat: Heartbeat) {
    let (mut cursor, mut own) = (EntryId::ZERO, Own::default());
    while let Some(session) = crew.ready(&heartbeat).await {
        let result = match own.adopt(&crew, &session).await {
            Ok(()) => round(&crew, &session, cursor).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(next) => cursor = next,
            // The reader creates the group.
            Err(error) if error.class() == Class::NoGroup => cursor = EntryId::ZERO,
            Err(error) => {
                crew.metrics.redis_error(error.class());
                tracing::warn!(%error, "claiming interrupted");
                cursor = EntryId::ZERO;
            }
        }
        // Jitter keeps several workers from scanning at the same moment.
        let pause = EVERY.mul_f64(0.75 + 0.5 * fastrand::f64());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = crew.stops.soft.cancelled() => return,
        }
    }
}

/// How far the entries in our own name have been looked through, on which session.
#[derive(Default)]
struct Own {
    session: u64,
    from: EntryId,
    done: bool,
}

impl Own {
    async fn adopt(&mut self, crew: &Arc<Crew>, session: &Session) -> Result<(), Error> {
        if self.session != session.id() {
            *self = Self { session: session.id(), ..Self::default() };
        }
        while !self.done {
            let slots = free_slots(crew, session).await;
            if slots.is_empty() {
                return Ok(());
            }
            let since = Instant::now();
            let rows = group::own_pending(session, &crew.names.group, self.from, slots.len()).await?;
            let ids: Vec<_> = rows
                .iter()
                .filter(|row| from_before(row.idle_ms, session) && !crew.holds(row.id))
                .map(|row| row.id)
                .collect();
            let entries = group::claim_own(session, &crew.names.group, session.age(), &ids).await?;
            crew.metrics.entries("claimed", entries.len() as u64);
            self.done = rows.len() < slots.len();
            self.from = rows.last().map_or(self.from, |row| EntryId { seq: row.id.seq.saturating_add(1), ..row.id });
            for (entry, slot) in entries.into_iter().zip(slots) {
                let deliveries = rows.iter().find(|row| row.id == entry.id).map_or(2, |row| row.deliveries + 1);
                crew.put_to_work(entry, deliveries, since, slot);
            }
        }
        Ok(())
    }
}

/// Whether an entry was delivered before the session began: what was read on it is on its way to a
/// dispatch and only not held yet.
fn from_before(idle_ms: i64, session: &Session) -> bool {
    u128::try_from(idle_ms).is_ok_and(|idle| idle > session.age().as_millis())
}

/// Claims as much as there are free slots; answers where the next round starts.
async fn round(crew: &Arc<Crew>, session: &Session, mut cursor: EntryId) -> Result<EntryId, Error> {
    for _ in 0..PAGES {
        let slots = free_slots(crew, session).await;
        if slots.is_empty() {
            return Ok(cursor);
        }
        let since = Instant::now();
        let claimed = group::claim_idle(session, &crew.names.group, crew.lease, cursor, slots.len()).await?;
        if !claimed.deleted.is_empty() {
            tracing::warn!(count = claimed.deleted.len(), "pending entries had been deleted from the stream");
        }
        cursor = claimed.next;
        put_to_work(crew, session, claimed, slots, since).await?;
        if cursor == EntryId::ZERO {
            break;
        }
    }
    Ok(cursor)
}

async fn put_to_work(
    crew: &Arc<Crew>,
    session: &Session,
    claimed: Claimed,
    mut slots: Vec<OwnedSemaphorePermit>,
    since: Instant,
) -> Result<(), Error> {
    if claimed.entries.is_empty() {
        return Ok(());
    }
    crew.metrics.entries("claimed", claimed.entries.len() as u64);
    let ids: Vec<_> = claimed.entries.iter().map(|entry| entry.id).collect();
    // What was claimed is worked on, also when nobody can say how often it was delivered.
    let counts = group::deliveries(session, &crew.names.group, &ids).await.unwrap_or_default();
    for entry in claimed.entries {
        let deliveries = counts.iter().find(|row| row.id == entry.id).map_or(2, |row| row.deliveries);
        if let Some(slot) = slots.pop() {
            crew.put_to_work(entry, deliveries, since, slot);
        }
    }
    Ok(())
}

/// At least one slot, waiting for it in turn with the reader, and half of what else is free; none
/// when the session or the work ends first.
async fn free_slots(crew: &Crew, session: &Session) -> Vec<OwnedSemaphorePermit> {
    let first = tokio::select! {
        slot = Arc::clone(&crew.slots).acquire_owned() => slot.ok(),
        () = session.closed() => None,
        () = crew.stops.soft.cancelled() => None,
        () = tokio::time::sleep(TICKS_WITHIN / 3) => None,
    };
    let Some(first) = first else { return Vec::new() };
    let more = crew.slots.available_permits() / 2;
    let more = std::iter::from_fn(|| Arc::clone(&crew.slots).try_acquire_owned().ok()).take(more);
    std::iter::once(first).chain(more).collect()
}
