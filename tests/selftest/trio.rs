use std::time::{Duration, Instant};

use anyhow::Result;
use line_tests::{Prober, Reply, Trio, TrioOptions};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_killed_master_is_replaced_and_comes_back_as_a_replica() -> Result<()> {
    let mut trio = Trio::start(TrioOptions::default()).await?;
    let begun = Instant::now();
    let prober = Prober::start(&trio);
    let old = trio.master_address().await?;
    prober.first_write_on(&old, begun, PATIENCE).await?;

    let killed = Instant::now();
    assert_eq!(trio.kill_master().await?, old);
    let new = trio.wait_for_new_master(&old, PATIENCE).await?;
    assert_ne!(new, old);
    let turn = prober.first_write_on(&new, killed, PATIENCE).await?;
    assert!(turn.after.is_some_and(|before| before < turn.at), "{turn:?}");

    trio.node(&old)?.restart().await?;
    trio.wait_for_replicas(2, PATIENCE).await?;
    let mut reborn = trio.node(&old)?.client().await?;
    let role = reborn.cmd(&["ROLE"]).await?;
    assert_eq!(role.items()?.first(), Some(&Reply::Text("slave".into())), "{role:?}");
    Ok(())
}

#[tokio::test]
async fn a_planned_failover_moves_the_writes() -> Result<()> {
    let options = TrioOptions {
        password: Some("data-secret".into()),
        sentinel_password: Some("sentinel-secret".into()),
        ..TrioOptions::default()
    };
    let trio = Trio::start(options).await?;
    let prober = Prober::start(&trio);
    let begun = Instant::now();
    let old = trio.failover().await?;
    let turn = prober.first_write_off(&old, begun, PATIENCE).await?;
    assert_eq!(turn.address, trio.wait_for_new_master(&old, PATIENCE).await?);
    Ok(())
}

#[tokio::test]
async fn a_trio_survives_the_loss_of_everything_at_once() -> Result<()> {
    let mut trio = Trio::start(TrioOptions::default()).await?;
    trio.client(4).await?.cmd(&["SET", "key", "kept"]).await?;
    trio.stop_all_redis().await?;
    assert!(trio.client(4).await.is_err());
    trio.stop_all_sentinels().await?;
    assert!(trio.master_address().await.is_err());
    trio.start_all_sentinels().await?;
    trio.start_all_redis().await?;
    let kept = trio.client(4).await?.cmd(&["GET", "key"]).await?;
    assert_eq!(kept.text()?, "kept");
    Ok(())
}
