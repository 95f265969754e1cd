//! A worker with its Redis, in front of an agent's server that others may use too.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::line::{Books, GROUP, Member, STREAM, Settings};
use line_tests::{Agent, Redis, RedisOptions, Reply, eventually_ok};
use stream_dispatcher::dispatch::decision::Row;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const OUTCOMES: &str = "incident:outcomes";

/// Workflow id -> state and reason.
type Ends = HashMap<String, (String, String)>;

pub(crate) struct Desk {
    pub(crate) agent: Arc<Agent>,
    pub(crate) redis: Redis,
    pub(crate) worker: Member,
    /// Settings and token files.
    pub(crate) folder: TempDir,
    settings: Settings,
    ends: watch::Receiver<Ends>,
    follower: JoinHandle<Result<()>>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// The key of an incident's record.
pub(crate) fn record(workflow_id: &str) -> String {
    format!("incident:dispatch:{workflow_id}-investigation")
}

/// The waiting stream of an agent.
pub(crate) fn waiting(agent: &str) -> String {
    format!("{STREAM}:waiting:kagent:{agent}")
}

/// A settings file: the sections of agents by name; `{token}` in them is a file of that agent, with `old` in it.
pub(crate) fn config(folder: &TempDir, sections: &BTreeMap<String, String>) -> Result<String> {
    let mut text = String::new();
    for (agent, lines) in sections {
        let token = token_file(folder, agent);
        if lines.contains("{token}") {
            std::fs::write(&token, "old")?;
        }
        writeln!(text, "[agents.{agent:?}]\n{}", lines.replace("{token}", &token))?;
    }
    let path = folder.path().join("agents.toml");
    std::fs::write(&path, text)?;
    Ok(path.to_string_lossy().into_owned())
}

pub(crate) fn token_file(folder: &TempDir, agent: &str) -> String {
    folder.path().join(format!("{agent}.token")).to_string_lossy().into_owned()
}

impl Desk {
    /// `early`: what is to be in Redis before the worker comes.
    pub(crate) async fn open(
        agent: &Arc<Agent>,
        sections: &BTreeMap<String, String>,
        settings: &[(&str, &str)],
        early: impl AsyncFnOnce(&mut Books) -> Result<()>,
    ) -> Result<Self> {
        let redis = Redis::start(RedisOptions::default()).await?;
        let folder = tempfile::Builder::new().prefix("desk-").tempdir()?;
        let base = Settings::of_redis(&redis.address())
            .agents_at(&agent.url())
            .with("MIN_IDLE_MS", "2000")
            .with("CONFIG", config(&folder, sections)?)
            .with("RUST_LOG", "info,stream_dispatcher=debug");
        let settings = settings.iter().fold(base, |all, (name, value)| all.with(name, *value));
        early(&mut Books::at(&redis.address()).await?).await?;
        let worker = Member::dispatcher("work", &settings).await?;
        let (sender, ends) = watch::channel(Ends::new());
        let follower = tokio::spawn(follow(Books::at(&redis.address()).await?, sender));
        Ok(Self { agent: Arc::clone(agent), redis, worker, folder, settings, ends, follower })
    }

    /// One more worker with the same settings.
    pub(crate) async fn colleague(&self) -> Result<Member> {
        Member::dispatcher("work", &self.settings).await
    }

    pub(crate) async fn books(&self) -> Result<Books> {
        Books::at(&self.redis.address()).await
    }

    /// The end of an incident, state and reason.
    pub(crate) async fn end(&self, workflow_id: &str) -> Result<(String, String)> {
        let mut ends = self.ends.clone();
        let known = tokio::time::timeout(PATIENCE, ends.wait_for(|ends| ends.contains_key(workflow_id))).await;
        let known = known.with_context(|| format!("{workflow_id} has no end; {:?}", self.rows(workflow_id)))??;
        known.get(workflow_id).cloned().context("no end")
    }

    /// The rows that were decided for an incident, in order, by the worker's log.
    pub(crate) fn rows(&self, workflow_id: &str) -> Vec<String> {
        self.rows_of(&[workflow_id.to_owned()])
    }

    /// The same for several, in the order of the decisions.
    pub(crate) fn rows_of(&self, workflow_ids: &[String]) -> Vec<String> {
        let incidents: Vec<_> = workflow_ids.iter().map(|id| format!("incident=\"{id}\"")).collect();
        let lines = self.decisions().into_iter();
        let lines = lines.filter(|line| incidents.iter().any(|incident| line.contains(incident)));
        lines.filter_map(|line| row_of(&line)).collect()
    }

    /// Waits until an incident was decided so.
    pub(crate) async fn decided(&self, workflow_id: &str, row: Row) -> Result<()> {
        eventually_ok(format!("{workflow_id} to be decided {}", row.id()), PATIENCE, async || {
            let rows = self.rows(workflow_id);
            ensure!(rows.iter().any(|known| known == row.id()), "{rows:?}");
            Ok(())
        })
        .await
    }

    pub(crate) fn has_warned(&self, words: &str) -> bool {
        (self.worker.program.output() + &self.worker.program.log()).contains(words)
    }

    fn decisions(&self) -> Vec<String> {
        let text = self.worker.program.output() + &self.worker.program.log();
        text.lines().filter(|line| line.contains("decided")).map(ToOwned::to_owned).collect()
    }

    /// The worker's counters say the same as its log, row by row.
    pub(crate) async fn counters_agree(&self) -> Result<()> {
        eventually_ok("counters and log to agree", PATIENCE, async || {
            let mut logged: BTreeMap<String, f64> = BTreeMap::new();
            for line in self.decisions() {
                *logged.entry(row_of(&line).with_context(|| line)?).or_default() += 1.0;
            }
            for row in Row::ALL {
                let counted = self.worker.metric("dispatch_decisions_total", &format!("row=\"{}\"", row.id())).await?;
                let logged = logged.remove(row.id()).unwrap_or_default();
                ensure!((counted - logged).abs() < 0.5, "{}: {counted} counted, {logged} logged", row.id());
            }
            ensure!(logged.is_empty(), "rows without a counter: {logged:?}");
            Ok(())
        })
        .await
    }

    /// Runs of a message by the server's log.
    pub(crate) fn runs(&self, workflow_id: &str) -> Result<usize> {
        let message = format!("{workflow_id}-investigation");
        Ok(self.agent.executions_from_log()?.iter().filter(|execution| execution.message_id == message).count())
    }
}

fn row_of(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("row=\"")?;
    rest.split_once('"').map(|(row, _)| row.to_owned())
}

/// Reads the outcomes as they are written.
async fn follow(mut books: Books, ends: watch::Sender<Ends>) -> Result<()> {
    let mut last = "0".to_owned();
    loop {
        let reply = books.0.raw(&["XREAD", "BLOCK", "1000", "STREAMS", OUTCOMES, &last]).await?;
        let Some(entries) =
            reply.items().ok().and_then(<[Reply]>::first).and_then(|stream| stream.items().ok()?.get(1))
        else {
            continue;
        };
        for entry in entries.items()? {
            let parts = entry.items()?;
            entry_of(parts, &mut last, &ends)?;
        }
    }
}

fn entry_of(parts: &[Reply], last: &mut String, ends: &watch::Sender<Ends>) -> Result<()> {
    let (id, fields) = (parts.first().context("no id")?, parts.get(1).context("no fields")?.fields()?);
    id.text()?.clone_into(last);
    let text = |name: &str| fields.get(name).and_then(|value| value.text().ok()).unwrap_or_default().to_owned();
    ends.send_modify(|ends| drop(ends.insert(text("workflow_id"), (text("state"), text("reason")))));
    Ok(())
}

/// An entry that a consumer who is gone was handed again and again, without an attempt.
pub(crate) async fn put_worn(books: &mut Books, agent: &str, workflow_id: &str) -> Result<()> {
    // A group that there is already is as good.
    books.0.raw(&["XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM"]).await?;
    let id = books.order_of(agent, workflow_id, "echo").await?;
    put_record(books, workflow_id, &id).await?;
    let client = &mut books.0;
    client.cmd(&["XREADGROUP", "GROUP", GROUP, "ghost", "COUNT", "1", "STREAMS", STREAM, ">"]).await?;
    let claim = ["XCLAIM", STREAM, GROUP, "ghost", "0", id.as_str(), "IDLE", "60000", "RETRYCOUNT", "12"];
    client.cmd(&claim).await.map(drop)
}

/// A record as the hook writes it for what nobody has sent.
async fn put_record(books: &mut Books, workflow_id: &str, entry: &str) -> Result<()> {
    let replication = books.0.cmd(&["INFO", "replication"]).await?.text()?.to_owned();
    let history = replication.lines().find_map(|line| line.strip_prefix("master_replid:")).context("no replid")?;
    let (key, message) = (record(workflow_id), format!("{workflow_id}-investigation"));
    let queued = ["v", "1", "state", "queued", "entry_id", entry, "stream", STREAM, "replid", history.trim()];
    let rest = ["message_id", message.as_str(), "attempts", "0"];
    let words = [&["HSET", key.as_str()], queued.as_slice(), rest.as_slice()].concat();
    books.0.cmd(&words).await.map(drop)
}

/// An entry as the hook writes it, of an alert's end where `firing` is the incident of its beginning.
pub(crate) async fn put_queued(
    books: &mut Books,
    agent: &str,
    workflow_id: &str,
    text: &str,
    firing: Option<&str>,
) -> Result<()> {
    // A worker may have the entry before its id is known here; it finds that the record names none that is there.
    put_record(books, workflow_id, "0-0").await?;
    let fields = [("workflow_id", workflow_id), ("agent_target", agent), ("text", text)];
    let firing = firing.map(|id| ("firing_workflow_id", id));
    books.add(STREAM, &fields.into_iter().chain(firing).collect::<Vec<_>>()).await.map(drop)
}
