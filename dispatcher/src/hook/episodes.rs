//! The start of an alert's episode, where Redis cannot be asked: what was heard last of its fingerprint.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

/// Fingerprints that are remembered.
const MOST: usize = 100_000;

/// The newest episodes, bounded.
#[derive(Debug, Default)]
pub(super) struct Episodes {
    starts: HashMap<String, Timestamp>,
    order: VecDeque<String>,
}

impl Episodes {
    /// Notes the start of an episode.
    pub(super) fn note(&mut self, fingerprint: &str, start: Timestamp) {
        if self.starts.insert(fingerprint.to_owned(), start).is_none() {
            self.order.push_back(fingerprint.to_owned());
        }
        while self.order.len() > MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.starts.remove(&oldest);
            }
        }
    }

    /// The start of the episode that an alert with this start belongs to: the one that is known where it lies within
    /// `slack` of it.
    pub(super) fn start_of(&self, fingerprint: &str, start: Timestamp, slack: Duration) -> Timestamp {
        let known = self.starts.get(fingerprint).copied();
        known.filter(|known| known.duration_since(start).unsigned_abs() <= slack).unwrap_or(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_moved_a_little_is_the_same_episode() {
        let (mut episodes, slack) = (Episodes::default(), Duration::from_secs(300));
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        episodes.note("f", at("2026-11-22T10:00:00Z"));
        assert_eq!(episodes.start_of("f", at("2026-11-22T10:04:00Z"), slack), at("2026-11-22T10:00:00Z"));
        assert_eq!(episodes.start_of("f", at("2026-11-22T10:06:00Z"), slack), at("2026-11-22T10:06:00Z"));
        assert_eq!(episodes.start_of("g", at("2026-11-22T10:00:01Z"), slack), at("2026-11-22T10:00:01Z"));
    }
}
