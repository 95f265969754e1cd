//! `make demo`: the whole line on this machine, put through a failover and an outage, and a table of what ran.
//!
//! What counts is the agent's own run log: every incident that the hook answered with 200 has to be in it once.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use jiff::SignedDuration;

mod acts;
mod alertmanager;
mod ledger;
mod load;
mod stage;
mod table;

use acts::Demo;
use line_tests::screen::{Screen, complain, heading, print};
use line_tests::signals::Signals;
use stage::Stage;
use table::Sum;

/// What a shell reports for a program that was ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Shows the line at work: a backlog, a failover of the master, an outage of Redis.
#[derive(Debug, Parser)]
#[command(name = "demo")]
struct Options {
    /// Leave everything running at the end and print the addresses; Ctrl-C stops it
    #[arg(long)]
    keep: bool,
    /// Longest wait for anything that has to happen
    #[arg(long, default_value = "20s", value_parser = patience)]
    patience: Duration,
    /// Start no worker: the demo has to notice
    #[arg(long, hide = true)]
    without_worker: bool,
}

fn patience(text: &str) -> Result<Duration> {
    Ok(Duration::try_from(text.parse::<SignedDuration>()?)?)
}

#[tokio::main]
async fn main() -> ExitCode {
    let screen = Screen::start();
    match run(&screen, &Options::parse()).await {
        Ok(code) => code,
        Err(error) => {
            screen.error("demo", &error);
            ExitCode::FAILURE
        }
    }
}

/// Everything that was started is stopped and removed when this returns, whichever way.
async fn run(screen: &Screen, options: &Options) -> Result<ExitCode> {
    let mut signals = Signals::new()?;
    let shown = tokio::select! {
        // A terminal's Ctrl-C reaches the servers too: what they break then is no failure of the demo.
        biased;
        () = signals.next() => None,
        shown = show(screen, options) => Some(shown?),
    };
    let Some(shown) = shown else {
        screen.say("interrupted: everything is stopped and removed")?;
        return Ok(ExitCode::from(INTERRUPTED));
    };
    if options.keep {
        print(&shown.stage.addresses())?;
        screen.say("everything keeps running; Ctrl-C stops it")?;
        signals.next().await;
    }
    drop(shown.stage);
    screen.say("everything is stopped and removed")?;
    print(&format!("{}\n", shown.last_line))?;
    Ok(if shown.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What is there after the last act.
struct Shown {
    stage: Stage,
    failed: bool,
    last_line: String,
}

async fn show(screen: &Screen, options: &Options) -> Result<Shown> {
    let workers = if options.without_worker { 0 } else { 2 };
    heading("The line")?;
    let stage = Stage::start(screen, workers).await.context("the line could not be started")?;
    let mut demo = Demo::new(stage, screen, options.patience);
    let played = acts::play(&mut demo).await;
    let rows = demo.ledger.rows(&demo.stage.agent.executions_from_log()?);
    let (sum, seconds) = (Sum::of(&rows), screen.elapsed().as_secs_f64());
    heading("What the agent's own run log says")?;
    print(&table::render(&rows))?;
    let gap = demo.gap.map_or("not measured".to_owned(), |gap| format!("{} ms", gap.as_millis()));
    print(&format!(
        "From the new master's first write to the first dispatch of a new incident: {gap}\nThe whole demo: {seconds:.1} s\n\n"
    ))?;
    let problem = played.and_then(|()| sum.verdict()).err();
    if let Some(problem) = &problem {
        complain(&demo.last_words());
        screen.error("demo", problem);
    }
    Ok(Shown { stage: demo.stage, failed: problem.is_some(), last_line: sum.last_line(seconds) })
}
