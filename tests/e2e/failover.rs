//! The master changes under load: new incidents go on at once, nothing runs twice, no process restarts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use line_tests::alerts::{self, Alert};
use line_tests::line::{Books, Member, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, Execution, Prober, Trio, TrioOptions, eventually, eventually_ok};
use tempfile::TempDir;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(40);
/// From the new master's first write to the first dispatch of an incident that came in after it, beyond what a
/// dispatch took before: the machine may be busy with other things.
const WITHIN: Duration = Duration::from_secs(1);

/// Time between two alerts.
const EVERY: Duration = Duration::from_millis(40);

struct Line {
    trio: Trio,
    agent: Agent,
    hook: Member,
    workers: Vec<Member>,
    _folder: TempDir,
}

async fn line() -> Result<Line> {
    let trio = Trio::start(TrioOptions::default()).await?;
    let agent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    // What is measured is the failover, not a queue at the agent.
    let settings = Settings::of_trio(&trio).agents_at(&agent.url()).many_runs();
    // The hook's direct way leads nowhere: every run in this test came over the stream.
    let folder = tempfile::tempdir()?;
    let outbox = folder.path().join("outbox.redb");
    let hook = settings.clone().agents_at("http://127.0.0.1:9").with("OUTBOX_PATH", outbox.to_string_lossy());
    let hook = Member::dispatcher("hook", &hook).await?;
    let workers = vec![Member::dispatcher("work", &settings).await?, Member::dispatcher("work", &settings).await?];
    Ok(Line { trio, agent, hook, workers, _folder: folder })
}

/// Posts one new alert after the other until it is stopped.
struct Load {
    stop: Arc<AtomicBool>,
    posted: Arc<Mutex<Vec<Posted>>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Clone)]
struct Posted {
    alert: Alert,
    at: Instant,
    accepted: bool,
}

impl Load {
    fn start(hook: &str) -> Self {
        let (stop, posted, hook) = (Arc::new(AtomicBool::new(false)), Arc::default(), hook.to_owned());
        let (stopped, list) = (Arc::clone(&stop), Arc::clone(&posted));
        let task = tokio::spawn(async move {
            let mut pace = tokio::time::interval(EVERY);
            for number in 1.. {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                let alert = Alert::firing(number, "echo");
                let at = Instant::now();
                let answer = alerts::post(&hook, std::slice::from_ref(&alert)).await;
                let accepted = answer.is_ok_and(|(status, _)| status == 200);
                locked(&list).push(Posted { alert, at, accepted });
                // Less than the workers can do, so that what is measured is not a queue.
                pace.tick().await;
            }
        });
        Self { stop, posted, task }
    }

    /// What was accepted of what was posted since `at`.
    fn accepted_since(&self, at: Instant) -> Vec<Posted> {
        locked(&self.posted).iter().filter(|posted| posted.accepted && posted.at >= at).cloned().collect()
    }

    async fn stop(self) -> Result<Vec<Posted>> {
        self.stop.store(true, Ordering::Release);
        self.task.await?;
        let posted = locked(&self.posted).clone();
        Ok(posted)
    }
}

fn locked(posted: &Mutex<Vec<Posted>>) -> MutexGuard<'_, Vec<Posted>> {
    posted.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ran<'a>(executions: &'a [Execution], alert: &Alert) -> Option<&'a Execution> {
    executions.iter().find(|execution| execution.text.contains(&alert.fingerprint))
}

/// Unix seconds of an instant.
fn unix(at: Instant) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    now - at.elapsed().as_secs_f64()
}

/// Of `new`, the first that ran; seconds after `at`.
async fn first_dispatch(agent: &Agent, new: &[Posted], at: Instant) -> Result<f64> {
    let executions = agent.executions().await?;
    let first = new.iter().filter_map(|posted| ran(&executions, &posted.alert)).map(|execution| execution.t);
    Ok(first.reduce(f64::min).context("nothing that came in after it ran")? - unix(at))
}

/// The longest that any of `posted` took from the alert to its run, seconds.
async fn longest(agent: &Agent, posted: &[Posted]) -> Result<f64> {
    let executions = agent.executions().await?;
    let took = posted.iter().filter_map(|posted| Some(ran(&executions, &posted.alert)?.t - unix(posted.at)));
    Ok(took.fold(0.0, f64::max))
}

async fn drained(line: &Line) -> Result<()> {
    let drained = eventually_ok("the stream to be drained", PATIENCE, async || {
        // Another connection each time: one that a failover has cut is of no more use.
        Books::at(&line.trio.master_address().await?).await?.is_drained().await?;
        let open = line.hook.metric("outbox_open", "").await?;
        ensure!(open < 0.5, "{open} are open in the outbox");
        Ok(())
    })
    .await;
    drained.with_context(|| line.workers.iter().map(|worker| worker.program.log()).collect::<String>())
}

fn twice(agent: &Agent) -> Result<Vec<String>> {
    Ok(agent.runs()?.into_iter().filter(|(_, count)| *count > 1).map(|(id, _)| id).collect())
}

fn still_running(line: &mut Line) -> Result<()> {
    for member in line.workers.iter_mut().chain([&mut line.hook]) {
        ensure!(member.program.is_running(), "a program has ended: {}", member.program.tail());
    }
    Ok(())
}

/// Load, a master that goes by `end`, and what is measured then: of what came in since `new(end, first write)`, the first
/// dispatch.
async fn the_master_goes(
    line: &mut Line,
    end: impl AsyncFnOnce(&mut Trio) -> Result<String>,
    new: impl Fn(Instant, Instant) -> Instant,
) -> Result<Vec<Posted>> {
    let start = Instant::now();
    let (prober, load) = (Prober::start(&line.trio), Load::start(&line.hook.http));
    eventually("the load to run", PATIENCE, async || {
        line.agent.executions().await.ok().filter(|executions| executions.len() > 50)
    })
    .await?;
    let usual = longest(&line.agent, &load.accepted_since(start)).await?;
    let since = Instant::now();
    let old = end(&mut line.trio).await?;
    let turn = prober.first_write_off(&old, since, PATIENCE).await?;
    let took = eventually_ok("an incident after the failover to run", PATIENCE, async || {
        first_dispatch(&line.agent, &load.accepted_since(new(since, turn.at)), turn.at).await
    })
    .await?;
    let posted = load.stop().await?;
    let (took_ms, usual_ms) = (took * 1000.0, usual * 1000.0);
    figure(&format!("first new dispatch {took_ms:.0} ms after the new master's first write; before {usual_ms:.0} ms"));
    ensure!(took < WITHIN.as_secs_f64() + usual, "{took} s, {usual} s before; {}", line.hook.program.log());
    drained(line).await?;
    still_running(line)?;
    Ok(posted)
}

/// Test figures go to stderr, where the test runner shows them with `--nocapture`.
fn figure(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_failover() -> Result<()> {
    let mut line = line().await?;
    let posted = the_master_goes(&mut line, async |trio| trio.failover().await, |_, first_write| first_write).await?;
    // Redis loses acknowledged writes here; the outbox puts them back.
    let again = line.hook.metric("outbox_republished_total", "").await?;
    figure(&format!("{again} of {} accepted incidents were lost by Redis and put back", posted.len()));
    all_ran_once(&line, &posted).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_master() -> Result<()> {
    let mut line = line().await?;
    // Nothing that came in after the kill was dispatched before there was a master; it goes in order, the oldest first.
    let posted = the_master_goes(&mut line, async |trio| trio.kill_master().await, |killed, _| killed).await?;
    all_ran_once(&line, &posted).await
}

async fn all_ran_once(line: &Line, posted: &[Posted]) -> Result<()> {
    let executions = line.agent.executions().await?;
    for posted in posted.iter().filter(|posted| posted.accepted) {
        ensure!(ran(&executions, &posted.alert).is_some(), "never ran: {posted:?}");
    }
    ensure!(twice(&line.agent)?.is_empty(), "ran twice: {:?}", twice(&line.agent)?);
    Ok(())
}
