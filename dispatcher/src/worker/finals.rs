//! What was lately finished, for the case that a failover makes Redis forget it: on another history it is finished
//! again, before anything is claimed or read there.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis_stream::connection::Session;
use redis_stream::error::Error;

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

#[derive(Debug)]
struct Item {
    finish: Arc<Finish>,
    /// The history that has it, and since when.
    history: String,
    since: Instant,
    bytes: usize,
}

impl Finals {
    /// Redis has it, in the history of this session.
    pub(super) fn keep(&self, finish: Finish, session: &Session) {
        self.lock().push(finish, session.replid(), Instant::now());
    }

    /// Finishes again what the session's history may not have. An error means that this session cannot; what Redis
    /// refuses by itself is tried again with the next renewal.
    pub(super) async fn write_back(&self, session: &Session, names: &Names, metrics: &Metrics) -> Result<(), Error> {
        let history = session.replid();
        let foreign = {
            let mut kept = self.lock();
            kept.forget(history, Instant::now());
            kept.of_others(history)
        };
        for batch in foreign.chunks(BATCH) {
            let calls: Vec<_> = batch.iter().map(|finish| record::finish(names, finish)).collect();
            let replies = session.invoke_all(&calls).await?;
            for (finish, reply) in batch.iter().zip(replies) {
                match reply {
                    Ok(reply) => {
                        self.lock().now_in(history, finish, Instant::now());
                        if record::words(&reply).first().is_some_and(|word| word == "finished") {
                            metrics.final_written_back();
                            let (workflow_id, reason) = (&finish.subject.workflow_id, finish.outcome.reason.as_str());
                            tracing::warn!(workflow_id, reason, "an outcome that Redis had forgotten was written back");
                        }
                    }
                    Err(error) => {
                        metrics.redis_error(error.class());
                        tracing::warn!(workflow_id = finish.subject.workflow_id, %error, "not written back yet");
                    }
                }
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn push(&mut self, mut finish: Finish, history: &str, now: Instant) {
        if finish.outcome.reason.ends() == Final::Settled {
            // Only copies have the entry's fields.
            finish.fields = Vec::new();
        }
        let bytes = size(&finish);
        self.bytes += bytes;
        self.items.push_back(Item { finish: Arc::new(finish), history: history.to_owned(), since: now, bytes });
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

    fn of_others(&self, history: &str) -> Vec<Arc<Finish>> {
        self.items.iter().filter(|item| item.history != history).map(|item| Arc::clone(&item.finish)).collect()
    }

    /// It may be lost with this history too: its time begins anew.
    fn now_in(&mut self, history: &str, finish: &Arc<Finish>, now: Instant) {
        if let Some(item) = self.items.iter_mut().find(|item| Arc::ptr_eq(&item.finish, finish)) {
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

    fn ids(finals: &[Arc<Finish>]) -> Vec<&str> {
        finals.iter().map(|finish| finish.subject.workflow_id.as_str()).collect()
    }

    #[test]
    fn what_one_history_has_is_lacking_in_another() {
        let (mut kept, now) = (Kept::default(), Instant::now());
        kept.push(finish("a", Reason::Failed, 1), "one", now);
        kept.push(finish("b", Reason::Completed, 1), "two", now);
        assert_eq!(ids(&kept.of_others("two")), ["a"]);
        let a = kept.of_others("two").remove(0);
        kept.now_in("two", &a, now);
        assert!(kept.of_others("two").is_empty());
        assert_eq!(ids(&kept.of_others("three")), ["a", "b"]);
    }

    #[test]
    fn time_counts_only_while_its_history_lives() {
        let (mut kept, now) = (Kept::default(), Instant::now());
        kept.push(finish("a", Reason::Failed, 1), "one", now);
        let later = now + KEEP * 2;
        kept.forget("two", later);
        assert_eq!(ids(&kept.of_others("two")), ["a"], "Redis was away for long");
        kept.forget("one", now + KEEP);
        assert_eq!(kept.items.len(), 1);
        kept.forget("one", later);
        assert_eq!((kept.items.len(), kept.bytes), (0, 0));
    }

    #[test]
    fn it_is_bounded_in_number_and_in_bytes() {
        let (mut kept, now) = (Kept::default(), Instant::now());
        for number in 0..MOST + 10 {
            kept.push(finish(&number.to_string(), Reason::Completed, 1 << 20), "one", now);
        }
        assert_eq!(kept.items.len(), MOST, "settled ones keep no fields");
        for number in 0..20 {
            kept.push(finish(&number.to_string(), Reason::Failed, 1 << 20), "one", now);
        }
        assert!(kept.bytes <= MOST_BYTES && kept.items.len() < 10, "{} in {}", kept.items.len(), kept.bytes);
        kept.push(finish("huge", Reason::Failed, MOST_BYTES + 1), "one", now);
        assert_eq!((kept.items.len(), kept.bytes), (0, 0), "larger than all the room there is");
    }
}
