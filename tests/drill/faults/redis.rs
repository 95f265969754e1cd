//! Servers that go and come back.

use std::time::{Duration, Instant};

use anyhow::Result;
use line_tests::eventually_ok;

use super::{Effect, WHOLE, lasts, unknown};
use crate::schedule::Planned;
use crate::stage::Stage;

/// Longer than down-after, and than most failovers.
const GONE: Duration = Duration::from_secs(4);
/// What happens between the RDB and the kill is what Redis forgets.
const FORGOTTEN: Duration = Duration::from_millis(2500);
const BOTH: usize = 2;

pub(super) async fn inject(stage: &mut Stage, planned: &Planned) -> Result<Effect> {
    match planned.kind.id {
        "failover" => failover(stage).await?,
        "master-kill" => {
            let old = stage.trio.kill_master().await?;
            stage.trio.wait_for_new_master(&old, WHOLE).await?;
            stage.trio.node(&old)?.restart().await?;
        }
        "master-stop" => {
            let old = stage.trio.pause_master().await?;
            lasts(GONE).await;
            stage.trio.node(&old)?.resume()?;
            stage.trio.wait_for_new_master(&old, WHOLE).await?;
        }
        "replicas-gone" => replicas_gone(stage).await?,
        "rollback" => return rollback(stage).await,
        "sentinels-down" => {
            stage.trio.stop_all_sentinels().await?;
            lasts(GONE).await;
            stage.trio.start_all_sentinels().await?;
        }
        _ => return unknown(planned),
    }
    stage.trio.wait_for_replicas(BOTH, WHOLE).await?;
    Ok(Effect::default())
}

async fn failover(stage: &mut Stage) -> Result<()> {
    // Sentinel refuses while it has not seen the replicas since the last one.
    let old = eventually_ok("SENTINEL FAILOVER", WHOLE, async || stage.trio.failover().await).await?;
    stage.trio.wait_for_new_master(&old, WHOLE).await?;
    Ok(())
}

async fn replicas_gone(stage: &mut Stage) -> Result<()> {
    let master = stage.trio.master_address().await?;
    for node in stage.trio.nodes().iter_mut().filter(|node| node.address() != master) {
        node.kill9().await?;
    }
    lasts(GONE).await;
    for node in stage.trio.nodes().iter_mut().filter(|node| node.address() != master) {
        node.restart().await?;
    }
    Ok(())
}

async fn rollback(stage: &mut Stage) -> Result<Effect> {
    let address = stage.trio.master_address().await?;
    stage.master().await?.cmd(&["SAVE"]).await?;
    lasts(FORGOTTEN).await;
    let master = stage.trio.node(&address)?;
    let since = Instant::now();
    master.kill9().await?;
    master.restart().await?;
    stage.trio.wait_for_replicas(BOTH, WHOLE).await?;
    let now = stage.trio.master_address().await?;
    let note = if now == address { "rolled back" } else { "noticed: a failover" };
    Ok(Effect { broke: Some(since), ..Effect::note(note) })
}
