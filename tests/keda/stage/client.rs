//! KEDA's clients as a process: one line of JSON each way.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// An order.
#[derive(Debug, Serialize)]
struct Order<'a> {
    #[serde(rename = "do")]
    what: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    metadata: HashMap<&'a str, &'a str>,
    millis: u64,
}

/// Its answer.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    error: String,
    ask: Option<Reading>,
    pushed: Option<Vec<Pushed>>,
}

/// What KEDA knows after one poll.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Reading {
    pub(crate) target: f64,
    pub(crate) value: f64,
    pub(crate) values: usize,
    pub(crate) active: bool,
    /// The errors of the attempts that failed.
    pub(crate) attempts: Vec<String>,
    /// The scaler could not be built again: KEDA counts no failure, its fallback does not come.
    pub(crate) unbuilt: bool,
    pub(crate) millis: u64,
}

impl Reading {
    /// Whether the last attempt worked.
    pub(crate) fn is_known(&self) -> bool {
        !self.unbuilt && self.attempts.len() < 2
    }
}

/// A word of a push trigger.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Pushed {
    pub(crate) millis: u64,
    pub(crate) active: bool,
}

/// The process; it ends with its handle.
#[derive(Debug)]
pub(crate) struct Client {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Client {
    pub(crate) fn start(program: &str) -> Result<Self> {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {program}: run tools/keda.sh"))?;
        let orders = child.stdin.take().context("no stdin")?;
        let answers = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Self { child, orders, answers })
    }

    /// Keeps a trigger under a name. Nothing is connected yet.
    pub(crate) fn make(&mut self, name: &str, kind: &str, metadata: &[(&str, &str)]) -> Result<()> {
        let metadata = metadata.iter().copied().collect();
        self.obey(&Order { what: "make", name, kind, metadata, millis: 0 }).map(drop)
    }

    /// One poll, with its second attempt.
    pub(crate) fn ask(&mut self, name: &str) -> Result<Reading> {
        let order = Order { what: "ask", name, kind: "", metadata: HashMap::new(), millis: 0 };
        self.obey(&order)?.ask.context("no reading in the answer")
    }

    /// Everything that is pushed in this time.
    pub(crate) fn listen(&mut self, name: &str, millis: u64) -> Result<Vec<Pushed>> {
        let order = Order { what: "push", name, kind: "", metadata: HashMap::new(), millis };
        Ok(self.obey(&order)?.pushed.unwrap_or_default())
    }

    fn obey(&mut self, order: &Order<'_>) -> Result<Answer> {
        writeln!(self.orders, "{}", serde_json::to_string(order)?)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: Answer = serde_json::from_str(&line).with_context(|| format!("{order:?} gave {line:?}"))?;
        if !answer.error.is_empty() {
            bail!("{order:?}: {}", answer.error);
        }
        Ok(answer)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Both fail only when the process is already gone.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
