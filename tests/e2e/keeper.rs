//! Housekeeping by whichever process is there: a hook alone does it too.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use line_tests::line::{Books, GROUP, Member, STREAM, Settings};
use line_tests::{Redis, RedisOptions, Reply, eventually_ok};

const PATIENCE: Duration = Duration::from_secs(20);
const NOWHERE: &str = "http://127.0.0.1:9";

struct Place {
    redis: Redis,
    books: Books,
}

impl Place {
    /// Ten old entries, of which eight are finished, one is pending and one unread; then ten that are new.
    async fn open() -> Result<Self> {
        let config = vec!["stream-node-max-entries 1".to_owned()];
        let redis = Redis::start(RedisOptions { config, ..RedisOptions::default() }).await?;
        let mut books = Books::at(&redis.address()).await?;
        for number in 1..=10 {
            books.0.cmd(&["XADD", STREAM, &format!("{number}-0"), "workflow_id", "x"]).await?;
        }
        books.0.cmd(&["XGROUP", "CREATE", STREAM, GROUP, "0"]).await?;
        books.0.cmd(&["XREADGROUP", "GROUP", GROUP, "somebody", "COUNT", "9", "STREAMS", STREAM, ">"]).await?;
        for number in 1..=8 {
            books.0.cmd(&["XACK", STREAM, GROUP, &format!("{number}-0")]).await?;
        }
        for _ in 0..10 {
            books.add(STREAM, &[("workflow_id", "x")]).await?;
        }
        Ok(Self { redis, books })
    }

    async fn idle(&mut self) -> Result<i64> {
        self.books.0.cmd(&["OBJECT", "IDLETIME", STREAM]).await?.int()
    }

    async fn hook(&self, keep: &str) -> Result<Member> {
        let settings = Settings::of_redis(&self.redis.address()).agents_at(NOWHERE).with("STREAM_KEEP", keep);
        Member::dispatcher("hook", &settings).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_alone_trims_what_is_old_and_finished() -> Result<()> {
    let mut place = Place::open().await?;
    let hook = place.hook("1h").await?;
    eventually_ok("the stream to be shorter", PATIENCE, async || {
        let first = place.books.0.cmd(&["XRANGE", STREAM, "-", "+", "COUNT", "1"]).await?;
        ensure!(format!("{first:?}").contains("\"9-0\""), "{first:?}");
        Ok(())
    })
    .await?;
    ensure!(place.books.length(STREAM).await? == 12 && place.books.pending().await? == 1);
    eventually_ok("the counter", PATIENCE, async || {
        let removed = hook.metric("stream_trimmed_total", "").await?;
        ensure!((removed - 8.0).abs() < 0.5, "{removed}");
        Ok(())
    })
    .await?;
    let log = hook.program.log();
    ensure!(log.contains("this group needs them") && log.contains(GROUP), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_alone_keeps_the_stream_warm_and_trims_nothing_where_it_must_not() -> Result<()> {
    let mut place = Place::open().await?;
    eventually_ok("the stream to be idle", PATIENCE, async || {
        let idle = place.idle().await?;
        ensure!(idle >= 3, "{idle} s");
        Ok(())
    })
    .await?;
    let hook = place.hook("0").await?;
    eventually_ok("the stream to be touched", PATIENCE, async || {
        let idle = place.idle().await?;
        ensure!(idle < 3, "{idle} s: {}", hook.program.tail());
        Ok(())
    })
    .await?;
    ensure!(place.books.length(STREAM).await? == 20);
    ensure!(hook.metric("stream_trimmed_total", "").await? < 0.5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_of_workers_that_are_gone_are_removed() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let mut books = Books::at(&redis.address()).await?;
    let settings = Settings::of_redis(&redis.address()).agents_at(NOWHERE).with("MIN_IDLE_MS", "1000");
    let mut killed = Member::dispatcher("work", &settings).await?;
    let worker = Member::dispatcher("work", &settings).await?;
    // Nothing is read here: each is a consumer because a test says so, and there because it says so itself.
    let signs = eventually_ok("signs of both", PATIENCE, async || {
        let signs = books.0.cmd(&["KEYS", &format!("{STREAM}:consumer:{GROUP}:*")]).await?.texts()?;
        ensure!(signs.len() == 2, "{signs:?}");
        Ok(signs)
    })
    .await?;
    let workers = signs.iter().filter_map(|key| key.rsplit(':').next());
    let made = workers.chain(["nobody", "handed-back"]).map(ToOwned::to_owned).collect::<Vec<_>>();
    for name in &made {
        books.0.cmd(&["XGROUP", "CREATECONSUMER", STREAM, GROUP, name]).await?;
    }
    killed.program.kill9().await?;
    let began = Instant::now();
    eventually_ok("the two that are gone to be removed", PATIENCE * 2, async || {
        let removed = worker.metric("worker_consumers_removed_total", "").await?;
        ensure!(removed > 1.5, "{removed} removed, {:?}", consumers(&mut books).await?);
        Ok(())
    })
    .await?;
    ensure!(began.elapsed() > Duration::from_secs(9), "ten leases: {:?}", began.elapsed());
    let names = consumers(&mut books).await?;
    ensure!(names.len() == 2 && names.contains(&"handed-back".to_owned()), "and the live one: {names:?}");
    let live = books.0.cmd(&["KEYS", &format!("{STREAM}:consumer:{GROUP}:*")]).await?.texts()?;
    let live = live.first().and_then(|key| key.rsplit(':').next()).context("no live worker")?.to_owned();
    ensure!(names.contains(&live), "{names:?}");
    // Ten leases later still, having read nothing.
    eventually_ok("the live one to look idle", PATIENCE, async || {
        let idle = books.0.cmd(&["XINFO", "CONSUMERS", STREAM, GROUP]).await?;
        let rows = idle.items()?.iter().map(Reply::fields).collect::<Result<Vec<_>>>()?;
        let idle = rows.iter().filter_map(|row| row.get("idle")?.int().ok()).min().unwrap_or_default();
        ensure!(idle > 16_000, "{idle} ms");
        Ok(())
    })
    .await?;
    ensure!(consumers(&mut books).await?.contains(&live));
    Ok(())
}

async fn consumers(books: &mut Books) -> Result<Vec<String>> {
    let rows = books.0.cmd(&["XINFO", "CONSUMERS", STREAM, GROUP]).await?;
    let name = |row: &Reply| Ok(row.fields()?.get("name").context("no name")?.text()?.to_owned());
    rows.items()?.iter().map(name).collect()
}
