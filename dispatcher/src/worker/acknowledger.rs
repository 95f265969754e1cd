//! Records outcomes and acknowledges their entries, in batches, until Redis has them. A failure here
//! never leads to another dispatch.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use redis_stream::connection::Session;
use redis_stream::entry::Entry;
use redis_stream::error::{Class, Error};
use redis_stream::retry::Delays;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::crew::{Crew, Guard};
use crate::dispatch::outcome::{Final, Outcome};
use crate::dispatch::record::{self, Finish};

/// Verdicts of one round trip at most.
const BATCH: usize = 100;
/// Verdicts that wait for a person without a slot, at most.
const WITHOUT_SLOT: usize = 1_000;

/// What is to be recorded.
pub enum Verdict {
    /// The outcome of an incident.
    Finish(Box<Finish>),
    /// An entry that names no incident.
    Bury(Entry, Outcome),
}

/// A verdict with the entry and the slot that wait for it.
pub struct Finished {
    verdict: Verdict,
    guard: Guard,
    slot: Option<OwnedSemaphorePermit>,
    refused: bool,
}

impl Finished {
    /// A verdict that was not offered yet.
    pub(super) fn new(verdict: Verdict, guard: Guard) -> Self {
        let slot = guard.held.take_slot();
        Self { verdict, guard, slot, refused: false }
    }
}

/// Runs until the process ends. What Redis does not take is tried again by itself, so that it does not hold up what
/// comes after it.
pub async fn run(crew: Arc<Crew>, mut queue: mpsc::Receiver<Finished>) {
    let (mut new, mut left) = (Vec::with_capacity(BATCH), Vec::new());
    let mut delays = Delays::new(Duration::from_millis(20), Duration::from_secs(2));
    let mut retry_at = Instant::now();
    loop {
        tokio::select! {
            _ = queue.recv_many(&mut new, BATCH) => left.extend(record_all(&crew, std::mem::take(&mut new)).await),
            () = tokio::time::sleep_until(retry_at), if !left.is_empty() => {
                left = retry(&crew, left).await;
                retry_at = Instant::now() + delays.next_delay();
            }
            () = crew.life.finished().cancelled() => return report_unrecorded(&left),
        }
        if left.is_empty() {
            delays.reset();
        }
        free_slots(&mut left);
    }
}

/// Everything that is left, batch by batch; answers what is left then.
async fn retry(crew: &Crew, mut waiting: Vec<Finished>) -> Vec<Finished> {
    let mut left = Vec::new();
    // Without a connection every batch would wait for one in turn, and what is new with them.
    while !waiting.is_empty() && crew.link.current().is_some() {
        let rest = waiting.split_off(waiting.len().min(BATCH));
        left.extend(record_all(crew, waiting).await);
        waiting = rest;
    }
    left.extend(waiting);
    left
}

/// A verdict that needs a person first (a key of another type, a missing permission) keeps its entry and gives up its
/// slot. Their number is bounded: beyond it they keep their slots, and the worker takes nothing more.
fn free_slots(left: &mut [Finished]) {
    let without = left.iter().filter(|finished| finished.slot.is_none()).count();
    let refused = left.iter_mut().filter(|finished| finished.refused && finished.slot.is_some());
    for finished in refused.take(WITHOUT_SLOT.saturating_sub(without)) {
        finished.slot = None;
    }
}

/// One round trip; answers what Redis has not taken.
async fn record_all(crew: &Crew, batch: Vec<Finished>) -> Vec<Finished> {
    let Ok(session) = crew.link.session(Duration::from_secs(1)).await else { return batch };
    let calls: Vec<_> = batch
        .iter()
        .map(|finished| match &finished.verdict {
            Verdict::Finish(finish) => record::finish(&crew.names, finish),
            Verdict::Bury(entry, outcome) => record::bury(&crew.names, entry, outcome),
        })
        .collect();
    let replies = match session.invoke_all(&calls).await {
        Ok(replies) => replies,
        Err(error) => {
            crew.metrics.redis_error(error.class());
            tracing::warn!(%error, waiting = batch.len(), "outcomes are not recorded yet");
            return batch;
        }
    };
    let mut left = Vec::new();
    for (finished, reply) in batch.into_iter().zip(replies) {
        if let Some(finished) = judge(crew, &session, finished, reply) {
            left.push(finished);
        }
    }
    left
}

fn judge(crew: &Crew, session: &Session, mut finished: Finished, reply: Result<Value, Error>) -> Option<Finished> {
    match reply {
        Ok(reply) => {
            let words = record::words(&reply);
            announce(crew, &finished, &words);
            let Finished { verdict, guard, slot, .. } = finished;
            // Also what was final already: an answer that was lost is asked for twice.
            if let Verdict::Finish(finish) = verdict
                && matches!(words.first().map(String::as_str), Some("finished" | "already"))
            {
                crew.finals.keep(*finish, words.get(2), session);
            }
            drop((guard, slot));
            None
        }
        Err(error) => {
            crew.metrics.redis_error(error.class());
            if !finished.refused {
                tracing::warn!(%error, entry = %finished.guard.held.entry.id, "the outcome is not recorded yet");
            }
            finished.refused = error.class() == Class::Configuration;
            Some(finished)
        }
    }
}

fn announce(crew: &Crew, finished: &Finished, words: &[String]) {
    let (workflow_id, agent, reason) = match &finished.verdict {
        Verdict::Finish(finish) => {
            (finish.subject.workflow_id.as_str(), finish.run.agent.as_str(), finish.outcome.reason)
        }
        Verdict::Bury(_, outcome) => ("", "", outcome.reason),
    };
    let entry = finished.guard.held.entry.id;
    if !matches!(words.first().map(String::as_str), Some("finished" | "buried")) {
        return tracing::info!(%entry, workflow_id, agent, "somebody else has finished it");
    }
    crew.metrics.outcome(reason);
    crew.room.notify_one();
    if reason.ends() == Final::Settled {
        tracing::info!(%entry, workflow_id, agent, reason = reason.as_str(), "settled");
    } else {
        tracing::warn!(%entry, workflow_id, agent, reason = reason.as_str(), "not settled");
    }
}

fn report_unrecorded(batch: &[Finished]) {
    for finished in batch {
        if let Verdict::Finish(finish) = &finished.verdict {
            tracing::error!(
                workflow_id = finish.subject.workflow_id,
                task_id = finish.run.task_id.as_deref().unwrap_or_default(),
                reason = finish.outcome.reason.as_str(),
                "outcome not recorded; another worker goes on with the task"
            );
        }
    }
}
