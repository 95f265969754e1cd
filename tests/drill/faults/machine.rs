//! Disks and clocks.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{Effect, lasts, picked, unknown};
use crate::kinds::Kind;
use crate::schedule::Planned;
use crate::stage::Stage;

const FULL_FOR: Duration = Duration::from_secs(3);
const WRONG_FOR: Duration = Duration::from_secs(6);
/// Seconds.
const HOUR: i64 = 3600;

/// Why this machine cannot make such a fault.
pub(super) fn problem(kind: Kind, stage: &Stage) -> Option<String> {
    match kind.id {
        "disk-full" if stage.disk.is_none() => Some("no tmpfs may be mounted here, or there is no outbox".into()),
        "clock-back" | "clock-forward" if stage.redis_clock.is_none() => Some("there is no libfaketime".into()),
        _ => None,
    }
}

pub(super) async fn inject(stage: &mut Stage, planned: &Planned) -> Result<Effect> {
    match planned.kind.id {
        "disk-full" => {
            let disk = stage.disk.as_ref().context("a stage without a disk")?;
            disk.fill()?;
            lasts(FULL_FOR).await;
            disk.clear()?;
            Ok(Effect::default())
        }
        "clock-back" => wrong(stage, planned, -HOUR).await,
        "clock-forward" => wrong(stage, planned, HOUR).await,
        _ => unknown(planned),
    }
}

/// One process has the wrong time for a while, or the data servers have.
async fn wrong(stage: &Stage, planned: &Planned, seconds: i64) -> Result<Effect> {
    let place = stage.places().nth(picked(planned.pick / 2, stage.places().count()));
    let place = place.context("a stage without processes")?;
    let of_redis = planned.pick.is_multiple_of(2);
    let (name, clock) = if of_redis { ("Redis", &stage.redis_clock) } else { (place.name.as_str(), &place.clock) };
    let clock = clock.as_ref().context("a stage without clocks")?;
    clock.move_by(seconds)?;
    lasts(WRONG_FOR).await;
    clock.move_by(0)?;
    Ok(Effect::note(name))
}
