//! What is refused, and the exit codes.

use anyhow::{Result, ensure};
use line_tests::line::{DEAD, STREAM};
use line_tests::ports::free_port;

use super::counter::{Counter, run};

#[tokio::test]
async fn bad_usage_and_settings_are_64() -> Result<()> {
    let mut counter = Counter::open().await?;
    counter.dead("am-1").await?;
    let rows: [(&[&str], &str); 8] = [
        (&["retry", "am-1"], "--yes"),
        (&["retry", "--all"], "--yes"),
        (&["retry", "--yes"], "required"),
        (&["retry", "--all", "--yes", "am-1"], "cannot be used"),
        (&["retry", "am-1", "--yes", "--state", "dead"], "--all"),
        (&["list", "--state", "gone"], "stuck, pending"),
        (&["list", "--agent", "../x"], "DNS label"),
        (&["show", "a b"], "workflow id"),
    ];
    for (arguments, words) in rows {
        let said = counter.replay(arguments).await?;
        ensure!(said.code == 64 && said.err.contains(words), "{arguments:?}: {} {}", said.code, said.err);
    }
    ensure!(counter.books.length(DEAD).await? == 1, "nothing was changed");
    let said = run(&["list"], &[("MIN_IDLE_MS", "x")]).await?;
    ensure!(said.code == 64 && said.err.contains("REDIS_URL") && said.err.contains("MIN_IDLE_MS"), "{}", said.err);
    Ok(())
}

#[tokio::test]
async fn no_redis_is_69() -> Result<()> {
    let url = format!("redis://127.0.0.1:{}", free_port()?);
    for arguments in [&["list"][..], &["show", "am-1"], &["retry", "--yes", "am-1"]] {
        let said = run(arguments, &[("REDIS_URL", &url)]).await?;
        ensure!(said.code == 69 && said.err.contains("Redis cannot be reached"), "{}: {}", said.code, said.err);
    }
    Ok(())
}

#[tokio::test]
async fn failed_is_1_and_partly_is_2() -> Result<()> {
    let mut counter = Counter::open().await?;
    let id = counter.dead("am-1").await?;
    counter.books.add(DEAD, &[("junk", "1"), ("error", "no workflow id")]).await?;
    let said = counter.replay(&["retry", "--yes", "am-nobody"]).await?;
    ensure!(said.code == 1 && said.last() == "replay: retried=0 skipped=0 failed=1", "{}", said.out);
    let said = counter.replay(&["retry", "--yes", "--all"]).await?;
    ensure!(said.code == 2 && said.last() == "replay: retried=1 skipped=0 failed=1", "{}", said.out);
    ensure!(said.out.contains("it would fail again: workflow_id is missing"), "{}", said.out);
    let said = counter.replay(&["show", &id]).await?;
    ensure!(said.code == 1, "the copy is gone: {}", said.out);
    ensure!(counter.books.length(DEAD).await? == 1 && counter.books.length(STREAM).await? == 1);
    Ok(())
}

#[tokio::test]
async fn a_dry_run_changes_nothing() -> Result<()> {
    let mut counter = Counter::open().await?;
    counter.dead("am-dead").await?;
    counter.waiting("am-waiting").await?;
    let held = counter.held("am-held", "x", "1").await?;
    let said = counter.replay(&["retry", "--all", "--dry-run"]).await?;
    ensure!(said.code == 0 && said.last().starts_with("replay: retried=2 skipped=1 failed=0"), "{}", said.out);
    ensure!(said.out.contains("would run again") && said.out.contains("in progress: ghost"), "{}", said.out);
    ensure!(counter.books.length(DEAD).await? == 1 && counter.books.length(STREAM).await? == 1);
    ensure!(counter.holder(&held).await?.as_deref() == Some("ghost"));
    Ok(())
}

#[tokio::test]
async fn a_limit_and_a_rate_hold() -> Result<()> {
    let mut counter = Counter::open().await?;
    for number in 0..6 {
        counter.dead(&format!("am-{number}")).await?;
    }
    let begun = std::time::Instant::now();
    let said = counter.replay(&["retry", "--all", "--state", "dead", "--yes", "--limit", "4", "--rate", "10"]).await?;
    ensure!(said.code == 0 && said.last() == "replay: retried=4 skipped=0 failed=0", "{}", said.out);
    ensure!(begun.elapsed().as_millis() >= 300, "three pauses of 100 ms");
    ensure!(counter.books.column(DEAD, "workflow_id").await? == ["am-4", "am-5"], "the oldest first");
    Ok(())
}
