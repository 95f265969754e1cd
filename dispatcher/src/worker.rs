//! The worker: one loop, one file, one sentence each.
//!
//! [`reader`] takes new entries as slots are free, [`claims`] takes over what others left,
//! [`leases`] renews what is held, [`acknowledger`] records outcomes until Redis has them, `finals` keeps them for a Redis that forgets,
//! [`waiting`] brings entries back for agents that were unreachable, `guard` keeps a name that was set by hand,
//! `janitor` removes consumers that were left behind, and
//! [`crew`] is what they share.

pub mod acknowledger;
pub mod claims;
pub mod crew;
mod farewell;
mod finals;
mod guard;
mod janitor;
pub mod leases;
pub mod reader;
pub mod waiting;

use std::sync::Arc;

use daemon::{Lifecycle, Readiness};
use tokio::sync::mpsc;

use crew::Crew;

/// Starts the loops. They share `crew`; the process ends them through `life`.
pub fn start(
    life: &Lifecycle,
    readiness: &Readiness,
    crew: &Arc<Crew>,
    finishes: mpsc::Receiver<acknowledger::Finished>,
) {
    if let Some(nonce) = crew.nonce.clone() {
        life.spawn_companion("consumer name", guard::run(Arc::clone(crew), nonce));
    }
    life.spawn("reader", reader::run(Arc::clone(crew), readiness.heartbeat("reader", reader::TICKS_WITHIN)));
    life.spawn("claims", claims::run(Arc::clone(crew), readiness.heartbeat("claims", claims::TICKS_WITHIN)));
    life.spawn("waiting", waiting::run(Arc::clone(crew)));
    life.spawn("janitor", janitor::run(Arc::clone(crew)));
    life.spawn("farewell", farewell::run(Arc::clone(crew), life.grace()));
    let leases = leases::run(Arc::clone(crew), readiness.heartbeat("leases", leases::TICKS_WITHIN));
    life.spawn_companion("leases", async move {
        leases.await;
        Ok::<(), std::convert::Infallible>(())
    });
    let acknowledger = acknowledger::run(Arc::clone(crew), finishes);
    life.spawn_companion("acknowledger", async move {
        acknowledger.await;
        Ok::<(), std::convert::Infallible>(())
    });
}
