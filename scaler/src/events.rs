//! New entries, noticed when they come: one blocked `XREAD` for all streams of a Redis and database for which somebody
//! has a push stream open, and a bell at each sampler of such a stream.
//!
//! `XREAD` changes nothing in the stream or its groups. It says nothing of acknowledgements and deletions: falling
//! edges, and everything while `XREAD` is refused, are left to the samplers' own ticks.

mod ends;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis_stream::connection::Link;
use redis_stream::error::{Class, Error};
use redis_stream::retry::Delays;
use redis_stream::tail::Tail;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::metrics::{Metrics, OpenGuard};
use ends::Ends;

/// Longest blocked read: a stream that is listened to from now on joins the next one.
const BLOCK: Duration = Duration::from_millis(250);

/// The connection outlives its last listener by this, since KEDA comes back two seconds after a stream has ended.
const LINGER: Duration = Duration::from_secs(5);

/// Longest wait for a session before trouble is looked at again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where `XREAD` was refused it is tried again after this.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// Name of the blocking connection in `CLIENT LIST`.
const CLIENT_NAME: &str = "stream-scaler-events";

/// Whoever listens in one Redis and database. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Events(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    listeners: Mutex<Listeners>,
    count: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Listeners {
    next: u64,
    bells: HashMap<u64, (String, Arc<Notify>)>,
}

impl Default for Inner {
    fn default() -> Self {
        Self { listeners: Mutex::default(), count: watch::Sender::new(0) }
    }
}

/// A bell that rings at new entries while this exists.
#[derive(Debug)]
pub(crate) struct Listening {
    events: Events,
    id: u64,
}

impl Events {
    /// Rings `bell` at every new entry of `stream`; entries that come together ring once, and a flood rings a few times
    /// a second.
    pub(crate) fn listen(&self, stream: &str, bell: Arc<Notify>) -> Listening {
        let mut listeners = self.book();
        let id = listeners.next;
        listeners.next += 1;
        listeners.bells.insert(id, (stream.to_owned(), bell));
        self.0.count.send_replace(listeners.bells.len());
        drop(listeners);
        Listening { events: self.clone(), id }
    }

    #[cfg(test)]
    pub(crate) fn listeners(&self) -> usize {
        *self.0.count.borrow()
    }

    fn book(&self) -> MutexGuard<'_, Listeners> {
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn streams(&self) -> BTreeSet<String> {
        self.book().bells.values().map(|(stream, _)| stream.clone()).collect()
    }

    fn ring(&self, stream: &str) {
        for (_, bell) in self.book().bells.values().filter(|(name, _)| name == stream) {
            bell.notify_one();
        }
    }

    async fn somebody_listens(&self) {
        // The sender lives as long as this.
        self.0.count.subscribe().wait_for(|count| *count > 0).await.ok();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut listeners = self.events.book();
        listeners.bells.remove(&self.id);
        self.events.0.count.send_replace(listeners.bells.len());
    }
}

/// The loop that rings the bells of one Redis and database.
pub(crate) struct Ringer {
    events: Events,
    link: Link,
    metrics: Metrics,
    /// There while `XREAD` is refused.
    refused: Option<OpenGuard>,
}

impl Ringer {
    pub(crate) fn new(events: Events, link: Link, metrics: Metrics) -> Self {
        Self { events, link, metrics, refused: None }
    }

    /// Waits for listeners, listens for them, and connects again after every failure, for ever.
    pub(crate) async fn run(mut self) {
        let mut delays = Delays::new(Duration::from_millis(20), Duration::from_secs(1));
        loop {
            self.events.somebody_listens().await;
            match self.listen(&mut delays).await {
                Ok(()) => {}
                Err(error) if error.code() == Some("NOPERM") => {
                    self.refuse(&error);
                    sleep(REFUSED_FOR).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "not listening for new entries");
                    sleep(delays.next_delay()).await;
                }
            }
        }
    }

    /// Until nobody listens any more, or a failure.
    async fn listen(&mut self, delays: &mut Delays) -> Result<(), Error> {
        let session = self.link.session(PATIENCE).await?;
        let mut tail = session.tail(CLIENT_NAME).await?;
        let mut ends = Ends::default();
        loop {
            let streams = self.events.streams();
            if streams.is_empty() {
                match timeout(LINGER, self.events.somebody_listens()).await {
                    Ok(()) => continue,
                    Err(_) => return Ok(()),
                }
            }
            ends.keep(&streams);
            self.look(&mut tail, &mut ends).await?;
            let (after, block) = ends.to_wait_for(Instant::now().into_std(), BLOCK);
            if after.is_empty() {
                sleep(block).await;
                continue;
            }
            for (stream, id) in tail.wait(&after, block).await? {
                ends.came(&stream, id, Instant::now().into_std());
                self.ring(&stream);
            }
            delays.reset();
            self.permitted();
        }
    }

    /// Asks for the ends that are not known, and rings for those that are not where they were.
    async fn look(&self, tail: &mut Tail, ends: &mut Ends) -> Result<(), Error> {
        let due = ends.to_look_at(Instant::now().into_std());
        if due.is_empty() {
            return Ok(());
        }
        for (stream, end) in due.iter().zip(tail.newest(&due).await?) {
            let now = Instant::now().into_std();
            match end {
                Ok(end) if ends.found(stream, end, now) => self.ring(stream),
                Ok(_) => {}
                // Its sampler reports the same trouble; the other streams are still listened to.
                Err(error) if error.class() == Class::Configuration => {
                    tracing::debug!(%error, "not listening for new entries of this stream");
                    ends.put_off(stream, now);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn ring(&self, stream: &str) {
        self.metrics.event();
        self.events.ring(stream);
    }

    /// Says once that new entries are noticed late.
    fn refuse(&mut self, error: &Error) {
        if self.refused.is_none() {
            tracing::warn!(%error, "new entries are noticed at the next reading only; allow XREAD (docs/operating.md)");
            self.refused = Some(self.metrics.refused_events());
        }
    }

    fn permitted(&mut self) {
        if self.refused.take().is_some() {
            tracing::info!("new entries are noticed at once again");
        }
    }
}

#[cfg(test)]
mod tests;
