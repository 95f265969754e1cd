//! What is left to do: pending plus lag.
//!
//! Redis' own lag is not believed where entries can be counted: it is nil after some deletions, stays too large for
//! good after others and after trimming (redis/redis#13338, #13957), and follows whatever `ENTRIESREAD` somebody gave.
//! [`lag`] decides from ids and counts (pure), [`Counter`] asks Redis, [`facts`] reads its answers (pure).

mod counter;
pub mod facts;
pub mod lag;
mod waiting;

pub use counter::Counter;
pub use lag::{Lag, Method};

use crate::id::EntryId;

/// Pending entries that are looked at one by one in a reading: those with the lowest ids.
pub const ROWS: usize = 1_000;

/// The state of one stream and one group at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// Entries in the stream, finished ones included.
    pub length: u64,
    /// Delivered and not acknowledged.
    pub pending: u64,
    /// The first [`ROWS`] of them by id, ascending.
    pub rows: Vec<Row>,
    /// Not read yet.
    pub lag: Lag,
    /// The first entry that is not read yet.
    pub next: Option<EntryId>,
    /// Entries wait elsewhere for an agent that cannot be reached.
    pub waiting: bool,
    /// Redis' clock, Unix milliseconds.
    pub now_ms: i64,
}

/// One pending entry (`XPENDING`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its id.
    pub id: EntryId,
    /// Milliseconds since it was delivered, claimed or renewed; negative for one that was given back (Redis 8.8).
    pub idle_ms: i64,
    /// How often it was delivered.
    pub deliveries: i64,
}

impl Backlog {
    /// Pending plus lag; at least 1 while entries wait for an agent, since somebody has to probe it.
    pub fn total(&self) -> u64 {
        self.pending.saturating_add(self.lag.value).max(u64::from(self.waiting))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_entries_keep_one_worker() {
        let lag = Lag::exact(0, Method::Missing);
        let none = Backlog { length: 0, pending: 0, rows: Vec::new(), lag, next: None, waiting: false, now_ms: 0 };
        assert_eq!(none.total(), 0);
        let waiting = Backlog { waiting: true, ..none };
        assert_eq!(waiting.total(), 1);
        assert_eq!(Backlog { pending: 7, ..waiting }.total(), 7);
    }
}
