//! Who is master, and following it.
//!
//! Each Sentinel has one task with one connection: subscribed to `+switch-master`, and asked again
//! at every message, at every poke and twice a second. The newest word of all of them gives the
//! [`Verdict`]. Sentinels that the others name are followed too. Rules:
//! <https://redis.io/docs/latest/develop/reference/sentinel-clients/>; here all Sentinels are asked
//! at once instead of one after the other, so that a hung one costs nothing.

mod verdict;
mod watcher;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use verdict::{Report, Verdict, elect};

use crate::endpoint::{Credentials, HostPort, Tls};
use crate::error::{Class, Error};

/// No more Sentinels than this are followed, whatever they say of each other.
const MOST_SENTINELS: usize = 16;

/// How Sentinels are reached and what is asked of them.
#[derive(Debug, Clone)]
pub struct SentinelOptions {
    /// The configured addresses.
    pub sentinels: Vec<HostPort>,
    /// The master's name.
    pub master: String,
    /// Who we are to them.
    pub credentials: Credentials,
    /// TLS to them.
    pub tls: Option<Tls>,
}

/// Follows the master of one name. Clones share the same watch.
#[derive(Clone)]
pub struct Follower(Arc<Shared>);

pub(crate) struct Shared {
    options: SentinelOptions,
    table: Mutex<BTreeMap<HostPort, Standing>>,
    verdict: watch::Sender<Option<Verdict>>,
    poke: Notify,
    tracker: TaskTracker,
    stop: CancellationToken,
}

/// What is known of one Sentinel.
#[derive(Debug, Clone)]
enum Standing {
    Answered(Report),
    NotAsked,
    Silent(Error),
}

impl Follower {
    /// Starts one watcher for each configured Sentinel; they end with `stop`.
    pub fn start(options: SentinelOptions, tracker: &TaskTracker, stop: CancellationToken) -> Self {
        let configured = options.sentinels.clone();
        let shared = Arc::new(Shared {
            options,
            table: Mutex::default(),
            verdict: watch::Sender::new(None),
            poke: Notify::new(),
            tracker: tracker.clone(),
            stop,
        });
        for address in configured {
            shared.follow(address);
        }
        Self(shared)
    }

    /// The verdict now and its changes; `None` while no Sentinel names a master.
    pub fn verdicts(&self) -> watch::Receiver<Option<Verdict>> {
        self.0.verdict.subscribe()
    }

    /// Ask all Sentinels again at once.
    pub fn poke(&self) {
        self.0.poke.notify_waiters();
    }

    /// Why there is no verdict. A Sentinel that refuses us is named before those that are merely away.
    pub fn trouble(&self) -> Error {
        let table = self.0.table.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown =
            table.values().any(|standing| matches!(standing, Standing::Answered(report) if report.master.is_none()));
        if unknown {
            return Error::unreachable(
                "Sentinel does not know the master's name (check REDIS_SENTINEL_MASTER_NAME, or a trigger's sentinelMaster)",
            );
        }
        let silent: Vec<_> = table
            .values()
            .filter_map(|standing| match standing {
                Standing::Silent(why) => Some(why),
                Standing::NotAsked | Standing::Answered(_) => None,
            })
            .collect();
        if let Some(refusal) = silent.iter().find(|error| error.class() == Class::Configuration) {
            return (*refusal).clone().while_doing("Sentinel");
        }
        let silent: Vec<_> = silent.iter().map(ToString::to_string).collect();
        let why = if silent.is_empty() { "none has answered yet".to_owned() } else { silent.join("; ") };
        Error::unreachable(format!("no Sentinel can be asked: {why}"))
    }
}

impl Shared {
    /// Follows a Sentinel unless it is followed already.
    fn follow(self: &Arc<Self>, address: HostPort) {
        {
            let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            if table.contains_key(&address) || table.len() >= MOST_SENTINELS {
                return;
            }
            table.insert(address.clone(), Standing::NotAsked);
        }
        self.tracker.spawn(watcher::watch(Arc::clone(self), address));
    }

    fn answered(&self, address: &HostPort, report: Report) {
        self.note(address, Standing::Answered(report));
    }

    fn silent(&self, address: &HostPort, why: Error) {
        self.note(address, Standing::Silent(why));
    }

    fn note(&self, address: &HostPort, standing: Standing) {
        let verdict = {
            let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            lament(table.get(address), &standing);
            table.insert(address.clone(), standing);
            let reports = table.values().filter_map(|standing| match standing {
                Standing::Answered(report) => Some(report),
                Standing::NotAsked | Standing::Silent(_) => None,
            });
            elect(reports, table.len())
        };
        self.verdict.send_if_modified(|current| {
            let changed = *current != verdict;
            if changed {
                announce(current.as_ref(), verdict.as_ref());
                *current = verdict;
            }
            changed
        });
    }
}

/// Says why a Sentinel cannot be asked, once for each reason.
fn lament(before: Option<&Standing>, now: &Standing) {
    let Standing::Silent(error) = now else { return };
    let known = matches!(before, Some(Standing::Silent(last)) if last.to_string() == error.to_string());
    match (known, error.class()) {
        (false, Class::Configuration) => tracing::error!(%error, "Sentinel cannot be used"),
        (false, _) => tracing::warn!(%error, "Sentinel cannot be asked"),
        (true, _) => tracing::debug!(%error, "Sentinel still cannot be asked"),
    }
}

fn announce(before: Option<&Verdict>, now: Option<&Verdict>) {
    match (before, now) {
        (Some(before), Some(now)) if before.master == now.master => match (before.degraded, now.degraded) {
            (false, true) => tracing::warn!(answering = now.answering, "few Sentinels answer"),
            (true, false) => tracing::info!(answering = now.answering, "enough Sentinels answer"),
            _ => {}
        },
        (_, Some(now)) => {
            tracing::info!(master = %now.master, epoch = now.epoch, agreeing = now.agreeing, "Sentinel names a master");
        }
        (_, None) => tracing::warn!("no Sentinel names a master"),
    }
}
