//! What the product's processes count of themselves, over all their lives: read often, so that a kill takes little.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use line_tests::line::metric_at;
use tokio::time::{interval, timeout};
use tokio_util::task::AbortOnDropHandle;

const EVERY: Duration = Duration::from_millis(500);
const LIMIT: Duration = Duration::from_millis(500);
const DOUBLES: &str = "dispatch_duplicate_possible_total";

#[derive(Debug)]
struct Life {
    admin: String,
    over: bool,
    doubles: f64,
}

/// Every process that was ever started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lives(Arc<Mutex<Vec<Life>>>);

impl Lives {
    fn locked(&self) -> MutexGuard<'_, Vec<Life>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads all of them again and again.
    pub(crate) fn watch(&self) -> AbortOnDropHandle<()> {
        let lives = self.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut pace = interval(EVERY);
            loop {
                pace.tick().await;
                let alive: Vec<_> = lives.locked().iter().filter(|l| !l.over).map(|l| l.admin.clone()).collect();
                for admin in alive {
                    lives.read(&admin).await;
                }
            }
        }))
    }

    /// One more process, by the address of its metrics.
    pub(crate) fn begin(&self, admin: &str) {
        self.locked().push(Life { admin: admin.to_owned(), over: false, doubles: 0.0 });
    }

    /// Reads a process for the last time.
    pub(crate) async fn end(&self, admin: &str) {
        self.read(admin).await;
        for life in self.locked().iter_mut().filter(|life| life.admin == admin) {
            life.over = true;
        }
    }

    /// A paused process does not answer; the number of before stays.
    async fn read(&self, admin: &str) {
        if let Ok(Ok(doubles)) = timeout(LIMIT, metric_at(admin, DOUBLES, "")).await {
            for life in self.locked().iter_mut().filter(|life| life.admin == admin) {
                life.doubles = life.doubles.max(doubles);
            }
        }
    }

    /// Possible second runs, by the product's own count.
    pub(crate) fn doubles(&self) -> f64 {
        self.locked().iter().map(|life| life.doubles).sum()
    }
}
