//! Finding out whether an agent already has an incident.

use std::time::{Duration, Instant};

use a2a::{Cause, Class, ListError, Task};
use http::HeaderMap;

use super::decision::Blame;
use super::dispatcher::{Dispatcher, Stop, Work};
use super::profile::Recovery;
use super::record::{Run, Since};
use super::send::headers;
use super::waits::Trouble;

/// An agent stores its tasks a moment after it has answered: "not there" is an answer only when a send that is known to
/// have been possible is so long ago, and was looked for as long.
const RECENTLY: Duration = Duration::from_secs(2);
/// The same for what somebody may have sent under an earlier history: its last moment is the present one's first, at most.
const HISTORY_SETTLES: Duration = Duration::from_millis(1200);
/// Looks at most for one answer, whatever becomes of the connection meanwhile.
const MOST_LOOKS: usize = 4;

/// What the agent says.
pub(super) enum Search {
    /// It has it.
    Found(Run, Task),
    /// It has not.
    NotThere,
    /// It cannot be asked.
    Blind,
    /// It was asked and gave no usable answer. `silent`: it gave none at all in time.
    Failed { class: Class, silent: bool, trouble: Trouble },
}

impl Dispatcher {
    /// Looks for the run's message among the agent's tasks.
    pub(super) async fn search(&self, work: &Work<'_>, run: &Run, since: &Since) -> Result<Search, Stop> {
        // What was sent under an earlier history was sent before the present connection was opened.
        let history = || self.link.current().map_or(Duration::ZERO, |session| session.age());
        // A look that is too early to be believed is for nothing, unless it finds a known send.
        let mut rest =
            if since.quiet.is_none() { until_long_ago(history(), None, Duration::ZERO) } else { Duration::ZERO };
        let begun = Instant::now();
        for _ in 1..MOST_LOOKS {
            if !rest.is_zero() {
                self.pause(work.held, rest).await?;
            }
            let search = self.look(work, run).await;
            rest = until_long_ago(history(), since.quiet, begun.elapsed());
            if !matches!(search, Search::NotThere) || rest.is_zero() {
                return Ok(search);
            }
        }
        self.pause(work.held, rest).await?;
        Ok(self.look(work, run).await)
    }

    /// One look.
    pub(super) async fn look(&self, work: &Work<'_>, run: &Run) -> Search {
        if work.contact.lists() == Some(false) {
            return Search::Blind;
        }
        let headers = headers(work.order);
        let asking = async {
            let _turn = work.contact.turns.send().await;
            let begun = Instant::now();
            let found = work.contact.agent.find(&run.context_id, &run.message_id, &headers).await;
            (found, begun.elapsed())
        };
        // Without a slot: an agent that is slow to answer keeps none from the incidents of others.
        let (found, lasted) = work.held.rest(asking).await;
        match found {
            Ok(Some(task)) => {
                work.contact.set_lists(true);
                let run = Run {
                    context_id: task.context_id.clone().unwrap_or_else(|| run.context_id.clone()),
                    task_id: Some(task.id.clone()),
                    wire: work.contact.agent.wire().or(run.wire),
                    ..run.clone()
                };
                work.held.remember(&work.subject, &run);
                self.record_accepted(work, &run, false).await;
                Search::Found(run, task)
            }
            Ok(None) => {
                work.contact.set_lists(true);
                Search::NotThere
            }
            // One that is known to list says so in passing only.
            Err(ListError::Unsupported(_)) if work.contact.profile.recovery != Recovery::List => {
                work.contact.set_lists(false);
                Search::Blind
            }
            Err(error) => {
                let (blame, words) = (Blame::Incident, error.to_string());
                let trouble = Trouble { blame, words, retry_after: error.retry_after(), lasted };
                let silent = matches!(error.failure().cause(), Cause::Timeout(_));
                Search::Failed { class: error.class(), silent, trouble }
            }
        }
    }

    /// The agent neither lists its tasks nor recognises a message. Found out by asking for a context that nobody has.
    pub(super) async fn is_blind(&self, work: &Work<'_>) -> bool {
        let contact = work.contact;
        if contact.recognises() {
            return false;
        }
        if contact.lists().is_none() {
            let asking = contact.find_out_whether_it_lists(self.settings.lease, self.ask_for_nothing(work));
            work.held.rest(asking).await;
        }
        contact.lists() == Some(false)
    }

    /// Whether the agent has a list, by its answer about a context that nobody has.
    async fn ask_for_nothing(&self, work: &Work<'_>) -> Option<bool> {
        let nobody = uuid::Uuid::new_v4().to_string();
        let _turn = work.contact.turns.send().await;
        match work.contact.agent.find(&nobody, &nobody, &HeaderMap::new()).await {
            Ok(_) => Some(true),
            Err(ListError::Unsupported(_)) => Some(false),
            Err(error) => {
                tracing::debug!(agent = %work.contact.name, %error, "cannot find out whether it lists tasks");
                None
            }
        }
    }
}

/// How much longer to look, by the age of the history, the time since the record was written as the search began, and the
/// time since then.
fn until_long_ago(history: Duration, quiet: Option<Duration>, searched: Duration) -> Duration {
    let recent = quiet.is_some_and(|quiet| quiet < RECENTLY);
    let known = if recent { RECENTLY.saturating_sub(searched) } else { Duration::ZERO };
    known.max(HISTORY_SETTLES.saturating_sub(history))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recent_send_and_a_young_history_are_waited_for() {
        let (long, short) = (RECENTLY * 2, HISTORY_SETTLES / 3);
        assert_eq!(until_long_ago(long, None, short), Duration::ZERO);
        assert_eq!(until_long_ago(long, Some(long), short), Duration::ZERO);
        assert_eq!(until_long_ago(short, Some(long), Duration::ZERO) + short, HISTORY_SETTLES);
        assert_eq!(until_long_ago(long, Some(short), Duration::ZERO), RECENTLY);
        assert_eq!(until_long_ago(short, Some(short), RECENTLY) + short, HISTORY_SETTLES);
    }
}
