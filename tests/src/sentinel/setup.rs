use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;

use super::{MASTER_NAME, PATIENCE, TrioOptions};
use crate::patience::eventually_ok;
use crate::ports::free_port;
use crate::redis::{Redis, RedisOptions};
use crate::resp::Client;

const SENTINELS: usize = 3;
const QUORUM: usize = 2;
const REPLICAS: usize = 2;

/// Starts the master, then its replicas, and waits until they are in sync.
pub(super) async fn start_nodes(options: &TrioOptions) -> Result<Vec<Redis>> {
    let common = RedisOptions {
        config: options.config.clone(),
        password: options.password.clone(),
        replica_of: None,
        environment: options.environment.clone(),
    };
    let master = Redis::start(common.clone()).await?;
    // A replica that finds its master at once does not wait for the next second to try again.
    let replica = RedisOptions { replica_of: Some(master.port()), ..common };
    let replicas = try_join_all((0..REPLICAS).map(|_| Redis::start(replica.clone()))).await?;
    let mut client = master.client().await?;
    eventually_ok("the replicas in sync", PATIENCE, async || expect_replicas(&mut client, REPLICAS).await).await?;
    Ok(std::iter::once(master).chain(replicas).collect())
}

/// Fails unless this master has `count` replicas online.
pub(super) async fn expect_replicas(client: &mut Client, count: usize) -> Result<()> {
    let info = client.cmd(&["INFO", "replication"]).await?;
    let online = info.text()?.matches("state=online").count();
    if online != count {
        bail!("{online} replicas are online");
    }
    Ok(())
}

/// Starts the sentinels, introduced to each other and to the replicas, and waits for agreement.
///
/// The introductions save the seconds that hello messages and INFO periods would take.
pub(super) async fn start_sentinels(nodes: &[Redis], options: &TrioOptions) -> Result<Vec<Redis>> {
    let ports = (0..SENTINELS).map(|_| free_port()).collect::<Result<Vec<_>>>()?;
    let starts = ports.iter().map(|port| {
        let config = sentinel_config(*port, &ports, nodes, options);
        async move { Redis::sentinel(*port, &config?, options.sentinel_password.clone()).await }
    });
    let sentinels = try_join_all(starts).await?;
    try_join_all(sentinels.iter().map(wait_until_ready)).await?;
    Ok(sentinels)
}

async fn wait_until_ready(sentinel: &Redis) -> Result<()> {
    let mut client = sentinel.client().await?;
    let what = format!("agreement with the sentinel on {}", sentinel.address());
    eventually_ok(what, PATIENCE, async || {
        client.cmd(&["SENTINEL", "CKQUORUM", MASTER_NAME]).await?;
        expect_flags(&mut client, "REPLICAS", "slave", REPLICAS).await?;
        expect_flags(&mut client, "SENTINELS", "sentinel", SENTINELS - 1).await
    })
    .await
}

/// Fails unless this sentinel knows `count` peers of a kind and is content with each.
async fn expect_flags(client: &mut Client, kind: &str, flags: &str, count: usize) -> Result<()> {
    let peers = client.cmd(&["SENTINEL", kind, MASTER_NAME]).await?;
    let mut content = 0;
    for peer in peers.items()? {
        let peer = peer.fields()?;
        let healthy = peer.get("flags").context("a peer without flags")?.text()? == flags;
        // Only a replica has a link; "ok" means that Sentinel has read its INFO.
        let linked = match peer.get("master-link-status") {
            Some(status) => status.text()? == "ok",
            None => true,
        };
        content += usize::from(healthy && linked);
    }
    if content != count {
        bail!("{content} of {count} {kind} are ready");
    }
    Ok(())
}

/// sentinel.conf: <https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>.
fn sentinel_config(own: u16, ports: &[u16], nodes: &[Redis], options: &TrioOptions) -> Result<String> {
    let mut nodes = nodes.iter().map(Redis::port);
    let master = nodes.next().context("a trio without nodes")?;
    let mut config = format!(
        "port {own}\nbind 127.0.0.1\nprotected-mode no\nsentinel myid {}\n\
         sentinel monitor {MASTER_NAME} 127.0.0.1 {master} {QUORUM}\n\
         sentinel down-after-milliseconds {MASTER_NAME} {}\n\
         sentinel failover-timeout {MASTER_NAME} {}\n\
         sentinel parallel-syncs {MASTER_NAME} 2\n",
        sentinel_id(own),
        options.down_after_ms,
        options.failover_timeout_ms,
    );
    if let Some(password) = &options.password {
        writeln!(config, "sentinel auth-pass {MASTER_NAME} {password}")?;
    }
    if let Some(password) = &options.sentinel_password {
        writeln!(config, "requirepass {password}\nsentinel sentinel-pass {password}")?;
    }
    for replica in nodes {
        writeln!(config, "sentinel known-replica {MASTER_NAME} 127.0.0.1 {replica}")?;
    }
    for other in ports.iter().filter(|port| **port != own) {
        let id = sentinel_id(*other);
        writeln!(config, "sentinel known-sentinel {MASTER_NAME} 127.0.0.1 {other} {id}")?;
    }
    Ok(config)
}

/// A sentinel's run id: 40 hexadecimal digits, here derived from its port.
fn sentinel_id(port: u16) -> String {
    format!("{port:040x}")
}
