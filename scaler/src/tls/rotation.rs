//! Looks at the files again and again, and takes new ones into use. Contents are compared, not times or names: that
//! holds for files that are written over, for those that are moved into place, and for the symbolic links that
//! Kubernetes changes.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::ServerConfig;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Door, Files, Loaded, Problem};
use crate::metrics::Metrics;

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The files in use and those that may come.
#[derive(Debug)]
pub struct Rotation {
    files: Files,
    configs: watch::Sender<Arc<ServerConfig>>,
    in_use: u64,
    trouble: Trouble,
    metrics: Metrics,
}

/// What is known of files that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    /// Seen once: perhaps the certificate is written and its key not yet.
    Doubtful(u64),
    /// Seen twice, and said.
    Said(u64),
}

impl Rotation {
    /// Begins with what was loaded from `files`.
    pub fn new(files: Files, loaded: Loaded, metrics: Metrics) -> Self {
        let (in_use, mutual) = (loaded.fingerprint, files.client_ca.is_some());
        announce(&loaded, &metrics);
        tracing::info!(mutual, expires = %shown(loaded.expires), "the gRPC port speaks TLS");
        let configs = watch::Sender::new(loaded.config);
        Self { files, configs, in_use, trouble: Trouble::None, metrics }
    }

    /// The door that always has the present certificate.
    pub fn door(&self) -> Door {
        Door::new(self.configs.subscribe(), self.metrics.clone())
    }

    /// Looks until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => {}
            }
            let files = self.files.clone();
            // A panic there is one look that was in vain.
            if let Ok(seen) = tokio::task::spawn_blocking(move || Seen::look(&files)).await {
                self.consider(seen);
            }
        }
    }

    fn consider(&mut self, seen: Seen) {
        if seen.fingerprint == self.in_use {
            if matches!(self.trouble, Trouble::Said(_)) {
                tracing::info!("the TLS files are again those in use");
            }
            self.settle();
            return;
        }
        match (seen.outcome, self.trouble) {
            (Ok(loaded), _) => self.take(loaded),
            (Err(problems), Trouble::Doubtful(before)) if before == seen.fingerprint => {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                let problems = problems.join("; ");
                tracing::error!(problems, "the new TLS files cannot be used; the certificate before them stays in use");
                self.metrics.tls_files_unusable(true);
                self.trouble = Trouble::Said(seen.fingerprint);
            }
            (Err(_), Trouble::Said(before)) if before == seen.fingerprint => {}
            (Err(_), _) => self.trouble = Trouble::Doubtful(seen.fingerprint),
        }
    }

    fn take(&mut self, loaded: Loaded) {
        announce(&loaded, &self.metrics);
        tracing::info!(expires = %shown(loaded.expires), "new TLS files are in use; open connections go on");
        self.in_use = loaded.fingerprint;
        self.configs.send_replace(loaded.config);
        self.settle();
    }

    fn settle(&mut self) {
        self.trouble = Trouble::None;
        self.metrics.tls_files_unusable(false);
    }
}

/// The files at one look.
struct Seen {
    fingerprint: u64,
    outcome: Result<Loaded, Vec<Problem>>,
}

impl Seen {
    fn look(files: &Files) -> Self {
        match files.read() {
            Ok(contents) => Self { fingerprint: contents.fingerprint(), outcome: contents.build() },
            Err(problems) => {
                let mut hasher = DefaultHasher::new();
                for Problem { setting, problem } in &problems {
                    (setting, problem).hash(&mut hasher);
                }
                Self { fingerprint: hasher.finish(), outcome: Err(problems) }
            }
        }
    }
}

fn announce(loaded: &Loaded, metrics: &Metrics) {
    metrics.tls_expires(loaded.expires.map_or(0, Timestamp::as_second));
    if loaded.expires.is_some_and(|expires| expires <= Timestamp::now()) {
        tracing::error!(expires = %shown(loaded.expires), "the TLS certificate has expired: KEDA will not accept it");
    }
}

fn shown(expires: Option<Timestamp>) -> String {
    expires.map_or_else(|| "unknown".to_owned(), |expires| expires.to_string())
}

#[cfg(test)]
mod tests;
