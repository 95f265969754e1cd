//! How incidents end: read from the stream of outcomes, for all incidents, and kept as tombstones.

use std::sync::Arc;
use std::time::Duration;

use daemon::Lifecycle;
use redis::{Cmd, Pipeline, Value};
use redis_stream::connection::{Link, Session};
use redis_stream::entry::Entry;
use redis_stream::error::Error;
use redis_stream::id::EntryId;
use redis_stream::value;
use tokio::sync::Notify;

use super::history::History;
use super::item::{Copy, Raw, Tombstone};
use super::{Outbox, unix_now};
use crate::dispatch::names::{Names, OUTCOMES};
use crate::dispatch::outcome::Final;
use crate::dispatch::record::words;
use crate::incident::{STEP, record_key};
use crate::metrics::Metrics;

/// From one look at the stream to the next.
const EVERY: Duration = Duration::from_millis(250);
/// Outcomes of one look at most.
const PAGE: usize = 500;
/// Looks until the token is taken again, though nothing was read.
const TOKEN_EVERY: u32 = 20;
/// Records of one round trip.
const BATCH: usize = 100;
/// Before the first.
const START: &str = "0-0";
/// The note with the id of the last outcome that was read.
const CURSOR: &str = "outcomes";

/// Follows the outcomes of all incidents.
pub struct Outcomes {
    names: Arc<Names>,
    outbox: Arc<Outbox>,
    metrics: Metrics,
    forgotten: Notify,
}

/// How far the stream was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// The last outcome.
    cursor: String,
    /// Entries that were ever added to the stream; 0 where that is not known.
    added: i64,
}

/// How far the stream goes.
#[derive(Debug, Clone, Copy)]
struct End {
    newest: EntryId,
    added: i64,
}

impl Place {
    /// The stream that was read is not this one, or has lost some of what was read. Ids come from Redis' clock: in a
    /// stream made anew they can begin far below, when a clock that was ahead has been put right, or above.
    fn is_beyond(&self, end: Option<End>) -> bool {
        end.is_none_or(|end| end.newest < self.cursor.parse().unwrap_or_default() || end.added < self.added)
    }

    /// Counts what was added since the stream was found to go to `end`.
    fn note_later(&mut self, read: &[Entry], end: Option<End>) {
        let is_later = |entry: &&Entry| end.is_none_or(|end| entry.id > end.newest);
        self.added += i64::try_from(read.iter().filter(is_later).count()).unwrap_or(0);
    }
}

impl Outcomes {
    /// Nothing was read yet.
    pub fn new(names: Arc<Names>, outbox: Arc<Outbox>, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self { names, outbox, metrics, forgotten: Notify::new() })
    }

    /// Rings when Redis has forgotten outcomes: some may have been among them that were never read.
    pub fn forgotten(&self) -> &Notify {
        &self.forgotten
    }

    /// Runs until the soft stop.
    pub async fn run(self: Arc<Self>, link: Link, life: Lifecycle) {
        let history = History::new(Arc::clone(&self.outbox), self.metrics.clone());
        let mut place = Place { cursor: self.stored_cursor().await, added: 0 };
        let mut looks = 0;
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = life.soft().cancelled() => return,
            }
            let Some(session) = link.current() else { continue };
            history.judge(&session).await;
            looks += 1;
            match self.read(&session, &mut place).await {
                Ok(0) if looks < TOKEN_EVERY => {}
                Ok(_) => {
                    looks = 0;
                    history.keep(&session).await;
                }
                Err(error) => {
                    self.metrics.redis_error(error.class());
                    tracing::debug!(%error, "outcomes cannot be read");
                }
            }
        }
    }

    async fn stored_cursor(&self) -> String {
        let stored = self.outbox.read(|store| store.note(CURSOR)).await.ok().flatten();
        stored.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| START.to_owned())
    }

    /// Reads what is new, all of it; how many there were.
    async fn read(&self, session: &Session, place: &mut Place) -> Result<usize, Error> {
        let (mut count, end) = (0, end(session).await?);
        if place.is_beyond(end) {
            if place.cursor != START {
                let cursor = &place.cursor;
                tracing::warn!(%cursor, "Redis has forgotten outcomes that were read; those that it has are read again");
                self.forgotten.notify_one();
            }
            START.clone_into(&mut place.cursor);
        }
        place.added = end.map_or(0, |end| end.added);
        loop {
            let mut cmd = Cmd::new();
            cmd.arg("XREAD").arg("COUNT").arg(PAGE).arg("STREAMS").arg(OUTCOMES).arg(&place.cursor);
            let entries = Entry::parse_read(&session.run(&cmd).await?);
            let Some(last) = entries.last() else { return Ok(count) };
            place.note_later(&entries, end);
            place.cursor = last.id.to_string();
            let tombstones: Vec<_> = entries.iter().filter_map(of_outcome).collect();
            let tombstones = self.with_copies(session, tombstones).await?;
            self.outbox.bury(tombstones, Some((CURSOR, place.cursor.clone().into_bytes()))).await;
            count += entries.len();
        }
    }

    /// Incidents of the hook whose records are final: what they say becomes tombstones.
    pub async fn learn(&self, session: &Session, ids: &[String]) -> Result<(), Error> {
        for batch in ids.chunks(BATCH) {
            let mut pipeline = Pipeline::new();
            for id in batch {
                let key = record_key(id, STEP);
                let fields = ["state", "reason", "message_id", "task_id", "agent", "via", "copy"];
                pipeline.cmd("HMGET").arg(key).arg(&fields);
            }
            let replies = session.pipe(&pipeline).await?;
            let of = |(id, reply): (&String, Result<Value, Error>)| of_record(id, &words(&reply.ok()?));
            let tombstones: Vec<_> = batch.iter().zip(replies).filter_map(of).collect();
            let tombstones = self.with_copies(session, tombstones).await?;
            self.outbox.bury(tombstones, None).await;
        }
        Ok(())
    }

    /// Dead and parked ones with their entries.
    async fn with_copies(&self, session: &Session, mut all: Vec<Tombstone>) -> Result<Vec<Tombstone>, Error> {
        let mut pipeline = Pipeline::new();
        for tombstone in &all {
            if let Some(Copy { id, .. }) = &tombstone.copy {
                let dead = tombstone.state == Final::Dead.as_str();
                let stream = if dead { &self.names.dead_letters } else { &self.names.parked };
                pipeline.cmd("XRANGE").arg(stream).arg(id).arg(id);
            }
        }
        if pipeline.cmd_iter().next().is_none() {
            return Ok(all);
        }
        let mut replies = session.pipe(&pipeline).await?.into_iter();
        for copy in all.iter_mut().filter_map(|tombstone| tombstone.copy.as_mut()) {
            let reply = replies.next().and_then(Result::ok);
            let entry = reply.and_then(|reply| Entry::parse_list(&reply).into_iter().next());
            let fields = entry.map(|entry| entry.fields).unwrap_or_default();
            copy.fields = fields.iter().map(|(name, value)| (Raw::from(&**name), Raw::from(&**value))).collect();
        }
        // One that is gone already cannot be put back.
        for tombstone in &mut all {
            tombstone.copy = tombstone.copy.take().filter(|copy| !copy.fields.is_empty());
        }
        Ok(all)
    }
}

/// How far the stream goes, if there is one. `entries-added` is of Redis 7.
async fn end(session: &Session) -> Result<Option<End>, Error> {
    let mut cmd = Cmd::new();
    cmd.arg("XINFO").arg("STREAM").arg(OUTCOMES);
    match session.run(&cmd).await {
        Ok(info) => {
            let newest = value::field(&info, "last-generated-id").and_then(value::text).and_then(|id| id.parse().ok());
            let added = value::field(&info, "entries-added").and_then(value::int).unwrap_or(0);
            Ok(newest.map(|newest| End { newest, added }))
        }
        Err(error) if error.is_no_such_key() => Ok(None),
        Err(error) => Err(error.while_doing("XINFO STREAM")),
    }
}

fn copy_of(id: &str) -> Option<Copy> {
    (!id.is_empty() && id != "-").then(|| Copy { id: id.to_owned(), fields: Vec::new() })
}

fn of_outcome(entry: &Entry) -> Option<Tombstone> {
    let text = |name: &str| entry.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
    Some(Tombstone {
        workflow_id: text("workflow_id")?,
        step: text("step").unwrap_or_else(|| STEP.to_owned()),
        message_id: text("message_id")?,
        state: text("state")?,
        reason: text("reason").unwrap_or_default(),
        task_id: text("task_id").unwrap_or_default(),
        agent: text("agent").unwrap_or_default(),
        via: text("via").unwrap_or_default(),
        at: unix_now(),
        copy: copy_of(&text("copy").unwrap_or_default()),
    })
}

fn of_record(id: &str, words: &[String]) -> Option<Tombstone> {
    let [state, reason, message_id, task_id, agent, via, copy] = words else { return None };
    let known = [Final::Settled, Final::Dead, Final::Parked].iter().any(|end| end.as_str() == state);
    known.then(|| Tombstone {
        workflow_id: id.to_owned(),
        step: STEP.to_owned(),
        message_id: message_id.clone(),
        state: state.clone(),
        reason: reason.clone(),
        task_id: task_id.clone(),
        agent: agent.clone(),
        via: via.clone(),
        at: unix_now(),
        copy: copy_of(copy),
    })
}

/// The replication part of INFO.
pub(super) async fn replication(session: &Session) -> Result<String, Error> {
    let mut cmd = Cmd::new();
    cmd.arg("INFO").arg("replication");
    let reply = session.run(&cmd).await?;
    value::text(&reply).map(str::to_owned).ok_or_else(|| Error::unexpected("INFO replication", &reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(newest: &str, added: i64) -> End {
        End { newest: newest.parse().unwrap(), added }
    }

    #[test]
    fn a_stream_made_anew_or_cut_back_is_noticed_and_a_trimmed_one_is_the_same() {
        let place = Place { cursor: "500-0".into(), added: 40 };
        for same in [end("500-0", 40), end("700-1", 55)] {
            assert!(!place.is_beyond(Some(same)), "{same:?}");
        }
        for other in [end("499-9", 39), end("300-0", 41), end("900-0", 3)] {
            assert!(place.is_beyond(Some(other)), "{other:?}");
        }
        assert!(place.is_beyond(None));
        let restarted = Place { added: 0, ..place };
        assert!(!restarted.is_beyond(Some(end("900-0", 3))) && restarted.is_beyond(Some(end("300-0", 3))));
    }

    #[test]
    fn what_came_while_the_stream_was_read_counts_as_added() {
        let mut place = Place { cursor: START.into(), added: 2 };
        let read = ["1-0", "2-0", "3-0"].map(|id| Entry { id: id.parse().unwrap(), fields: Vec::new() });
        place.note_later(&read, Some(end("2-0", 2)));
        assert_eq!(place.added, 3);
        place.note_later(&read, None);
        assert_eq!(place.added, 6);
    }
}
