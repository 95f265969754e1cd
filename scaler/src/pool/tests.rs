use tokio::time::{advance, timeout};

use super::*;
use crate::fixture::trigger;

/// A pool whose Redis is a port that nobody listens on.
fn pool() -> (Pool, Readiness) {
    let endpoint = Endpoint {
        locator: Locator::Direct("127.0.0.1:1".parse().unwrap()),
        db: 4,
        node: redis_stream::endpoint::Credentials::default(),
        tls: None,
        sentinel: redis_stream::endpoint::Credentials::default(),
        sentinel_tls: None,
    };
    let metrics = Metrics::new(&opentelemetry::global::meter("test"));
    let readiness = Readiness::new();
    let pool = Pool::new(endpoint, metrics, readiness.clone(), TaskTracker::new(), CancellationToken::new());
    (pool, readiness)
}

fn source(stream: &str) -> Source {
    trigger(&[("stream", stream)]).source
}

fn watched(pool: &Pool) -> usize {
    pool.0.sources().watched.len()
}

fn links(pool: &Pool) -> usize {
    pool.0.sources().links.values().filter(|link| link.strong_count() > 0).count()
}

/// Lets the samplers go round until `done`.
async fn eventually(done: impl Fn() -> bool) {
    let rounds = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(60), rounds).await.unwrap();
}

#[tokio::test]
async fn the_same_source_is_watched_once_and_one_connection_is_shared() {
    let (pool, _) = pool();
    let feeds: Vec<_> = ["a", "a", "b"].iter().map(|stream| pool.feed(&source(stream)).unwrap()).collect();
    assert_eq!((feeds.len(), watched(&pool), links(&pool)), (3, 2, 1));
    let other_db = Source { db: 5, ..source("a") };
    pool.feed(&other_db).unwrap();
    assert_eq!((watched(&pool), links(&pool)), (3, 2));
}

#[tokio::test]
async fn an_absent_redis_is_unavailable_and_the_loop_stays_well() {
    let (pool, readiness) = pool();
    let mut feed = pool.feed(&source("a")).unwrap();
    let trouble = feed.counts().await.unwrap_err();
    assert!(matches!(&trouble, Trouble::Unavailable(_)), "{trouble:?}");
    assert!(trouble.to_string().contains("127.0.0.1:1"), "{trouble}");
    assert_eq!(readiness.verdict(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_nobody_asks_for_is_left() {
    let (pool, _) = pool();
    let held = pool.feed(&source("held")).unwrap();
    pool.feed(&source("left")).unwrap();
    advance(IDLE + Duration::from_secs(1)).await;
    eventually(|| watched(&pool) == 1).await;
    drop(held);
    eventually(|| watched(&pool) == 0 && links(&pool) == 0).await;
    assert!(pool.feed(&source("left")).is_ok());
}

#[tokio::test]
async fn sources_are_bounded() {
    let (pool, _) = pool();
    for number in 0..MOST_SOURCES {
        pool.feed(&source(&format!("s{number}"))).unwrap();
    }
    assert!(matches!(pool.feed(&source("one-more")), Err(Trouble::TooMany(_))));
    assert!(pool.feed(&source("s0")).is_ok());
}

#[tokio::test]
async fn databases_are_bounded() {
    let (pool, _) = pool();
    let of = |db| Source { db, ..source("a") };
    let most = u16::try_from(MOST_DATABASES).unwrap();
    let feeds: Vec<_> = (0..most).map(|db| pool.feed(&of(db)).unwrap()).collect();
    assert!(matches!(pool.feed(&of(most)), Err(Trouble::TooMany(_))));
    assert!(pool.feed(&Source { db: 0, ..source("b") }).is_ok());
    assert_eq!((feeds.len(), links(&pool)), (MOST_DATABASES, MOST_DATABASES));
}

#[tokio::test]
async fn the_views_of_a_source_listen_together_and_only_the_prompt_ones() {
    let (pool, _) = pool();
    let listening = |stream: &str| pool.0.sources().watched[&source(stream)].listening.strong_count();
    let plain = pool.feed(&source("a")).unwrap();
    assert_eq!(listening("a"), 0);
    let prompt: Vec<_> = (0..3).map(|_| pool.prompt_feed(&source("a")).unwrap()).collect();
    let first_of_all = pool.prompt_feed(&source("b")).unwrap();
    assert_eq!((listening("a"), listening("b")), (3, 1));
    let events = pool.0.sources().watched[&source("a")].events.clone();
    assert_eq!(events.listeners(), 2);
    drop((prompt, first_of_all));
    assert_eq!((events.listeners(), listening("a")), (0, 0));
    drop(plain);
}

#[tokio::test]
async fn all_ends_with_the_pool() {
    let (pool, _) = pool();
    let mut feed = pool.feed(&source("a")).unwrap();
    pool.0.stop.cancel();
    let closed = async { while feed.changed().await.is_ok() {} };
    timeout(Duration::from_secs(10), closed).await.unwrap();
    pool.0.tracker.close();
    timeout(Duration::from_secs(10), pool.0.tracker.wait()).await.unwrap();
}

#[tokio::test]
async fn another_redis_is_reached_with_our_own_credentials() {
    let (pool, _) = pool();
    let sentinels = vec!["other:26379".parse().unwrap()];
    let redis = Redis::Other { sentinels: sentinels.clone(), master: "second".to_owned() };
    let endpoint = pool.0.endpoint(&Source { redis, db: 2, ..source("a") });
    assert_eq!(endpoint.locator, Locator::Sentinel { sentinels, master: "second".to_owned() });
    assert_eq!(endpoint.db, 2);
}
