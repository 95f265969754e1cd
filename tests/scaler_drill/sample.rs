//! Both replicas, asked 20 times a second: a slow answer delays no later question.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use line_tests::Keda;
use line_tests::keda::ScaledObject;
use tokio::time::interval;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Status};

/// Time between two questions.
pub(crate) const EVERY: Duration = Duration::from_millis(50);
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
    samples: Arc<Mutex<Vec<Sample>>>,
    _task: AbortOnDropHandle<()>,
}

impl Sampler {
    pub(crate) fn start(addresses: &[&str]) -> Result<Self> {
        let replicas = addresses.iter().map(|address| Keda::lazy(address)).collect::<Result<Vec<_>>>()?;
        let replicas = Arc::new(Mutex::new(replicas));
        let samples = Arc::<Mutex<Vec<Sample>>>::default();
        let task = tokio::spawn(ask(Arc::clone(&replicas), Arc::clone(&samples)));
        Ok(Self { replicas, samples, _task: AbortOnDropHandle::new(task) })
    }

    /// A replica is elsewhere now.
    pub(crate) fn replace(&self, replica: usize, address: &str) -> Result<()> {
        let mut replicas = self.replicas.lock().unwrap_or_else(PoisonError::into_inner);
        *replicas.get_mut(replica).context("no such replica")? = Keda::lazy(address)?;
        Ok(())
    }

    /// What was answered to questions since then, in the order of the questions.
    pub(crate) fn since(&self, begin: Instant) -> Vec<Sample> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chosen: Vec<Sample> = samples.iter().filter(|sample| sample.at >= begin).copied().collect();
        chosen.sort_by_key(|sample| sample.at);
        chosen
    }

    /// The newest number of each replica, if its newest answer is one.
    pub(crate) fn numbers(&self, replicas: usize) -> Vec<Option<i64>> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = |replica| samples.iter().filter(|sample| sample.replica == replica).max_by_key(|sample| sample.at);
        (0..replicas).map(|replica| newest(replica).and_then(|sample| sample.value.ok())).collect()
    }
}

async fn ask(replicas: Arc<Mutex<Vec<Keda>>>, samples: Arc<Mutex<Vec<Sample>>>) {
    let mut pace = interval(EVERY);
    loop {
        pace.tick().await;
        let asked = replicas.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (replica, keda) in asked.into_iter().enumerate() {
            let samples = Arc::clone(&samples);
            tokio::spawn(async move {
                let sample = one(replica, &keda).await;
                samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
            });
        }
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
