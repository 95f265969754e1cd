//! Checks for any external scaler, by its address.
//!
//! Each check has an id, and says what KEDA does to a workload whose scaler fails it.

use std::time::Duration;

use anyhow::Result;
use daemon::escape;
use futures_util::future::try_join_all;
use tokio::time::Instant;
use tonic::Status;

use super::{Keda, ScaledObject, Tls};

mod around;
mod list;
mod report;
mod specs;
mod streams;
mod values;

pub use list::{CHECKS, Check};
pub use report::{render, worst};

/// What is looked at, and how far.
#[derive(Debug, Clone)]
pub struct Subject {
    /// `host:port`
    pub address: String,
    /// TLS to the scaler.
    pub tls: Option<Tls>,
    /// A trigger's metadata that works.
    pub metadata: Vec<(String, String)>,
    /// Metadata that makes a wrong trigger together with the other; empty: not looked at.
    pub bad: Vec<(String, String)>,
    /// Metadata that makes a right trigger whose source cannot be read; empty: not looked at.
    pub unreadable: Vec<(String, String)>,
    /// There is work to do now, and it stays.
    pub work: bool,
    /// A call is answered, or fails, within this.
    pub within: Duration,
    /// How long a stream is listened to for a flood.
    pub listen: Duration,
    /// `true` comes again within this, while there is work; `None`: not waited for.
    pub repeat_within: Option<Duration>,
    /// Streams that are open at a time.
    pub streams: usize,
    /// Connections that they share.
    pub connections: usize,
    /// A shell command that asks the scaler to end, such as `kill PID`; `None`: not looked at.
    pub stop: Option<String>,
}

impl Subject {
    /// Everything that needs nothing but an address and metadata.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            tls: None,
            metadata: Vec::new(),
            bad: Vec::new(),
            unreadable: Vec::new(),
            work: false,
            within: Duration::from_millis(1500),
            listen: Duration::from_secs(2),
            repeat_within: None,
            streams: 2500,
            connections: 5,
            stop: None,
        }
    }

    fn object(&self, more: &[(String, String)]) -> ScaledObject {
        let mut object = ScaledObject::with_metadata(&[]);
        object.metadata.extend(self.metadata.iter().chain(more).cloned());
        object
    }

    async fn connect(&self) -> Result<Keda> {
        Keda::connect_with(&self.address, self.tls.as_ref()).await
    }
}

/// How a check went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be, with what was seen.
    Pass(String),
    /// Not as it should be, and what was seen.
    Fail(String),
    /// Not looked at, and what is missing.
    Skip(String),
}

impl Outcome {
    /// Of two outcomes of one check the graver one counts.
    fn gravity(&self) -> u8 {
        match self {
            Self::Skip(_) => 0,
            Self::Pass(_) => 1,
            Self::Fail(_) => 2,
        }
    }
}

/// A check and how it went.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The check.
    pub check: &'static Check,
    /// How it went.
    pub outcome: Outcome,
}

/// Runs every check; fails only when there is no connection at all.
pub async fn run(subject: &Subject) -> Result<Vec<Finding>> {
    let desk = Desk::open(subject).await?;
    let mut outcomes = Vec::new();
    outcomes.extend(specs::run(&desk).await);
    outcomes.extend(values::run(&desk).await);
    outcomes.extend(around::run(&desk).await);
    outcomes.extend(streams::run(&desk).await);
    if let Some(command) = &subject.stop {
        outcomes.push(("stream-end", streams::stopping(&desk, command).await));
    }
    let take = |check: &'static Check| {
        // What was seen twice has passed where both have.
        let of_check = outcomes.iter().filter(|(id, _)| *id == check.id).map(|(_, outcome)| outcome);
        let outcome = of_check.max_by_key(|outcome| outcome.gravity()).cloned();
        Finding { check, outcome: outcome.unwrap_or_else(|| Outcome::Skip("an earlier check failed".to_owned())) }
    };
    Ok(CHECKS.iter().map(take).collect())
}

type Outcomes = Vec<(&'static str, Outcome)>;

/// One connection, and what is asked for on it.
struct Desk<'a> {
    subject: &'a Subject,
    keda: Keda,
    object: ScaledObject,
}

impl<'a> Desk<'a> {
    async fn open(subject: &'a Subject) -> Result<Self> {
        Ok(Self { subject, keda: subject.connect().await?, object: subject.object(&[]) })
    }

    async fn connections(&self) -> Result<Vec<Keda>> {
        try_join_all((0..self.subject.connections.max(1)).map(|_| self.subject.connect())).await
    }
}

/// A judgement with its words.
fn judge(good: bool, seen: impl Into<String>) -> Outcome {
    if good { Outcome::Pass(seen.into()) } else { Outcome::Fail(seen.into()) }
}

/// The outcome of a call with the time that it took.
async fn timed<T>(call: impl Future<Output = Result<T, Status>>) -> (Result<T, Status>, Duration) {
    let begin = Instant::now();
    let outcome = call.await;
    (outcome, begin.elapsed())
}

/// A status in one line. Its text is a stranger's: nothing in it may steer a terminal or begin a line.
fn brief(status: &Status) -> String {
    format!("{:?}: {}", status.code(), escape::line(status.message()))
}
