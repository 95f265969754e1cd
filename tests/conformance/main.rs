//! `cargo run -p line-tests --bin conformance`: is this external scaler one that KEDA can rely on?

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use line_tests::keda::Tls;
use line_tests::keda::conformance::{Subject, render, run, worst};
use line_tests::screen::{complain, print};

/// Runs checks against any KEDA external scaler and says what KEDA would make of it
#[derive(Debug, Parser)]
#[command(name = "conformance")]
struct Options {
    /// `host:port` of the scaler
    #[arg(long)]
    address: String,
    /// Metadata of a trigger that works, `key=value`; may be given again
    #[arg(long, value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// Metadata that makes the trigger a wrong one
    #[arg(long, value_parser = pair)]
    bad: Vec<(String, String)>,
    /// Metadata that makes the trigger one whose source cannot be read
    #[arg(long, value_parser = pair)]
    unreadable: Vec<(String, String)>,
    /// There is work to do, and it stays: zero and inactive are mistakes
    #[arg(long)]
    work: bool,
    /// Longest answer, milliseconds
    #[arg(long, default_value_t = 1500)]
    within: u64,
    /// Wait so long for a second `true`, seconds
    #[arg(long)]
    repeat_within: Option<u64>,
    /// `StreamIsActive` calls at a time
    #[arg(long, default_value = "2500")]
    streams: NonZeroUsize,
    /// Connections that they share
    #[arg(long, default_value_t = 5)]
    connections: usize,
    /// Shell command that asks the scaler to end, such as `kill PID`; it runs last
    #[arg(long)]
    stop: Option<String>,
    /// TLS, with this authority (PEM file); the certificate has to name the host of the address
    #[arg(long)]
    tls_ca: Option<String>,
    /// Certificate of the client (PEM file)
    #[arg(long, requires_all = ["tls_ca", "tls_key"])]
    tls_cert: Option<String>,
    /// Its key (PEM file)
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Options {
    fn subject(self) -> Result<Subject> {
        let tls = self.tls()?;
        Ok(Subject {
            tls,
            metadata: self.metadata,
            bad: self.bad,
            unreadable: self.unreadable,
            work: self.work,
            within: Duration::from_millis(self.within),
            repeat_within: self.repeat_within.map(Duration::from_secs),
            streams: self.streams.get(),
            connections: self.connections,
            stop: self.stop,
            ..Subject::new(self.address)
        })
    }

    fn tls(&self) -> Result<Option<Tls>> {
        let Some(ca) = &self.tls_ca else { return Ok(None) };
        let identity = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
            _ => None,
        };
        Ok(Some(Tls { ca: read(ca)?, identity }))
    }
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

#[tokio::main]
async fn main() -> ExitCode {
    match judged(Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("conformance: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Whether every must was kept.
async fn judged(options: Options) -> Result<bool> {
    let subject = options.subject()?;
    let findings = run(&subject).await?;
    let (musts, advice) = worst(&findings);
    print(&render(&findings))?;
    print(&format!("conformance: checks={} failed={musts} advice={advice}\n", findings.len()))?;
    Ok(musts == 0)
}
