//! How old the work is, which of it still has an owner, and what waits elsewhere.

use anyhow::{Context, Result, ensure};
use line_tests::eventually_ok;

use super::{Desk, PATIENCE, object, until_refused, value};

const MINUTE: i64 = 60_000;

impl Desk {
    /// Redis' clock, milliseconds.
    async fn now(&mut self) -> Result<i64> {
        let time = self.client.cmd(&["TIME"]).await?;
        let [seconds, _] = time.items()? else { anyhow::bail!("{time:?}") };
        Ok(seconds.int()? * 1000)
    }

    /// An entry that was written so long ago; gives its id.
    async fn add_aged(&mut self, ms: i64) -> Result<String> {
        let id = format!("{}-0", self.now().await? - ms);
        self.redis(&format!("XADD incident:events {id} f v")).await?;
        Ok(id)
    }

    async fn seconds(&self, metadata: &[(&str, &str)]) -> Result<f64> {
        let asked = object(&[&[("metric", "age")], metadata].concat());
        let name = self.keda.metric_specs(&asked).await?.first().context("no spec")?.metric_name.clone();
        ensure!(name == "incident-events-dispatch-group-age", "{name}");
        let values = self.keda.metrics(&asked, &name).await?;
        let [one] = values.as_slice() else { anyhow::bail!("{values:?}") };
        let whole = format!("{:.0}", one.metric_value_float.ceil());
        ensure!(one.metric_value.to_string() == whole, "{one:?}");
        Ok(one.metric_value_float)
    }

    /// Until the oldest entry is so old, within half a minute.
    async fn until_age(&self, metadata: &[(&str, &str)], seconds: f64) -> Result<()> {
        eventually_ok(format!("an age of {seconds} s"), PATIENCE, async || {
            let found = self.seconds(metadata).await?;
            ensure!((seconds..seconds + 30.0).contains(&found), "{found}");
            Ok(())
        })
        .await
    }

    async fn until_value(&self, metadata: &[(&str, &str)], expected: i64) -> Result<()> {
        eventually_ok(format!("{expected} by {metadata:?}"), PATIENCE, async || {
            let found = value(&self.keda, &object(metadata)).await?;
            ensure!(found == expected, "{found}");
            let active = self.keda.is_active(&object(metadata)).await?;
            ensure!(active == (found > 0), "active is {active}");
            Ok(())
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_age_is_that_of_the_oldest_unfinished_entry() -> Result<()> {
    let mut desk = Desk::open().await?;
    ensure!(desk.seconds(&[]).await? < f64::EPSILON, "nothing has no age");
    let oldest = desk.add_aged(60 * MINUTE).await?;
    let second = desk.add_aged(30 * MINUTE).await?;
    desk.add_aged(10 * MINUTE).await?;
    // No group: everything is unread.
    desk.until_age(&[], 3600.0).await?;
    desk.redis("XGROUP CREATE incident:events dispatch-group 0").await?;
    desk.redis("XREADGROUP GROUP dispatch-group c COUNT 2 STREAMS incident:events >").await?;
    desk.until_age(&[], 3600.0).await?;
    desk.redis(&format!("XACK incident:events dispatch-group {oldest}")).await?;
    desk.until_age(&[], 1800.0).await?;
    desk.redis(&format!("XACK incident:events dispatch-group {second}")).await?;
    desk.until_age(&[], 600.0).await?;
    // Set back behind what is done: unread again.
    desk.redis(&format!("XGROUP SETID incident:events dispatch-group {oldest}")).await?;
    desk.until_age(&[], 1800.0).await?;
    desk.redis("XGROUP SETID incident:events dispatch-group $").await?;
    eventually_ok("no age", PATIENCE, async || {
        let found = desk.seconds(&[]).await?;
        ensure!(found < f64::EPSILON, "{found}");
        Ok(())
    })
    .await?;
    ensure!(!desk.keda.is_active(&object(&[("metric", "age")])).await?);
    // Ahead of the clock: written just now, and work.
    desk.add_aged(-10 * MINUTE).await?;
    desk.until_value(&[("metric", "backlog")], 1).await?;
    ensure!(desk.seconds(&[]).await? < f64::EPSILON);
    ensure!(desk.keda.is_active(&object(&[("metric", "age")])).await?, "active by entries, not by seconds");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_are_no_time_have_no_age() -> Result<()> {
    let mut desk = Desk::open().await?;
    desk.redis("XADD incident:events 1-1 f v").await?;
    desk.until_value(&[], 1).await?;
    ensure!(desk.seconds(&[]).await? < f64::EPSILON);
    desk.add_aged(10 * MINUTE).await?;
    desk.redis("XGROUP CREATE incident:events dispatch-group 0").await?;
    desk.redis("XREADGROUP GROUP dispatch-group c COUNT 1 STREAMS incident:events >").await?;
    desk.until_age(&[], 600.0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_behind_keeps_one_worker_if_the_trigger_says_so() -> Result<()> {
    let mut desk = Desk::open().await?;
    let mut ids = Vec::new();
    for minutes in [60, 50, 40, 30] {
        ids.push(desk.add_aged(minutes * MINUTE).await?);
    }
    desk.redis("XGROUP CREATE incident:events dispatch-group 0").await?;
    desk.redis("XREADGROUP GROUP dispatch-group gone STREAMS incident:events >").await?;
    let [first, second, third, fourth] = ids.as_slice() else { anyhow::bail!("{ids:?}") };
    let idle = |id: &str, minutes: i64, count: i64| {
        let idle = minutes * MINUTE;
        format!("XCLAIM incident:events dispatch-group gone 0 {id} IDLE {idle} RETRYCOUNT {count} JUSTID")
    };
    for command in [idle(first, 20, 10), idle(second, 20, 1), idle(third, 20, 2), idle(fourth, 0, 30)] {
        desk.redis(&command).await?;
    }
    let orphans = [("pendingOrphanedAfter", "10m")];
    let both = [("pendingOrphanedAfter", "10m"), ("pendingPoisonAfter", "10")];
    desk.until_value(&[], 4).await?;
    desk.until_age(&[], 3600.0).await?;
    desk.until_value(&orphans, 1).await?;
    desk.until_age(&orphans, 1800.0).await?;
    desk.until_value(&[&orphans[..], &[("metric", "pending")]].concat(), 1).await?;
    desk.until_value(&[("pendingOrphanedAfter", "21m")], 4).await?;
    desk.redis(&format!("XACK incident:events dispatch-group {fourth}")).await?;
    desk.until_value(&[], 3).await?;
    // Only orphans are left: somebody has to claim them. Their number scales nothing.
    desk.until_value(&both, 1).await?;
    for (kind, expected) in [("live", 0.0), ("orphaned", 2.0), ("poison", 1.0), ("lag", 0.0)] {
        let found = desk.scaler.metric("scaler_entries", &format!("kind=\"{kind}\"")).await?;
        ensure!((found - expected).abs() < 0.1, "{kind}: {found}");
    }
    for id in [second, third] {
        desk.redis(&format!("XACK incident:events dispatch-group {id}")).await?;
    }
    // Only poison: nobody is needed, if the trigger says that it is poison.
    desk.until_value(&both, 0).await?;
    desk.until_value(&orphans, 1).await?;
    desk.until_value(&[], 1).await
}

/// The set can be evicted while the stream that it named still has entries.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_stream_is_not_forgotten_with_the_set_that_named_it() -> Result<()> {
    let mut desk = Desk::open().await?;
    desk.redis("SADD incident:events:waiting incident:events:waiting:n:a").await?;
    desk.redis("XADD incident:events:waiting:n:a * f v").await?;
    desk.until_value(&[], 1).await?;
    desk.until_value(&[("pendingOrphanedAfter", "10m")], 1).await?;
    ensure!(desk.seconds(&[]).await? < f64::EPSILON, "what waits for an agent has no age");
    ensure!(desk.keda.is_active(&object(&[("metric", "age")])).await?);
    desk.redis("DEL incident:events:waiting").await?;
    // An entry shows that readings were taken since.
    desk.redis("XADD incident:events * f v").await?;
    desk.redis("XADD incident:events * f v").await?;
    desk.until_value(&[], 2).await?;
    desk.redis("DEL incident:events").await?;
    desk.until_value(&[], 1).await?;
    desk.redis("DEL incident:events:waiting:n:a").await?;
    desk.until_value(&[], 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_stream_that_cannot_be_read_is_no_zero() -> Result<()> {
    let mut desk = Desk::open().await?;
    desk.redis("SADD incident:events:waiting incident:events:waiting:n:a").await?;
    desk.redis("SET incident:events:waiting:n:a text").await?;
    until_refused(&desk.keda, &object(&[]), &["WRONGTYPE", "waiting stream"]).await?;
    desk.redis("DEL incident:events:waiting").await?;
    desk.until_value(&[], 0).await
}
