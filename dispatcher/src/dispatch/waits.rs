//! What is done with an incident that cannot go to its agent now.

use std::time::Duration;

use super::decision::{Blame, Seen, Step};
use super::dispatcher::{Dispatcher, Next, Stop, Work};
use super::gate::{self, Unsent};
use super::outcome;
use super::record::Run;
use super::send::SHORTLY;

/// Why an agent was not reached.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) blame: Blame,
    pub(super) words: String,
    pub(super) retry_after: Option<Duration>,
    /// How long the try lasted: an agent that was silent for so long has been unreachable for so long.
    pub(super) lasted: Duration,
}

impl Dispatcher {
    /// Takes the attempt back, then waits, hands the entry to the agent's waiting stream, or gives up.
    pub(super) async fn not_reached(
        &self,
        work: &mut Work<'_>,
        before: Run,
        fresh: bool,
        trouble: &Trouble,
    ) -> Result<Next, Stop> {
        self.metrics.wait();
        let pause = outcome::wait(work.delays.next_delay(), trouble.retry_after);
        let Trouble { blame, words, retry_after: wish, lasted } = trouble;
        let how = Unsent { fresh, blame: *blame, pause, wish: *wish, lasted: *lasted, words };
        let call =
            gate::unsent(&self.names, &work.subject, &before, &how, work.contact.profile.limits, self.settings.lease);
        let (waited, stay) = gate::waited(&self.script(work.held, &call).await?);
        if trouble.blame == Blame::Pause {
            tracing::error!(agent = %work.contact.name, error = trouble.words, "the agent is paused: check its bearer token and user id");
        }
        match self.decide(work, before.attempts, &Seen::Waited { waited, stay, words: &trouble.words }) {
            Step::Finish(outcome) => Ok(Next::Ended(before, outcome)),
            Step::Move => self.move_away(work).await,
            _ => Ok(Next::Again(pause)),
        }
    }

    /// To the agent's waiting stream; the entry is not ours any more.
    pub(super) async fn move_away(&self, work: &Work<'_>) -> Result<Next, Stop> {
        let agent = work.contact.name.to_string();
        let call = gate::move_to_waiting(&self.names, &work.subject, &agent, &work.held.entry);
        let reply = self.script(work.held, &call).await?;
        if !gate::has_moved(&reply) {
            // The next take acknowledges it, or finds that it is somebody else's.
            return Ok(Next::Again(SHORTLY));
        }
        self.metrics.moved();
        Err(Stop::Gone)
    }
}
