use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use line_tests::alerts::{Alert, webhook};
use line_tests::ports::free_port;
use line_tests::{Program, eventually, eventually_ok};

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn waiting_ends_with_the_value() -> Result<()> {
    let mut looks = 0;
    let found = eventually("the third look", PATIENCE, async || {
        looks += 1;
        (looks == 3).then_some("found")
    });
    assert_eq!(found.await?, "found");
    Ok(())
}

#[tokio::test]
async fn waiting_in_vain_says_for_what_and_why() {
    let short = Duration::from_millis(30);
    let waited = eventually_ok("the moon", short, async || -> Result<()> { bail!("clouds") });
    let text = format!("{:#}", waited.await.unwrap_err());
    assert!(text.contains("the moon") && text.contains("clouds"), "{text}");
}

#[tokio::test]
async fn an_attempt_cannot_outlast_the_patience() {
    let begun = Instant::now();
    let short = Duration::from_millis(30);
    let waited = eventually("never", short, async || std::future::pending::<Option<()>>().await);
    assert!(waited.await.is_err());
    assert!(begun.elapsed() < PATIENCE);
}

#[tokio::test]
async fn waiting_can_happen_in_a_task_of_its_own() -> Result<()> {
    let task = tokio::spawn(eventually("at once", PATIENCE, async || Some(())));
    task.await?
}

#[test]
fn ports_are_handed_out_once() -> Result<()> {
    let ports = (0..50).map(|_| free_port()).collect::<Result<HashSet<_>>>()?;
    assert_eq!(ports.len(), 50);
    Ok(())
}

#[tokio::test]
async fn a_program_has_only_the_environment_it_was_given() -> Result<()> {
    let mut env = Program::command("/usr/bin/env", &[], &[("GIVEN", "yes")])?;
    assert_eq!(env.exit_code(PATIENCE).await?, 0);
    assert_eq!(env.output(), "GIVEN=yes\n");
    Ok(())
}

#[tokio::test]
async fn a_program_s_lines_and_exit_code_are_seen() -> Result<()> {
    let script = "echo hello; echo trouble >&2; exit 3";
    let mut shell = Program::command("/bin/sh", &["-c", script], &[])?;
    assert_eq!(shell.wait_for_line("hell", PATIENCE).await?, "hello");
    assert_eq!(shell.wait_for_line("trouble", PATIENCE).await?, "trouble");
    assert_eq!(shell.exit_code(PATIENCE).await?, 3);
    assert_eq!(shell.log(), "trouble\n");
    Ok(())
}

#[tokio::test]
async fn waiting_for_a_line_of_an_ended_program_fails_at_once_with_its_log() -> Result<()> {
    let begun = Instant::now();
    let mut shell = Program::command("/bin/sh", &["-c", "echo why >&2; exit 1"], &[])?;
    let failed = shell.wait_for_line("ready", PATIENCE).await.unwrap_err();
    assert!(begun.elapsed() < PATIENCE);
    assert!(format!("{failed:#}").contains("why"), "{failed:#}");
    Ok(())
}

#[tokio::test]
async fn a_program_is_paused_resumed_and_terminated() -> Result<()> {
    let mut sleeper = Program::command("/bin/sleep", &["600"], &[])?;
    sleeper.pause()?;
    wait_for_state(sleeper.pid(), 'T').await?;
    sleeper.resume()?;
    wait_for_state(sleeper.pid(), 'S').await?;
    let status = sleeper.terminate(PATIENCE).await?;
    assert!(!status.success());
    assert!(sleeper.pause().is_err(), "nobody is left to be paused");
    Ok(())
}

#[tokio::test]
async fn dropping_a_program_kills_it_even_when_paused() -> Result<()> {
    let mut sleeper = Program::command("/bin/sleep", &["600"], &[])?;
    let pid = sleeper.pid();
    sleeper.pause()?;
    drop(sleeper);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    Ok(())
}

/// The state of a process, see proc(5).
async fn wait_for_state(pid: u32, state: char) -> Result<()> {
    eventually(format!("state {state} of {pid}"), PATIENCE, async || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let after_name = stat.rsplit(") ").next()?;
        after_name.starts_with(state).then_some(())
    })
    .await
}

#[test]
fn a_notification_has_alertmanager_s_form() {
    let firing = Alert::firing(1, "slow 2");
    let body = webhook(&[firing.clone(), firing.resolved()]);
    assert_eq!(body["version"], "4");
    assert_eq!(body["status"], "firing");
    let [first, second] = body["alerts"].as_array().unwrap().as_slice() else {
        panic!("two alerts went in");
    };
    assert_eq!(first["fingerprint"], "0000000000000001");
    assert_eq!(first["annotations"]["description"], "[agent: slow 2]");
    assert_eq!(first["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(second["status"], "resolved");
    assert_eq!(second["startsAt"], first["startsAt"]);
}
