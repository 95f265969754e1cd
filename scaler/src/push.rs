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
use crate::pace::Pace;
use crate::reading::Activity;
use crate::trigger::Trigger;

/// `true` is repeated this often while there is work.
pub const REPEAT: Duration = Duration::from_secs(10);

/// Each `true` costs KEDA calls to the Kubernetes API: while the state flickers it is told once in this time ...
pub const GAP: Duration = Duration::from_secs(1);

/// ... after so many at once. An edge after a quiet time is never held back.
pub const AT_ONCE: u32 = 3;

/// A stream on which nothing could be told for this long, since there is no reading, ends with OK: the client comes
/// back, perhaps to a replica that can read.
pub const BLIND_FOR: Duration = Duration::from_secs(10);

/// The same where Redis refuses until somebody changes a setting: every replica is refused alike, or one has an older
/// password than the others. Each notices the repair by itself.
pub const REFUSED_FOR: Duration = Duration::from_secs(5 * 60);

/// After this the stream ends with OK, so that clients spread over the scaler's replicas again.
pub const LONGEST: Duration = Duration::from_secs(30 * 60);

/// The course of one stream.
#[derive(Debug)]
pub struct Push {
    feed: Feed,
    trigger: Trigger,
    stop: CancellationToken,
    ends: Instant,
    blind_since: Option<Instant>,
    told: Option<bool>,
    repeat: Instant,
    pace: Pace,
}

impl Push {
    /// Tells the activity of `trigger` as `feed` shows it, until `stop`.
    pub fn new(feed: Feed, trigger: Trigger, stop: CancellationToken) -> Self {
        let (now, pace) = (Instant::now(), Pace::new(GAP, AT_ONCE));
        Self { feed, trigger, stop, ends: now + LONGEST, blind_since: None, told: None, repeat: now, pace }
    }

    /// The next thing to tell: the first state that is known at once, later ones as described above.
    /// `None` ends the stream.
    pub async fn next(&mut self) -> Option<bool> {
        loop {
            let (activity, now) = (self.feed.activity(&self.trigger), Instant::now());
            let end = self.end(activity, now);
            let due = match activity {
                Activity::Known(true) => self.true_due(now),
                Activity::Known(false) if self.told != Some(false) => return self.tell(false),
                Activity::Known(false) | Activity::Refused | Activity::Unknown => end,
            };
            if end <= now {
                return None;
            }
            if due <= now {
                return self.tell(true);
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = sleep_until(due.min(end)) => {}
                changed = self.feed.changed() => changed.ok()?,
            }
        }
    }

    /// When the stream ends if that stays.
    fn end(&mut self, activity: Activity, now: Instant) -> Instant {
        let for_long = match activity {
            Activity::Known(_) => {
                self.blind_since = None;
                return self.ends;
            }
            Activity::Refused => REFUSED_FOR,
            Activity::Unknown => BLIND_FOR,
        };
        let since = *self.blind_since.get_or_insert(now);
        self.ends.min(since + for_long)
    }

    fn true_due(&self, now: Instant) -> Instant {
        if self.told == Some(true) {
            return self.repeat;
        }
        self.pace.free_at().map_or(now, Instant::from_std)
    }

    fn tell(&mut self, active: bool) -> Option<bool> {
        self.told = Some(active);
        if active {
            let now = Instant::now();
            self.pace.take(now.into_std());
            self.repeat = now + REPEAT;
        }
        self.told
    }
}

#[cfg(test)]
mod tests;
