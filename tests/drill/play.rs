//! The drill itself: faults one after the other while alerts come in, then the wait for everything to be final.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use line_tests::{Agent, Prober, eventually_every, eventually_ok_every};

use crate::books;
use crate::clock::{now, unix};
use crate::faults;
use crate::kinds::Sight;
use crate::load::Load;
use crate::options::Options;
use crate::oracle::{CaughtUp, Injected, Posted, Ran, Verdict, caught_up, judge, waits};
use crate::plain::Plain;
use crate::runs::Runs;
use crate::schedule::{Planned, Schedule};
use crate::stage::Stage;
use line_tests::screen::Screen;

/// Longest wait for the line to be at work, and for an incident to run after a fault.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for what was unread at a fault to run.
const CATCH_UP: Duration = Duration::from_secs(10);
/// Time between two looks at everything.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time between two looks at the agents' logs.
const RUNS_EVERY: Duration = Duration::from_millis(50);
/// Longest wait for as many incidents as were asked for.
const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// What was done and seen.
#[derive(Debug, Default)]
pub(crate) struct Played {
    pub(crate) faults: Vec<Injected>,
    pub(crate) verdict: Verdict,
    pub(crate) plain_acknowledged: usize,
    pub(crate) plain_lost: usize,
    /// Why not everything was done.
    pub(crate) problem: Option<String>,
}

/// The parts that watch.
struct Watch {
    load: Load,
    runs: Runs,
    prober: Prober,
    plain: Plain,
}

/// Plays the schedule and judges. A problem on the way ends the faults, not the judgement.
pub(crate) async fn play(stage: &mut Stage, schedule: Schedule, options: &Options, screen: &Screen) -> Result<Played> {
    let counting = stage.lives.watch();
    let hooks = Sight::BOTH.into_iter().zip(&stage.hooks).map(|(sight, hook)| (sight, hook.address.subscribe()));
    let logs = stage.agents.iter().map(Agent::log_file);
    let mut watch = Watch {
        runs: Runs::new(logs),
        load: Load::start(hooks.collect(), Duration::from_millis(options.every)),
        prober: Prober::start(&stage.trio),
        plain: Plain::start(&stage.trio),
    };
    let mut played = Played::default();
    let problem = all_faults(stage, &mut watch, schedule, options, screen, &mut played).await.err();
    let problem = problem.map(|error| format!("{error:#}"));
    if let Some(problem) = &problem {
        screen.say(&format!("the faults end here: {problem}"))?;
    }
    let notes = watch.load.notes.clone();
    if let Some(least) = options.incidents.filter(|_| problem.is_none()) {
        let enough = async || (notes.count() >= least).then_some(());
        eventually_every(LOOK_EVERY, format!("{least} incidents to be posted"), LONGEST, enough).await?;
    }
    screen.say("no more faults: waiting for the rest of the alerts to be answered")?;
    let answered = tokio::time::timeout(options.drain_within(), watch.load.finish()).await;
    let unanswered = answered.is_err().then(|| "some alerts were never answered with 2xx".to_owned());
    played.verdict = settle(stage, &mut watch.runs, &notes.all(), &mut played.faults, options, screen).await?;
    let ended = stage.all_running().err().map(|error| format!("{error:#}"));
    played.problem = problem.or(unanswered).or(ended);
    for place in stage.places() {
        stage.lives.end(place.admin()).await;
    }
    drop(counting);
    Ok(played)
}

async fn all_faults(
    stage: &mut Stage,
    watch: &mut Watch,
    schedule: Schedule,
    options: &Options,
    screen: &Screen,
    played: &mut Played,
) -> Result<()> {
    at_work(watch, now()).await.context("the line does not begin to work")?;
    let begun = Instant::now();
    let most = if options.seconds.is_some() { usize::MAX } else { options.faults };
    for planned in schedule.take(most) {
        if options.seconds.is_some_and(|seconds| begun.elapsed() >= Duration::from_secs(seconds)) {
            break;
        }
        // The schedule's own time between two faults.
        tokio::time::sleep(planned.pause).await;
        one_fault(stage, watch, &planned, screen, played).await.with_context(|| planned.kind.id)?;
    }
    Ok(())
}

async fn one_fault(
    stage: &mut Stage,
    watch: &mut Watch,
    planned: &Planned,
    screen: &Screen,
    played: &mut Played,
) -> Result<()> {
    let since = Instant::now();
    let start = now();
    let made = faults::inject(stage, &watch.load, planned).await;
    let (effect, failed) = match made {
        Ok(effect) => (effect, None),
        Err(error) => (faults::Effect::default(), Some(error)),
    };
    let turn = watch.prober.turns().into_iter().rfind(|turn| turn.at >= since).map(|turn| unix(turn.at));
    let usable = turn.filter(|_| planned.kind.is_redis());
    let kind = planned.kind;
    let (sight, note) = (effect.sight, effect.note);
    let redis = usable.map(|at| at - effect.broke.map_or(start, unix));
    played.faults.push(Injected {
        kind,
        start,
        end: now(),
        sight,
        resume: None,
        wait: None,
        redis,
        caught_up: CaughtUp::default(),
        note: note.clone(),
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let from = usable.unwrap_or_else(now);
    let resume = at_work(watch, from).await;
    if kind.id == "failover" {
        let (acknowledged, lost) = watch.plain.lost_since(start - 1.0, &stage.trio).await?;
        played.plain_acknowledged += acknowledged;
        played.plain_lost += lost;
    }
    stage.all_running()?;
    let resume = resume?;
    let caught_up = match usable {
        Some(usable) => all_caught_up(watch, start, usable).await?,
        None => CaughtUp::default(),
    };
    if let Some(fault) = played.faults.last_mut() {
        (fault.resume, fault.caught_up) = (Some(resume), caught_up);
    }
    let count = played.faults.len();
    let millis = resume * 1000.0;
    let redis = redis.map_or(String::new(), |took| format!(", Redis was back after {:.0} ms", took * 1000.0));
    screen.say(&format!("{count:3}  {:<16} {note:<18} a new incident runs after {millis:.0} ms{redis}", kind.id))
}

/// Waits until an incident posted after `from` (Unix seconds) runs; gives the seconds from then to its dispatch.
async fn at_work(watch: &mut Watch, from: f64) -> Result<f64> {
    let (runs, notes) = (&mut watch.runs, &watch.load.notes);
    eventually_every(RUNS_EVERY, "an incident to run that came in afterwards", PATIENCE, async || {
        let new: std::collections::HashSet<String> =
            notes.all().into_iter().filter(|posted| posted.at >= from).map(|posted| posted.fingerprint).collect();
        let ran = runs.read().ok()?;
        let after = ran.iter().rev().take_while(|run| run.at >= from - 60.0);
        let first = after.filter(|run| new.contains(&run.fingerprint)).map(|run| run.at).reduce(f64::min);
        first.map(|at| at - from)
    })
    .await
}

/// Waits until what was accepted before `usable` has run, but not for ever: what may be on its way without an answer
/// waits longer, and the judgement at the end knows it.
async fn all_caught_up(watch: &mut Watch, start: f64, usable: f64) -> Result<CaughtUp> {
    let (runs, notes) = (&mut watch.runs, &watch.load.notes);
    let mut seen = CaughtUp::default();
    let done = eventually_ok_every(RUNS_EVERY, "what was unread to run", CATCH_UP, async || {
        seen = caught_up(&notes.all(), runs.read()?, start, usable);
        ensure!(seen.open == 0);
        Ok(())
    });
    // Cut short by its patience: what was seen until then counts.
    done.await.ok();
    Ok(seen)
}

/// Waits until every incident that was promised is final and the stream is worked off; judges then, whatever there is.
async fn settle(
    stage: &mut Stage,
    runs: &mut Runs,
    posted: &[Posted],
    faults: &mut [Injected],
    options: &Options,
    screen: &Screen,
) -> Result<Verdict> {
    screen.say("waiting for everything to be final")?;
    let done = eventually_ok_every(LOOK_EVERY, "everything to be final", options.drain_within(), async || {
        let books = books::read(&mut stage.master().await?).await?;
        let open = posted.iter().filter(|alert| alert.accepted.is_some());
        let open = open.filter(|alert| books.get(&alert.incident).is_none_or(|book| !book.is_final())).count();
        ensure!(open == 0, "{open} incidents are not final");
        line_tests::line::Books(stage.master().await?).is_drained().await
    })
    .await;
    if let Err(error) = done {
        screen.say(&format!("{error:#}"))?;
    }
    let books = books::read(&mut stage.master().await?).await?;
    let ran: Vec<Ran> = runs.read()?.to_vec();
    waits(faults, posted, &ran);
    Ok(judge(posted, &ran, &books, faults))
}
