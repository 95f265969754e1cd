//! What has ended stays so, whatever Redis forgets: final records, dead letters and parked entries are put back.

use std::sync::Arc;

use redis::Cmd;
use redis_stream::connection::Session;
use redis_stream::script::Call;
use redis_stream::value;

use super::item::{Copy, Tombstone};
use super::{Outbox, unix_now};
use crate::dispatch::names::{KEEP_FINAL, Names, OUTCOMES};
use crate::dispatch::outcome::Final;
use crate::dispatch::record;
use crate::dispatch::scripts;
use crate::incident::record_key;
use crate::metrics::Metrics;

/// Tombstones of one round trip.
const BATCH: usize = 100;
/// Arguments before the copy's fields; a script cannot unpack more than some thousands.
const MOST_FIELDS: usize = 3_000;

/// Why a round was not finished.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Redis.
    #[error(transparent)]
    Redis(#[from] redis_stream::error::Error),
    /// The outbox.
    #[error(transparent)]
    Outbox(#[from] super::store::Error),
}

/// Puts back what Redis has forgotten.
pub struct Tombstones {
    names: Arc<Names>,
    outbox: Arc<Outbox>,
    metrics: Metrics,
}

impl Tombstones {
    /// Nothing was put back yet.
    pub fn new(names: Arc<Names>, outbox: Arc<Outbox>, metrics: Metrics) -> Self {
        Self { names, outbox, metrics }
    }

    /// Looks at the latest ones only.
    pub async fn latest(&self, session: &Session) -> Result<(), Error> {
        for batch in self.outbox.latest().await?.chunks(BATCH) {
            self.put_back(session, batch.to_vec()).await?;
        }
        Ok(())
    }

    /// Goes through all of them. `anew`: Redis has another history than before, or has forgotten outcomes, so each record is looked at; otherwise
    /// only those that are missing are.
    pub async fn round(&self, session: &Session, anew: bool) -> Result<(), Error> {
        let (mut after, mut count) = (String::new(), 0_u64);
        loop {
            let from = after.clone();
            let batch = self.outbox.read(move |store| store.tombstones_after(&from, BATCH)).await?;
            let Some(last) = batch.last() else { break };
            after = last.key();
            let oldest = unix_now() - i64::try_from(self.outbox.settings().keep.as_secs()).unwrap_or(i64::MAX);
            let (young, old): (Vec<_>, Vec<_>) = batch.into_iter().partition(|tombstone| tombstone.at > oldest);
            self.outbox.forget(old.iter().map(Tombstone::key).collect());
            count += u64::try_from(young.len()).unwrap_or(0);
            let doubtful = if anew { young } else { self.doubtful(session, young).await? };
            self.put_back(session, doubtful).await?;
        }
        self.metrics.tombstones(count);
        Ok(())
    }

    /// Those whose record is missing, and those that have a copy, which may be.
    async fn doubtful(&self, session: &Session, batch: Vec<Tombstone>) -> Result<Vec<Tombstone>, Error> {
        let mut exists = Cmd::new();
        exists.arg("EXISTS");
        for tombstone in &batch {
            exists.arg(record_key(&tombstone.workflow_id, &tombstone.step));
        }
        if batch.is_empty() {
            return Ok(batch);
        }
        let there = value::int(&session.run(&exists).await?).and_then(|count| usize::try_from(count).ok());
        if there == Some(batch.len()) {
            return Ok(batch.into_iter().filter(Tombstone::has_copy).collect());
        }
        Ok(batch)
    }

    async fn put_back(&self, session: &Session, batch: Vec<Tombstone>) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let calls: Vec<_> = batch.iter().map(|tombstone| self.restore(tombstone)).collect();
        let replies = session.invoke_all(&calls).await?;
        let mut moved = Vec::new();
        for (mut tombstone, reply) in batch.into_iter().zip(replies) {
            let words = match reply {
                Ok(reply) => record::words(&reply),
                Err(error) => {
                    self.metrics.redis_error(error.class());
                    tracing::warn!(workflow_id = %tombstone.workflow_id, %error, "cannot be put back");
                    continue;
                }
            };
            let [what, id] = words.as_slice() else { continue };
            if what == "restored" || what == "copied" {
                self.metrics.restored(if what == "restored" { "record" } else { "copy" });
                tracing::warn!(workflow_id = %tombstone.workflow_id, what, "Redis had forgotten an end; it was put back");
            }
            if let Some(copy) = &mut tombstone.copy
                && copy.id != *id
            {
                copy.id.clone_from(id);
                moved.push(tombstone);
            }
        }
        if !moved.is_empty() {
            self.outbox.keep(moved, None).await;
        }
        Ok(())
    }

    fn restore(&self, tombstone: &Tombstone) -> Call<'static> {
        let copies = match tombstone.state.as_str() {
            state if state == Final::Dead.as_str() => &self.names.dead_letters,
            state if state == Final::Parked.as_str() => &self.names.parked,
            _ => OUTCOMES,
        };
        let call = scripts::RESTORE
            .call()
            .key(record_key(&tombstone.workflow_id, &tombstone.step))
            .key(copies)
            .arg(&tombstone.state)
            .arg(&tombstone.reason)
            .arg(&tombstone.message_id)
            .arg(&tombstone.task_id)
            .arg(&tombstone.agent)
            .arg(&tombstone.via)
            .number(KEEP_FINAL.as_secs())
            .arg(tombstone.copy.as_ref().map_or("", |copy| copy.id.as_str()));
        let fields = tombstone.copy.iter().flat_map(|Copy { fields, .. }| fields).take(MOST_FIELDS);
        fields.fold(call, |call, (name, value)| call.arg(name.as_bytes()).arg(value.as_bytes()))
    }
}
