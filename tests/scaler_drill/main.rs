//! `make scaler-drill`: two replicas of the scaler, asked 20 times a second, while Redis, Sentinel and they
//! themselves are broken; and a verdict on every answer.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use line_tests::screen::{Screen, print};
use line_tests::signals::unless_interrupted;

mod faults;
mod judge;
mod marks;
mod report;
mod sample;
mod stage;

use faults::Fault;
use report::Row;
use stage::Stage;

/// Breaks what the scaler reads from, and judges every answer
#[derive(Debug, Parser)]
#[command(name = "scaler-drill")]
struct Options {
    /// Only these faults, comma separated
    #[arg(long, value_delimiter = ',', value_parser = fault)]
    only: Vec<Fault>,
    /// All faults so many times
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Watch so long after each fault, seconds
    #[arg(long, default_value_t = 10)]
    after: u64,
    /// A blind scaler has to end its streams with OK within 15 s
    #[arg(long)]
    blind_ends: bool,
    /// List the faults and stop
    #[arg(long)]
    kinds: bool,
}

fn fault(id: &str) -> Result<Fault, String> {
    faults::FAULTS
        .into_iter()
        .find(|fault| fault.id() == id)
        .ok_or_else(|| format!("no such fault: {id:?}; --kinds lists them"))
}

#[tokio::main]
async fn main() -> ExitCode {
    let screen = Screen::start();
    let options = Options::parse();
    let done = if options.kinds { list().map(|()| true) } else { unless_interrupted(run(&screen, &options)).await };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            screen.error("scaler-drill", &error);
            ExitCode::FAILURE
        }
    }
}

fn list() -> Result<()> {
    faults::FAULTS.iter().try_for_each(|fault| print(&format!("{:<14} {}\n", fault.id(), fault.what())))
}

/// Whether nothing was found.
async fn run(screen: &Screen, options: &Options) -> Result<bool> {
    let mut stage = Stage::start(Duration::from_secs(options.after), options.blind_ends).await?;
    screen.say("a Sentinel trio and two scalers are up, 40 entries to do")?;
    let chosen = if options.only.is_empty() { faults::FAULTS.to_vec() } else { options.only.clone() };
    let mut rows: Vec<Row> = Vec::new();
    for fault in chosen.iter().cycle().take(chosen.len() * options.rounds) {
        screen.say(fault.what())?;
        let row = faults::play(*fault, &mut stage).await.with_context(|| fault.id())?;
        screen.say(&format!("  {}", row.note))?;
        for finding in &row.verdict.findings {
            screen.bad(finding)?;
        }
        rows.push(row);
    }
    drop(stage);
    print(&format!("\n{}\n", report::render(&rows)))?;
    let findings: usize = rows.iter().map(|row| row.verdict.findings.len()).sum();
    let longest = rows.iter().map(|row| row.verdict.longest.as_millis()).max().unwrap_or_default();
    let seconds = screen.elapsed().as_secs();
    print(&format!(
        "scaler-drill: faults={} findings={findings} longest_ms={longest} seconds={seconds}\n",
        rows.len()
    ))?;
    Ok(findings == 0)
}
