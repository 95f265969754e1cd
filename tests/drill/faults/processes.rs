//! Workers and hooks.

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::{BEYOND_A_LEASE, Effect, picked, unknown};
use crate::kinds::Group;
use crate::schedule::Planned;
use crate::stage::Stage;
use line_tests::Weather;

pub(super) async fn inject(stage: &mut Stage, planned: &Planned) -> Result<Effect> {
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
            sleep(BEYOND_A_LEASE).await;
            place.pause(false)?;
        }
        "worker-cut" => {
            place.road.everywhere(Weather::Blocked);
            sleep(BEYOND_A_LEASE).await;
            place.road.everywhere(Weather::Clear);
        }
        _ => return unknown(planned),
    }
    Ok(Effect::note(place.name.clone()))
}
