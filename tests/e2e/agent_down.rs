//! An agent that is down, or silent, and the others: three short leases here, in full length in `make bench`.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Result, ensure};
use line_tests::line::{Books, Member, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, Redis, RedisOptions, eventually_ok};

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_down_loses_nothing_and_holds_nobody_up() -> Result<()> {
    let seen = line_tests::agent_down::run(Duration::from_secs(3)).await?;
    writeln!(std::io::stderr(), "{seen:?}")?;
    // One probe at a time, ever more rarely: without that there would be one for each of the entries that came.
    ensure!(seen.tries < 12.0, "{seen:?}");
    Ok(())
}

/// Each of its entries has to be asked about first, and no question is answered within ten seconds.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_silent_holds_the_others_up_for_no_more_than_a_question() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let mut silent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    let talks = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("agents.toml");
    std::fs::write(
        &config,
        format!("[agents.silent]\nurl = \"{}\"\n[agents.talks]\nurl = \"{}\"\n", silent.url(), talks.url()),
    )?;
    let settings =
        Settings::of_redis(&redis.address()).with("CONFIG", config.to_string_lossy()).with("MIN_IDLE_MS", "3000");
    silent.pause()?;
    let worker = Member::dispatcher("work", &settings).await?;
    let mut books = Books::at(&redis.address()).await?;
    for number in 0..100 {
        books.order_of("silent", &format!("silent-{number}"), "echo").await?;
    }
    books.order_of("talks", "talks", "echo").await?;
    // A hundred questions of ten seconds each, ten at a time, would take longer.
    eventually_ok("the other agent's run", Duration::from_secs(60), async || {
        ensure!(talks.runs()?.len() == 1, "{}", worker.program.tail());
        Ok(())
    })
    .await?;
    silent.resume()?;
    eventually_ok("everything to run", Duration::from_secs(90), async || books.is_drained().await).await?;
    ensure!(silent.runs()?.values().all(|count| *count == 1) && silent.runs()?.len() == 100);
    Ok(())
}
