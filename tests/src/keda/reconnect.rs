//! How long KEDA waits before it opens a stream again (pure).

use std::time::Duration;

/// The delay grows with every end, and only an end with status OK sets it back.
#[derive(Debug, Clone)]
pub struct Reconnect {
    first: Duration,
    next: Duration,
}

impl Reconnect {
    /// KEDA's own first delay.
    pub const FIRST: Duration = Duration::from_secs(2);
    /// The longest delay, as a multiple of the first: 60 s of 2 s.
    const GROWTH: u32 = 30;

    /// [`Reconnect::FIRST`], or less where time is scaled.
    pub fn new(first: Duration) -> Self {
        Self { first, next: first }
    }

    /// The wait after a stream's end.
    pub fn delay(&mut self, ended_ok: bool) -> Duration {
        if ended_ok {
            self.next = self.first;
        }
        let delay = self.next;
        self.next = (delay * 2).min(self.first * Self::GROWTH);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_end_with_ok_sets_it_back() {
        let mut reconnect = Reconnect::new(Reconnect::FIRST);
        let failed: Vec<u64> = (0..7).map(|_| reconnect.delay(false).as_secs()).collect();
        assert_eq!(failed, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(reconnect.delay(true).as_secs(), 2);
        assert_eq!(reconnect.delay(false).as_secs(), 4);
        assert_eq!(reconnect.delay(true).as_secs(), 2);
        assert_eq!(reconnect.delay(true).as_secs(), 2);
    }
}
