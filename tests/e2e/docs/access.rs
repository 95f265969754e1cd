//! `docs/operating.md`: the Redis and Sentinel users there can do everything that the programs need.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::alerts::{self, burst, count, post_body, webhook};
use line_tests::keda::ScaledObject;
use line_tests::line::{Books, DEAD, Member, Settings};
use line_tests::process::Signal;
use line_tests::{Agent, AgentKind, AgentOptions, Client, Keda, Program, Trio, TrioOptions, eventually_ok};
use serde_json::{Value, json};

use super::page;

const PATIENCE: Duration = Duration::from_secs(30);
const PARKED: &str = "incident:events:parked";
const WAITING: &str = "incident:events:waiting:kagent:triage-agent";

/// The lines of the page that define users, by the heading above them.
fn users(heading: &str) -> Result<Vec<String>> {
    let text = page::read("docs/operating.md")?;
    let lines = page::section(&text, heading)?.lines();
    Ok(lines.filter(|line| line.starts_with("user ")).map(str::to_owned).collect())
}

/// A trio whose nodes and sentinels have the users of the page.
async fn trio() -> Result<Trio> {
    let config = users("### Redis users")?;
    ensure!(config.len() == 4, "{config:?}");
    let trio = Trio::start(TrioOptions { config, ..TrioOptions::default() }).await?;
    let sentinel_users = users("### Sentinel user")?;
    let [user] = sentinel_users.as_slice() else { anyhow::bail!("{sentinel_users:?}") };
    for sentinel in trio.sentinels() {
        let words: Vec<&str> = ["ACL", "SETUSER"].into_iter().chain(user.split_whitespace().skip(1)).collect();
        Client::connect(&sentinel).await?.cmd(&words).await?;
    }
    Ok(trio)
}

fn settings(trio: &Trio, agent: &Agent, user: &str) -> Settings {
    Settings::of_trio(trio)
        .agents_at(&agent.url())
        .with("MIN_IDLE_MS", "1000")
        .with("REDIS_USERNAME", user)
        .with("REDIS_PASSWORD", "PASSWORD")
        .with("REDIS_SENTINEL_USERNAME", "incident-line")
        .with("REDIS_SENTINEL_PASSWORD", "PASSWORD")
}

/// What an operator says, as the operator's user.
async fn replay(trio: &Trio, agent: &Agent, arguments: &[&str]) -> Result<String> {
    let (sentinels, agents) = (trio.sentinels().join(","), format!("{}/?agent={{agent}}", agent.url()));
    let environment = [
        ("REDIS_SENTINELS", &*sentinels),
        ("KAGENT_A2A_URL", &*agents),
        ("MIN_IDLE_MS", "1000"),
        ("REDIS_USERNAME", "incident-operator"),
        ("REDIS_PASSWORD", "PASSWORD"),
        ("REDIS_SENTINEL_USERNAME", "incident-line"),
        ("REDIS_SENTINEL_PASSWORD", "PASSWORD"),
    ];
    let arguments: Vec<&str> = std::iter::once("replay").chain(arguments.iter().copied()).collect();
    let mut program = Program::start("stream-dispatcher", &arguments, &environment)?;
    let code = program.exit_code(PATIENCE).await?;
    ensure!(code == 0, "{arguments:?} ended with {code}: {}", program.tail());
    Ok(program.output())
}

async fn length(books: &mut Books, stream: &str, expected: i64) -> Result<()> {
    eventually_ok(format!("{expected} entries in {stream}"), PATIENCE, async || {
        let length = books.length(stream).await?;
        ensure!(length == expected, "{length}");
        Ok(())
    })
    .await
}

async fn drained(books: &mut Books) -> Result<()> {
    eventually_ok("the stream to be drained", PATIENCE, async || books.is_drained().await).await
}

/// A webhook with an outcome of every kind, an unreadable alert, a resolved one, and an entry of another producer.
async fn all_kinds(hook: &Member, books: &mut Books) -> Result<()> {
    let sent = [
        burst(1, 1, "echo"),
        burst(2, 1, "fail"),
        burst(3, 1, "input"),
        vec![burst(4, 1, "echo").remove(0).resolved()],
    ];
    let mut body = webhook(&sent.concat());
    body.get_mut("alerts").and_then(Value::as_array_mut).context("no alerts")?.push(json!("not an alert"));
    let (status, answer) = post_body(&hook.http, &body, None).await?;
    ensure!(status == 200 && count(&answer, "stream") == 3 && count(&answer, "undecodable") == 1, "{status} {answer}");
    books.0.cmd(&["HSET", "incident:routing", "investigation", "triage-agent"]).await?;
    books.0.cmd(&["SET", "incident:artifact:am-foreign:alert", "echo"]).await?;
    books
        .add(
            "incident:events",
            &[("workflow_id", "am-foreign"), ("artifact_key", "incident:artifact:am-foreign:alert")],
        )
        .await?;
    length(books, DEAD, 2).await?;
    length(books, PARKED, 1).await?;
    drained(books).await
}

/// An agent that is away: its entry waits, keeps the scaler awake, and comes back.
async fn away_and_back(
    trio: &Trio,
    agent: &mut Agent,
    hook: &Member,
    scaler: &Member,
    books: &mut Books,
) -> Result<()> {
    agent.stop().await?;
    let (status, answer) = alerts::post(&hook.http, &burst(10, 1, "echo")).await?;
    ensure!(status == 200, "{status} {answer}");
    length(books, WAITING, 1).await?;
    // A worker takes it out now and then, to try.
    eventually_ok("an operator to bring it back", PATIENCE, async || {
        let said = replay(trio, agent, &["retry", "--all", "--state", "waiting", "--yes"]).await?;
        ensure!(said.contains("retried=1"), "{said}");
        Ok(())
    })
    .await?;
    told(scaler, true).await?;
    agent.restart().await?;
    length(books, WAITING, 0).await?;
    drained(books).await
}

/// An alert that fires on after its outcome, for a hook that runs it again.
async fn again(hook: &Member, books: &mut Books) -> Result<()> {
    let alert = burst(40, 1, "echo");
    for _ in 0..2 {
        let (status, answer) = alerts::post(&hook.http, &alert).await?;
        ensure!(status == 200 && count(&answer, "stream") == 1, "{status} {answer}");
        drained(books).await?;
    }
    Ok(())
}

/// What an operator brings in from a file, with its message text under a key.
async fn carried_over(trio: &Trio, agent: &Agent) -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    let fields = [["workflow_id", "am-carried"], ["artifact_key", "incident:artifact:am-carried:alert"]];
    let line = json!({"v": 1, "state": "dead", "entry_id": "1-0", "fields": fields, "artifact": "echo"});
    std::fs::write(&file, line.to_string())?;
    let said = replay(trio, agent, &["import", &file.path().to_string_lossy(), "--yes"]).await?;
    ensure!(said.contains("imported=1"), "{said}");
    let said = replay(trio, agent, &["export", "-", "--state", "dead"]).await?;
    ensure!(said.contains("not needed") && said.contains("am-21"), "{said}");
    Ok(())
}

/// The scaler can read, and says whether there is something to do.
async fn told(scaler: &Member, expected: bool) -> Result<()> {
    let keda = Keda::connect(&scaler.grpc).await?;
    eventually_ok(format!("the scaler to say {expected}"), PATIENCE, async || {
        ensure!(keda.is_active(&ScaledObject::with_metadata(&[])).await? == expected);
        Ok(())
    })
    .await
}

/// How Redis refuses a command, outside of a script and inside of one, and a subscription.
const REFUSALS: [&str; 4] = ["NOPERM", "no permissions", "can't run this command", "polling only"];

fn still_allowed(members: &[&Member]) -> Result<()> {
    for member in members {
        let log = member.program.log();
        let refused = |line: &&str| REFUSALS.iter().any(|words| line.contains(words));
        let refused: Vec<_> = log.lines().filter(refused).collect();
        ensure!(refused.is_empty(), "{refused:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_of_the_page_may_do_all_that_is_needed() -> Result<()> {
    let (trio, mut agent) = (trio().await?, Agent::start(AgentKind::V10, AgentOptions::default()).await?);
    let rerun = settings(&trio, &agent, "incident-hook").with("ALERT_RERUN_AFTER", "1ms");
    let hook = Member::dispatcher("hook", &rerun).await?;
    let mut worker = Member::dispatcher("work", &settings(&trio, &agent, "incident-worker")).await?;
    let mut books = Books::at(&trio.master_address().await?).await?;
    all_kinds(&hook, &mut books).await?;
    again(&hook, &mut books).await?;
    // The unreadable alert could not be run again: it names no agent, and is left out.
    for filter in [["--state", "dead", "--agent", "triage-agent"], ["--state", "parked", "--agent", "triage-agent"]] {
        let said = replay(&trio, &agent, &[["retry", "--all", "--yes"].as_slice(), &filter].concat()).await?;
        ensure!(said.contains("retried=1"), "{said}");
    }
    drained(&mut books).await?;
    let scaler = Member::scaler(&settings(&trio, &agent, "incident-scaler")).await?;
    away_and_back(&trio, &mut agent, &hook, &scaler, &mut books).await?;

    // A worker that dies, an operator who does not wait, a worker that leaves.
    let (status, answer) = alerts::post(&hook.http, &burst(20, 1, "slow 2")).await?;
    ensure!(status == 200, "{status} {answer}");
    eventually_ok("the slow run", PATIENCE, async || {
        ensure!(agent.executions().await?.iter().any(|execution| execution.text.contains("slow 2")));
        Ok(())
    })
    .await?;
    worker.program.kill9().await?;
    let said = replay(&trio, &agent, &["retry", "--all", "--state", "pending", "--force", "--yes"]).await?;
    ensure!(said.contains("retried=1"), "{said}");
    books.add("incident:events", &[("workflow_id", "am-21"), ("text", "echo")]).await?;
    let ghost = ["XREADGROUP", "GROUP", "dispatch-group", "ghost", "COUNT", "1", "STREAMS", "incident:events", ">"];
    books.0.cmd(&ghost).await?;
    let said = replay(&trio, &agent, &["drop", "am-21", "--force", "--reason", "not needed", "--yes"]).await?;
    ensure!(said.contains("dropped=1"), "{said}");
    carried_over(&trio, &agent).await?;
    let mut other = Member::dispatcher("work", &settings(&trio, &agent, "incident-worker")).await?;
    drained(&mut books).await?;
    other.program.signal(Signal::TERM)?;
    ensure!(
        other.program.exit_code(PATIENCE).await? == 0 && other.program.log().contains("left the group"),
        "{}",
        other.program.log()
    );
    // Unread and nobody there: now the lag counts.
    told(&scaler, false).await?;
    ensure!(alerts::post(&hook.http, &burst(30, 1, "echo")).await?.0 == 200);
    told(&scaler, true).await?;
    let shown = replay(&trio, &agent, &["show", "am-foreign", "-o", "json"]).await?;
    let shown: Value = serde_json::from_str(&shown)?;
    ensure!(shown.pointer("/record/state") == Some(&json!("settled")), "{shown}");
    still_allowed(&[&hook, &worker, &other, &scaler])
}
