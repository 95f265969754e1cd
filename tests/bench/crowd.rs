//! `make bench`, a part: many runs at once in one worker: its memory, and how often it looks at them.
//!
//! `crowd N` makes it N runs. The agent is an A2A SDK server whose runs do not end.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use line_tests::line::{Books, STREAM, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, Member, Redis, RedisOptions, eventually, eventually_ok};

const RUNS: usize = 10_000;
/// The agent starts some hundreds of runs in a second.
const PATIENCE: Duration = Duration::from_secs(300);
/// Looks that are timed.
const WATCHED: f64 = 7_500.0;
const AIM_MIB: f64 = 150.0;
/// What the worker allows itself.
const MOST_POLLS: f64 = 250.0;
/// An alert's message is about this long.
const TEXT_BYTES: usize = 1_500;

#[tokio::main]
async fn main() -> Result<()> {
    let wanted = std::env::args().nth(1).map_or(Ok(RUNS), |runs| runs.parse())?;
    let redis = Redis::start(RedisOptions::default()).await?;
    let agent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    let settings = Settings::of_redis(&redis.address())
        .agents_at(&agent.url())
        .many_runs()
        .with("DISPATCHER_WORKERS", wanted.to_string())
        .with("RUST_LOG", "warn");
    let mut books = Books::at(&redis.address()).await?;
    let worker = Member::dispatcher("work", &settings).await?;
    let idle = worker.program.resident_mib()?;
    let text = format!("hang {}", "x".repeat(TEXT_BYTES));
    let began = Instant::now();
    for number in 0..wanted {
        let id = format!("wf-{number}");
        let fields = [
            ("workflow_id", id.as_str()),
            ("step", "investigation"),
            ("agent_target", "triage-agent"),
            ("text", &text),
        ];
        books.add(STREAM, &fields).await?;
    }
    eventually_ok("all runs to be under way", PATIENCE, async || {
        let running = worker.metric("dispatch_decisions_total", r#"row="running""#).await?;
        let started = agent.runs()?.len();
        ensure!(started == wanted, "{started} runs, {running} looks, {}", worker.program.tail());
        Ok(())
    })
    .await?;
    let (took, counted, since) = (began.elapsed(), polls(&worker).await?, Instant::now());
    let seen = eventually("the looks that are timed", PATIENCE, async || {
        polls(&worker).await.ok().map(|polls| polls - counted).filter(|polls| *polls >= WATCHED)
    })
    .await?;
    let per_second = seen / since.elapsed().as_secs_f64();
    let (used, pending) = (worker.program.resident_mib()?, books.pending().await?);
    let lost = worker.metric("worker_leases_lost_total", "").await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:<44} {:>10} {:>10}", "one worker", "is", "aim")?;
    writeln!(out, "{:<44} {pending:>10} {wanted:>10}", "runs at once")?;
    writeln!(out, "{:<44} {:>10.0} {:>10}", "until all were under way, s", took.as_secs_f64(), "-")?;
    writeln!(out, "{:<44} {idle:>10.1} {:>10}", "memory before (VmRSS), MiB", "-")?;
    writeln!(out, "{:<44} {used:>10.1} {:>10}", "memory with all of them, MiB", format!("< {AIM_MIB}"))?;
    writeln!(out, "{:<44} {per_second:>10.1} {:>10}", "looks at a task per second", format!("<= {MOST_POLLS}"))?;
    writeln!(out, "{:<44} {lost:>10.0} {:>10}", "leases lost", 0)?;
    let runs = agent.runs()?;
    ensure!(runs.len() == wanted && runs.values().all(|count| *count == 1), "something ran twice");
    ensure!(usize::try_from(pending)? == wanted && lost < 0.5, "{pending} pending, {lost} leases lost");
    ensure!(per_second <= MOST_POLLS * 1.05, "{per_second} looks a second");
    Ok(())
}

async fn polls(worker: &Member) -> Result<f64> {
    worker.metric("dispatch_polls_total", "").await
}
