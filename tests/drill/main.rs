//! `make drill`: the line under load, broken in every way it must survive, and a verdict from outside of it.
//!
//! What counts is what the hooks answered with 2xx, the agents' own run logs, and what Redis has in the end.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

mod books;
mod clock;
mod disk;
mod faults;
mod kinds;
mod lives;
mod load;
mod options;
mod oracle;
mod plain;
mod play;
mod report;
mod runs;
mod schedule;
mod stage;

use kinds::Sight;
use line_tests::screen::{Screen, print};
use line_tests::signals::unless_interrupted;
use options::Options;
use oracle::Finding;
use play::Played;
use report::Report;
use schedule::Schedule;
use stage::Stage;

/// Findings of a kind that are shown.
const SHOWN: usize = 20;

#[tokio::main]
async fn main() -> ExitCode {
    let screen = Screen::start();
    let options = Options::parse();
    let done = if options.kinds { list().map(|()| true) } else { unless_interrupted(run(&screen, &options)).await };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to be told when this cannot be written.
            screen.bad(&format!("drill failed: {error:#}")).ok();
            ExitCode::FAILURE
        }
    }
}

fn list() -> Result<()> {
    kinds::KINDS.iter().try_for_each(|kind| print(&format!("{:<16} {}\n", kind.id, kind.what)))
}

/// Whether the drill found what it has to find: nothing, or with a control something.
async fn run(screen: &Screen, options: &Options) -> Result<bool> {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    print(&format!("drill: seed={seed}\n"))?;
    let mut stage = Stage::start(options).await.context("the line could not be started")?;
    screen.say("the line is up: a Sentinel trio, two agents, two hooks, three workers")?;
    let mut left_out = Vec::new();
    let (kinds, out) = options.chosen().into_iter().partition::<Vec<_>, _>(|kind| {
        let problem = faults::problem(*kind, &stage);
        left_out.extend(problem.iter().map(|problem| (kind.id, problem.clone())));
        problem.is_none()
    });
    drop(out);
    let played = play::play(&mut stage, Schedule::new(seed, kinds), options, screen).await?;
    let report = summed_up(seed, &stage, played, left_out, screen);
    show(&report, options, screen)?;
    stage.keep_logs(options.logs.as_deref())?;
    drop(stage);
    print(&format!("{}\n", report.last_line()))?;
    let found = !report.complaints.is_empty();
    Ok(if options.control.is_some() { report.shows_harm() } else { !found })
}

fn summed_up(
    seed: u64,
    stage: &Stage,
    played: Played,
    left_out: Vec<(&'static str, String)>,
    screen: &Screen,
) -> Report {
    let counted = stage.lives.doubles();
    let mut complaints = played.verdict.complaints();
    complaints.extend(played.problem);
    let marked = played.verdict.marked;
    if counted + 0.5 < f64::from(u32::try_from(marked).unwrap_or(u32::MAX)) {
        complaints
            .push(format!("{marked} runs were marked as possible further ones, and the product counted {counted}"));
    }
    Report {
        seed,
        faults: report::rows(&played.faults, &played.verdict),
        made: played.faults.len(),
        timeline: played.faults,
        verdict: played.verdict,
        counted_by_product: counted,
        plain_acknowledged: played.plain_acknowledged,
        plain_lost: played.plain_lost,
        left_out,
        complaints,
        seconds: screen.elapsed().as_secs_f64(),
    }
}

fn show(report: &Report, options: &Options, screen: &Screen) -> Result<()> {
    print("\n")?;
    print(&report::render(&report.faults))?;
    let verdict = &report.verdict;
    print(&format!(
        "settled {}, dead {:?}, parked {:?}, run without a record {}\n",
        verdict.settled, verdict.dead, verdict.parked, verdict.unrecorded
    ))?;
    print(&format!(
        "further runs: {} at the agent that lists, {} at the blind one\n\
         sends that the product counted as possible further runs: {}, of which {} ran\n",
        verdict.doubled_at(Sight::Listing),
        verdict.doubled_at(Sight::Blind),
        report.counted_by_product,
        verdict.marked
    ))?;
    if report.plain_acknowledged > 0 {
        print(&format!(
            "a producer without an outbox lost {} of {} acknowledged writes around planned failovers\n",
            report.plain_lost, report.plain_acknowledged
        ))?;
    }
    for (fault, why) in &report.left_out {
        print(&format!("left out: {fault}: {why}\n"))?;
    }
    for (name, findings) in verdict.bad() {
        findings.iter().take(SHOWN).try_for_each(|finding| print(&line(name, finding)))?;
    }
    if options.json {
        print(&format!("{}\n", serde_json::to_string(report)?))?;
    }
    report.complaints.iter().try_for_each(|complaint| screen.bad(complaint))
}

fn line(name: &str, finding: &Finding) -> String {
    let since = |at: &f64| format!("{:+.2}", at - finding.posted);
    let runs: Vec<_> = finding.runs.iter().map(since).collect();
    let fault = finding.fault.map_or("-".to_owned(), |fault| (fault + 1).to_string());
    let Finding { incident, agent, order, state, reason, posted, .. } = finding;
    format!(
        "{name}: {incident} at {agent} ({order}), posted {posted:.2}, runs {runs:?}, record {state:?} {reason:?}, fault {fault}\n"
    )
}
