//! Both replicas, asked 20 times a second: a slow answer delays no later question.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use line_tests::Keda;
use line_tests::keda::ScaledObject;
use tokio::time::{interval, sleep};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Status};

use crate::judge::ANSWER_WITHIN;

/// Time between two questions.
pub(crate) const EVERY: Duration = Duration::from_millis(50);
/// Two calls that take longer together: one of them is too late.
const LATEST: Duration = ANSWER_WITHIN.saturating_mul(2);
/// Of the default trigger.
const METRIC: &str = "incident-events-dispatch-group-backlog";

/// One question to one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) replica: usize,
    /// When it was asked.
    pub(crate) at: Instant,
    /// The longer of the two calls.
    pub(crate) took: Duration,
    pub(crate) value: Result<i64, Code>,
    pub(crate) active: Result<bool, Code>,
}

/// Asks until it is dropped.
#[derive(Debug)]
pub(crate) struct Sampler {
    replicas: Arc<Mutex<Vec<Keda>>>,
    book: Arc<Mutex<Book>>,
    _task: AbortOnDropHandle<()>,
}

/// What was asked.
#[derive(Debug, Default)]
struct Book {
    answered: Vec<Sample>,
    /// By number: replica, and when it was asked.
    open: BTreeMap<u64, (usize, Instant)>,
    next: u64,
}

impl Sampler {
    pub(crate) fn start(addresses: &[&str]) -> Result<Self> {
        let replicas = addresses.iter().map(|address| Keda::lazy(address)).collect::<Result<Vec<_>>>()?;
        let replicas = Arc::new(Mutex::new(replicas));
        let book = Arc::<Mutex<Book>>::default();
        let task = tokio::spawn(ask(Arc::clone(&replicas), Arc::clone(&book)));
        Ok(Self { replicas, book, _task: AbortOnDropHandle::new(task) })
    }

    /// A replica is elsewhere now.
    pub(crate) fn replace(&self, replica: usize, address: &str) -> Result<()> {
        let mut replicas = self.replicas.lock().unwrap_or_else(PoisonError::into_inner);
        *replicas.get_mut(replica).context("no such replica")? = Keda::lazy(address)?;
        Ok(())
    }

    /// What was answered to questions since then, in the order of the questions. What is too late already counts as
    /// answered now.
    pub(crate) fn since(&self, begin: Instant) -> Vec<Sample> {
        let book = lock(&self.book);
        let late = book.open.values().filter(|(_, at)| at.elapsed() > LATEST).map(|(replica, at)| Sample {
            replica: *replica,
            at: *at,
            took: at.elapsed() / 2,
            value: Err(Code::DeadlineExceeded),
            active: Err(Code::DeadlineExceeded),
        });
        let answered = book.answered.iter().copied();
        let mut chosen: Vec<Sample> = answered.chain(late).filter(|sample| sample.at >= begin).collect();
        chosen.sort_by_key(|sample| sample.at);
        chosen
    }

    /// Waits until what was asked before is answered, or too late.
    pub(crate) async fn settled(&self, before: Instant) {
        let under_way = |at: Instant| at <= before && at.elapsed() <= LATEST;
        while lock(&self.book).open.values().any(|(_, at)| under_way(*at)) {
            sleep(EVERY).await;
        }
    }

    /// The newest number of each replica, if its newest answer is one.
    pub(crate) fn numbers(&self, replicas: usize) -> Vec<Option<i64>> {
        let book = lock(&self.book);
        let newest =
            |replica| book.answered.iter().filter(|sample| sample.replica == replica).max_by_key(|sample| sample.at);
        (0..replicas).map(|replica| newest(replica).and_then(|sample| sample.value.ok())).collect()
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn ask(replicas: Arc<Mutex<Vec<Keda>>>, book: Arc<Mutex<Book>>) {
    let mut pace = interval(EVERY);
    loop {
        pace.tick().await;
        let asked = replicas.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (replica, keda) in asked.into_iter().enumerate() {
            let book = Arc::clone(&book);
            let number = lock(&book).ask(replica);
            tokio::spawn(async move {
                let sample = one(replica, &keda).await;
                let mut book = lock(&book);
                book.open.remove(&number);
                book.answered.push(sample);
            });
        }
    }
}

impl Book {
    fn ask(&mut self, replica: usize) -> u64 {
        self.next += 1;
        self.open.insert(self.next, (replica, Instant::now()));
        self.next
    }
}

async fn one(replica: usize, keda: &Keda) -> Sample {
    let object = ScaledObject::with_metadata(&[]);
    let at = Instant::now();
    let value = value(keda, &object).await.map_err(|status| status.code());
    let half = at.elapsed();
    let active = keda.is_active(&object).await.map_err(|status| status.code());
    let took = half.max(at.elapsed().saturating_sub(half));
    Sample { replica, at, took, value, active }
}

async fn value(keda: &Keda, object: &ScaledObject) -> Result<i64, Status> {
    let values = keda.metrics(object, METRIC).await?;
    values.first().map(|value| value.metric_value).ok_or_else(|| Status::data_loss("no value"))
}
