//! Housekeeping by whichever process is there: a hook alone does it too.

use std::time::Duration;

use anyhow::{Result, ensure};
use line_tests::line::{Books, GROUP, Member, STREAM, Settings};
use line_tests::{Redis, RedisOptions, eventually_ok};

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
