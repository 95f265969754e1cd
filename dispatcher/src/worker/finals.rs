//! What was lately finished, for the case that Redis forgets it. On another history it is finished again before
//! anything is claimed or read there; in the present one when records are missing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::Cmd;
use redis_stream::connection::Session;
use redis_stream::error::{Class, Error};
use redis_stream::value;

use crate::dispatch::names::Names;
use crate::dispatch::outcome::Final;
use crate::dispatch::record::{self, Finish};
use crate::metrics::Metrics;

/// How long a replica may have been behind: what is older has survived, or the hook's outbox knows it.
const KEEP: Duration = Duration::from_secs(5 * 60);
/// Outcomes that are kept, at most.
const MOST: usize = 2_000;
/// And their bytes, about.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Outcomes of one round trip at most.
const BATCH: usize = 100;

/// The outcomes that this process has recorded lately, oldest first.
#[derive(Debug, Default)]
pub(super) struct Finals(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    items: VecDeque<Item>,
    bytes: usize,
}

/// An outcome, and its copy's id or nothing.
type Known = (Arc<Finish>, String);

#[derive(Debug)]
struct Item {
    finish: Arc<Finish>,
    /// The dead letter or parked copy, as far as it is known.
    copy: String,
    /// The history that has it, and since when.
    history: String,
    since: Instant,
    bytes: usize,
}

impl Finals {
    /// Redis has it, in the history of this connection; `copy`: the id of its dead letter or parked copy, if known.
    pub(super) fn keep(&self, finish: Finish, copy: Option<&String>, session: &Session) {
        let copy = copy.cloned().unwrap_or_default();
        self.lock().push(finish, copy, session.replid(), Instant::now());
    }

    /// Finishes again what the history of this connection may not have. An error means that this connection cannot; what
    /// Redis refuses by itself is tried again with the next renewal.
    pub(super) async fn write_back(&self, session: &Session, names: &Names, metrics: &Metrics) -> Result<(), Error> {
        let history = session.replid();
        let (mut again, known) = {
            let mut kept = self.lock();
            kept.forget(history, Instant::now());
            kept.by_history(history)
        };
        if is_any_missing(session, &known).await? {
            again.extend(known);
        }
        for batch in again.chunks(BATCH) {
            let calls: Vec<_> = batch.iter().map(|(finish, copy)| record::finish_again(names, finish, copy)).collect();
            for ((finish, _), reply) in batch.iter().zip(session.invoke_all(&calls).await?) {
                match reply {
                    Ok(reply) => self.written(history, finish, &record::words(&reply), metrics),
                    Err(error) => {
                        metrics.redis_error(error.class());
                        tracing::warn!(workflow_id = finish.subject.workflow_id, %error, "not written back yet");
                    }
                }
            }
        }
        Ok(())
    }

    fn written(&self, history: &str, finish: &Arc<Finish>, words: &[String], metrics: &Metrics) {
        let forgotten = words.first().is_some_and(|word| word == "finished");
        self.lock().now_in(history, finish, words.get(2).filter(|_| forgotten), Instant::now());
        if forgotten {
            metrics.final_written_back();
            let (workflow_id, reason) = (&finish.subject.workflow_id, finish.outcome.reason.as_str());
            tracing::warn!(workflow_id, reason, "an outcome that Redis had forgotten was written back");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `TOUCH` counts the keys that are there, and keeps them from eviction.
async fn is_any_missing(session: &Session, known: &[Known]) -> Result<bool, Error> {
    if known.is_empty() {
        return Ok(false);
    }
    let records: Vec<_> = known.iter().map(|(finish, _)| finish.subject.record()).collect();
    let mut cmd = Cmd::new();
    cmd.arg("TOUCH").arg(&records);
    let there = match session.run(&cmd).await {
        // Without the permission nobody can tell; the work goes on.
        Err(error) if error.class() == Class::Configuration => return Ok(false),
        there => there?,
    };
    let there = value::int(&there).and_then(|count| usize::try_from(count).ok());
    // A key that is named twice counts twice.
    Ok(there.is_none_or(|there| there < records.len()))
}

impl Kept {
    fn push(&mut self, mut finish: Finish, copy: String, history: &str, now: Instant) {
        if finish.outcome.reason.ends() == Final::Settled {
            // Only copies have the entry's fields.
            finish.fields = Vec::new();
        }
        let bytes = size(&finish);
        self.bytes += bytes;
        self.items.push_back(Item { finish: Arc::new(finish), copy, history: history.to_owned(), since: now, bytes });
        while self.items.len() > MOST || self.bytes > MOST_BYTES {
            self.drop_oldest();
        }
    }

    /// Drops what this history has had for long enough. What another history had stays, however long Redis was away.
    fn forget(&mut self, history: &str, now: Instant) {
        while self.items.front().is_some_and(|item| item.history == history && now.duration_since(item.since) > KEEP) {
            self.drop_oldest();
        }
    }

    /// What other histories had, and what this one has.
    fn by_history(&self, history: &str) -> (Vec<Known>, Vec<Known>) {
        let known = |item: &Item| (Arc::clone(&item.finish), item.copy.clone());
        let (own, others): (Vec<_>, Vec<_>) = self.items.iter().partition(|item| item.history == history);
        (others.into_iter().map(known).collect(), own.into_iter().map(known).collect())
    }

    /// It may be lost from this history too: its time begins anew where it comes from another.
    fn now_in(&mut self, history: &str, finish: &Arc<Finish>, copy: Option<&String>, now: Instant) {
        let Some(item) = self.items.iter_mut().find(|item| Arc::ptr_eq(&item.finish, finish)) else { return };
        if let Some(copy) = copy {
            item.copy.clone_from(copy);
        }
        if item.history != history {
            history.clone_into(&mut item.history);
            item.since = now;
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(item) = self.items.pop_front() {
            self.bytes -= item.bytes;
        }
    }
}

fn size(finish: &Finish) -> usize {
    /// Ids, names and the room of the structures themselves.
    const BESIDES: usize = 1024;
    let fields: usize = finish.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    let outcome = &finish.outcome;
    BESIDES + fields + outcome.error.len() + outcome.result.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::outcome::{Outcome, Reason};
    use crate::dispatch::record::{Run, Subject};

    fn finish(id: &str, reason: Reason, text: usize) -> Finish {
        Finish {
            subject: Subject { workflow_id: id.into(), step: "investigation".into(), entry_id: "1-0".into() },
            run: Run {
                message_id: format!("{id}-investigation"),
                context_id: String::new(),
                task_id: None,
                wire: None,
                agent: "kagent/a".into(),
                attempts: 1,
            },
            outcome: Outcome::new(reason, ""),
            fields: vec![(b"text".to_vec(), vec![b'x'; text])],
            acknowledge: true,
            via: "stream",
        }
    }

    fn lacking(kept: &Kept, history: &str) -> Vec<String> {
        let (others, _) = kept.by_history(history);
        others.iter().map(|(finish, _)| finish.subject.workflow_id.clone()).collect()
    }

    #[test]
    fn what_one_history_has_is_lacking_in_another() {
        let (mut kept, now) = (Kept::default(), Instant::now());
        kept.push(finish("a", Reason::Failed, 1), "9-0".into(), "one", now);
        kept.push(finish("b", Reason::Completed, 1), "9-0".into(), "two", now);
        assert_eq!(lacking(&kept, "two"), ["a"]);
        let (a, copy) = kept.by_history("two").0.remove(0);
        assert_eq!(copy, "9-0");
        kept.now_in("two", &a, Some(&"10-0".to_owned()), now);
        assert!(lacking(&kept, "two").is_empty());
        assert_eq!(lacking(&kept, "three"), ["a", "b"]);
        assert_eq!(kept.by_history("two").1.first().map(|(_, copy)| copy.as_str()), Some("10-0"));
    }

    #[test]
    fn time_counts_only_while_its_history_lives() {
        let (mut kept, now) = (Kept::default(), Instant::now());
        kept.push(finish("a", Reason::Failed, 1), "9-0".into(), "one", now);
        let later = now + KEEP * 2;
        kept.forget("two", later);
        assert_eq!(lacking(&kept, "two"), ["a"], "Redis was away for long");
        kept.forget("one", now + KEEP);
        assert_eq!(kept.items.len(), 1);
        kept.forget("one", later);
        assert_eq!((kept.items.len(), kept.bytes), (0, 0));
    }

    #[test]
    fn it_is_bounded_in_number_and_in_bytes() {
        let (mut kept, now) = (Kept::default(), Instant::now());
        for number in 0..MOST + 10 {
            kept.push(finish(&number.to_string(), Reason::Completed, 1 << 20), "9-0".into(), "one", now);
        }
        assert_eq!(kept.items.len(), MOST, "settled ones keep no fields");
        for number in 0..20 {
            kept.push(finish(&number.to_string(), Reason::Failed, 1 << 20), "9-0".into(), "one", now);
        }
        assert!(kept.bytes <= MOST_BYTES && kept.items.len() < 10, "{} in {}", kept.items.len(), kept.bytes);
        kept.push(finish("huge", Reason::Failed, MOST_BYTES + 1), "9-0".into(), "one", now);
        assert_eq!((kept.items.len(), kept.bytes), (0, 0), "larger than all the room there is");
    }
}
