//! Takes over entries whose holder has let its lease run out, or given them back; and what is pending in our own
//! name and not held: a failover can undo an acknowledgement, a read can deliver after it was given up.

use std::collections::HashMap;
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
        let result = match own.adopt(&crew, &session, &heartbeat).await {
            Ok(()) => round(&crew, &session, cursor, &heartbeat).await,
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

/// The look through the entries in our own name, page by page, for ever.
#[derive(Default)]
struct Own {
    from: EntryId,
    /// Entries seen here that were not held, and when first.
    suspects: HashMap<EntryId, Instant>,
}

/// Entries of one page.
const OWN_PAGE: usize = 500;
/// What a read has just delivered is on its way to a dispatch: only after so long it is nobody's.
const SUSPECT_FOR: Duration = Duration::from_secs(1);

impl Own {
    async fn adopt(&mut self, crew: &Arc<Crew>, session: &Session, heartbeat: &Heartbeat) -> Result<(), Error> {
        let rows = group::own_pending(session, &crew.names.group, self.from, OWN_PAGE).await?;
        let whole = rows.len() < OWN_PAGE;
        let next = rows.last().map_or(EntryId::ZERO, |row| EntryId { seq: row.id.seq.saturating_add(1), ..row.id });
        let now = Instant::now();
        let mut orphans = Vec::new();
        let mut suspects = HashMap::new();
        for row in rows.into_iter().filter(|row| !crew.holds(row.id)) {
            let since = *self.suspects.get(&row.id).unwrap_or(&now);
            // What is older than the session was not read on it.
            let nobodys = || from_before(row.idle_ms, session) || now.duration_since(since) >= SUSPECT_FOR;
            match crew.left_alone(row.id) {
                Some(true) => {}
                Some(false) => orphans.push(row.id),
                None if nobodys() => orphans.push(row.id),
                None => drop(suspects.insert(row.id, since)),
            }
        }
        // Those of other pages stay suspected until their page comes again.
        self.suspects.retain(|id, _| *id < self.from || (!whole && *id >= next));
        self.suspects.extend(suspects);
        for orphan in orphans {
            heartbeat.tick();
            let Some(slot) = free_slots(crew, session, 1).await.pop() else { return Ok(()) };
            adopt_one(crew, session, orphan, slot).await?;
        }
        self.from = if whole { EntryId::ZERO } else { next };
        Ok(())
    }
}

/// Takes up an entry of our own that nobody holds, if it is still ours: waiting for a slot takes time. This is no new
/// delivery: what keeps an entry from being worked on here would make a poison of it.
async fn adopt_one(crew: &Arc<Crew>, session: &Session, id: EntryId, slot: OwnedSemaphorePermit) -> Result<(), Error> {
    let rows = group::own_pending(session, &crew.names.group, id, 1).await?;
    let Some(row) = rows.into_iter().find(|row| row.id == id) else { return Ok(()) };
    let since = Instant::now();
    if let Some(entry) = group::claim_own(session, &crew.names.group, &row).await? {
        crew.metrics.entries("claimed", 1);
        crew.put_to_work(entry, row.deliveries, since, slot);
    }
    Ok(())
}

/// Whether an entry was delivered before the session began.
fn from_before(idle_ms: i64, session: &Session) -> bool {
    u128::try_from(idle_ms).is_ok_and(|idle| idle > session.age().as_millis())
}

/// Claims as much as there are free slots; answers where the next round starts. Looks first, and waits for a slot
/// only if there is something to claim: its place among those who wait for one is in front of what it would read.
async fn round(
    crew: &Arc<Crew>,
    session: &Session,
    mut cursor: EntryId,
    heartbeat: &Heartbeat,
) -> Result<EntryId, Error> {
    if !group::any_idle(session, &crew.names.group, crew.lease).await? {
        return Ok(EntryId::ZERO);
    }
    for _ in 0..PAGES {
        heartbeat.tick();
        let slots = free_slots(crew, session, usize::MAX).await;
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

/// At least one slot, waiting for it in turn with the reader, and half of what else is free, up to `most`; none
/// when the session or the work ends first.
async fn free_slots(crew: &Crew, session: &Session, most: usize) -> Vec<OwnedSemaphorePermit> {
    let first = tokio::select! {
        slot = Arc::clone(&crew.slots.busy).acquire_owned() => slot.ok(),
        () = session.closed() => None,
        () = crew.stops.soft.cancelled() => None,
        () = tokio::time::sleep(TICKS_WITHIN / 3) => None,
    };
    let Some(first) = first else { return Vec::new() };
    let more = (crew.slots.busy.available_permits() / 2).min(most.saturating_sub(1));
    let more = std::iter::from_fn(|| Arc::clone(&crew.slots.busy).try_acquire_owned().ok()).take(more);
    std::iter::once(first).chain(more).collect()
}
