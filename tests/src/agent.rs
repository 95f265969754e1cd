//! A real A2A agent as a process, and its control plane (`tests/agents/README.md`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;

use crate::launch::Launch;
use crate::process::Program;
use crate::{http, places};

/// How long Python and the SDK may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which wire the agent speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentKind {
    /// A2A 0.3.
    V03,
    /// A2A 1.0.
    V10,
    /// A2A 1.0 and 0.3 on one URL.
    V10Compat,
    /// The Go SDK, as the controller of kagent 0.10 has it: 0.3 and 1.0 on one URL, told apart by the header.
    Go,
    /// The Go SDK, 0.3 only.
    Go03,
    /// The Go SDK, 1.0 only.
    Go10,
}

/// How an agent is set up.
#[derive(Debug, Clone, Default)]
pub struct AgentOptions {
    /// Paths that it serves below as well, e.g. `/api/a2a/kagent/triage-agent`.
    pub prefixes: Vec<String>,
    /// The bearer token that it asks for.
    pub token: Option<String>,
    /// Where to keep the run log; by default in the agent's own folder.
    pub log: Option<PathBuf>,
}

/// One execution of the agent: something that really ran.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// When, in Unix seconds.
    pub t: f64,
    /// The id of the message that caused it.
    pub message_id: String,
    /// The task.
    pub task_id: Option<String>,
    /// The context.
    pub context_id: Option<String>,
    /// The text of the message.
    pub text: String,
    /// Whether it continued a task.
    pub continued: bool,
    /// The metadata of the message.
    #[serde(default)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// A running agent; it keeps its port and its run log over restarts.
#[derive(Debug)]
pub struct Agent {
    kind: AgentKind,
    options: AgentOptions,
    port: u16,
    log: PathBuf,
    program: Program,
    /// Holds the log unless the options named another place.
    _folder: TempDir,
}

impl Agent {
    /// Starts an agent on a free port and waits until it answers.
    pub async fn start(kind: AgentKind, options: AgentOptions) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("agent-").tempdir()?;
        let log = options.log.clone().unwrap_or_else(|| folder.path().join("executions.jsonl"));
        let mut program = Program::launch(&launch(kind, &options, 0, &log)?)?;
        let port = listening(&mut program).await?;
        Ok(Self { kind, options, port, log, program, _folder: folder })
    }

    /// `http://127.0.0.1:port`, without a path.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process, to signal it or to read its output.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Where the run log is.
    pub fn log_file(&self) -> PathBuf {
        self.log.clone()
    }

    /// What it executed since its last start, from the control plane.
    pub async fn executions(&self) -> Result<Vec<Execution>> {
        self.get("executions").await
    }

    /// How often each message ran in all its lives, by the run log.
    pub fn runs(&self) -> Result<BTreeMap<String, usize>> {
        let mut runs = BTreeMap::new();
        for execution in self.executions_from_log()? {
            *runs.entry(execution.message_id).or_default() += 1;
        }
        Ok(runs)
    }

    /// What it executed in all its lives, from the run log.
    pub fn executions_from_log(&self) -> Result<Vec<Execution>> {
        let log = match std::fs::read_to_string(&self.log) {
            Ok(log) => log,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).context("cannot read the run log"),
        };
        // A kill can cut only the last line, before the agent went on.
        log.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).context("a line of the run log"))
            .collect()
    }

    /// Every POST it has seen since its last start.
    pub async fn requests(&self) -> Result<Vec<Value>> {
        self.get("requests").await
    }

    /// Forgets executions and requests; the run log stays.
    pub async fn forget(&self) -> Result<()> {
        self.control(Method::DELETE, "executions", None).await.map(drop)
    }

    /// Arms a fault, e.g. `{"mode": "status", "status": 503, "count": 2}`.
    pub async fn fault(&self, fault: Value) -> Result<()> {
        self.control(Method::POST, "faults", Some(&fault)).await.map(drop)
    }

    /// Disarms the fault.
    pub async fn clear_faults(&self) -> Result<()> {
        self.control(Method::DELETE, "faults", None).await.map(drop)
    }

    /// SIGTERM, then waits for the end; connections are refused from now on.
    pub async fn stop(&mut self) -> Result<()> {
        self.program.terminate(PATIENCE).await.map(drop)
    }

    /// SIGKILL: tasks are lost, the run log is not.
    pub async fn kill9(&mut self) -> Result<()> {
        self.program.kill9().await
    }

    /// SIGSTOP: connections are accepted by the kernel, nothing is answered.
    pub fn pause(&mut self) -> Result<()> {
        self.program.pause()
    }

    /// SIGCONT.
    pub fn resume(&mut self) -> Result<()> {
        self.program.resume()
    }

    /// Starts it again on the same port, with no memory of its tasks.
    pub async fn restart(&mut self) -> Result<()> {
        self.program.kill9().await?;
        let launch = launch(self.kind, &self.options, self.port, &self.log)?;
        self.program = Program::launch(&launch)?;
        listening(&mut self.program).await.map(drop)
    }

    async fn get<T: DeserializeOwned>(&self, what: &str) -> Result<T> {
        let body = self.control(Method::GET, what, None).await?;
        serde_json::from_str(&body).with_context(|| format!("the agent's {what}"))
    }

    async fn control(&self, method: Method, what: &str, body: Option<&Value>) -> Result<String> {
        let url = format!("{}/_test/{what}", self.url());
        match http::request(method, &url, body, None).await? {
            (200, body) => Ok(body),
            (status, body) => bail!("{url} answered {status}: {body}"),
        }
    }
}

/// The program, without what all of them understand.
fn server(kind: AgentKind) -> Result<Launch> {
    let python = |environment: &str, server: &str| {
        let python = places::tool(&format!("{environment}/bin/python"))?;
        let server = places::workspace().join("tests/agents").join(server);
        anyhow::Ok(Launch::new(python).envs([("PYTHONDONTWRITEBYTECODE", "1")]).args([server]))
    };
    let go = || anyhow::Ok(Launch::new(places::tool("agent-go/agent")?));
    match kind {
        AgentKind::V03 => python("agents-03", "server03.py"),
        AgentKind::V10 => python("agents-1x", "server1x.py"),
        AgentKind::V10Compat => Ok(python("agents-1x", "server1x.py")?.args(["--compat03"])),
        AgentKind::Go => go(),
        AgentKind::Go03 => Ok(go()?.args(["--only", "0.3"])),
        AgentKind::Go10 => Ok(go()?.args(["--only", "1.0"])),
    }
}

fn launch(kind: AgentKind, options: &AgentOptions, port: u16, log: &PathBuf) -> Result<Launch> {
    let mut launch = server(kind)?.args(["--port", &port.to_string(), "--log"]).args([log]);
    for prefix in &options.prefixes {
        launch = launch.args(["--prefix", prefix]);
    }
    if let Some(token) = &options.token {
        launch = launch.args(["--token", token]);
    }
    Ok(launch)
}

async fn listening(program: &mut Program) -> Result<u16> {
    let line = program.wait_for_line("listening ", PATIENCE).await?;
    let port = line.strip_prefix("listening ").context("an odd line")?;
    Ok(port.parse()?)
}
