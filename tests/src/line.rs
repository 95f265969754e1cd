//! The whole line: a trio, agents, and the programs with settings that fit.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::alerts;
use crate::patience::eventually_ok;
use crate::places;
use crate::ports::free_port;
use crate::process::Program;
use crate::resp::Client;
use crate::sentinel::Trio;

/// Names as the programs have them by default.
pub const STREAM: &str = "incident:events";
/// The consumer group.
pub const GROUP: &str = "dispatch-group";
/// Dead letters.
pub const DEAD: &str = "incident:events:dlq";
/// The database.
pub const DATABASE: u32 = 4;

/// How long a program may take to be ready.
const PATIENCE: Duration = Duration::from_secs(15);

/// Settings shared by the programs of one test.
#[derive(Debug, Clone, Default)]
pub struct Settings(Vec<(String, String)>);

impl Settings {
    /// Redis through the Sentinels of a trio.
    pub fn of_trio(trio: &Trio) -> Self {
        Self::default().with("REDIS_SENTINELS", trio.sentinels().join(","))
    }

    /// Redis at one address.
    pub fn of_redis(address: &str) -> Self {
        Self::default().with("REDIS_URL", format!("redis://{address}/{DATABASE}"))
    }

    /// Agents below one URL: `http://host:port` serves every agent.
    #[must_use]
    pub fn agents_at(self, url: &str) -> Self {
        // The test agents serve their root: the name of the agent goes into a query that they ignore.
        self.with("KAGENT_A2A_URL", format!("{url}/?agent={{agent}}"))
    }

    /// Agents are given as many runs at once as there are workers for.
    #[must_use]
    pub fn many_runs(self) -> Self {
        let file = places::workspace().join("tests/configs/many-runs.toml");
        self.with("CONFIG", file.to_string_lossy())
    }

    /// One more setting; a later one replaces an earlier one.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.into()));
        self
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

/// A running program with its addresses.
#[derive(Debug)]
pub struct Member {
    /// The process.
    pub program: Program,
    /// `http://host:port` of the hook; of no use for a worker.
    pub http: String,
    /// `http://host:port` of probes and metrics.
    pub admin: String,
    /// `host:port` of the scaler's gRPC; of no use for others.
    pub grpc: String,
}

impl Member {
    /// Starts `stream-dispatcher COMMAND` and waits until it is ready.
    pub async fn dispatcher(command: &str, settings: &Settings) -> Result<Self> {
        Self::start("stream-dispatcher", &[command], settings).await
    }

    /// Starts `stream-scaler` and waits until it is ready.
    pub async fn scaler(settings: &Settings) -> Result<Self> {
        Self::start("stream-scaler", &[], settings).await
    }

    async fn start(name: &str, arguments: &[&str], settings: &Settings) -> Result<Self> {
        let mut member = Self::launch(name, arguments, settings)?;
        member.ready().await?;
        Ok(member)
    }

    /// Starts a program and does not wait.
    pub fn launch(name: &str, arguments: &[&str], settings: &Settings) -> Result<Self> {
        let address = || free_port().map(|port| format!("127.0.0.1:{port}"));
        let (http, admin, grpc) = (address()?, address()?, address()?);
        let settings = settings
            .clone()
            .with("HTTP_ADDR", http.clone())
            .with("ADMIN_ADDR", admin.clone())
            .with("SCALER_ADDR", grpc.clone())
            .with("LOG_FORMAT", "text");
        let program = Program::start(name, arguments, &settings.pairs())?;
        Ok(Self { program, http: format!("http://{http}"), admin: format!("http://{admin}"), grpc })
    }

    async fn ready(&mut self) -> Result<()> {
        let url = format!("{}/readyz", self.admin);
        eventually_ok("the program to be ready", PATIENCE, async || {
            if !self.program.is_running() {
                bail!("it has ended: {}", self.program.tail());
            }
            match alerts::get(&url).await? {
                (200, _) => Ok(()),
                (status, body) => bail!("readyz answered {status}: {body}"),
            }
        })
        .await
    }

    /// The sum over all series of a metric whose labels contain `labels`.
    pub async fn metric(&self, name: &str, labels: &str) -> Result<f64> {
        metric_at(&self.admin, name, labels).await
    }
}

/// [`Member::metric`] of a program whose probes and metrics are at `admin` (`http://host:port`).
pub async fn metric_at(admin: &str, name: &str, labels: &str) -> Result<f64> {
    let (_, text) = alerts::get(&format!("{admin}/metrics")).await?;
    let series = text.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(labels)
    });
    let mut sum = 0.0;
    for line in series {
        let value = line.rsplit(' ').next().context("a series without a value")?;
        sum += value.parse::<f64>()?;
    }
    Ok(sum)
}

/// What is in Redis, seen from outside.
#[derive(Debug)]
pub struct Books(pub Client);

impl Books {
    /// Looks into database 4 of one node.
    pub async fn at(address: &str) -> Result<Self> {
        let mut client = Client::connect(address).await?;
        client.select(DATABASE).await?;
        Ok(Self(client))
    }

    /// XLEN.
    pub async fn length(&mut self, stream: &str) -> Result<i64> {
        self.0.cmd(&["XLEN", stream]).await?.int()
    }

    /// Pending entries of the group; a missing one has none.
    pub async fn pending(&mut self) -> Result<i64> {
        let reply = self.0.raw(&["XPENDING", STREAM, GROUP]).await?;
        match reply.items() {
            Ok(items) => items.first().context("XPENDING without a count")?.int(),
            Err(_) => Ok(0),
        }
    }

    /// Entries not read yet; a missing group has read none.
    pub async fn unread(&mut self) -> Result<i64> {
        let groups = self.0.raw(&["XINFO", "GROUPS", STREAM]).await?;
        let Ok(groups) = groups.items() else { return Ok(0) };
        let Some(group) = groups.first() else { return self.length(STREAM).await };
        let last = group.fields()?.get("last-delivered-id").context("no last-delivered-id")?.text()?.to_owned();
        let after = self.0.cmd(&["XRANGE", STREAM, &format!("({last}"), "+"]).await?;
        Ok(i64::try_from(after.items()?.len())?)
    }

    /// Entries in waiting streams.
    pub async fn waiting(&mut self) -> Result<i64> {
        let mut waiting = 0;
        for stream in self.0.cmd(&["SMEMBERS", &format!("{STREAM}:waiting")]).await?.texts()? {
            waiting += self.length(&stream).await?;
        }
        Ok(waiting)
    }

    /// Nothing unread, nothing pending, nothing waiting.
    pub async fn is_drained(&mut self) -> Result<()> {
        // In this order: an entry that comes back from waiting is unread afterwards, or pending.
        let (waiting, unread, pending) = (self.waiting().await?, self.unread().await?, self.pending().await?);
        if waiting + unread + pending > 0 {
            let rows = self.0.raw(&["XPENDING", STREAM, GROUP, "-", "+", "5"]).await?;
            bail!("{unread} unread, {waiting} waiting and {pending} pending: {rows:?}");
        }
        Ok(())
    }

    /// One field of a hash; empty when it is missing.
    pub async fn field(&mut self, key: &str, field: &str) -> Result<String> {
        Ok(self.0.cmd(&["HGET", key, field]).await?.text().unwrap_or_default().to_owned())
    }

    /// All values of one field in a stream, in order; entries without it are left out.
    pub async fn column(&mut self, stream: &str, field: &str) -> Result<Vec<String>> {
        let entries = self.0.cmd(&["XRANGE", stream, "-", "+"]).await?;
        let mut values = Vec::new();
        for entry in entries.items()? {
            let fields = entry.items()?.get(1).context("an entry without fields")?;
            let mut fields = fields.items()?.iter();
            while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
                if name.text().is_ok_and(|name| name == field) {
                    values.push(value.text().unwrap_or("(binary)").to_owned());
                    break;
                }
            }
        }
        Ok(values)
    }

    /// XADD of an entry with these fields; gives its id.
    pub async fn add(&mut self, stream: &str, fields: &[(&str, &str)]) -> Result<String> {
        let mut words = vec!["XADD", stream, "*"];
        words.extend(fields.iter().flat_map(|(name, value)| [*name, *value]));
        Ok(self.0.cmd(&words).await?.text()?.to_owned())
    }

    /// An entry as the present system writes it, with the message text under its own key; `order` tells the test
    /// agent what to do.
    pub async fn order(&mut self, workflow_id: &str, order: &str) -> Result<String> {
        self.order_of("triage-agent", workflow_id, order).await
    }

    /// The same for another agent.
    pub async fn order_of(&mut self, agent: &str, workflow_id: &str, order: &str) -> Result<String> {
        let key = format!("incident:artifact:{workflow_id}:alert");
        self.0.cmd(&["SET", &key, order, "EX", "86400"]).await?;
        let fields = [
            ("workflow_id", workflow_id),
            ("agent_target", agent),
            ("artifact_key", &key),
            ("step", "investigation"),
            ("status", "pending"),
            ("timestamp", "2026-11-22T10:00:00Z"),
            ("traceparent", ""),
        ];
        self.add(STREAM, &fields).await
    }
}
