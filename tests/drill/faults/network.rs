//! The ways between the processes and Redis.

use std::time::Duration;

use anyhow::{Context, Result};
use line_tests::Weather;

use super::{Effect, lasts, picked, unknown};
use crate::schedule::Planned;
use crate::stage::Stage;

const FOR: Duration = Duration::from_secs(4);
const CUT_FOR: Duration = Duration::from_millis(1500);
const LATER: Duration = Duration::from_millis(300);

pub(super) async fn inject(stage: &mut Stage, planned: &Planned) -> Result<Effect> {
    let weather = match planned.kind.id {
        "latency" => Weather::Slow(LATER),
        "cut-answers" => Weather::CutAnswers,
        "master-cut" => return master_cut(stage, planned).await,
        _ => return unknown(planned),
    };
    for place in stage.places() {
        place.road.at_nodes(weather);
    }
    lasts(if weather == Weather::CutAnswers { CUT_FOR } else { FOR }).await;
    for place in stage.places() {
        place.road.at_nodes(Weather::Clear);
    }
    Ok(Effect::default())
}

async fn master_cut(stage: &mut Stage, planned: &Planned) -> Result<Effect> {
    let master = stage.trio.master_address().await?;
    let index = picked(planned.pick, stage.places().count());
    let place = stage.places().nth(index).context("a stage without processes")?;
    place.road.at(&master, Weather::Blocked);
    lasts(FOR).await;
    place.road.at(&master, Weather::Clear);
    Ok(Effect::note(place.name.clone()))
}
