//! Workers and hooks.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;

use super::{BEYOND_A_LEASE, Effect, lasts, picked, unknown};
use crate::kinds::Group;
use crate::schedule::Planned;
use crate::stage::{Place, Stage};
use line_tests::Weather;

/// Time for alerts to come in that nobody reads.
const ASLEEP: Duration = Duration::from_secs(3);

pub(super) async fn inject(stage: &mut Stage, planned: &Planned) -> Result<Effect> {
    if planned.kind.id == "asleep" {
        return asleep(stage).await;
    }
    let places = if planned.kind.group == Group::Hook { &mut stage.hooks } else { &mut stage.workers };
    let index = picked(planned.pick, places.len());
    let place = places.get_mut(index).context("a stage without processes")?;
    match planned.kind.id {
        "worker-kill" | "hook-kill" => place.kill_and_start().await?,
        "worker-term" | "hook-term" => {
            let status = place.end_and_start().await?;
            ensure!(status.code() == Some(0), "{} ended with {status} after SIGTERM", place.name);
        }
        "worker-stop" => {
            place.pause(true)?;
            lasts(BEYOND_A_LEASE).await;
            place.pause(false)?;
        }
        "worker-cut" => {
            place.road.everywhere(Weather::Blocked);
            lasts(BEYOND_A_LEASE).await;
            place.road.everywhere(Weather::Clear);
        }
        _ => return unknown(planned),
    }
    Ok(Effect::note(place.name.clone()))
}

/// Two faults after each other, where nobody but the outboxes can know of an incident.
async fn asleep(stage: &mut Stage) -> Result<Effect> {
    let ended = try_join_all(stage.workers.iter_mut().map(Place::end)).await?;
    ensure!(ended.iter().all(|status| status.code() == Some(0)), "workers ended with {ended:?} after SIGTERM");
    lasts(ASLEEP).await;
    stage.master().await?.cmd(&["FLUSHALL"]).await?;
    try_join_all(stage.hooks.iter_mut().map(Place::kill_and_start)).await?;
    try_join_all(stage.workers.iter_mut().map(Place::start)).await?;
    Ok(Effect::default())
}
