//! A Sentinel trio: a master, two replicas, three sentinels with quorum 2.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::future::{join_all, try_join_all};

use crate::patience::eventually_ok;
use crate::prober::Asked;
use crate::redis::Redis;
use crate::resp::Client;

mod setup;

/// The name that the sentinels know the master by.
pub const MASTER_NAME: &str = "mymaster";

/// How long the trio may take to come up.
const PATIENCE: Duration = Duration::from_secs(15);

/// How a trio is set up.
#[derive(Debug, Clone)]
pub struct TrioOptions {
    /// `down-after-milliseconds`: silence after which a server counts as down.
    pub down_after_ms: u64,
    /// `failover-timeout`: a failed failover is tried again after twice this.
    pub failover_timeout_ms: u64,
    /// The password of the data servers.
    pub password: Option<String>,
    /// The password of the sentinels.
    pub sentinel_password: Option<String>,
    /// Further lines of redis.conf of all data servers.
    pub config: Vec<String>,
    /// Environment of all data servers.
    pub environment: Vec<(String, String)>,
}

impl Default for TrioOptions {
    fn default() -> Self {
        Self {
            down_after_ms: 1_000,
            failover_timeout_ms: 5_000,
            password: None,
            sentinel_password: None,
            config: Vec::new(),
            environment: Vec::new(),
        }
    }
}

/// Three data servers and three sentinels.
#[derive(Debug)]
pub struct Trio {
    nodes: Vec<Redis>,
    sentinels: Vec<Redis>,
    options: TrioOptions,
}

impl Trio {
    /// Starts everything; the trio is ready for a failover when this returns.
    pub async fn start(options: TrioOptions) -> Result<Self> {
        let nodes = setup::start_nodes(&options).await?;
        let sentinels = setup::start_sentinels(&nodes, &options).await?;
        Ok(Self { nodes, sentinels, options })
    }

    /// The data servers' `host:port` list.
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::address).collect()
    }

    /// The sentinels' `host:port` list.
    pub fn sentinels(&self) -> Vec<String> {
        self.sentinels.iter().map(Redis::address).collect()
    }

    /// The sentinels, for an observer of its own.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let password = &self.options.sentinel_password;
        self.sentinels.iter().map(|sentinel| Asked::new(sentinel.address(), password.clone())).collect()
    }

    /// The password of the data servers.
    pub fn password(&self) -> Option<&str> {
        self.options.password.as_deref()
    }

    /// The master's `host:port`, as told by the reachable sentinel with the newest config epoch.
    pub async fn master_address(&self) -> Result<String> {
        let answers = join_all(self.sentinels.iter().map(told_master)).await;
        answers
            .into_iter()
            .filter_map(Result::ok)
            .max_by_key(|(epoch, _)| *epoch)
            .map(|(_, address)| address)
            .context("no sentinel names a master")
    }

    /// The data server that the sentinels call the master.
    pub async fn master(&mut self) -> Result<&mut Redis> {
        let address = self.master_address().await?;
        self.node(&address)
    }

    /// A signed-in connection to the present master, in `database`.
    pub async fn client(&self, database: u32) -> Result<Client> {
        let address = self.master_address().await?;
        let node = self.nodes.iter().find(|node| node.address() == address);
        node.with_context(|| format!("{address} is none of ours"))?.database(database).await
    }

    /// The data server with this address.
    pub fn node(&mut self, address: &str) -> Result<&mut Redis> {
        self.nodes
            .iter_mut()
            .find(|node| node.address() == address)
            .with_context(|| format!("{address} is none of ours"))
    }

    /// All data servers.
    pub fn nodes(&mut self) -> &mut [Redis] {
        &mut self.nodes
    }

    /// All sentinels.
    pub fn sentinel_nodes(&mut self) -> &mut [Redis] {
        &mut self.sentinels
    }

    /// Begins a planned failover with SENTINEL FAILOVER; gives the old master's address.
    pub async fn failover(&self) -> Result<String> {
        let old = self.master_address().await?;
        let sentinel = self.sentinels.first().context("a trio without sentinels")?;
        let mut client = sentinel.client().await?;
        client.cmd(&["SENTINEL", "FAILOVER", MASTER_NAME]).await?;
        Ok(old)
    }

    /// SIGKILL to the master; gives its address, for [`Trio::node`] to restart it.
    pub async fn kill_master(&mut self) -> Result<String> {
        let master = self.master().await?;
        master.kill9().await?;
        Ok(master.address())
    }

    /// SIGSTOP to the master; gives its address, for [`Trio::node`] to resume it.
    pub async fn pause_master(&mut self) -> Result<String> {
        let master = self.master().await?;
        master.pause()?;
        Ok(master.address())
    }

    /// Waits until the sentinels name another master than `old` and it has the role.
    pub async fn wait_for_new_master(&self, old: &str, patience: Duration) -> Result<String> {
        let what = format!("a master other than {old}");
        eventually_ok(what, patience, async || {
            let address = self.master_address().await?;
            if address == old {
                bail!("the sentinels still name {old}");
            }
            let mut client = self.client(0).await?;
            let role = client.cmd(&["ROLE"]).await?;
            match role.items()?.first().map(|role| role.text()) {
                Some(Ok("master")) => Ok(address),
                role => bail!("{address} has the role {role:?}"),
            }
        })
        .await
    }

    /// Waits until the master has `count` replicas that are online.
    pub async fn wait_for_replicas(&self, count: usize, patience: Duration) -> Result<()> {
        eventually_ok(format!("{count} replicas online"), patience, async || {
            setup::expect_replicas(&mut self.client(0).await?, count).await
        })
        .await
    }

    /// SIGKILL to all data servers; the sentinels stay.
    pub async fn stop_all_redis(&mut self) -> Result<()> {
        try_join_all(self.nodes.iter_mut().map(Redis::kill9)).await?;
        Ok(())
    }

    /// Starts the data servers that are stopped, on their data, and waits for a writable master.
    pub async fn start_all_redis(&mut self) -> Result<()> {
        let stopped = self.nodes.iter_mut().filter_map(|node| {
            let stopped = !node.is_running();
            stopped.then(|| node.restart())
        });
        try_join_all(stopped).await?;
        eventually_ok("a writable master", PATIENCE, async || {
            let mut client = self.client(15).await?;
            client.cmd(&["INCR", "line-tests:started"]).await.map(drop)
        })
        .await
    }

    /// SIGKILL to all sentinels.
    pub async fn stop_all_sentinels(&mut self) -> Result<()> {
        try_join_all(self.sentinels.iter_mut().map(Redis::kill9)).await?;
        Ok(())
    }

    /// Starts the sentinels that are stopped, with what they knew.
    pub async fn start_all_sentinels(&mut self) -> Result<()> {
        let stopped = self.sentinels.iter_mut().filter_map(|node| {
            let stopped = !node.is_running();
            stopped.then(|| node.restart())
        });
        try_join_all(stopped).await?;
        Ok(())
    }
}

/// What one sentinel says: config epoch and `host:port`.
///
/// During a failover only get-master-addr-by-name names the promoted replica already.
async fn told_master(sentinel: &Redis) -> Result<(i64, String)> {
    let mut client = sentinel.client().await?.with_timeout(Duration::from_millis(300));
    let master = client.cmd(&["SENTINEL", "MASTER", MASTER_NAME]).await?;
    let epoch = master.fields()?.get("config-epoch").context("a master without a config epoch")?.int()?;
    let words = ["SENTINEL", "get-master-addr-by-name", MASTER_NAME];
    let address = client.cmd(&words).await?.texts()?.join(":");
    Ok((epoch, address))
}
