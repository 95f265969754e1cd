//! The connection to the master: found, checked, watched, replaced.
//!
//! A [`Link`] owns one control connection at a time, as a [`Session`]. A session is opened only to a
//! node that says of itself, on that very connection, that it is a master and not loading; it ends at
//! the first deadline missed, at `READONLY` and its relatives, at a failed heartbeat, and when Sentinel
//! names another node. Whoever holds a session notices by an error and takes the next one.

mod connector;
mod session;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use session::Session;

use crate::endpoint::{Endpoint, HostPort, Locator};
use crate::error::Error;
use crate::sentinel::{Follower, SentinelOptions, Verdict};

/// What a link says of itself.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// Shown by `CLIENT LIST`; no spaces.
    pub client_name: String,
}

/// Always knows the present session, or why there is none. Clones share it.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    sessions: watch::Receiver<Option<Session>>,
    trouble: Arc<Mutex<Option<Error>>>,
    follower: Option<Follower>,
}

/// Where the address to connect to comes from.
enum Target {
    Fixed(HostPort),
    Followed(Follower, watch::Receiver<Option<Verdict>>),
}

impl Link {
    /// Starts connecting; tasks run on `tracker` and end with `stop`.
    pub fn start(endpoint: Endpoint, options: LinkOptions, tracker: &TaskTracker, stop: CancellationToken) -> Self {
        let (target, follower) = match &endpoint.locator {
            Locator::Direct(address) => (Target::Fixed(address.clone()), None),
            Locator::Sentinel { sentinels, master } => {
                let options = SentinelOptions {
                    sentinels: sentinels.clone(),
                    master: master.clone(),
                    credentials: endpoint.sentinel.clone(),
                    tls: endpoint.sentinel_tls.clone(),
                };
                let follower = Follower::start(options, tracker, stop.clone());
                let verdicts = follower.verdicts();
                (Target::Followed(follower.clone(), verdicts), Some(follower))
            }
        };
        let (sender, sessions) = watch::channel(None);
        let trouble = Arc::new(Mutex::new(None));
        let connector =
            connector::Connector { endpoint, options, target, sessions: sender, trouble: Arc::clone(&trouble) };
        tracker.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = connector.run() => {}
            }
        });
        Self(Arc::new(Inner { sessions, trouble, follower }))
    }

    /// The session, if there is a usable one right now.
    pub fn current(&self) -> Option<Session> {
        self.0.sessions.borrow().clone().filter(Session::is_open)
    }

    /// The session, waiting up to `patience` for one.
    pub async fn session(&self, patience: Duration) -> Result<Session, Error> {
        if let Some(session) = self.current() {
            return Ok(session);
        }
        let mut sessions = self.0.sessions.clone();
        let usable = sessions.wait_for(|session| session.as_ref().is_some_and(Session::is_open));
        match tokio::time::timeout(patience, usable).await {
            Ok(Ok(session)) => session.clone().ok_or_else(|| self.trouble()),
            Ok(Err(_)) | Err(_) => Err(self.trouble()),
        }
    }

    /// Changes of the session: `None` while there is none.
    pub fn sessions(&self) -> watch::Receiver<Option<Session>> {
        self.0.sessions.clone()
    }

    /// Why there is no session: never `uncertain`, nothing was sent.
    pub fn trouble(&self) -> Error {
        let last = self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (last, &self.0.follower) {
            (Some(error), _) => error,
            (None, Some(follower)) => follower.trouble(),
            (None, None) => Error::unreachable("not connected yet"),
        }
    }

    /// The Sentinels' present verdict; `None` without Sentinel or while none names a master.
    pub fn verdict(&self) -> Option<Verdict> {
        self.0.follower.as_ref().and_then(|follower| follower.verdicts().borrow().clone())
    }
}
