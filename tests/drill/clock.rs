//! Unix time of this process: agents write it into their logs, and both run on one machine.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Now, in seconds.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The time of an instant, in seconds.
pub(crate) fn unix(at: Instant) -> f64 {
    now() - at.elapsed().as_secs_f64()
}
