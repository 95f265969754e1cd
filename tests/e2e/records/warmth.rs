//! What is kept from eviction.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::line::{DEAD, STREAM};
use line_tests::{Client, eventually_ok};
use stream_dispatcher::keeper::warm;

use super::desk::{Desk, WAITING};

const PATIENCE: Duration = Duration::from_secs(20);
const SET: &str = "incident:events:waiting";
const STREAMS: [&str; 5] = [STREAM, DEAD, "incident:events:parked", "incident:outcomes", WAITING];
const CONTROLS: usize = 20;
const ROOM: i64 = 2_000_000;

/// As much memory as is used now and a little more, and exact choices of what to evict.
async fn little_memory(client: &mut Client) -> Result<()> {
    let info = client.cmd(&["INFO", "memory"]).await?;
    let used = info.text()?.lines().find_map(|line| line.strip_prefix("used_memory:")).context("used_memory")?;
    let limit = (used.trim().parse::<i64>()? + ROOM).to_string();
    for (name, value) in [("maxmemory-policy", "allkeys-lru"), ("maxmemory-samples", "64"), ("maxmemory", &limit)] {
        client.cmd(&["CONFIG", "SET", name, value]).await?;
    }
    Ok(())
}

/// Redis counts idle time in whole seconds.
async fn idle_for(client: &mut Client, key: &str, seconds: i64) -> Result<()> {
    eventually_ok(format!("{key} to be idle"), PATIENCE, async || {
        let idle = client.cmd(&["OBJECT", "IDLETIME", key]).await?.int()?;
        ensure!(idle >= seconds, "{idle} s");
        Ok(())
    })
    .await
}

async fn there(client: &mut Client, keys: &[String]) -> Result<i64> {
    client.cmd(&[&["EXISTS".to_owned()], keys].concat()).await?.int()
}

#[tokio::test]
async fn what_the_line_needs_stays_when_memory_is_short() -> Result<()> {
    let desk = Desk::open().await?;
    let mut client = desk.client().await?;
    for stream in STREAMS {
        client.cmd(&["XADD", stream, "*", "workflow_id", "x"]).await?;
    }
    client.cmd(&["SADD", SET, WAITING, "somebody:else"]).await?;
    client.cmd(&["HSET", "incident:routing", "investigation", "triage-agent"]).await?;
    let ours: Vec<_> = STREAMS.into_iter().chain([SET, "incident:routing"]).map(ToOwned::to_owned).collect();
    let controls: Vec<_> = (0..CONTROLS).map(|number| format!("control:{number}")).collect();
    let value = "x".repeat(50_000);
    for key in &controls {
        client.cmd(&["SET", key, &value]).await?;
    }
    little_memory(&mut client).await?;
    idle_for(&mut client, &controls[CONTROLS - 1], 2).await?;
    let mut waiting = Vec::new();
    for round in 0..6 {
        waiting = warm::touch(&desk.session, &desk.a, &waiting).await?;
        ensure!(waiting == [WAITING], "{waiting:?}");
        waiting = warm::touch(&desk.session, &desk.a, &waiting).await?;
        for number in 0..20 {
            client.cmd(&["SET", &format!("flood:{round}:{number}"), &value]).await?;
        }
        idle_for(&mut client, &format!("flood:{round}:19"), 2).await?;
    }
    ensure!(there(&mut client, &controls).await? == 0, "what nobody touches goes");
    ensure!(there(&mut client, &ours).await? == 7, "what is touched stays");
    Ok(())
}
