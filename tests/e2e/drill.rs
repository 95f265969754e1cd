//! The short drill: one round of different faults from a fixed seed, with the development programs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::Program;

/// A whole run on a busy machine.
const PATIENCE: Duration = Duration::from_secs(420);

const FAULTS: &str = "worker-kill,worker-stop,worker-term,hook-kill,failover,master-kill,master-stop,rollback,sentinels-down,\
                      stream-gone,records-gone,dead-gone,flushall,cut-answers,agent-kill,agent-lost,agent-slow";

/// The number behind `name=` in the last line.
fn number(line: &str, name: &str) -> Result<usize> {
    let word = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    word.with_context(|| format!("no {name} in {line:?}"))?.parse().context("no number")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_is_done_twice_without_leave() -> Result<()> {
    let schedule = ["--seed", "7", "--faults", "17", "--only", FAULTS];
    let rest = ["--incidents", "500", "--every", "250", "--round", "10"];
    let mut drill = Program::start("drill", &[&schedule[..], &rest[..]].concat(), &[])?;
    let code = drill.exit_code(PATIENCE).await?;
    let output = drill.output();
    ensure!(code == 0, "exit {code}:\n{output}\n{}", drill.log());
    let last = output.lines().last().unwrap_or_default();
    ensure!(last.starts_with("drill: incidents="), "{output}");
    ensure!(number(last, "lost")? == 0 && number(last, "faults")? == 17, "{last}");
    ensure!(number(last, "incidents")? >= 500, "{last}");
    Ok(())
}

#[tokio::test]
async fn every_fault_has_a_name_and_an_unknown_one_is_refused() -> Result<()> {
    let mut drill = Program::start("drill", &["--kinds"], &[])?;
    ensure!(drill.exit_code(PATIENCE).await? == 0, "{}", drill.log());
    let names: Vec<String> =
        drill.output().lines().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect();
    for fault in FAULTS.split(',') {
        ensure!(names.iter().any(|name| name == fault), "{fault} is not among {names:?}");
    }
    let mut drill = Program::start("drill", &["--only", "worker-kill,nonsense"], &[])?;
    ensure!(drill.exit_code(PATIENCE).await? == 2 && drill.log().contains("no such fault"), "{}", drill.log());
    Ok(())
}
