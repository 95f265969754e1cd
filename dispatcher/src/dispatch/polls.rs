//! How many requests a process makes to its agents: thousands of runs are followed at a bounded rate, and an agent
//! that is silent keeps nobody but itself waiting.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// From one poll of the process to the next: at most 250 in a second.
const APART: Duration = Duration::from_millis(4);
/// Polls of one agent without an answer yet; each may need a connection of its own.
const POLLS_AT_ONCE: usize = 64;
/// Sends to one agent, and searches before them, without an answer yet.
const SENDS_AT_ONCE: usize = 64;

/// The rate of all polls. One that has to wait is made later, none is left out.
#[derive(Debug)]
pub(super) struct Pace(Mutex<Instant>);

impl Pace {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    /// Waits for the next turn.
    pub(super) async fn next(&self) {
        tokio::time::sleep_until(self.turn()).await;
    }

    fn turn(&self) -> Instant {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(Instant::now());
        *next = turn + APART;
        turn
    }
}

/// The requests of one agent that are under way.
#[derive(Debug)]
pub(super) struct Turns {
    polls: Semaphore,
    sends: Semaphore,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { polls: Semaphore::new(POLLS_AT_ONCE), sends: Semaphore::new(SENDS_AT_ONCE) }
    }

    /// Waits for the turn of a poll; it lasts as long as the permit.
    pub(super) async fn poll(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed.
        self.polls.acquire().await.ok()
    }

    /// Waits for the turn of a send, or of a search.
    pub(super) async fn send(&self) -> Option<SemaphorePermit<'_>> {
        self.sends.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn polls_come_one_by_one_and_none_is_left_out() {
        let pace = Pace::new();
        let began = Instant::now();
        for _ in 0..1_000 {
            pace.next().await;
        }
        assert!(began.elapsed() >= APART * 999, "{:?}", began.elapsed());
        assert!(began.elapsed() < APART * 1_100, "{:?}", began.elapsed());
    }
}
