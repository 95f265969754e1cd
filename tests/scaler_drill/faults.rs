//! The faults, one function each: broken, watched, and mended again.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use line_tests::keda::ScaledObject;
use line_tests::{Keda, eventually_ok};
use tokio::time::{sleep, timeout};

use crate::judge::{Rules, judge};
use crate::marks::add;
use crate::report::Row;
use crate::stage::{PATIENCE, Stage};

/// How long a fault that Redis does not end lasts.
const LASTS: Duration = Duration::from_secs(3);
/// Entries that are added at a time.
const TAIL: i64 = 30;
/// Time between two entries of a tail that is lost.
const TAIL_EVERY: Duration = Duration::from_millis(5);
/// A blind replica ends its streams after ten seconds.
const STREAMS_END_WITHIN: Duration = Duration::from_secs(15);

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Failover,
    Kill,
    Stop,
    Rollback,
    SentinelsDown,
    ReplicasGone,
    Blind,
    LostTail,
}

/// In the order in which they are played.
pub(crate) const FAULTS: [Fault; 8] = [
    Fault::Failover,
    Fault::Kill,
    Fault::Stop,
    Fault::Rollback,
    Fault::SentinelsDown,
    Fault::ReplicasGone,
    Fault::Blind,
    // Last: its number is held up for a minute.
    Fault::LostTail,
];

impl Fault {
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Rollback => "rollback",
            Self::SentinelsDown => "sentinels-down",
            Self::ReplicasGone => "replicas-gone",
            Self::Blind => "blind",
            Self::LostTail => "lost-tail",
        }
    }

    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Failover => "a planned failover",
            Self::Kill => "the master is killed, and comes back with old data as a second master",
            Self::Stop => "the master hangs, and goes on as a second master",
            Self::Rollback => "the master is killed and back at once, with old data",
            Self::SentinelsDown => "all Sentinels are away",
            Self::ReplicasGone => "both replicas of the scaler are killed",
            Self::Blind => "all data servers are away",
            Self::LostTail => "a planned failover while entries are added: the newest are lost, the number is held up",
        }
    }

    fn rules(self) -> Rules {
        let may_fall = matches!(self, Self::Rollback | Self::Blind);
        Rules { may_fall, may_part: matches!(self, Self::ReplicasGone | Self::Blind | Self::LostTail) }
    }
}

/// Breaks, watches, mends, judges.
pub(crate) async fn play(fault: Fault, stage: &mut Stage) -> Result<Row> {
    stage.told_truth().await?;
    let begin = Instant::now();
    let before = stage.truth().await?;
    let note = match fault {
        Fault::Failover => failover(stage).await?,
        Fault::Kill => kill(stage).await?,
        Fault::Stop => stop(stage).await?,
        Fault::Rollback => rollback(stage).await?,
        Fault::SentinelsDown => sentinels_down(stage).await?,
        Fault::ReplicasGone => replicas_gone(stage).await?,
        Fault::Blind => blind(stage).await?,
        Fault::LostTail => lost_tail(stage).await?,
    };
    sleep(stage.after).await;
    stage.sampler.settled(Instant::now()).await;
    let after = stage.truth().await?;
    let (marks, switches) = stage.observer.since(begin);
    let mut verdict = judge(&stage.sampler.since(begin), &marks, &switches, fault.rules());
    if let Some(finding) = note.strip_prefix("!") {
        verdict.findings.push(finding.to_owned());
    }
    for scaler in &mut stage.scalers {
        if !scaler.program.is_running() {
            verdict.findings.push(format!("a scaler has ended by itself: {}", scaler.program.tail()));
        }
    }
    Ok(Row { fault: fault.id(), verdict, note: format!("{before} -> {after}; {}", note.trim_start_matches('!')) })
}

/// Until the truth is told by both, counted from the first word of a Sentinel.
async fn switched(stage: &Stage, begin: Instant, old: &str) -> Result<String> {
    stage.trio.wait_for_new_master(old, PATIENCE).await?;
    let (marks, switches) = eventually_ok("the mark and the switch", PATIENCE, async || {
        let (marks, switches) = stage.observer.since(begin);
        ensure!(!switches.is_empty() && !marks.is_empty(), "{marks:?} {switches:?}");
        Ok((marks, switches))
    })
    .await?;
    let number = marks.last().map(|mark| mark.count).unwrap_or_default();
    stage.told(number).await?;
    let told = switches.first().map(|switch| switch.at.elapsed()).unwrap_or_default();
    Ok(format!("the new number {} ms after +switch-master", told.as_millis()))
}

async fn failover(stage: &mut Stage) -> Result<String> {
    let begin = Instant::now();
    let old = stage.trio.failover().await?;
    let note = switched(stage, begin, &old).await?;
    // Until a Sentinel looks again, the old one goes on as a second master.
    sleep(LASTS).await;
    stage.demote(&old).await?;
    Ok(note)
}

async fn kill(stage: &mut Stage) -> Result<String> {
    let begin = Instant::now();
    let old = stage.trio.kill_master().await?;
    let note = switched(stage, begin, &old).await?;
    stage.trio.node(&old)?.restart().await?;
    sleep(LASTS).await;
    stage.demote(&old).await?;
    Ok(note)
}

async fn stop(stage: &mut Stage) -> Result<String> {
    let begin = Instant::now();
    let old = stage.trio.pause_master().await?;
    let note = switched(stage, begin, &old).await?;
    stage.trio.node(&old)?.resume()?;
    sleep(LASTS).await;
    stage.demote(&old).await?;
    Ok(note)
}

async fn rollback(stage: &mut Stage) -> Result<String> {
    stage.save().await?;
    stage.add(TAIL).await?;
    let begin = Instant::now();
    let master = stage.trio.kill_master().await?;
    stage.trio.node(&master)?.restart().await?;
    sleep(LASTS).await;
    stage.told_truth().await?;
    stage.trio.wait_for_replicas(2, PATIENCE).await?;
    let (_, switches) = stage.observer.since(begin);
    Ok(if switches.is_empty() { "the master stayed".into() } else { "a failover came in between".into() })
}

async fn sentinels_down(stage: &mut Stage) -> Result<String> {
    let mut master = stage.master().await?;
    stage.trio.stop_all_sentinels().await?;
    sleep(LASTS).await;
    // Who knew the master before still reads it.
    let number = add(&mut master, TAIL).await?;
    stage.told(number).await?;
    stage.trio.start_all_sentinels().await?;
    eventually_ok("a quorum", PATIENCE, async || {
        for sentinel in stage.trio.sentinel_nodes() {
            sentinel.client().await?.cmd(&["SENTINEL", "CKQUORUM", "mymaster"]).await?;
        }
        Ok(())
    })
    .await?;
    Ok(String::new())
}

async fn replicas_gone(stage: &mut Stage) -> Result<String> {
    for scaler in &mut stage.scalers {
        scaler.program.kill9().await?;
    }
    sleep(LASTS).await;
    let begin = Instant::now();
    stage.start_scalers().await?;
    stage.told_truth().await?;
    Ok(format!("both know it {} ms after the start of the first", begin.elapsed().as_millis()))
}

/// Entries are added to the old master all the time: what it takes after the promotion is lost. The number that was told
/// last stays for a minute.
async fn lost_tail(stage: &mut Stage) -> Result<String> {
    stage.observer.mark(false);
    let mut client = stage.master().await?;
    let taken = AtomicI64::new(0);
    let writing = async {
        while let Ok(count) = add(&mut client, 1).await {
            taken.store(count, Ordering::Relaxed);
            sleep(TAIL_EVERY).await;
        }
        std::future::pending::<()>().await;
    };
    let begin = Instant::now();
    let old = stage.trio.failover().await?;
    tokio::select! {
        () = writing => {}
        new = stage.trio.wait_for_new_master(&old, PATIENCE) => drop(new?),
    }
    let after = stage.truth().await?;
    stage.told_at_least(after).await?;
    let took = begin.elapsed();
    stage.demote(&old).await?;
    stage.observer.mark(true);
    let taken = taken.into_inner();
    Ok(format!(
        "the old master had taken {taken}, the new one has {after}; a number again after {} ms",
        took.as_millis()
    ))
}

async fn blind(stage: &mut Stage) -> Result<String> {
    stage.save().await?;
    stage.observer.mark(false);
    let mut streams = Vec::new();
    for scaler in &stage.scalers {
        let mut stream = Keda::connect(&scaler.grpc).await?.stream_is_active(&ScaledObject::with_metadata(&[])).await?;
        ensure!(stream.message().await?.is_some_and(|told| told.result), "a stream begins with true");
        streams.push(stream);
    }
    let begin = Instant::now();
    stage.trio.stop_all_redis().await?;
    let ends = streams.iter_mut().map(|stream| async move {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return format!("OK after {:.1} s", begin.elapsed().as_secs_f64()),
                Err(status) => return format!("{:?} after {:.1} s", status.code(), begin.elapsed().as_secs_f64()),
            }
        }
    });
    let ends = join_all(ends.map(|end| timeout(STREAMS_END_WITHIN, end))).await;
    let ends: Vec<String> = ends.into_iter().map(|end| end.unwrap_or_else(|_| "still open".into())).collect();
    let good = ends.iter().all(|end| end.starts_with("OK"));
    stage.trio.start_all_redis().await?;
    stage.told_truth().await?;
    stage.trio.wait_for_replicas(2, PATIENCE).await?;
    stage.observer.mark(true);
    let mark = if stage.blind_ends && !good { "!" } else { "" };
    Ok(format!("{mark}streams: {}", ends.join(", ")))
}
