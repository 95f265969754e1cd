//! The connection to Redis by itself: found, checked, watched and replaced; and reads that lose nothing.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use redis_stream::connection::{Link, LinkOptions, Session};
use redis_stream::endpoint::{Endpoint, HostPort, Locator};
use redis_stream::reader::{Group, Reader};
use redis_stream::{error::Error, group};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

#[path = "stream/following.rs"]
mod following;
#[path = "stream/reading.rs"]
mod reading;
#[path = "stream/serving.rs"]
mod serving;

const PATIENCE: Duration = Duration::from_secs(20);

/// A link that ends with the test.
struct Linked {
    link: Link,
    _end: DropGuard,
}

fn address(text: &str) -> Result<HostPort> {
    text.parse().map_err(anyhow::Error::msg)
}

fn link(locator: Locator) -> Linked {
    let endpoint = Endpoint::plain(locator, 4);
    let stop = CancellationToken::new();
    let options = LinkOptions { client_name: "line-tests".into() };
    let link = Link::start(endpoint, options, &TaskTracker::new(), stop.clone());
    Linked { link, _end: stop.drop_guard() }
}

impl Linked {
    fn direct(text: &str) -> Result<Self> {
        Ok(link(Locator::Direct(address(text)?)))
    }

    fn through(sentinels: &[String]) -> Result<Self> {
        let sentinels = sentinels.iter().map(|text| address(text)).collect::<Result<_>>()?;
        Ok(link(Locator::Sentinel { sentinels, master: "mymaster".into() }))
    }

    async fn session(&self) -> Result<Session> {
        Ok(self.link.session(PATIENCE).await?)
    }

    /// The first usable session on another address than `old`, and when it was there.
    async fn session_off(&self, old: &str) -> Result<(Session, Instant)> {
        let mut sessions = self.link.sessions();
        let other = sessions
            .wait_for(|session| session.as_ref().is_some_and(|s| s.is_open() && s.address().to_string() != old));
        let session = tokio::time::timeout(PATIENCE, other).await.context("no session elsewhere")??.clone();
        Ok((session.context("a session that is none")?, Instant::now()))
    }
}

/// A group of its own in a fresh stream, with a reader.
async fn reader(session: &Session) -> Result<(Reader, Group)> {
    let of = Group { stream: "incident:events".into(), group: "dispatch-group".into(), consumer: "one".into() };
    group::ensure(session, &of).await?;
    Ok((session.reader().await?, of))
}

/// A command given as words with blanks between.
fn cmd(text: &str) -> redis::Cmd {
    let mut cmd = redis::Cmd::new();
    for word in text.split(' ') {
        cmd.arg(word);
    }
    cmd
}

/// Waits for the end of a session; gives how long that took.
async fn ended(session: &Session, within: Duration) -> Result<Duration> {
    let begin = Instant::now();
    tokio::time::timeout(within, session.closed()).await.with_context(|| format!("still open after {within:?}"))?;
    Ok(begin.elapsed())
}

/// Nothing was sent, so nothing can have happened.
fn expect_certain(error: &Error) -> Result<()> {
    ensure!(!error.uncertain(), "{error}");
    Ok(())
}

/// Test figures go to stderr, where the test runner shows them with `--nocapture`.
fn figure(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}
