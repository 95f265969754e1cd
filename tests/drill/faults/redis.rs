//! Servers that go and come back.

use std::time::{Duration, Instant};

use anyhow::Result;
use line_tests::eventually_ok;
use tokio::time::sleep;

use super::{Effect, WHOLE, unknown};
use crate::schedule::Planned;
use crate::stage::Stage;

/// Longer than down-after, and than most failovers.
const GONE: Duration = Duration::from_secs(4);
/// What happens between the RDB and the kill is what Redis forgets.
const FORGOTTEN: Duration = Duration::from_millis(2500);
const BOTH: usize = 2;

pub(super) async fn inject(stage: &mut Stage, planned: &Planned) -> Result<Effect> {
    let mut broke = None;
    let note = match planned.kind.id {
        "failover" => failover(stage).await?,
        "master-kill" => {
            let old = stage.trio.kill_master().await?;
            stage.trio.wait_for_new_master(&old, WHOLE).await?;
            stage.trio.node(&old)?.restart().await?;
            String::new()
        }
        "master-stop" => {
            let old = stage.trio.pause_master().await?;
            sleep(GONE).await;
            stage.trio.node(&old)?.resume()?;
            stage.trio.wait_for_new_master(&old, WHOLE).await?;
            String::new()
        }
        "replicas-gone" => replicas_gone(stage).await?,
        "rollback" => {
            let (since, note) = rollback(stage).await?;
            broke = Some(since);
            note
        }
        "sentinels-down" => {
            stage.trio.stop_all_sentinels().await?;
            sleep(GONE).await;
            stage.trio.start_all_sentinels().await?;
            String::new()
        }
        _ => return unknown(planned),
    };
    stage.trio.wait_for_replicas(BOTH, WHOLE).await?;
    Ok(Effect { broke, ..Effect::note(note) })
}

async fn failover(stage: &mut Stage) -> Result<String> {
    // Sentinel refuses while it has not seen the replicas since the last one.
    let old = eventually_ok("SENTINEL FAILOVER", WHOLE, async || stage.trio.failover().await).await?;
    stage.trio.wait_for_new_master(&old, WHOLE).await?;
    Ok(String::new())
}

async fn replicas_gone(stage: &mut Stage) -> Result<String> {
    let master = stage.trio.master_address().await?;
    for node in stage.trio.nodes().iter_mut().filter(|node| node.address() != master) {
        node.kill9().await?;
    }
    sleep(GONE).await;
    for node in stage.trio.nodes().iter_mut().filter(|node| node.address() != master) {
        node.restart().await?;
    }
    Ok(String::new())
}

async fn rollback(stage: &mut Stage) -> Result<(Instant, String)> {
    let address = stage.trio.master_address().await?;
    stage.master().await?.cmd(&["SAVE"]).await?;
    sleep(FORGOTTEN).await;
    let master = stage.trio.node(&address)?;
    let since = Instant::now();
    master.kill9().await?;
    master.restart().await?;
    // Long enough for Sentinel to have made up its mind.
    sleep(Duration::from_secs(2)).await;
    let now = stage.trio.master_address().await?;
    Ok((since, if now == address { "rolled back".into() } else { "noticed: a failover".into() }))
}
