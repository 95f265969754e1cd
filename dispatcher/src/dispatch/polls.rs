//! How many requests a process makes to its agents: thousands of runs are followed at a bounded rate.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// From one poll to the next: at most 250 in a second.
const APART: Duration = Duration::from_millis(4);
/// Polls without an answer yet.
const POLLS_AT_ONCE: usize = 64;
/// Sends without an answer yet.
const SENDS_AT_ONCE: usize = 128;

/// Hands out turns. A poll that has to wait is made later, none is left out.
#[derive(Debug)]
pub(super) struct Turns {
    next_poll: Mutex<Instant>,
    polls: Semaphore,
    sends: Semaphore,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            next_poll: Mutex::new(Instant::now()),
            polls: Semaphore::new(POLLS_AT_ONCE),
            sends: Semaphore::new(SENDS_AT_ONCE),
        }
    }

    /// Waits for the turn of a poll; it lasts as long as the permit.
    pub(super) async fn poll(&self) -> Option<SemaphorePermit<'_>> {
        tokio::time::sleep_until(self.next_turn()).await;
        // Never closed.
        self.polls.acquire().await.ok()
    }

    /// Waits for the turn of a send.
    pub(super) async fn send(&self) -> Option<SemaphorePermit<'_>> {
        self.sends.acquire().await.ok()
    }

    fn next_turn(&self) -> Instant {
        let mut next = self.next_poll.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(Instant::now());
        *next = turn + APART;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn polls_come_one_by_one_and_none_is_left_out() {
        let turns = Turns::new();
        let began = Instant::now();
        for _ in 0..1_000 {
            drop(turns.poll().await);
        }
        assert!(began.elapsed() >= APART * 999, "{:?}", began.elapsed());
        assert!(began.elapsed() < APART * 1_100, "{:?}", began.elapsed());
    }
}
