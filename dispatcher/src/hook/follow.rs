//! Following a direct run to its end, or until a worker has it.

use std::time::Duration;

use a2a::{GetError, Task};
use http::HeaderMap;
use redis_stream::retry::Delays;
use tokio::time::Instant;

use super::direct::Direct;
use crate::dispatch::agents::Contact;
use crate::dispatch::decision;
use crate::dispatch::outcome::{Outcome, Reason};
use crate::dispatch::record::Run;
use crate::outbox::item::{Offer, Stage};

/// An agent may know its task only some seconds after it has answered.
const MISSES: u32 = 5;

impl Direct {
    /// Polls until there is an end.
    pub(super) async fn follow(&self, id: &str, run: Run, contact: &Contact) {
        let mut delays = Delays::new(Duration::from_millis(500), Duration::from_secs(15));
        let (deadline, mut misses) = (Instant::now() + contact.profile.run_deadline, 0);
        let task_id = run.task_id.clone().unwrap_or_default();
        loop {
            tokio::select! {
                () = tokio::time::sleep(delays.next_delay()) => {}
                () = self.life.soft().cancelled() => return,
            }
            let mark = self.outbox.find(id);
            if mark.is_none_or(|mark| mark.offer == Offer::Confirmed || mark.stage() != Some(&Stage::Running)) {
                return;
            }
            self.metrics.poll();
            let looked = contact.agent.get(&task_id, run.wire, &HeaderMap::new()).await;
            let mut outcome = end_of(looked, &mut misses);
            if outcome.is_none() && Instant::now() >= deadline {
                // Once, as well as it can be done: many agents cannot cancel.
                let _ = contact.agent.cancel(&task_id, &HeaderMap::new()).await;
                let error = format!("the run was not done after {:?}", contact.profile.run_deadline);
                outcome = Some(Outcome::new(Reason::RunDeadline, error));
            }
            if let Some(outcome) = outcome {
                return self.ended(id, run, outcome).await;
            }
        }
    }
}

fn end_of(looked: Result<Task, GetError>, misses: &mut u32) -> Option<Outcome> {
    match looked {
        Ok(task) => {
            *misses = 0;
            decision::verdict(&task)
        }
        Err(GetError::NotFound(failure)) => {
            *misses += 1;
            let lost = || Outcome::new(Reason::TaskLost, format!("the agent no longer knows its task: {failure}"));
            (*misses >= MISSES).then(lost)
        }
        Err(_) => None,
    }
}
