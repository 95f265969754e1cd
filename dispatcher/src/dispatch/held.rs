//! An entry that this process holds: its lease, and what must be written back of its run.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis_stream::entry::Entry;
use tokio_util::sync::CancellationToken;

use super::record::{Run, Subject};

/// One held entry, shared by its dispatch and by the loop that renews leases.
#[derive(Debug)]
pub struct Held {
    /// The entry.
    pub entry: Entry,
    /// How often it was delivered, this time included.
    pub deliveries: i64,
    lost: CancellationToken,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    lease_until: Instant,
    image: Option<(Subject, Run)>,
}

impl Held {
    /// Delivered or claimed by a call that began at `since`.
    pub fn new(entry: Entry, deliveries: i64, since: Instant, lease: Duration) -> Self {
        let inner = Inner { lease_until: since + lease, image: None };
        Self { entry, deliveries, lost: CancellationToken::new(), inner: Mutex::new(inner) }
    }

    /// Renewed by a call that began at `since`.
    pub fn renewed(&self, since: Instant, lease: Duration) {
        self.lock().lease_until = since + lease;
    }

    /// Somebody else has it, or nobody.
    pub fn lose(&self) {
        self.lost.cancel();
    }

    /// Ends when the lease is lost.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// The lease is lost.
    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// A request may be written now: nobody else can have the entry yet.
    pub fn may_start(&self) -> bool {
        !self.is_lost() && Instant::now() < self.lock().lease_until
    }

    /// From now on each renewal keeps the record at least at this.
    pub fn remember(&self, subject: &Subject, run: &Run) {
        self.lock().image = Some((subject.clone(), run.clone()));
    }

    /// Nothing is in flight any more.
    pub fn forget(&self) {
        self.lock().image = None;
    }

    /// What each renewal writes back.
    pub fn image(&self) -> Option<(Subject, Run)> {
        self.lock().image.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
