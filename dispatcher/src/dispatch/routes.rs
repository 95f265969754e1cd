//! Which agent takes a step, for entries that name none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::Cmd;
use redis_stream::connection::Session;
use redis_stream::error::Error;
use redis_stream::value;

/// How long the routing hash is believed.
const BELIEVE_FOR: Duration = Duration::from_secs(60);

/// The routing hash as last read.
pub struct Routes {
    key: String,
    default_agent: String,
    cached: Mutex<Option<Cached>>,
}

struct Cached {
    at: Instant,
    agents: Arc<HashMap<String, String>>,
}

impl Routes {
    /// `key`: a hash of step -> agent. `default_agent` while it has never been seen.
    pub fn new(key: String, default_agent: String) -> Self {
        Self { key, default_agent, cached: Mutex::new(None) }
    }

    /// The agent of a step; `None` where the hash exists and has no such step. A hash that is gone
    /// (evicted, flushed) means the one last seen, else the default agent.
    pub async fn agent(&self, session: &Session, step: &str) -> Result<Option<String>, Error> {
        if let Some(agents) = self.cached(BELIEVE_FOR) {
            return Ok(agents.get(step).cloned());
        }
        let mut cmd = Cmd::new();
        cmd.arg("HGETALL").arg(&self.key);
        let reply = session.run(&cmd).await.map_err(|error| error.while_doing(&self.key))?;
        let agents: HashMap<String, String> = value::pairs(&reply)
            .into_iter()
            .filter_map(|(step, agent)| Some((value::text(step)?.to_owned(), value::text(agent)?.to_owned())))
            .collect();
        if !agents.is_empty() {
            let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
            *cached = Some(Cached { at: Instant::now(), agents: Arc::new(agents) });
        }
        match self.cached(Duration::MAX) {
            Some(agents) => Ok(agents.get(step).cloned()),
            None => Ok(Some(self.default_agent.clone())),
        }
    }

    fn cached(&self, believe_for: Duration) -> Option<Arc<HashMap<String, String>>> {
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.as_ref().filter(|cached| cached.at.elapsed() <= believe_for).map(|cached| Arc::clone(&cached.agents))
    }
}
