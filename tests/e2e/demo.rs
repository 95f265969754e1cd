//! The demo itself: it succeeds, it fails when the line does not work, and it leaves nothing behind.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use line_tests::process::Signal;
use line_tests::{Program, eventually_ok};
use tempfile::TempDir;

/// A whole run on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The demo with a folder of its own for everything that it creates.
fn demo(arguments: &[&str]) -> Result<(Program, TempDir)> {
    let folder = tempfile::Builder::new().prefix("demo-").tempdir()?;
    let folder_name = folder.path().to_string_lossy().into_owned();
    Ok((Program::start("demo", arguments, &[("TMPDIR", &folder_name)])?, folder))
}

/// Ids of the processes that work in a folder: every one that the demo starts has its own below it.
fn processes_in(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc")? {
        let process = process?;
        // A process may be gone by now, or somebody else's.
        if std::fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder)) {
            found.push(process.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(found)
}

async fn nothing_is_left(folder: &Path) -> Result<()> {
    // A child that a Redis server had forked ends by itself, just after its parent.
    eventually_ok("no process to be left", Duration::from_secs(5), async || {
        let left = processes_in(folder)?;
        ensure!(left.is_empty(), "still running: {left:?}");
        Ok(())
    })
    .await?;
    let left: Vec<_> = std::fs::read_dir(folder)?.collect();
    ensure!(left.is_empty(), "files are left: {left:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_runs_once() -> Result<()> {
    let (mut demo, folder) = demo(&[])?;
    let code = demo.exit_code(PATIENCE).await?;
    ensure!(code == 0, "exit {code}:\n{}\n{}", demo.output(), demo.log());
    let output = demo.output();
    let last = output.lines().last().unwrap_or_default();
    ensure!(last.starts_with("demo: incidents=") && last.contains(" twice=0 lost=0 seconds="), "{output}");
    ensure!(!output.contains('\u{1b}'), "colours without a terminal");
    nothing_is_left(folder.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_a_worker_is_a_failure_that_leaves_nothing_behind() -> Result<()> {
    let (mut demo, folder) = demo(&["--without-worker", "--patience", "5s"])?;
    let code = demo.exit_code(PATIENCE).await?;
    ensure!(code == 1, "exit {code}");
    let (output, log) = (demo.output(), demo.log());
    ensure!(
        log.contains("demo failed: the backlog") && log.contains("there is still a backlog of 60, with 0 workers"),
        "{log}"
    );
    let last = output.lines().last().unwrap_or_default();
    ensure!(last.starts_with("demo: incidents=60 once=0 twice=0 lost=60 seconds="), "{output}");
    nothing_is_left(folder.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_runs_until_ctrl_c() -> Result<()> {
    let (mut demo, folder) = demo(&["--keep", "--without-worker", "--patience", "2s"])?;
    demo.wait_for_line("everything keeps running", PATIENCE).await?;
    let running = processes_in(folder.path())?;
    ensure!(running.len() == 9, "six servers, an agent, a scaler and a hook: {running:?}");
    demo.signal(Signal::INT)?;
    let code = demo.exit_code(PATIENCE).await?;
    ensure!(code == 1, "exit {code}");
    nothing_is_left(folder.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_in_the_middle_leaves_nothing_behind() -> Result<()> {
    let (mut demo, folder) = demo(&[])?;
    demo.wait_for_line("SENTINEL FAILOVER", PATIENCE).await?;
    demo.signal(Signal::INT)?;
    let code = demo.exit_code(PATIENCE).await?;
    ensure!(code == 130, "exit {code}");
    nothing_is_left(folder.path()).await
}
