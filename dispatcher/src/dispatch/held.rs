//! An entry that this process holds: its lease, its slot, and what must be written back of its run.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis_stream::entry::Entry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::record::{Run, Subject};

/// Dispatches that wait without a slot, for each slot.
const RESTING_PER_SLOT: usize = 4;
/// And in all.
const MOST_RESTING: usize = 1_000;

/// The capacity of a process: dispatches under work, and places for those that only wait.
#[derive(Debug, Clone)]
pub struct Slots {
    /// One permit for each dispatch under work.
    pub busy: Arc<Semaphore>,
    resting: Arc<Semaphore>,
    places: usize,
}

impl Slots {
    /// `width` dispatches under work at most.
    pub fn new(width: usize) -> Self {
        let resting = width.saturating_mul(RESTING_PER_SLOT).min(MOST_RESTING);
        Self { busy: Arc::new(Semaphore::new(width)), resting: Arc::new(Semaphore::new(resting)), places: resting }
    }
}

/// One held entry, shared by its dispatch and by the loop that renews leases.
#[derive(Debug)]
pub struct Held {
    /// The entry.
    pub entry: Entry,
    /// How often it was delivered, this time included.
    pub deliveries: i64,
    slots: Slots,
    lost: CancellationToken,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    lease_until: Instant,
    image: Option<(Subject, Run)>,
    slot: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// Delivered or claimed by a call that began at `since`; `slot` is one of `slots`.
    pub fn new(
        entry: Entry,
        deliveries: i64,
        since: Instant,
        lease: Duration,
        slots: Slots,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        let inner = Inner { lease_until: since + lease, image: None, slot: Some(slot) };
        Self { entry, deliveries, slots, lost: CancellationToken::new(), inner: Mutex::new(inner) }
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

    /// The last renewal is not half a lease ago: Redis takes what is written, from others too.
    pub fn is_steady(&self, lease: Duration) -> bool {
        !self.is_lost() && Instant::now() + lease / 2 < self.lock().lease_until
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

    /// The slot, for whoever goes on with it; none while it is resting.
    pub fn take_slot(&self) -> Option<OwnedSemaphorePermit> {
        self.lock().slot.take()
    }

    /// Whether more than half of the places for resting are free: who may have to wait for long leaves the others to
    /// those who wait for a moment.
    pub fn may_rest_long(&self) -> bool {
        self.slots.resting.available_permits() * 2 > self.slots.places
    }

    /// Waits without a slot, as far as there are places for that, so that others can be worked on meanwhile.
    pub async fn rest<T>(&self, waiting: impl Future<Output = T>) -> T {
        let Ok(place) = Arc::clone(&self.slots.resting).try_acquire_owned() else { return waiting.await };
        drop(self.take_slot());
        let waited = waiting.await;
        // Given up before the wait for a slot: whoever has a slot now may want to rest, and only that frees one. Slots
        // are given out in turn, so that nothing new is read while somebody waits here.
        drop(place);
        // The semaphore lives as long as the process and is never closed.
        let slot = Arc::clone(&self.slots.busy).acquire_owned().await.ok();
        self.lock().slot = slot;
        waited
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use redis_stream::id::EntryId;

    use super::*;

    async fn held(slots: &Slots) -> Held {
        let slot = Arc::clone(&slots.busy).acquire_owned().await.unwrap();
        let entry = Entry { id: EntryId::ZERO, fields: Vec::new() };
        Held::new(entry, 1, Instant::now(), Duration::from_secs(1), slots.clone(), slot)
    }

    #[tokio::test]
    async fn a_lease_that_was_not_renewed_for_half_of_it_is_not_steady() {
        let lease = Duration::from_secs(10);
        let held = held(&Slots::new(1)).await;
        let ago = |time| Instant::now().checked_sub(time).unwrap();
        held.renewed(ago(lease / 3), lease);
        assert!(held.is_steady(lease));
        held.renewed(ago(lease * 2 / 3), lease);
        assert!(held.may_start() && !held.is_steady(lease));
        held.renewed(Instant::now(), lease);
        held.lose();
        assert!(!held.is_steady(lease));
    }

    #[tokio::test]
    async fn who_rests_frees_a_slot_and_has_one_again_afterwards() {
        let slots = Slots::new(1);
        let held = held(&slots).await;
        assert_eq!(slots.busy.available_permits(), 0);
        held.rest(async { assert_eq!(slots.busy.available_permits(), 1) }).await;
        assert_eq!(slots.busy.available_permits(), 0);
        assert!(held.may_rest_long());
        let half = Arc::clone(&slots.resting).try_acquire_many_owned(2).unwrap();
        assert!(!held.may_rest_long());
        drop(half);
        drop(held.take_slot());
        assert_eq!(slots.busy.available_permits(), 1);
    }

    #[tokio::test]
    async fn places_for_resting_are_bounded() {
        let slots = Slots::new(1);
        let _taken = Arc::clone(&slots.resting).try_acquire_many_owned(4).unwrap();
        let held = held(&slots).await;
        held.rest(async { assert_eq!(slots.busy.available_permits(), 0, "it keeps its slot") }).await;
    }
}
