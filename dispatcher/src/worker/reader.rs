//! Reads new entries, never more than there are free slots.

use std::sync::Arc;
use std::time::{Duration, Instant};

use daemon::Heartbeat;
use redis_stream::connection::Session;
use redis_stream::entry::Entry;
use redis_stream::error::{Class, Error};
use redis_stream::group;
use redis_stream::reader::Reader;
use tokio::sync::OwnedSemaphorePermit;

use super::crew::Crew;

/// Oldest tick of a loop that works.
pub const TICKS_WITHIN: Duration = Duration::from_secs(30);
/// Entries of one read at most.
const BATCH: usize = 100;

/// Runs until the soft stop.
pub async fn run(crew: Arc<Crew>, heartbeat: Heartbeat) {
    while let Some(session) = crew.ready(&heartbeat).await {
        match read_on(&crew, &session, &heartbeat).await {
            Ok(()) => {}
            Err(error) => {
                crew.metrics.redis_error(error.class());
                tracing::warn!(%error, "reading interrupted");
                pause(&crew, Duration::from_millis(100)).await;
            }
        }
    }
}

/// Reads on one session until it ends or reading must stop.
async fn read_on(crew: &Arc<Crew>, session: &Session, heartbeat: &Heartbeat) -> Result<(), Error> {
    create_group(crew, session).await?;
    let mut reader = session.reader().await?;
    while session.is_open() && !crew.stops.soft.is_cancelled() {
        let Some(slots) = free_slots(crew, session, heartbeat).await else { return Ok(()) };
        let since = Instant::now();
        match read(crew, &mut reader, session, slots.len()).await {
            Ok(entries) => hand_out(crew, entries, slots, since).await,
            Err(error) if error.class() == Class::NoGroup => create_group(crew, session).await?,
            Err(error) if error.class() == Class::Retry => {
                crew.metrics.redis_error(error.class());
                tracing::warn!(%error, "Redis refuses reads for now");
                pause(crew, Duration::from_secs(1)).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// One blocking read. A stop unblocks it instead of dropping it: what it got by then is given back.
async fn read(crew: &Crew, reader: &mut Reader, session: &Session, count: usize) -> Result<Vec<Entry>, Error> {
    let unblock = reader.handle();
    let reading = reader.read(&crew.names.group, count, crew.block);
    tokio::pin!(reading);
    tokio::select! {
        result = &mut reading => return result,
        () = crew.stops.soft.cancelled() => {}
    }
    if session.is_open() {
        unblock.unblock().await?;
    }
    reading.await
}

async fn hand_out(crew: &Arc<Crew>, entries: Vec<Entry>, mut slots: Vec<OwnedSemaphorePermit>, since: Instant) {
    crew.metrics.entries("read", entries.len() as u64);
    if crew.stops.soft.is_cancelled() {
        let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
        return crew.give_back(&ids).await;
    }
    for entry in entries {
        if let Some(slot) = slots.pop() {
            crew.put_to_work(entry, 1, since, slot);
        }
    }
}

/// At least one slot, waiting for it, and half of what else is free: a read that waits for entries
/// keeps its slots, and claims need some too. `None` when the session or the work ends first.
async fn free_slots(crew: &Crew, session: &Session, heartbeat: &Heartbeat) -> Option<Vec<OwnedSemaphorePermit>> {
    let first = loop {
        heartbeat.tick();
        tokio::select! {
            slot = Arc::clone(&crew.slots.busy).acquire_owned() => break slot.ok()?,
            () = session.closed() => return None,
            () = crew.stops.soft.cancelled() => return None,
            () = tokio::time::sleep(TICKS_WITHIN / 3) => {}
        }
    };
    let mut slots = vec![first];
    let most = (1 + crew.slots.busy.available_permits() / 2).min(BATCH);
    while slots.len() < most {
        match Arc::clone(&crew.slots.busy).try_acquire_owned() {
            Ok(slot) => slots.push(slot),
            Err(_) => break,
        }
    }
    Some(slots)
}

async fn create_group(crew: &Crew, session: &Session) -> Result<(), Error> {
    if group::ensure(session, &crew.names.group).await? {
        crew.metrics.group_created();
        tracing::warn!(
            stream = crew.names.group.stream,
            group = crew.names.group.group,
            "the consumer group was missing; created at 0, what is in the stream is delivered"
        );
    }
    Ok(())
}

async fn pause(crew: &Crew, pause: Duration) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = crew.stops.soft.cancelled() => {}
    }
}
