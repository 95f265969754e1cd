//! Delays between tries. The one place that uses the crate `backoff`.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// A series of growing, jittered delays without an end: every caller has its own limit.
#[derive(Debug)]
pub struct Delays {
    backoff: ExponentialBackoff,
    longest: Duration,
}

impl Delays {
    /// Starts at about `first`, doubles, and stays at or below `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self::series(first, longest, longest, 0.5)
    }

    /// Anything from zero to a bound that starts at `first`, doubles, and stays at or below `longest`: callers that
    /// began together come back spread out.
    pub fn full_jitter(first: Duration, longest: Duration) -> Self {
        Self::series(first / 2, longest / 2, longest, 1.0)
    }

    fn series(first: Duration, longest_mean: Duration, longest: Duration, jitter: f64) -> Self {
        let backoff = ExponentialBackoff {
            current_interval: first,
            initial_interval: first,
            randomization_factor: jitter,
            multiplier: 2.0,
            max_interval: longest_mean,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Self { backoff, longest }
    }

    /// How long to wait before the next try. `backoff` adds its jitter after its cap, so the cap
    /// is applied again here.
    pub fn next_delay(&mut self) -> Duration {
        self.backoff.next_backoff().unwrap_or(self.longest).min(self.longest)
    }

    /// The next delay is a first one again.
    pub fn reset(&mut self) {
        self.backoff.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_cap_and_never_end() {
        let (first, longest) = (Duration::from_millis(50), Duration::from_secs(2));
        let mut delays = Delays::new(first, longest);
        let series: Vec<_> = (0..10_000).map(|_| delays.next_delay()).collect();
        assert!(series.iter().all(|delay| *delay >= first / 2 && *delay <= longest));
        assert!(series.iter().skip(10).all(|delay| *delay >= longest / 2));
        delays.reset();
        assert!(delays.next_delay() <= first * 2);
    }

    #[test]
    fn full_jitter_spreads_over_the_whole_range() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(30));
        let mut delays = Delays::full_jitter(first, longest);
        assert!(delays.next_delay() <= first);
        let series: Vec<_> = (0..10_000).map(|_| delays.next_delay()).skip(10).collect();
        assert!(series.iter().all(|delay| *delay <= longest));
        let below = |share: f64| series.iter().filter(|delay| **delay <= longest.mul_f64(share)).count();
        assert!((2_000..3_000).contains(&below(0.25)) && (7_000..8_000).contains(&below(0.75)), "{}", below(0.25));
    }
}
