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

/// The first one to try it would otherwise be the only one until its run ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_agent_that_answers_at_the_end_of_a_run_is_open_when_the_run_has_begun() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let agent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("agents.toml");
    std::fs::write(&config, "[defaults]\nmode = \"blocking\"\n")?;
    let settings = Settings::of_redis(&redis.address())
        .agents_at(&agent.url())
        .with("CONFIG", config.to_string_lossy())
        .with("MIN_IDLE_MS", "2000");
    let mut books = Books::at(&redis.address()).await?;
    books.0.cmd(&["HSET", "incident:events:agent:kagent:triage-agent", "open", "1", "words", "refused"]).await?;
    let _worker = Member::dispatcher("work", &settings).await?;
    for number in 0..5 {
        books.order(&format!("wf-{number}"), "slow 8 x").await?;
    }
    eventually_ok("everything to run", Duration::from_secs(60), async || books.is_drained().await).await?;
    let runs = agent.executions().await?;
    let (first, last) = (runs.iter().map(|run| run.t).reduce(f64::min), runs.iter().map(|run| run.t).reduce(f64::max));
    let apart = last.zip(first).map_or(f64::MAX, |(last, first)| last - first);
    ensure!(runs.len() == 5 && apart < 8.0, "{} runs, the last {apart} s after the first", runs.len());
    Ok(())
}
