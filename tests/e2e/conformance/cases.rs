//! The cases of KEDA's own end-to-end tests, and what its versions make of them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::eventually_ok;
use line_tests::keda::jobs::{Jobs, Strategy};
use line_tests::keda::workload::Seen;
use line_tests::keda::{Operator, Plan, Trigger, Version};

use super::figure;
use super::scene::{Books, PATIENCE, Scene, WATCH, object, plan};

/// `redis_sentinel_streams_lag`: neither stream nor group is there at first.
async fn lag(scene: &Scene) -> Result<()> {
    let mut books = scene.books().await?;
    let metadata = [("consumerGroup", "g"), ("lagCount", "12"), ("activationLagCount", "10")];
    let operator = scene.operator("lag", &metadata, plan(Version::V2_20, 0, 4))?;
    books.add("lag", 10).await?;
    operator.stay(0, WATCH).await?;
    books.add("lag", 1).await?;
    let woken = operator.reach(1, PATIENCE).await?;
    books.add("lag", 100).await?;
    let grown = operator.reach(4, PATIENCE).await?;
    books.drain("lag").await?;
    let rested = operator.reach(0, PATIENCE).await?;
    figure(&format!("lag: 11th entry -> 1 after {woken:?}, +100 -> 4 after {grown:?}, drained -> 0 after {rested:?}"));
    Ok(())
}

/// `redis_sentinel_streams_pending_entries`
async fn pending(scene: &Scene) -> Result<()> {
    let mut books = scene.books().await?;
    books.group("pending").await?;
    let metadata = [("consumerGroup", "g"), ("pendingEntriesCount", "10")];
    let operator = scene.operator("pending", &metadata, plan(Version::V2_20, 1, 4))?;
    books.add("pending", 100).await?;
    books.read_all("pending").await?;
    operator.reach(4, PATIENCE).await?;
    books.acknowledge_all("pending").await?;
    operator.reach(1, PATIENCE).await.map(drop)
}

/// `redis_sentinel_streams_length`: no group.
async fn length(scene: &Scene) -> Result<()> {
    let mut books = scene.books().await?;
    let operator = scene.operator("length", &[("streamLength", "10")], plan(Version::V2_18, 1, 4))?;
    books.add("length", 100).await?;
    operator.reach(4, PATIENCE).await?;
    books.remove("length").await?;
    operator.reach(1, PATIENCE).await.map(drop)
}

/// `external_scaler_so`: idle 0, min 1, max 2.
async fn external(scene: &Scene) -> Result<()> {
    let mut books = scene.books().await?;
    let scaled = idle(plan(Version::V2_21, 1, 2));
    let operator = scene.operator("external", &[("consumerGroup", "g")], scaled)?;
    steps(&operator, &mut books, "external").await
}

/// `external_push_scaler` and its old protocol: the same where KEDA reads floats and where it reads integers.
async fn push(scene: &Scene, version: Version, stream: &str) -> Result<()> {
    let mut books = scene.books().await?;
    // Polled seldom: what is quick came over the stream.
    let scaled = Plan { push: true, polling: Duration::from_secs(3), ..idle(plan(version, 1, 3)) };
    let operator = scene.operator(stream, &[("consumerGroup", "g"), ("target", "6.111")], scaled)?;
    // Until the first poll has written the autoscaler, `true` is passed over.
    operator.stay(0, WATCH).await?;
    books.add(stream, 1).await?;
    let woken = operator.reach(1, PATIENCE).await?;
    books.add(stream, 22).await?;
    let most = operator.reach(3, PATIENCE).await?;
    books.drain(stream).await?;
    operator.reach(0, PATIENCE).await?;
    figure(&format!("push to KEDA {version}: 1 entry -> 1 after {woken:?}, 23 -> 3 after {most:?}"));
    Ok(())
}

/// Value 10 -> 1, 20 -> 2, 0 -> 0 with a threshold of 10.
async fn steps(operator: &Operator, books: &mut Books, stream: &str) -> Result<()> {
    operator.stay(0, WATCH).await?;
    books.add(stream, 10).await?;
    operator.reach(1, PATIENCE).await?;
    operator.stay(1, WATCH).await?;
    books.add(stream, 10).await?;
    operator.reach(2, PATIENCE).await?;
    books.drain(stream).await?;
    operator.reach(0, PATIENCE).await.map(drop)
}

fn idle(mut plan: Plan) -> Plan {
    plan.limits.idle = Some(0);
    plan.replicas = 0;
    plan
}

/// `external_scaler_sj`: three jobs for 30 entries and no more; none for an empty stream.
async fn jobs(scene: &Scene) -> Result<()> {
    let mut books = scene.books().await?;
    let address = scene.scalers.first().context("no scaler")?.grpc.as_str();
    for (strategy, word, at_work) in [(Strategy::Default, "default", 30.0), (Strategy::Accurate, "accurate", 0.0)] {
        let stream = format!("jobs-{word}");
        let metadata = [("consumerGroup", "g"), ("jobScalingStrategy", word)];
        let trigger = Trigger::new(&[address], object(&stream, &metadata), Version::V2_20)?;
        let mut running = 0;
        ensure!(started(&trigger, strategy, running).await? == 0);
        books.add(&stream, 30).await?;
        eventually_ok("three jobs", PATIENCE, async || {
            running += started(&trigger, strategy, running).await?;
            ensure!(running == 3, "{running}");
            Ok(())
        })
        .await?;
        // The jobs take ten entries each and work: the backlog stays, the lag is gone.
        books.group(&stream).await?;
        books.read_all(&stream).await?;
        eventually_ok("the queue at work", PATIENCE, async || {
            let (queue, _) = queue(&trigger).await?;
            ensure!((queue - at_work).abs() < 0.5, "{word}: {queue}");
            Ok(())
        })
        .await?;
        eventually_ok("no further job", PATIENCE, async || {
            ensure!(started(&trigger, strategy, running).await? == 0);
            Ok(())
        })
        .await?;
        books.acknowledge_all(&stream).await?;
        eventually_ok("no job without work", PATIENCE, async || {
            ensure!(started(&trigger, strategy, 0).await? == 0);
            Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn started(trigger: &Trigger, strategy: Strategy, running: u32) -> Result<u32> {
    let (queue, target) = queue(trigger).await?;
    Ok(strategy.to_start(queue, target, Jobs { running, pending: 0, most: 3 }))
}

/// The queue and its target, as KEDA has them.
async fn queue(trigger: &Trigger) -> Result<(f64, f64)> {
    let Seen::Metrics(metrics) = trigger.round().await else { anyhow::bail!("no spec") };
    let metric = metrics.first().context("no metric")?;
    Ok((metric.read.and_then(|read| read.total).context("no value")?, metric.target))
}

#[tokio::test(flavor = "multi_thread")]
async fn kedas_own_cases() -> Result<()> {
    let scene = Scene::open().await?;
    let cases: [(&str, Result<()>); 7] = tokio::join!(
        async { ("lag", lag(&scene).await) },
        async { ("pending entries", pending(&scene).await) },
        async { ("length", length(&scene).await) },
        async { ("external", external(&scene).await) },
        async { ("external-push", push(&scene, Version::V2_20, "push").await) },
        async { ("external-push, old protocol", push(&scene, Version::V2_16, "push-old").await) },
        async { ("ScaledJob", jobs(&scene).await) },
    )
    .into();
    cases.into_iter().try_for_each(|(case, outcome)| outcome.context(case))
}

/// `sequential/disruption`: a scaler's replica goes, then the master; the workload is scaled all the same, and never
/// down while there is work.
#[tokio::test(flavor = "multi_thread")]
async fn disruption() -> Result<()> {
    let mut scene = Scene::open().await?;
    let mut books = scene.books().await?;
    books.group("disruption").await?;
    let scaled = Plan { push: true, ..plan(Version::V2_20, 0, 4) };
    let operator = scene.operator("disruption", &[("consumerGroup", "g")], scaled)?;
    books.add("disruption", 10).await?;
    operator.reach(1, PATIENCE).await?;
    scene.scalers.first_mut().context("no scaler")?.program.kill9().await?;
    books.add("disruption", 10).await?;
    operator.reach(2, PATIENCE).await?;
    books.replicated(2).await?;
    let old = scene.trio.kill_master().await?;
    scene.trio.wait_for_new_master(&old, PATIENCE).await?;
    operator.stay(2, WATCH).await?;
    let mut books = scene.books().await?;
    books.add("disruption", 20).await?;
    operator.reach(4, PATIENCE).await?;
    let numbers: Vec<u32> = operator.history().into_iter().map(|(_, replicas)| replicas).collect();
    ensure!(numbers == [0, 1, 2, 4], "{numbers:?}");
    Ok(())
}
