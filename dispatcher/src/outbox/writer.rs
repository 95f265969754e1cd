//! The one thread that writes: what comes at the same time goes to the disk together.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::store::{Error, Op, Store};

/// Changes of one commit at most.
const TOGETHER: usize = 5_000;
/// Jobs that wait at most.
const QUEUE: usize = 50_000;
/// A commit waits for more to come along as long as it keeps coming, in parts of the time that the last one took: the
/// gap that ends it, and all of it.
const GAP_PART: u32 = 8;
const WAIT_PART: u32 = 2;
/// How long a change that nobody waits for may wait for others.
const LAZY: Duration = Duration::from_millis(20);
/// From one try to use a broken file again to the next.
const REOPEN_EVERY: Duration = Duration::from_secs(1);

/// Opens the store anew.
pub type Reopen = Box<dyn Fn() -> Result<Store, Error> + Send>;

type Answer = oneshot::Sender<Result<(), Error>>;

struct Job {
    ops: Vec<Op>,
    answer: Option<Answer>,
}

/// The way to the thread. It ends when this is dropped.
#[derive(Debug)]
pub struct Writer {
    jobs: SyncSender<Job>,
    store: Arc<RwLock<Option<Arc<Store>>>>,
    trouble: watch::Receiver<Option<Error>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread on an open store; `reopen` opens it anew when it broke. Without that it is used on as it is.
    pub fn start(store: Store, reopen: Option<Reopen>) -> Result<Self, std::io::Error> {
        let (jobs, queue) = sync_channel(QUEUE);
        let store = Arc::new(RwLock::new(Some(Arc::new(store))));
        let (report, trouble) = watch::channel(None);
        let desk = Desk { reopen, store: Arc::clone(&store), queue, report, owed: VecDeque::new(), shared: None };
        let thread = std::thread::Builder::new().name("outbox".into()).spawn(move || desk.run())?;
        Ok(Self { jobs, store, trouble, thread: Some(thread) })
    }

    /// Returns once the changes are on disk.
    pub async fn commit(&self, ops: Vec<Op>) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        self.jobs.try_send(Job { ops, answer: Some(answer) }).map_err(|_| too_busy())?;
        answered.await.unwrap_or_else(|_| Err(too_busy()))
    }

    /// Written with what comes next; kept while the file cannot be written.
    pub fn later(&self, ops: Vec<Op>) {
        if self.jobs.try_send(Job { ops, answer: None }).is_err() {
            tracing::error!("the outbox is behind with its writing; what it knows is older than it could be");
        }
    }

    /// The store, unless it is broken.
    pub fn store(&self) -> Result<Arc<Store>, Error> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner).clone();
        store.ok_or_else(|| self.trouble.borrow().clone().unwrap_or_else(too_busy))
    }

    /// Why it cannot be written, and changes of that.
    pub fn trouble(&self) -> watch::Receiver<Option<Error>> {
        self.trouble.clone()
    }

    /// Writes what is left and closes the file.
    pub fn close(mut self) {
        let thread = self.thread.take();
        drop(self);
        if let Some(thread) = thread {
            // A panic there has nothing left to save.
            let _ = thread.join();
        }
    }
}

fn too_busy() -> Error {
    Error::Use("its writer is behind or gone".into())
}

struct Desk {
    reopen: Option<Reopen>,
    store: Arc<RwLock<Option<Arc<Store>>>>,
    queue: Receiver<Job>,
    report: watch::Sender<Option<Error>>,
    /// Changes that are known to everybody and not on disk yet.
    owed: VecDeque<Op>,
    /// How long the last commit took, if several waited for it.
    shared: Option<Duration>,
}

impl Desk {
    fn run(mut self) {
        loop {
            let well = self.owed.is_empty() && self.is_open();
            let wait = if well { Duration::from_secs(3600) } else { REOPEN_EVERY };
            match self.queue.recv_timeout(wait) {
                Ok(first) => self.serve(first),
                Err(RecvTimeoutError::Timeout) => self.pay(),
                Err(RecvTimeoutError::Disconnected) => return self.pay(),
            }
        }
    }

    /// One commit for everything that is waiting.
    fn serve(&mut self, first: Job) {
        let mut jobs = self.gather(first);
        let begun = Instant::now();
        self.pay();
        let ops: Vec<Op> = jobs.iter_mut().flat_map(|job| std::mem::take(&mut job.ops)).collect();
        let waited_for = jobs.iter().any(|job| job.answer.is_some());
        let result = if self.owed.is_empty() { self.apply(&ops) } else { Err(self.trouble()) };
        if result.is_err() {
            // What somebody waits for is theirs to repeat.
            self.owed.extend(ops.into_iter().filter(|op| !waited_for || !matches!(op, Op::Accept(..))));
        }
        let answers: Vec<_> = jobs.into_iter().filter_map(|job| job.answer).collect();
        self.shared = (answers.len() > 1).then(|| begun.elapsed());
        for answer in answers {
            // Nobody may be waiting any more.
            let _ = answer.send(result.clone());
        }
    }

    /// What is waiting. Where several have shared the last commit they will come again at once: so that they do not
    /// split into two parties that take turns, it waits a little for them.
    fn gather(&self, first: Job) -> Vec<Job> {
        let (begun, mut count, mut jobs) = (Instant::now(), first.ops.len(), vec![first]);
        let took = self.shared.unwrap_or_default();
        while count < TOGETHER {
            let somebody_waits = jobs.iter().any(|job| job.answer.is_some());
            let left = (took / WAIT_PART).saturating_sub(begun.elapsed());
            let wait = if somebody_waits { left.min(took / GAP_PART) } else { LAZY };
            let Ok(job) = self.queue.recv_timeout(wait) else { break };
            count += job.ops.len();
            jobs.push(job);
        }
        jobs
    }

    /// Writes what is owed, opening the file anew where it was given up.
    fn pay(&mut self) {
        if self.owed.is_empty() && self.is_open() {
            return;
        }
        if let Some(reopen) = self.reopen.as_ref().filter(|_| !self.is_open()) {
            match reopen() {
                Ok(store) => {
                    *self.store.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(store));
                }
                Err(error) => return self.note(error),
            }
        }
        let owed: Vec<Op> = self.owed.iter().cloned().collect();
        if self.apply(&owed).is_ok() {
            self.owed.clear();
        }
    }

    fn apply(&mut self, ops: &[Op]) -> Result<(), Error> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner).clone();
        let result = store.map_or_else(|| Err(self.trouble()), |store| store.apply(ops));
        match &result {
            Ok(()) => {
                if self.report.send_replace(None).is_some() {
                    tracing::info!("the outbox can be written again");
                }
            }
            Err(error) => {
                self.note(error.clone());
                // After an error of the file nothing more can be done with it but open it anew.
                if self.reopen.is_some() {
                    self.store.write().unwrap_or_else(PoisonError::into_inner).take();
                }
            }
        }
        result
    }

    fn note(&self, error: Error) {
        if self.report.borrow().is_none() {
            tracing::error!(%error, "incidents are not durable now");
        }
        self.report.send_replace(Some(error));
    }

    fn trouble(&self) -> Error {
        self.report.borrow().clone().unwrap_or_else(too_busy)
    }

    fn is_open(&self) -> bool {
        self.store.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

#[cfg(test)]
#[path = "writer/tests.rs"]
mod tests;
