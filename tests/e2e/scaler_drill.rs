//! The short scaler drill, with the development programs.

use std::time::Duration;

use anyhow::{Result, ensure};
use line_tests::Program;

/// A whole run on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

const FAULTS: &str = "failover,kill,stop,rollback,sentinels-down,replicas-gone,blind,lost-tail";

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_late_stale_or_a_false_zero() -> Result<()> {
    let mut drill = Program::start("scaler-drill", &["--only", FAULTS, "--after", "1", "--blind-ends"], &[])?;
    let code = drill.exit_code(PATIENCE).await?;
    let output = drill.output();
    ensure!(code == 0, "exit {code}:\n{output}\n{}", drill.log());
    let last = output.lines().last().unwrap_or_default();
    ensure!(last.starts_with("scaler-drill: faults=8 findings=0 "), "{output}");
    figure(&output);
    Ok(())
}

#[tokio::test]
async fn every_fault_has_a_name_and_an_unknown_one_is_refused() -> Result<()> {
    let mut drill = Program::start("scaler-drill", &["--kinds"], &[])?;
    ensure!(drill.exit_code(PATIENCE).await? == 0, "{}", drill.log());
    let output = drill.output();
    for fault in FAULTS.split(',') {
        ensure!(output.lines().any(|line| line.split(' ').next() == Some(fault)), "{fault} is not in {output}");
    }
    let mut drill = Program::start("scaler-drill", &["--only", "nonsense"], &[])?;
    ensure!(drill.exit_code(PATIENCE).await? == 2 && drill.log().contains("no such fault"), "{}", drill.log());
    Ok(())
}

/// Test figures go to stderr, where the test runner shows them with `--nocapture`.
fn figure(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}
