//! The line on a real Sentinel trio with real agents: every alert runs once.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::ToSpan as _;
use line_tests::alerts::{self, Alert, burst, count};
use line_tests::line::{Books, DEAD, Member, STREAM, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, Redis, RedisOptions, Trio, TrioOptions, eventually_ok};

const PATIENCE: Duration = Duration::from_secs(120);

async fn drained(books: &mut Books) -> Result<()> {
    eventually_ok("the stream to be drained", PATIENCE, async || books.is_drained().await).await
}

async fn a_thousand_alerts(kind: AgentKind) -> Result<()> {
    let trio = Trio::start(TrioOptions::default()).await?;
    let agent = Agent::start(kind, AgentOptions::default()).await?;
    let settings = Settings::of_trio(&trio).agents_at(&agent.url()).with("DISPATCHER_WORKERS", "30").many_runs();
    let hook = Member::dispatcher("hook", &settings).await?;
    let _workers = [Member::dispatcher("work", &settings).await?, Member::dispatcher("work", &settings).await?];
    let mut books = Books::at(&trio.master_address().await?).await?;

    let sent = burst(1, 1000, "echo");
    for group in sent.chunks(100) {
        let (status, answer) = alerts::post(&hook.http, group).await?;
        ensure!(
            status == 200 && count(&answer, "stream") == 100 && count(&answer, "accepted") == 100,
            "{status} {answer}"
        );
    }
    drained(&mut books).await?;
    let runs = agent.runs()?;
    ensure!(runs.len() == 1000 && runs.values().all(|count| *count == 1), "{} messages ran: {runs:?}", runs.len());
    ensure!(books.length(DEAD).await? == 0, "dead letters: {:?}", books.column(DEAD, "error").await?);
    ensure!(books.length(STREAM).await? == 1000);

    // The same webhook again, and from a second sender whose clock is a minute off, adds nothing.
    let moved: Vec<Alert> = sent
        .iter()
        .take(100)
        .map(|alert| Ok(Alert { starts_at: alert.starts_at.checked_add(1.minute())?, ..alert.clone() }))
        .collect::<Result<_>>()?;
    let first: Vec<_> = sent.iter().take(100).cloned().collect();
    for group in [&first, &first, &moved] {
        let (status, answer) = alerts::post(&hook.http, group).await?;
        ensure!(
            status == 200 && count(&answer, "duplicate") == 100 && count(&answer, "accepted") == 0,
            "{status} {answer}"
        );
    }
    ensure!(books.length(STREAM).await? == 1000);
    drained(&mut books).await?;
    ensure!(agent.executions_from_log()?.len() == 1000);
    let counted = hook.metric("hook_alerts_total", r#"result="stream""#).await?;
    ensure!((counted - 1000.0).abs() < 0.1, "{counted} counted");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_alerts_run_once_each_at_an_agent_of_version_0_3() -> Result<()> {
    a_thousand_alerts(AgentKind::V03).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_alerts_run_once_each_at_an_agent_of_version_1_0() -> Result<()> {
    a_thousand_alerts(AgentKind::V10).await
}

async fn entries_of_the_present_system(kind: AgentKind) -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let agent = Agent::start(kind, AgentOptions::default()).await?;
    let settings =
        Settings::of_redis(&redis.address()).agents_at(&agent.url()).with("DISPATCHER_WORKERS", "30").many_runs();
    let _worker = Member::dispatcher("work", &settings).await?;
    let mut books = Books::at(&redis.address()).await?;
    for number in 0..200 {
        books.order(&format!("am-{}", 1_763_805_600_000_000_000_u64 + number), "echo").await?;
    }
    drained(&mut books).await?;
    let runs = agent.runs()?;
    ensure!(runs.len() == 200 && runs.values().all(|count| *count == 1), "{runs:?}");
    ensure!(runs.contains_key("am-1763805600000000000-investigation"), "the message id of the present system");
    ensure!(books.length(DEAD).await? == 0, "{:?}", books.column(DEAD, "error").await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_entries_of_the_present_system_at_version_0_3() -> Result<()> {
    entries_of_the_present_system(AgentKind::V03).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_entries_of_the_present_system_at_version_1_0() -> Result<()> {
    entries_of_the_present_system(AgentKind::V10).await
}

/// An entry of ours has everything that the present dispatcher reads: the fields, and the text under its key.
#[tokio::test(flavor = "multi_thread")]
async fn the_present_system_can_read_what_the_hook_writes() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let hook = Member::dispatcher("hook", &Settings::of_redis(&redis.address())).await?;
    ensure!(alerts::post(&hook.http, &burst(1, 1, "echo")).await?.0 == 200);
    let mut books = Books::at(&redis.address()).await?;
    for (name, value) in [("agent_target", "triage-agent"), ("step", "investigation"), ("status", "pending")] {
        ensure!(books.column(STREAM, name).await? == [value], "{name}");
    }
    let (ids, keys) = (books.column(STREAM, "workflow_id").await?, books.column(STREAM, "artifact_key").await?);
    ensure!(keys == [format!("incident:artifact:{}:alert", ids.concat())]);
    let text = books.0.cmd(&["GET", &keys.concat()]).await?.text()?.to_owned();
    ensure!(books.column(STREAM, "text").await? == [text.as_str()] && text.contains("[agent: echo]"));
    let parent = books.column(STREAM, "traceparent").await?.concat();
    ensure!(parent.len() == 55 && parent.starts_with("00-"), "{parent}");
    Ok(())
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Every kind of entry that cannot be worked on, with the reason it gets.
fn malformed(number: usize) -> Vec<(&'static str, Fields)> {
    let fields = |pairs: &[(&[u8], &[u8])]| pairs.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    let id = |kind: &str| format!("bad-{kind}-{number}").into_bytes();
    let text = (b"text".as_slice(), b"x".as_slice());
    let long = vec![b'x'; 300];
    let mut kinds: Vec<(&'static str, Fields)> = vec![
        ("undecodable", fields(&[(b"step", b"investigation"), text])),
        ("undecodable", fields(&[(b"workflow_id", b""), text])),
        ("undecodable", fields(&[(b"\xff\xfe", b"\x00\x01"), text])),
        ("undecodable", fields(&[(b"workflow_id", b"\xff\x00"), text])),
        ("undecodable", fields(&[(b"workflow_id", b"a b"), text])),
        ("undecodable", fields(&[(b"workflow_id", &long), text])),
        ("undecodable", fields(&[(b"workflow_id", b"a"), (b"workflow_id", b"b"), text])),
        ("undecodable", fields(&[(b"workflow_id", &id("binary-text")), (b"text", b"\xff")])),
        ("undecodable", fields(&[(b"workflow_id", &id("foreign-key")), (b"artifact_key", b"secret")])),
        ("artifact-missing", fields(&[(b"workflow_id", &id("no-text"))])),
        ("artifact-missing", fields(&[(b"workflow_id", &id("gone")), (b"artifact_key", b"incident:artifact:gone")])),
        ("no-route", fields(&[(b"workflow_id", &id("path")), (b"agent_target", b"../admin"), text])),
        ("no-route", fields(&[(b"workflow_id", &id("url")), (b"agent_target", b"a@evil:1/b?c"), text])),
        ("no-route", fields(&[(b"workflow_id", &id("step")), (b"step", b"nobody"), text])),
    ];
    if number == 0 {
        let megabyte = vec![b'x'; 1_100_000];
        kinds.push(("undecodable", fields(&[(b"workflow_id", &id("huge")), (b"text", &megabyte)])));
    }
    kinds
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_entries_among_good_ones_become_dead_letters() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let agent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    let settings =
        Settings::of_redis(&redis.address()).agents_at(&agent.url()).with("DISPATCHER_WORKERS", "30").many_runs();
    let mut books = Books::at(&redis.address()).await?;
    books.0.cmd(&["HSET", "incident:routing", "investigation", "triage-agent"]).await?;
    let mut expected = BTreeMap::<String, usize>::new();
    for number in 0..500 {
        books.order(&format!("good-{number}"), "echo").await?;
        for (reason, fields) in if number < 50 { malformed(number) } else { Vec::new() } {
            let mut words: Vec<Vec<u8>> = [b"XADD".as_slice(), STREAM.as_bytes(), b"*"].map(<[u8]>::to_vec).to_vec();
            words.extend(fields.into_iter().flat_map(|(name, value)| [name, value]));
            books.0.cmd(&words).await?;
            *expected.entry(reason.to_owned()).or_default() += 1;
        }
    }
    let mut worker = Member::dispatcher("work", &settings).await?;
    drained(&mut books).await?;
    let runs = agent.runs()?;
    ensure!(runs.len() == 500 && runs.values().all(|count| *count == 1), "{} ran", runs.len());
    let mut found = BTreeMap::<String, usize>::new();
    for reason in books.column(DEAD, "reason").await? {
        *found.entry(reason).or_default() += 1;
    }
    ensure!(found == expected, "{found:?} instead of {expected:?}");
    ensure!(books.column(DEAD, "original_id").await?.len() == expected.values().sum::<usize>());
    ensure!(worker.program.is_running());
    Ok(())
}
