//! Making the faults, one file for each group.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::kinds::{Group, Kind, LEASE, Sight};
use crate::load::Load;
use crate::schedule::Planned;
use crate::stage::Stage;

mod agents;
mod keys;
mod limits;
mod machine;
mod network;
mod processes;
mod redis;

/// How long Redis may take to be whole again.
const WHOLE: Duration = Duration::from_secs(40);
/// Longer than a lease.
const BEYOND_A_LEASE: Duration = LEASE.saturating_add(Duration::from_secs(2));

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Effect {
    /// The only agent concerned.
    pub(crate) sight: Option<Sight>,
    /// When Redis really went, if later than the beginning.
    pub(crate) broke: Option<Instant>,
    pub(crate) note: String,
}

impl Effect {
    fn note(note: impl Into<String>) -> Self {
        Self { note: note.into(), ..Self::default() }
    }
}

/// Why this fault cannot be made here, if it cannot.
pub(crate) fn problem(kind: Kind, stage: &Stage) -> Option<String> {
    if kind.group == Group::Machine { machine::problem(kind, stage) } else { None }
}

/// Makes a fault and ends it; everything that belongs to Redis is whole again afterwards.
pub(crate) async fn inject(stage: &mut Stage, load: &Load, planned: &Planned) -> Result<Effect> {
    match planned.kind.group {
        Group::Worker | Group::Hook => processes::inject(stage, planned).await,
        Group::Redis => redis::inject(stage, planned).await,
        Group::Keys => keys::inject(stage, planned).await,
        Group::Limits => limits::inject(stage, planned).await,
        Group::Network => network::inject(stage, planned).await,
        Group::Agent => agents::inject(stage, load, planned).await,
        Group::Machine => machine::inject(stage, planned).await,
    }
}

/// How long a fault lasts is part of it: nothing is waited for here.
async fn lasts(length: Duration) {
    tokio::time::sleep(length).await;
}

/// One of several, as the schedule says.
fn picked(pick: u64, of: usize) -> usize {
    usize::try_from(pick % u64::try_from(of.max(1)).unwrap_or(1)).unwrap_or_default()
}

fn unknown(planned: &Planned) -> Result<Effect> {
    bail!("nobody knows how to make the fault {}", planned.kind.id)
}
