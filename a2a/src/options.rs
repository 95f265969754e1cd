//! What is fixed for an agent.

use std::time::Duration;

use reqwest::Url;

use crate::bearer::Bearer;
use crate::wire::Version;

/// How to reach and speak to one agent.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// The JSON-RPC address. The one in the agent's card is never used in its place.
    pub url: Url,
    /// Which version to speak.
    pub version: Version,
    /// Header `X-User-Id`. Tasks belong to the user, so it must not change between send and get.
    pub user_id: Option<String>,
    /// Header `Authorization`.
    pub bearer: Option<Bearer>,
    /// For a non-blocking send, from connecting to the last byte. A switch of the version starts it anew.
    pub send_timeout: Duration,
    /// For a blocking send, which lasts as long as the run.
    pub blocking_timeout: Duration,
    /// For get, cancel, the card, and each page of find.
    pub get_timeout: Duration,
    /// Largest answer that is read, in bytes.
    pub max_body: usize,
}

impl AgentOptions {
    /// Defaults: version auto, no user id, no token, 30 s for a send, 20 min for a blocking one, 10 s for the rest, 8 MiB.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            version: Version::Auto,
            user_id: None,
            bearer: None,
            send_timeout: Duration::from_secs(30),
            blocking_timeout: Duration::from_secs(20 * 60),
            get_timeout: Duration::from_secs(10),
            max_body: 8 * 1024 * 1024,
        }
    }
}
