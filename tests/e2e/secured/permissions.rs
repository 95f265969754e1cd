//! Users may do what is needed and no more.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use line_tests::keda::ScaledObject;
use line_tests::line::{DATABASE, Member, Settings};
use line_tests::{Client, Keda, Redis, RedisOptions, eventually_ok};
use tonic::Code;

use super::{PASSWORD, PATIENCE, until_backlog, until_error, user};

/// The commands that a user line of `docs/operating.md` permits.
fn permitted(line: &str) -> BTreeSet<String> {
    line.split(' ').filter_map(|word| word.strip_prefix('+')).map(str::to_owned).collect()
}

/// The commands that the scaler has sent.
async fn used(client: &mut Client) -> Result<BTreeSet<String>> {
    let stats = client.cmd(&["INFO", "commandstats"]).await?;
    let names = stats.text()?.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split(':').next());
    // HELLO needs no permission; the others are the test's own.
    Ok(names.filter(|name| !["hello", "auth", "config|resetstat"].contains(name)).map(str::to_owned).collect())
}

fn scaler_settings(redis: &Redis) -> Settings {
    Settings::of_redis(&redis.address()).with("REDIS_USERNAME", "incident-scaler").with("REDIS_PASSWORD", PASSWORD)
}

/// The scaler's user: `ROLE PING INFO TIME SELECT CLIENT ID CLIENT SETNAME` at the connect; `XINFO GROUPS XINFO STREAM
/// XPENDING TIME SMEMBERS` at every reading; `XRANGE` where entries are counted, `XLEN` where some wait for an agent;
/// `XREAD` while a push stream is open. It writes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_scaler_s_user_is_permitted_exactly_what_the_scaler_does() -> Result<()> {
    let line = user("incident-scaler")?;
    let redis = Redis::start(RedisOptions { config: vec![line.clone()], ..RedisOptions::default() }).await?;
    let mut client = redis.database(DATABASE).await?;
    for command in [
        "XADD incident:events 1-0 f v",
        "XADD incident:events 2-0 f v",
        "XADD incident:events 3-0 f v",
        "XADD incident:events 4-0 f v",
        "XGROUP CREATE incident:events dispatch-group 2-0",
        "SADD incident:events:waiting incident:events:waiting:n:a",
        "XADD incident:events:waiting:n:a * f v",
        "CONFIG RESETSTAT",
    ] {
        client.cmd(&command.split(' ').collect::<Vec<_>>()).await?;
    }
    let scaler = Member::scaler(&scaler_settings(&redis)).await?;
    until_backlog(&scaler, 2).await?;
    let keda = Keda::connect(&scaler.grpc).await?;
    let _told = keda.stream_is_active(&ScaledObject::with_metadata(&[])).await?;
    // A blocked read is counted when it returns.
    eventually_ok("every permission to be used", PATIENCE, async || {
        let used = used(&mut client).await?;
        ensure!(used == permitted(&line), "used: {used:?}\npermitted: {:?}", permitted(&line));
        Ok(())
    })
    .await?;
    ensure!(client.cmd(&["ACL", "LOG"]).await?.items()?.is_empty(), "{:?}", client.cmd(&["ACL", "LOG"]).await?);
    Ok(())
}

/// Each missing permission is named, so that it can be given.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named() -> Result<()> {
    for missing in
        ["xinfo|groups", "xinfo|stream", "xpending", "xrange", "xlen", "smembers", "time", "role", "ping", "info"]
    {
        let line = user("incident-scaler")?.replace(&format!(" +{missing}"), "");
        let redis = Redis::start(RedisOptions { config: vec![line], ..RedisOptions::default() }).await?;
        let mut client = redis.database(DATABASE).await?;
        for command in [
            "XADD incident:events 1-0 f v",
            "XADD incident:events 2-0 f v",
            "XADD incident:events 3-0 f v",
            "XGROUP CREATE incident:events dispatch-group 2-0",
            "SADD incident:events:waiting incident:events:waiting:n:a",
        ] {
            client.cmd(&command.split(' ').collect::<Vec<_>>()).await?;
        }
        let scaler = Member::scaler(&scaler_settings(&redis)).await?;
        let message = until_error(&scaler, Code::FailedPrecondition, "NOPERM").await?;
        let named = missing.split('|').all(|word| message.to_lowercase().contains(word));
        ensure!(named, "{missing}: {message}");
    }
    Ok(())
}
