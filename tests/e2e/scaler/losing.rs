//! The master changes under the scaler: an error or the truth, never less than is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use line_tests::line::{DATABASE, Member, Settings};
use line_tests::{Keda, Prober, Trio, TrioOptions, eventually_ok};
use tokio::task::JoinHandle;
use tonic::Code;

use super::{ANSWER_WITHIN, PATIENCE, figure, object, timed, value};

/// Half of them pending.
const ENTRIES: i64 = 40;

#[derive(Debug)]
struct Answer {
    at: Instant,
    took: Duration,
    value: Result<i64, Code>,
    active: Result<bool, Code>,
}

/// Asks 20 times a second, as several KEDA clients do together: a slow answer delays no later question.
struct Questions {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Vec<Answer>>,
}

impl Questions {
    fn start(keda: &Keda) -> Self {
        let (stop, keda) = (Arc::new(AtomicBool::new(false)), keda.clone());
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut asked = Vec::new();
            let mut pace = tokio::time::interval(Duration::from_millis(50));
            while !stopped.load(Ordering::Acquire) {
                pace.tick().await;
                let keda = keda.clone();
                asked.push(tokio::spawn(async move {
                    let (at, object) = (Instant::now(), object(&[]));
                    let (value, took) = timed(value(&keda, &object)).await;
                    let (active, also) = timed(keda.is_active(&object)).await;
                    Answer { at, took: took.max(also), value, active }
                }));
            }
            let mut answers = Vec::new();
            for answer in asked {
                answers.extend(answer.await.ok());
            }
            answers
        });
        Self { stop, task }
    }

    async fn stop(self) -> Result<Vec<Answer>> {
        self.stop.store(true, Ordering::Release);
        Ok(self.task.await?)
    }
}

async fn fill(trio: &Trio) -> Result<()> {
    let mut client = trio.client(DATABASE).await?;
    client.cmd(&["XGROUP", "CREATE", "incident:events", "dispatch-group", "0", "MKSTREAM"]).await?;
    for _ in 0..ENTRIES {
        client.cmd(&["XADD", "incident:events", "*", "workflow_id", "w"]).await?;
    }
    let half = (ENTRIES / 2).to_string();
    let read = ["XREADGROUP", "GROUP", "dispatch-group", "c", "COUNT", &half, "STREAMS", "incident:events", ">"];
    client.cmd(&read).await?;
    let reached = client.cmd(&["WAIT", "2", "3000"]).await?.int()?;
    ensure!(reached == 2, "{reached} replicas have it all");
    Ok(())
}

async fn the_master_goes(what: &str, end: impl AsyncFnOnce(&mut Trio) -> Result<String>) -> Result<()> {
    let mut trio = Trio::start(TrioOptions::default()).await?;
    fill(&trio).await?;
    let mut scaler = Member::scaler(&Settings::of_trio(&trio)).await?;
    let keda = Keda::connect(&scaler.grpc).await?;
    ensure!(value(&keda, &object(&[])).await? == ENTRIES);
    let (prober, questions) = (Prober::start(&trio), Questions::start(&keda));
    let since = Instant::now();
    let old = end(&mut trio).await?;
    let turn = prober.first_write_off(&old, since, PATIENCE).await?;
    eventually_ok("the number on the new master", PATIENCE, async || {
        ensure!(turn.at.elapsed() > Duration::from_secs(3), "answers are gathered");
        ensure!(value(&keda, &object(&[])).await? == ENTRIES);
        Ok(())
    })
    .await?;
    let answers = questions.stop().await?;
    for answer in &answers {
        ensure!(answer.took < ANSWER_WITHIN, "late: {answer:?}");
        ensure!(
            answer.value.is_ok_and(|value| value == ENTRIES) || answer.value == Err(Code::Unavailable),
            "{answer:?}"
        );
        ensure!(answer.active == Ok(true) || answer.active == Err(Code::Unavailable), "{answer:?}");
    }
    let errors = answers.iter().filter(|answer| answer.value.is_err()).count();
    let last = answers.iter().filter(|answer| answer.value.is_err()).map(|answer| answer.at + answer.took).max();
    let back = last.map_or(Duration::ZERO, |last| last.saturating_duration_since(turn.at));
    figure(&format!(
        "{what}: {errors} of {} answers were errors, the last {back:?} after the first write",
        answers.len()
    ));
    ensure!(back < Duration::from_secs(2), "{back:?}");
    ensure!(scaler.program.is_running());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_failover() -> Result<()> {
    the_master_goes("planned failover", async |trio| trio.failover().await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_master() -> Result<()> {
    the_master_goes("kill -9", async |trio| trio.kill_master().await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_master() -> Result<()> {
    the_master_goes("SIGSTOP", async |trio| trio.pause_master().await).await
}

/// After another master was named so long, nobody reads the old one.
const LEFT_WITHIN: Duration = Duration::from_millis(500);
/// More than the new master ever has.
const TOO_MANY: i64 = 1_000;

/// The old master goes on as one for a while after a planned failover, and takes entries: they are nobody's backlog.
#[tokio::test(flavor = "multi_thread")]
async fn the_old_master_s_number_is_not_told_once_another_is_named() -> Result<()> {
    let trio = Trio::start(TrioOptions::default()).await?;
    fill(&trio).await?;
    let scaler = Member::scaler(&Settings::of_trio(&trio)).await?;
    let keda = Keda::connect(&scaler.grpc).await?;
    // With a push stream open, a new entry on the old master is read at once, if anybody still reads there.
    let mut told = keda.stream_is_active(&object(&[])).await?;
    ensure!(told.message().await?.is_some_and(|told| told.result));
    let mut on_old = trio.client(DATABASE).await?;
    let old = trio.failover().await?;
    eventually_ok("another master to be named", PATIENCE, async || {
        ensure!(trio.master_address().await? != old);
        Ok(())
    })
    .await?;
    let named = Instant::now();
    // Whoever still reads the old one from now on is too late.
    tokio::time::sleep(LEFT_WITHIN).await;
    let add = "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'f', 'v') end";
    let many = TOO_MANY.to_string();
    let taken = on_old.cmd(&["EVAL", add, "1", "incident:events", &many]).await.is_ok();
    let mut right = 0;
    while named.elapsed() < Duration::from_secs(4) {
        let (found, took) = timed(value(&keda, &object(&[]))).await;
        ensure!(took < ANSWER_WITHIN, "{found:?} after {took:?}");
        match found {
            Ok(found) => {
                ensure!(found == ENTRIES, "{found}");
                right += 1;
            }
            Err(code) => ensure!(code == Code::Unavailable, "{code:?}"),
        }
    }
    figure(&format!("the old master took entries: {taken}"));
    ensure!(right > 0, "the new master's number was never told");
    Ok(())
}
