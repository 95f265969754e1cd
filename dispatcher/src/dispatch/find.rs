//! Finding out whether an agent already has an incident.

use std::time::Duration;

use a2a::ListError;
use http::HeaderMap;

use super::agents::Contact;
use super::dispatcher::{Dispatcher, Stop, Work};
use super::outcome::{self, Outcome};
use super::record::{Run, Since};
use super::send::{WaitReason, headers};

/// An agent stores its tasks a moment after it has answered: where somebody may have sent this
/// recently, look twice before "not there".
const SECOND_LOOK: Duration = Duration::from_millis(500);
const RECENTLY: Duration = Duration::from_secs(2);

/// What the agent says.
pub(super) enum Search {
    /// It has it; the outcome, if its run has ended.
    Found(Run, Option<Outcome>),
    /// It has not.
    NotThere,
    /// It cannot list its tasks.
    CannotTell,
    /// It could not be asked.
    Unreachable(WaitReason),
}

impl Dispatcher {
    /// Looks for the run's message among the agent's tasks.
    pub(super) async fn search(&self, work: &Work<'_>, run: &Run, since: Since) -> Result<Search, Stop> {
        let first = self.look(work, run).await;
        // What was sent under an earlier history was sent before this session began.
        let history = self.link.current().map_or(Duration::ZERO, |session| session.age());
        let long_ago = since.quiet.is_none_or(|quiet| quiet >= RECENTLY) && history >= RECENTLY;
        if !matches!(first, Search::NotThere) || long_ago {
            return Ok(first);
        }
        self.pause(work.held, SECOND_LOOK).await?;
        Ok(self.look(work, run).await)
    }

    async fn look(&self, work: &Work<'_>, run: &Run) -> Search {
        if work.contact.lists() == Some(false) {
            return Search::CannotTell;
        }
        match work.contact.agent.find(&run.context_id, &run.message_id, &headers(work.order)).await {
            Ok(found) => {
                work.contact.set_lists(true);
                work.contact.reached();
                let Some(task) = found else { return Search::NotThere };
                let run = Run {
                    context_id: task.context_id.clone().unwrap_or_else(|| run.context_id.clone()),
                    task_id: Some(task.id.clone()),
                    wire: work.contact.agent.wire().or(run.wire),
                    ..run.clone()
                };
                work.held.remember(&work.subject, &run);
                self.record_accepted(work, &run).await;
                let outcome = outcome::of_task(&task);
                Search::Found(run, outcome)
            }
            Err(ListError::Unsupported(_)) => {
                work.contact.set_lists(false);
                Search::CannotTell
            }
            Err(error) => Search::Unreachable(WaitReason { words: error.to_string(), retry_after: None }),
        }
    }

    /// The agent cannot list its tasks. Found out by asking for a context that nobody has.
    pub(super) async fn is_blind(&self, contact: &Contact) -> bool {
        if contact.lists().is_none() {
            let nobody = uuid::Uuid::new_v4().to_string();
            match contact.agent.find(&nobody, &nobody, &HeaderMap::new()).await {
                Ok(_) => contact.set_lists(true),
                Err(ListError::Unsupported(_)) => contact.set_lists(false),
                Err(error) => tracing::debug!(agent = %contact.name, %error, "cannot find out whether it lists tasks"),
            }
        }
        contact.lists() == Some(false)
    }
}
