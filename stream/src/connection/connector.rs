//! The loop that keeps a link connected.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::session::Session;
use super::{LinkOptions, Target};
use crate::endpoint::{Endpoint, HostPort};
use crate::error::{Class, Error};
use crate::retry::Delays;

/// A hung master is noticed within two of these; `ROLE` answers even under `CLIENT PAUSE WRITE`.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Connector {
    pub(super) endpoint: Endpoint,
    pub(super) options: LinkOptions,
    pub(super) target: Target,
    pub(super) sessions: watch::Sender<Option<Session>>,
    pub(super) trouble: Arc<Mutex<Option<Error>>>,
}

impl Connector {
    /// Connects, watches, and connects again, for ever.
    pub(super) async fn run(mut self) {
        let mut delays = Delays::new(Duration::from_millis(30), Duration::from_secs(1));
        loop {
            let address = self.target.address().await;
            match Session::open(&self.endpoint, &self.options, &address).await {
                Ok(session) => {
                    delays.reset();
                    self.hold(session).await;
                    self.target.poke();
                }
                Err(error) => {
                    self.note(Some(error));
                    self.target.poke();
                    self.target.changed_within(&address, delays.next_delay()).await;
                }
            }
        }
    }

    /// Offers the session until it is of no more use.
    async fn hold(&mut self, session: Session) {
        tracing::info!(address = %session.address(), replid = session.replid(), "connected to the master");
        self.note(None);
        self.sessions.send_replace(Some(session.clone()));
        let address = session.address().clone();
        let why = tokio::select! {
            () = session.closed() => "failed",
            () = self.target.left(&address) => "Sentinel names another master",
            error = heartbeat(&session) => {
                tracing::warn!(%error, "heartbeat failed");
                "no heartbeat"
            }
        };
        session.close(why);
        self.sessions.send_replace(None);
    }

    fn note(&self, error: Option<Error>) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &error {
            let known = trouble.as_ref().is_some_and(|last| last.to_string() == error.to_string());
            match (known, error.class()) {
                (false, Class::Configuration) => tracing::error!(%error, "Redis cannot be used"),
                (false, _) => tracing::warn!(%error, "Redis cannot be reached"),
                (true, _) => tracing::debug!(%error, "Redis still cannot be used"),
            }
        }
        *trouble = error;
    }
}

async fn heartbeat(session: &Session) -> Error {
    loop {
        tokio::time::sleep(HEARTBEAT_EVERY).await;
        if let Err(error) = session.check_role().await {
            return error;
        }
    }
}

impl Target {
    /// The address to connect to, as soon as there is one.
    async fn address(&mut self) -> HostPort {
        match self {
            Self::Fixed(address) => address.clone(),
            Self::Followed(_, verdicts) => loop {
                if let Some(verdict) = verdicts.borrow_and_update().as_ref() {
                    return verdict.master.clone();
                }
                if verdicts.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            },
        }
    }

    /// Ends when another address than this one is named; "nobody is named" keeps what works.
    async fn left(&mut self, address: &HostPort) {
        match self {
            Self::Fixed(_) => std::future::pending().await,
            Self::Followed(_, verdicts) => {
                let other = |verdict: &Option<_>| {
                    verdict.as_ref().is_some_and(|verdict: &crate::sentinel::Verdict| verdict.master != *address)
                };
                if verdicts.wait_for(other).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    async fn changed_within(&mut self, address: &HostPort, patience: Duration) {
        let _ = tokio::time::timeout(patience, self.left(address)).await;
    }

    fn poke(&self) {
        if let Self::Followed(follower, _) = self {
            follower.poke();
        }
    }
}
