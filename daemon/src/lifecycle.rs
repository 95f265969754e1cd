//! From the first task to the last: a soft stop, a hard stop, and a verdict.
//!
//! Soft means: take no new work, finish what runs, give back the rest. Hard means: leave now.
//! Companions, such as the admin server, stay until the tasks are gone.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long tasks may take to leave after the hard stop before they are dropped where they wait.
const LEAVE_WITHIN: Duration = Duration::from_millis(1500);
/// How long dropped tasks may take to be gone; one that blocks its thread is left behind.
const DROP_WITHIN: Duration = Duration::from_millis(500);

/// How the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was asked to stop, and every task left by itself.
    Clean,
    /// A task that should run for ever ended or panicked, or one did not leave at the hard stop.
    Failed,
}

/// Starts the tasks of a process and stops them together. Clones share one life.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    soft: CancellationToken,
    hard: CancellationToken,
    finished: CancellationToken,
    drop_all: CancellationToken,
    tasks: TaskTracker,
    companions: TaskTracker,
    grace: Duration,
    failed: AtomicBool,
}

impl Lifecycle {
    /// A life that leaves `grace` between the soft and the hard stop.
    pub fn new(grace: Duration) -> Self {
        let shared = Shared {
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            finished: CancellationToken::new(),
            drop_all: CancellationToken::new(),
            tasks: TaskTracker::new(),
            companions: TaskTracker::new(),
            grace,
            failed: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Cancelled when no new work may be taken.
    pub fn soft(&self) -> &CancellationToken {
        &self.shared.soft
    }

    /// Cancelled when everything must end: the grace after [`Self::soft`], or at a second signal.
    ///
    /// Give back what is held and end within a second. Only [`Self::run_until_stopped`] watches the clock and the signals.
    pub fn hard(&self) -> &CancellationToken {
        &self.shared.hard
    }

    /// Cancelled when all tasks but the companions are gone, at the latest at the hard stop.
    pub fn finished(&self) -> &CancellationToken {
        &self.shared.finished
    }

    /// The time between the soft and the hard stop.
    pub fn grace(&self) -> Duration {
        self.shared.grace
    }

    /// Runs a task that lives as long as the process. If it ends before the soft stop, or panics at any time,
    /// that is logged, the process stops softly, and the verdict is [`Verdict::Failed`].
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn_fallible(name, async move {
            task.await;
            Ok::<(), std::convert::Infallible>(())
        });
    }

    /// Like [`Self::spawn`], for a task that can fail: its error is logged and fails the process at any time.
    pub fn spawn_fallible<F, E>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let running = self.start(&self.shared.tasks, name, task);
        let supervising = self.clone().supervise(name, running, self.soft().clone());
        self.shared.tasks.spawn(supervising);
    }

    /// Like [`Self::spawn_fallible`], for what must go on while the other tasks finish: probes, metrics, renewals.
    /// The process does not wait for it; it ends after [`Self::finished`], and may not end before.
    pub fn spawn_companion<F, E>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let running = self.start(&self.shared.companions, name, task);
        let supervising = self.clone().supervise(name, running, self.finished().clone());
        self.shared.companions.spawn(supervising);
    }

    /// Runs a task that may end at any time, such as one request or one dispatch. The process waits for it when it stops.
    /// A panic in it is logged and stays its own: one bad piece of work must not stop the others.
    pub fn spawn_short<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let running = self.start(&self.shared.tasks, name, task);
        self.shared.tasks.spawn(async move {
            if running.await.is_err_and(|gone| gone.is_panic()) {
                tracing::error!(task = name, "panicked, the process goes on");
            }
        });
    }

    /// Starts the soft stop. Asking again changes nothing.
    pub fn request_stop(&self) {
        self.shared.soft.cancel();
    }

    /// What a signal does: the first starts the soft stop, any later one the hard stop.
    pub fn interrupt(&self) {
        if self.shared.soft.is_cancelled() {
            self.shared.hard.cancel();
        } else {
            self.shared.soft.cancel();
        }
    }

    /// Listens for SIGTERM and SIGINT, waits for the soft stop, then for all tasks, and says how it went.
    ///
    /// It returns at the latest two seconds after the hard stop, whatever the tasks do.
    pub async fn run_until_stopped(self) -> Verdict {
        match Signals::listen() {
            Ok(mut signals) => self.run_with(&mut signals).await,
            Err(error) => {
                tracing::error!(%error, "signals cannot be received, the process stops");
                self.fail();
                self.leave().await;
            }
        }
        if self.shared.failed.load(Ordering::Acquire) { Verdict::Failed } else { Verdict::Clean }
    }

    async fn run_with(&self, signals: &mut Signals) {
        let grace = self.shared.grace;
        tokio::select! {
            name = signals.next() => {
                tracing::info!(signal = name, ?grace, "stopping");
                self.request_stop();
            }
            () = self.shared.soft.cancelled() => tracing::info!(?grace, "stopping"),
        }
        self.shared.tasks.close();
        tokio::select! {
            () = self.shared.tasks.wait() => {}
            name = signals.next() => tracing::warn!(signal = name, "second signal, leaving at once"),
            () = tokio::time::sleep(grace) => tracing::warn!(?grace, "the grace is over, leaving now"),
            () = self.shared.hard.cancelled() => tracing::warn!("leaving at once"),
        }
        self.leave().await;
    }

    /// The end: what still runs may leave by itself for a moment, then it is dropped.
    async fn leave(&self) {
        self.shared.hard.cancel();
        self.shared.finished.cancel();
        if self.all_gone_within(LEAVE_WITHIN).await {
            return;
        }
        self.shared.failed.store(true, Ordering::Release);
        self.shared.drop_all.cancel();
        if !self.all_gone_within(DROP_WITHIN).await {
            tracing::error!("some tasks block their threads and are left behind");
        }
    }

    async fn all_gone_within(&self, limit: Duration) -> bool {
        self.shared.tasks.close();
        self.shared.companions.close();
        let all_gone = async {
            self.shared.tasks.wait().await;
            self.shared.companions.wait().await;
        };
        tokio::time::timeout(limit, all_gone).await.is_ok()
    }

    /// Waits for a task that may not end before `until`.
    async fn supervise<E: Display>(
        self,
        name: &'static str,
        running: JoinHandle<Option<Result<(), E>>>,
        until: CancellationToken,
    ) {
        match running.await {
            Ok(Some(Ok(()))) if until.is_cancelled() => return,
            Ok(Some(Ok(()))) => tracing::error!(task = name, "ended by itself, the process stops"),
            Ok(Some(Err(error))) => tracing::error!(task = name, %error, "failed, the process stops"),
            Err(gone) if gone.is_panic() => tracing::error!(task = name, "panicked, the process stops"),
            // Dropped at the end, or with the runtime.
            Ok(None) | Err(_) => return,
        }
        self.fail();
    }

    fn fail(&self) {
        self.shared.failed.store(true, Ordering::Release);
        self.shared.soft.cancel();
    }

    /// Starts a tracked task; `None` in its result means that it was dropped because it did not leave in time.
    fn start<F>(&self, tracker: &TaskTracker, name: &'static str, task: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let drop_all = self.shared.drop_all.clone();
        tracker.spawn(async move {
            let ended = drop_all.run_until_cancelled(task).await;
            if ended.is_none() {
                tracing::error!(task = name, "did not leave in time and was dropped");
            }
            ended
        })
    }
}

/// The two signals that ask a process to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests;
