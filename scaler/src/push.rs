//! `StreamIsActive`: activity told as it changes.
//!
//! `true` wakes workers without waiting for the next poll, and is repeated because KEDA drops it while its own
//! records are not up yet. KEDA before 2.18 scales to zero on `false`, whatever other triggers say, so it is told
//! once per change and never while the state is not known. The stream ends with OK, the only end after which KEDA
//! connects again without a growing delay.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::feed::Feed;
use crate::reading::Verdict;
use crate::trigger::Trigger;

/// `true` is repeated this often while there is work.
pub const REPEAT: Duration = Duration::from_secs(10);

/// Two `true` are at least this far apart: each costs KEDA calls to the Kubernetes API.
pub const GAP: Duration = Duration::from_secs(1);

/// After this the stream ends with OK, so that clients spread over the scaler's replicas again.
pub const LONGEST: Duration = Duration::from_secs(30 * 60);

/// The course of one stream.
#[derive(Debug)]
pub struct Push {
    feed: Feed,
    trigger: Trigger,
    stop: CancellationToken,
    ends: Instant,
    told: Option<bool>,
    told_true: Option<Instant>,
}

impl Push {
    /// Tells the activity of `trigger` as `feed` shows it, until `stop`.
    pub fn new(feed: Feed, trigger: Trigger, stop: CancellationToken) -> Self {
        Self { feed, trigger, stop, ends: Instant::now() + LONGEST, told: None, told_true: None }
    }

    /// The next thing to tell: the first state that is known at once, later ones as described above.
    /// `None` ends the stream.
    pub async fn next(&mut self) -> Option<bool> {
        loop {
            let due = match self.active() {
                Some(true) => self.true_due(),
                Some(false) if self.told != Some(false) => return self.tell(false),
                Some(false) | None => self.ends,
            };
            if due <= Instant::now() && due < self.ends {
                return self.tell(true);
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = sleep_until(self.ends) => return None,
                () = sleep_until(due.min(self.ends)) => {}
                changed = self.feed.changed() => changed.ok()?,
            }
        }
    }

    fn active(&self) -> Option<bool> {
        match self.feed.verdict() {
            Verdict::Known(counts) => Some(counts.active(&self.trigger)),
            Verdict::Failed(_) | Verdict::Unknown => None,
        }
    }

    fn true_due(&self) -> Instant {
        let pause = if self.told == Some(true) { REPEAT } else { GAP };
        self.told_true.map_or_else(Instant::now, |told| told + pause)
    }

    fn tell(&mut self, active: bool) -> Option<bool> {
        self.told = Some(active);
        if active {
            self.told_true = Some(Instant::now());
        }
        self.told
    }
}

#[cfg(test)]
mod tests;
