//! Readings that a test makes up.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis_stream::endpoint::Locator;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::feed::{Answered, Feed, Readings};
use crate::reading::{Counts, Origin, Reading, State, Trouble};
use crate::trigger::{Own, Source, Trigger};

/// A connection that ends when told.
#[derive(Default)]
pub(crate) struct Connection {
    lost: AtomicBool,
    node: String,
}

impl Connection {
    pub(crate) fn to(node: &str) -> Arc<Self> {
        Arc::new(Self { node: node.to_owned(), ..Self::default() })
    }

    pub(crate) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }
}

impl Origin for Connection {
    fn is_open(&self) -> bool {
        !self.lost.load(Ordering::Relaxed)
    }

    fn node(&self) -> &str {
        &self.node
    }
}

/// One source whose state the test sets.
#[derive(Clone)]
pub(crate) struct Fake {
    states: watch::Sender<State>,
    answered: Answered,
    pub(crate) connection: Arc<Connection>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self { states: watch::Sender::new(State::default()), answered: Answered::default(), connection: Arc::default() }
    }

    pub(crate) fn read(&self, counts: Counts) {
        let at = Instant::now().into_std();
        self.record(Ok(Reading { at, origin: Arc::clone(&self.connection) as Arc<dyn Origin>, counts }));
    }

    pub(crate) fn fail(&self, trouble: Trouble) {
        self.record(Err(trouble));
    }

    fn record(&self, outcome: Result<Reading, Trouble>) {
        self.states.send_modify(|state| state.record(outcome));
    }

    pub(crate) fn view(&self) -> Feed {
        Feed::new(self.states.subscribe(), self.answered.clone())
    }
}

impl Readings for Fake {
    fn feed(&self, _: &Source) -> Result<Feed, Trouble> {
        Ok(self.view())
    }

    fn prompt_feed(&self, source: &Source) -> Result<Feed, Trouble> {
        self.feed(source)
    }
}

pub(crate) fn counts(pending: u64, lag: u64) -> Counts {
    Counts { length: 100, pending, lag, backlog: pending + lag, ..Counts::default() }
}

pub(crate) fn own() -> Own {
    Own {
        stream: "incident:events".to_owned(),
        group: "dispatch-group".to_owned(),
        locator: Locator::Direct("localhost:6379".parse().unwrap()),
        db: 4,
        allowed: std::collections::BTreeSet::new(),
    }
}

pub(crate) fn metadata(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn trigger(pairs: &[(&str, &str)]) -> Trigger {
    Trigger::parse(&metadata(pairs), &own()).unwrap()
}
