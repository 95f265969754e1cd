//! Following a run to its end.

use std::time::Duration;

use a2a::GetError;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::decision::{Pace, Seen, Step, Via};
use super::dispatcher::{Dispatcher, Ending, Stop, Work};
use super::find::Search;
use super::record::Run;
use super::send::headers;

const FIRST_POLL: Duration = Duration::from_millis(100);
const LONGEST_POLL: Duration = Duration::from_secs(15);
/// After an answer that somebody has to mend, or that the agent's store has to catch up with.
const SLOW_POLL: Duration = Duration::from_secs(6);

impl Dispatcher {
    /// Polls the task until it is over. Losing the lease does not end this: an outcome that is known
    /// is recorded all the same. Redis is not needed here. `for_so_long`: how long it has been running.
    pub(super) async fn follow(&self, work: Work<'_>, mut run: Run, for_so_long: Duration) -> Result<Ending, Stop> {
        let deadline = Instant::now() + work.contact.profile.run_deadline.saturating_sub(for_so_long);
        let (mut usual, mut misses) = (FIRST_POLL, 0);
        let mut delay = jittered(usual);
        loop {
            let turn = self.next_poll(&work, delay.min(deadline.saturating_duration_since(Instant::now()))).await?;
            usual = (usual * 3 / 2).min(LONGEST_POLL);
            let (mut step, wish) = Box::pin(self.look_at(&work, &run, &mut misses)).await;
            drop(turn);
            if step == Step::Search {
                step = Box::pin(self.look_for_lost(&work, &mut run, &mut misses)).await;
            }
            if !matches!(step, Step::Finish(_)) && Instant::now() >= deadline {
                Box::pin(self.cancel(&work, &run)).await;
                step = self.decide(&work, run.attempts, &Seen::Overdue);
            }
            let own = match step {
                Step::Finish(outcome) => return Ok(Self::finish(work.held, work.subject, run, outcome)),
                Step::PollAgain(Pace::Slow) => SLOW_POLL,
                _ => usual,
            };
            delay = jittered(own).max(wish.unwrap_or_default());
        }
    }

    async fn next_poll<'a>(&self, work: &'a Work<'_>, delay: Duration) -> Result<Option<SemaphorePermit<'a>>, Stop> {
        let turn = async {
            tokio::time::sleep(delay).await;
            self.pace.next().await;
            work.contact.turns.poll().await
        };
        tokio::select! {
            turn = turn => Ok(turn),
            () = self.stops.last_call.cancelled() => Err(Stop::GiveBack),
        }
    }

    /// One poll, and how long the agent wants to be left alone.
    async fn look_at(&self, work: &Work<'_>, run: &Run, misses: &mut u32) -> (Step, Option<Duration>) {
        self.metrics.poll();
        let task_id = run.task_id.as_deref().unwrap_or_default();
        match work.contact.agent.get(task_id, run.wire, &headers(work.order)).await {
            Ok(task) => {
                *misses = 0;
                (self.decide(work, run.attempts, &Seen::Task(&task, Via::Look)), None)
            }
            Err(GetError::NotFound(failure)) => {
                *misses += 1;
                let words = failure.to_string();
                let seen = Seen::TaskUnknown { misses: *misses, searched: false, words: &words };
                (self.decide(work, run.attempts, &seen), None)
            }
            Err(error) => {
                tracing::debug!(workflow_id = %work.subject.workflow_id, %error, "poll failed");
                (self.decide(work, run.attempts, &Seen::PollFailed(error.class())), error.retry_after())
            }
        }
    }

    /// The agent does not know the task; perhaps it knows another one for our message.
    async fn look_for_lost(&self, work: &Work<'_>, run: &mut Run, misses: &mut u32) -> Step {
        match self.look(work, run).await {
            Search::Found(found, task) => {
                (*run, *misses) = (found, 0);
                self.decide(work, run.attempts, &Seen::Task(&task, Via::Look))
            }
            Search::Failed { class, .. } => {
                *misses -= 1;
                self.decide(work, run.attempts, &Seen::PollFailed(class))
            }
            Search::NotThere | Search::Blind => {
                let words = run.task_id.clone().unwrap_or_default();
                self.decide(work, run.attempts, &Seen::TaskUnknown { misses: *misses, searched: true, words: &words })
            }
        }
    }

    /// Once, as well as it can be done: many agents cannot cancel.
    async fn cancel(&self, work: &Work<'_>, run: &Run) {
        let task_id = run.task_id.as_deref().unwrap_or_default();
        if let Err(error) = work.contact.agent.cancel(task_id, &headers(work.order)).await {
            tracing::debug!(workflow_id = %work.subject.workflow_id, %error, "the overdue task is not canceled");
        }
    }
}

/// Plus or minus a fifth, so that runs that began together are not polled together.
fn jittered(delay: Duration) -> Duration {
    delay.mul_f64(0.8 + 0.4 * fastrand::f64())
}
