//! Redis goes away while everything runs: alerts go to the agent directly, and none runs twice.

use std::time::Duration;

use anyhow::{Result, ensure};
use line_tests::alerts::{self, Alert, burst, count};
use line_tests::line::{Books, Member, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, Trio, TrioOptions, eventually_ok};

const PATIENCE: Duration = Duration::from_secs(30);

async fn directly_then_back(kind: AgentKind) -> Result<()> {
    let mut trio = Trio::start(TrioOptions::default()).await?;
    let agent = Agent::start(kind, AgentOptions::default()).await?;
    let settings = Settings::of_trio(&trio).agents_at(&agent.url());
    let hook = Member::dispatcher("hook", &settings).await?;
    let worker = Member::dispatcher("work", &settings).await?;
    let before = burst(1, 3, "echo");
    ensure!(alerts::post(&hook.http, &before).await?.0 == 200);
    eventually_ok("three runs", PATIENCE, async || {
        ensure!(agent.runs()?.len() == 3);
        Ok(())
    })
    .await?;

    trio.stop_all_redis().await?;
    let during: Vec<_> = burst(11, 5, "slow 1").into_iter().chain([Alert::firing(20, "echo")]).collect();
    let answer = eventually_ok("the hook to dispatch directly", PATIENCE, async || {
        let (status, answer) = alerts::post(&hook.http, &during).await?;
        ensure!(status == 200, "{status} {answer}");
        Ok(answer)
    })
    .await?;
    ensure!(count(&answer, "direct") + count(&answer, "duplicate") == 6, "{answer}");
    // A repetition, also of what went over the stream before, adds nothing.
    let repeated: Vec<_> = during.iter().chain(&before).cloned().collect();
    let (status, answer) = alerts::post(&hook.http, &repeated).await?;
    ensure!(status == 200 && count(&answer, "duplicate") == 9 && count(&answer, "accepted") == 0, "{status} {answer}");
    ensure!(agent.runs()?.len() == 9, "{:?}", agent.runs()?);

    // No agent either: nobody can take it.
    let alone = Member::dispatcher("hook", &settings.agents_at("http://127.0.0.1:9")).await?;
    let (status, answer) = alerts::post(&alone.http, &[Alert::firing(30, "echo")]).await?;
    ensure!(status == 503, "{status} {answer}");

    trio.start_all_redis().await?;
    let mut books = Books::at(&trio.master_address().await?).await?;
    eventually_ok("the direct runs to be handed over and settled", PATIENCE, async || {
        books.is_drained().await?;
        let ends = books.column("incident:outcomes", "state").await?;
        ensure!(ends == ["settled"; 9], "{ends:?}");
        let mut via = books.column("incident:outcomes", "via").await?;
        via.sort();
        ensure!(via.iter().filter(|via| *via == "direct").count() == 6, "{via:?}");
        Ok(())
    })
    .await?;
    let (status, answer) = alerts::post(&hook.http, &repeated).await?;
    ensure!(status == 200 && count(&answer, "duplicate") == 9, "{status} {answer}");
    books.is_drained().await?;
    ensure!(agent.runs()?.values().all(|count| *count == 1), "{:?}", agent.runs()?);
    ensure!(worker.metric("dispatch_duplicate_possible_total", "").await? < 0.5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_stops_and_comes_back_with_an_agent_of_version_0_3() -> Result<()> {
    directly_then_back(AgentKind::V03).await
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_stops_and_comes_back_with_an_agent_of_version_1_0() -> Result<()> {
    directly_then_back(AgentKind::V10).await
}
