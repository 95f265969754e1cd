//! Records outcomes and acknowledges their entries, in batches, until Redis has them. A failure here
//! never leads to another dispatch.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use redis_stream::entry::Entry;
use redis_stream::error::Error;
use redis_stream::retry::Delays;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::crew::{Crew, Guard};
use crate::dispatch::outcome::{Final, Outcome};
use crate::dispatch::record::{self, Finish};

/// Verdicts of one round trip at most.
const BATCH: usize = 100;

/// What is to be recorded.
pub enum Verdict {
    /// The outcome of an incident.
    Finish(Box<Finish>),
    /// An entry that names no incident.
    Bury(Entry, Outcome),
}

/// A verdict with the entry and the slot that wait for it.
pub struct Finished {
    pub(super) verdict: Verdict,
    pub(super) guard: Guard,
    pub(super) slot: OwnedSemaphorePermit,
}

/// Runs until every dispatch has ended and every verdict is recorded, or the process ends.
pub async fn run(crew: Arc<Crew>, mut queue: mpsc::Receiver<Finished>) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            count = queue.recv_many(&mut batch, BATCH) => if count == 0 { return },
            () = crew.life.finished().cancelled() => return,
        }
        let mut delays = Delays::new(Duration::from_millis(20), Duration::from_secs(2));
        loop {
            batch = record_all(&crew, batch).await;
            if batch.is_empty() {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(delays.next_delay()) => {}
                () = crew.life.finished().cancelled() => return report_unrecorded(&batch),
            }
        }
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
        if let Some(finished) = judge(crew, finished, reply) {
            left.push(finished);
        }
    }
    left
}

fn judge(crew: &Crew, finished: Finished, reply: Result<Value, Error>) -> Option<Finished> {
    match reply {
        Ok(reply) => {
            announce(crew, &finished, &record::words(&reply));
            drop((finished.guard, finished.slot));
            None
        }
        Err(error) => {
            crew.metrics.redis_error(error.class());
            tracing::warn!(%error, entry = %finished.guard.held.entry.id, "the outcome is not recorded yet");
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
