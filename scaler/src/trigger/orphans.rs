//! Which pending entries a trigger does not count: those that nobody works on.

use std::time::Duration;

use super::keys::Keys;

/// Workers renew what they hold every few seconds and claim what was idle for a lease (30 s by default), so nothing that
/// is worked on has been idle for this long.
const SHORTEST: Duration = Duration::from_secs(60);
/// An entry that was delivered once is not poison.
const FEWEST: u64 = 2;

/// Limits by which pending entries are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orphans {
    /// Idle for so long, an entry has lost its owner. It keeps one worker, which can claim it, and no more.
    pub after: Duration,
    /// Delivered so often besides, it keeps none.
    pub poison: Option<u64>,
}

impl Orphans {
    /// Whether the owner of an entry is gone.
    pub fn is_orphaned(&self, idle_ms: u64) -> bool {
        u128::from(idle_ms) >= self.after.as_millis()
    }

    /// Whether another delivery is of no use. What is in somebody's hands never is poison.
    pub fn is_poison(&self, idle_ms: u64, deliveries: u64) -> bool {
        self.is_orphaned(idle_ms) && self.poison.is_some_and(|limit| deliveries >= limit)
    }
}

/// Reads `pendingOrphanedAfter` and `pendingPoisonAfter`.
pub(super) fn parse(keys: &mut Keys<'_>) -> Option<Orphans> {
    let after = keys.duration_or_off("pendingOrphanedAfter", SHORTEST);
    let poison = keys.whole_or_off("pendingPoisonAfter", FEWEST);
    if poison.is_some()
        && keys.given("pendingOrphanedAfter").is_none()
        && let Some((key, _)) = keys.given("pendingPoisonAfter")
    {
        keys.reject(&key, "useless without pendingOrphanedAfter: what is worked on always counts");
    }
    Some(Orphans { after: after?, poison })
}
