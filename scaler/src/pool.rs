//! The samplers: at most one per source, started when first asked for, ended when nobody asks any more; and the
//! connections they share, one per Redis and database, with a second one that blocks while a push stream is open there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use daemon::Readiness;
use redis_stream::connection::{Link, LinkOptions};
use redis_stream::endpoint::{Endpoint, Locator};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::events::{Events, Listening, Ringer};
use crate::feed::{Answered, Feed, Readings};
use crate::metrics::Metrics;
use crate::reading::{State, Trouble};
use crate::sampler::Sampler;
use crate::trigger::{Redis, Source};

/// Sources that may be watched at a time.
const MOST_SOURCES: usize = 256;

/// Databases of all Redis servers together that may be connected to at a time: up to two connections each, and those
/// to the Sentinels.
const MOST_DATABASES: usize = 32;

/// A source that nobody has asked for in this time is no longer read.
const IDLE: Duration = Duration::from_secs(5 * 60);

/// A sampler goes round at least this often, also while Redis is away.
const SILENT_AFTER: Duration = Duration::from_secs(10);

/// Name under which the scaler appears in `CLIENT LIST`.
const CLIENT_NAME: &str = "stream-scaler";

/// All samplers. Clones are the same pool.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    own: Endpoint,
    metrics: Metrics,
    readiness: Readiness,
    tracker: TaskTracker,
    stop: CancellationToken,
    /// Samplers so far, and one.
    started: AtomicU64,
    sources: Mutex<Sources>,
}

#[derive(Default)]
struct Sources {
    watched: HashMap<Source, Watched>,
    links: HashMap<(Redis, u16), Weak<SharedLink>>,
}

struct Watched {
    states: watch::Receiver<State>,
    answered: Answered,
    asked: Instant,
    bell: Arc<Notify>,
    events: Events,
    /// There while somebody wants to be told at once.
    listening: Weak<Listening>,
}

impl Watched {
    fn feed(&mut self) -> Feed {
        self.asked = Instant::now();
        Feed::new(self.states.clone(), self.answered.clone())
    }

    /// All views of a source listen together.
    fn listening(&mut self, stream: &str) -> Arc<Listening> {
        self.listening.upgrade().unwrap_or_else(|| {
            let listening = Arc::new(self.events.listen(stream, Arc::clone(&self.bell)));
            self.listening = Arc::downgrade(&listening);
            listening
        })
    }
}

/// The connections of one database; they end with the last sampler that uses them.
struct SharedLink {
    link: Link,
    events: Events,
    _end: DropGuard,
}

impl Pool {
    /// A pool that reads the Redis of `own` unless a source names another. Its tasks run in `tracker` until `stop`.
    pub fn new(
        own: Endpoint,
        metrics: Metrics,
        readiness: Readiness,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            own,
            metrics,
            readiness,
            tracker,
            stop,
            started: AtomicU64::new(1),
            sources: Mutex::default(),
        }))
    }

    fn start(&self, source: &Source, link: Arc<SharedLink>) -> Watched {
        let (sender, states) = watch::channel(State::default());
        let (bell, events) = (Arc::new(Notify::new()), link.events.clone());
        let sampler = Sampler {
            number: self.0.started.fetch_add(1, Ordering::Relaxed),
            source: source.clone(),
            link: link.link.clone(),
            states: sender,
            bell: Arc::clone(&bell),
            metrics: self.0.metrics.clone(),
            heartbeat: self.0.readiness.heartbeat("sampler", SILENT_AFTER),
        };
        let open = self.0.metrics.source();
        let (pool, source, stop) = (self.clone(), source.clone(), self.0.stop.clone());
        self.0.tracker.spawn(async move {
            sampler.run(stop, |states| pool.0.retire(&source, states)).await;
            drop((open, link));
        });
        let (answered, asked) = (Answered::default(), Instant::now());
        Watched { states, answered, asked, bell, events, listening: Weak::new() }
    }

    /// What a view of `source` is made from; it is watched from now on.
    fn watched<T>(&self, source: &Source, view: impl FnOnce(&mut Watched) -> T) -> Result<T, Trouble> {
        let mut sources = self.0.sources();
        let running = sources.watched.get_mut(source).filter(|watched| watched.states.has_changed().is_ok());
        if let Some(watched) = running {
            return Ok(view(watched));
        }
        if sources.watched.len() >= MOST_SOURCES && !sources.watched.contains_key(source) {
            return Err(Trouble::TooMany(format!(
                "the scaler watches {MOST_SOURCES} combinations of Redis, database, stream and consumer group, \
                 no more: run another scaler for the others"
            )));
        }
        let link = self.0.link(&mut sources, source)?;
        let mut watched = self.start(source, link);
        let view = view(&mut watched);
        sources.watched.insert(source.clone(), watched);
        Ok(view)
    }
}

impl Inner {
    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a source that has no views and was not asked for lately. Decided under the lock that hands out views.
    fn retire(&self, source: &Source, states: &watch::Sender<State>) -> bool {
        let mut sources = self.sources();
        let idle = sources.watched.get(source).is_none_or(|watched| watched.asked.elapsed() > IDLE);
        let unused = idle && states.receiver_count() <= 1;
        if unused {
            sources.watched.remove(source);
        }
        unused
    }

    fn link(&self, sources: &mut Sources, source: &Source) -> Result<Arc<SharedLink>, Trouble> {
        sources.links.retain(|_, link| link.strong_count() > 0);
        let key = (source.redis.clone(), source.db);
        if let Some(link) = sources.links.get(&key).and_then(Weak::upgrade) {
            return Ok(link);
        }
        if sources.links.len() >= MOST_DATABASES {
            return Err(Trouble::TooMany(format!(
                "the scaler is connected to {MOST_DATABASES} databases, no more: run another scaler for the others"
            )));
        }
        let shared = Arc::new(self.connect(source));
        sources.links.insert(key, Arc::downgrade(&shared));
        Ok(shared)
    }

    fn connect(&self, source: &Source) -> SharedLink {
        let end = self.stop.child_token();
        let options = LinkOptions { client_name: CLIENT_NAME.to_owned() };
        let link = Link::start(self.endpoint(source), options, &self.tracker, end.clone());
        let events = Events::default();
        let ringer = Ringer::new(events.clone(), link.clone(), self.metrics.clone());
        let stopped = end.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = ringer.run() => {}
            }
        });
        SharedLink { link, events, _end: end.drop_guard() }
    }

    /// Another Redis is reached with the scaler's own credentials and TLS.
    fn endpoint(&self, source: &Source) -> Endpoint {
        let mut endpoint = Endpoint { db: source.db, ..self.own.clone() };
        if let Redis::Other { sentinels, master } = &source.redis {
            endpoint.locator = Locator::Sentinel { sentinels: sentinels.clone(), master: master.clone() };
        }
        endpoint
    }
}

impl Readings for Pool {
    fn feed(&self, source: &Source) -> Result<Feed, Trouble> {
        self.watched(source, Watched::feed)
    }

    fn prompt_feed(&self, source: &Source) -> Result<Feed, Trouble> {
        self.watched(source, |watched| watched.feed().prompt(watched.listening(&source.stream)))
    }
}

#[cfg(test)]
mod tests;
