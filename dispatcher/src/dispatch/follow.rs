//! Following a run to its end.

use std::time::Duration;

use a2a::GetError;
use tokio::time::Instant;

use super::dispatcher::{Dispatcher, Ending, Stop, Work};
use super::outcome::{self, Outcome, Reason};
use super::record::Run;
use super::send::headers;

const FIRST_POLL: Duration = Duration::from_millis(100);
const LONGEST_POLL: Duration = Duration::from_secs(15);
/// An agent may know its task only some seconds after it has answered (kagent's store is asynchronous).
const MISSES: u32 = 5;
const BETWEEN_MISSES: Duration = Duration::from_secs(6);

impl Dispatcher {
    /// Polls the task until it is over. Losing the lease does not end this: an outcome that is known
    /// is recorded all the same. Redis is not needed here.
    pub(super) async fn follow(&self, work: Work<'_>, run: Run) -> Result<Ending, Stop> {
        let task_id = run.task_id.clone().unwrap_or_default();
        let deadline = Instant::now() + self.settings.run_deadline;
        let headers = headers(work.order);
        let (mut delay, mut misses) = (FIRST_POLL, 0);
        loop {
            tokio::select! {
                () = tokio::time::sleep(jittered(delay)) => {}
                () = self.stops.last_call.cancelled() => return Err(Stop::GiveBack),
            }
            delay = (delay * 3 / 2).min(LONGEST_POLL);
            match work.contact.agent.get(&task_id, run.wire, &headers).await {
                Ok(task) => {
                    work.contact.reached();
                    misses = 0;
                    if let Some(outcome) = outcome::of_task(&task) {
                        return Ok(Self::finish(work.held, work.subject, run, outcome));
                    }
                }
                Err(GetError::NotFound(failure)) => {
                    misses += 1;
                    delay = BETWEEN_MISSES;
                    if misses >= MISSES {
                        let error = format!("the agent no longer knows task {task_id}: {failure}");
                        return Ok(Self::finish(work.held, work.subject, run, Outcome::new(Reason::TaskLost, error)));
                    }
                }
                Err(error) => tracing::debug!(workflow_id = %work.subject.workflow_id, %error, "poll failed"),
            }
            if Instant::now() >= deadline {
                if let Err(error) = work.contact.agent.cancel(&task_id, &headers).await {
                    tracing::debug!(workflow_id = %work.subject.workflow_id, %error, "the overdue task is not canceled");
                }
                let error = format!("task {task_id} was not done after {:?}", self.settings.run_deadline);
                return Ok(Self::finish(work.held, work.subject, run, Outcome::new(Reason::RunDeadline, error)));
            }
        }
    }
}

/// Plus or minus a fifth, so that runs that began together are not polled together.
fn jittered(delay: Duration) -> Duration {
    delay.mul_f64(0.8 + 0.4 * fastrand::f64())
}
