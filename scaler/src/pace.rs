//! How often something may happen: a few times at once, and rarely in the long run. Pure: the time is an argument.

use std::time::{Duration, Instant};

/// Once in `spacing` in the long run, after up to `burst` at once.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    spacing: Duration,
    burst: u32,
    /// When everything that has happened would have happened at this spacing.
    paid: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(spacing: Duration, burst: u32) -> Self {
        Self { spacing, burst, paid: None }
    }

    /// When it may happen again, absent: at any time.
    pub(crate) fn free_at(&self) -> Option<Instant> {
        self.paid?.checked_sub(self.spacing * self.burst.saturating_sub(1))
    }

    /// It happens now.
    pub(crate) fn take(&mut self, now: Instant) {
        self.paid = Some(self.paid.map_or(now, |paid| paid.max(now)) + self.spacing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it happens in `time` when it is wanted every millisecond.
    fn times(pace: &mut Pace, begin: Instant, time: Duration) -> usize {
        let steps = 0..u64::try_from(time.as_millis()).unwrap();
        steps
            .map(|step| begin + Duration::from_millis(step))
            .filter(|now| {
                let free = pace.free_at().is_none_or(|at| at <= *now);
                if free {
                    pace.take(*now);
                }
                free
            })
            .count()
    }

    #[test]
    fn a_few_at_once_and_then_one_in_each_spacing() {
        let (mut pace, begin) = (Pace::new(Duration::from_millis(100), 5), Instant::now());
        assert_eq!(times(&mut pace, begin, Duration::from_millis(50)), 5);
        assert_eq!(times(&mut pace, begin + Duration::from_millis(50), Duration::from_millis(950)), 9);
        let rested = begin + Duration::from_secs(10);
        assert_eq!(times(&mut pace, rested, Duration::from_millis(50)), 5);
    }
}
