//! Real agents: the servers of the published Python SDKs, each started by the test that needs it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use a2a::{Agent, AgentOptions, Mode, Outgoing, SendError, Sent, Task, Wire, agent_url, http_client};
use http::HeaderMap;
use serde_json::Value;

/// How long anything may take before a test gives up waiting for it.
const PATIENCE: Duration = Duration::from_secs(30);
const PREFIX: &str = "/agents/kagent/triage-agent";

/// The servers the client must get on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// a2a-sdk 0.3.26.
    Old,
    /// a2a-sdk 1.3.0.
    New,
    /// a2a-sdk 1.3.0 that also serves 0.3.
    Both,
    /// a2a-sdk 1.3.0 behind the version check of kagent 1.x.
    Strict,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::Old, Kind::New, Kind::Both];

impl Kind {
    /// The wire that a client which finds out by itself ends on.
    pub(crate) fn wire(self) -> Wire {
        if self == Self::Old { Wire::V03 } else { Wire::V10 }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no settings.rs; the variables are for machines without the tools"
    )]
    fn command(self) -> Command {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let (variable, tools, script) = match self {
            Self::Old => ("A2A_AGENT_PYTHON_03", "agents-03", "server03.py"),
            _ => ("A2A_AGENT_PYTHON_1X", "agents-1x", "server1x.py"),
        };
        let python = std::env::var_os(variable)
            .map_or_else(|| root.join("target/tools").join(tools).join("bin/python"), PathBuf::from);
        assert!(
            python.exists(),
            "no {}: run `make tools`, or set {variable} to a Python that has the SDK",
            python.display()
        );
        let mut command = Command::new(python);
        command.arg(root.join("tests/agents").join(script)).args(["--prefix", PREFIX]);
        match self {
            Self::Both => command.arg("--compat03"),
            Self::Strict => command.arg("--require-version"),
            Self::Old | Self::New => &mut command,
        };
        command
    }
}

/// One running agent, killed when dropped.
pub(crate) struct Server {
    process: Child,
    address: String,
    http: reqwest::Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

impl Server {
    pub(crate) async fn start(kind: Kind) -> Self {
        Self::start_with(kind, &[]).await
    }

    /// The agent chooses a free port and says so once it answers.
    pub(crate) async fn start_with(kind: Kind, arguments: &[&str]) -> Self {
        let mut process = kind.command().args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut server = Self { process, address: String::new(), http: http_client(Duration::from_secs(5)).unwrap() };
        let said = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            output.read_line(&mut line).map(|_| line)
        });
        let line = tokio::time::timeout(PATIENCE, said).await.unwrap().unwrap().unwrap();
        let port = line.trim().strip_prefix("listening ");
        assert!(port.is_some(), "{kind:?} did not start: run it by hand to see why");
        server.address = format!("http://127.0.0.1:{}", port.unwrap());
        server
    }

    pub(crate) fn agent(&self) -> Agent {
        self.agent_with(|_| {})
    }

    pub(crate) fn agent_with(&self, change: impl FnOnce(&mut AgentOptions)) -> Agent {
        let mut options = AgentOptions::new(agent_url(&self.url()).unwrap());
        options.user_id = Some("stream-dispatcher".to_owned());
        change(&mut options);
        Agent::new(self.http.clone(), options)
    }

    pub(crate) fn url(&self) -> String {
        format!("{}{PREFIX}/", self.address)
    }

    /// Breaks the next call.
    pub(crate) async fn arm(&self, fault: &Value) {
        let url = format!("{}/_test/faults", self.address);
        self.http.post(url).body(fault.to_string()).send().await.unwrap().error_for_status().unwrap();
    }

    /// How often the agent ran this message: the oracle.
    pub(crate) async fn runs(&self, message_id: &str) -> usize {
        self.log("executions")
            .await
            .iter()
            .filter(|run| run.get("messageId").and_then(Value::as_str) == Some(message_id))
            .count()
    }

    /// The JSON-RPC methods that were asked for so far.
    pub(crate) async fn methods(&self) -> Vec<String> {
        self.log("requests").await.iter().filter_map(|seen| Some(seen.get("rpc")?.as_str()?.to_owned())).collect()
    }

    async fn log(&self, name: &str) -> Vec<Value> {
        let answer = self.http.get(format!("{}/_test/{name}", self.address)).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }
}

/// A message in a context of its own.
pub(crate) fn message(message_id: &str, text: &str) -> Outgoing {
    Outgoing { context_id: Some(format!("context-{message_id}")), ..Outgoing::new(message_id, text) }
}

pub(crate) async fn send(agent: &Agent, message_id: &str, text: &str) -> Result<Sent, SendError> {
    agent.send(&message(message_id, text), Mode::NonBlocking, &HeaderMap::new()).await
}

/// Follows a task until it has come to where the test wants it.
pub(crate) async fn follow(agent: &Agent, task_id: &str, arrived: impl Fn(&Task) -> bool) -> Task {
    let until = Instant::now() + PATIENCE;
    loop {
        let task = agent.get(task_id, None, &HeaderMap::new()).await.unwrap();
        if arrived(&task) {
            return task;
        }
        assert!(Instant::now() < until, "still {:?}", task.state);
        // The server tells of no change: within the patience above it is asked again.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
