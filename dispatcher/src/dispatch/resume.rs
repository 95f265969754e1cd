//! Going on with an incident that somebody may have sent.

use std::time::Duration;

use super::decision::{Closed, Seen, Step, Via};
use super::dispatcher::{Dispatcher, Next, Stop, Work, act};
use super::find::Search;
use super::record::{self, Run, Since};

impl Dispatcher {
    /// Finds out whether the agent has it, and decides.
    pub(super) async fn resume(&self, work: &mut Work<'_>, run: Run, since: Since) -> Result<Next, Stop> {
        if let Some((waited, words)) = &since.closed {
            let step = self.decide(work, run.attempts, &Seen::Closed(Closed::Open, *waited, words));
            return if step == Step::Move { self.move_away(work).await } else { Ok(act(work, run, false, step)) };
        }
        let search = self.search(work, &run, &since).await?;
        if !matches!(search, Search::Blind) {
            return self.found(work, run, search, false).await;
        }
        match self.decide(work, run.attempts, &Seen::Blind { quiet: false }) {
            Step::WaitALease => {}
            step => return Ok(act(work, run, false, step)),
        }
        if !self.untouched_for_a_lease(work, since.taken_at).await? {
            return Ok(Next::Again(Duration::ZERO));
        }
        // What is about to be done may be a second run: what was learned of the agent earlier is not enough.
        work.contact.forget_lists();
        let search = self.search(work, &run, &since).await?;
        self.found(work, run, search, true).await
    }

    async fn found(&self, work: &mut Work<'_>, run: Run, search: Search, quiet: bool) -> Result<Next, Stop> {
        let (run, step) = match search {
            Search::Found(run, task) => {
                let step = self.decide(work, run.attempts, &Seen::Task(&task, Via::Look));
                (run, step)
            }
            Search::NotThere => {
                let step = self.decide(work, run.attempts, &Seen::NotThere { unheard: work.unheard });
                (run, step)
            }
            Search::Blind => {
                let step = self.decide(work, run.attempts, &Seen::Blind { quiet });
                (run, step)
            }
            Search::Failed { class, silent, mut trouble } => {
                if let Step::Wait(blame) = self.decide(work, run.attempts, &Seen::LookFailed { class, silent }) {
                    trouble.blame = blame;
                }
                return self.not_reached(work, run, false, &trouble).await;
            }
        };
        Ok(act(work, run, false, step))
    }

    /// Waits until nobody has written the record for one lease, counted from our take.
    async fn untouched_for_a_lease(&self, work: &Work<'_>, since: i64) -> Result<bool, Stop> {
        self.rest(work.held, self.settings.lease).await?;
        // Whoever is at it could not say so while Redis took no writes.
        if !work.held.is_steady(self.settings.lease) {
            return Ok(false);
        }
        let cmd = record::last_written(&work.subject);
        loop {
            if let Some(session) = self.link.current()
                && let Ok(reply) = session.run(&cmd).await
            {
                return Ok(record::unchanged_since(&reply, &work.subject) == Some(since));
            }
            self.pause(work.held, Duration::from_millis(200)).await?;
        }
    }
}
