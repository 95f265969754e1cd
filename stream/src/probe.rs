//! A look at one server: a connection that is not followed, not checked for its role and not replaced.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, PushInfo, Value};

use crate::dial::{Dial, ask, ask_all};
use crate::endpoint::{Endpoint, HostPort};
use crate::error::Error;

/// A connection to one Redis node or Sentinel. Clones share it.
#[derive(Clone)]
pub struct Probe {
    connection: MultiplexedConnection,
    within: Duration,
    opened_in: Duration,
}

impl Probe {
    /// Connects to a Redis node, signed in, with the database selected. `within` holds for this and for every command.
    pub async fn node(endpoint: &Endpoint, address: &HostPort, within: Duration) -> Result<Self, Error> {
        let (credentials, tls) = (&endpoint.node, endpoint.tls.as_ref());
        Self::open(&Dial { address, credentials, tls, db: endpoint.db, within }).await
    }

    /// Connects to a Sentinel, signed in.
    pub async fn sentinel(endpoint: &Endpoint, address: &HostPort, within: Duration) -> Result<Self, Error> {
        let (credentials, tls) = (&endpoint.sentinel, endpoint.sentinel_tls.as_ref());
        Self::open(&Dial { address, credentials, tls, db: 0, within }).await.map_err(Error::of_sentinel)
    }

    async fn open(dial: &Dial<'_>) -> Result<Self, Error> {
        let begun = Instant::now();
        let connection = dial.open(|_: PushInfo| Ok::<(), ()>(())).await?;
        Ok(Self { connection, within: dial.within, opened_in: begun.elapsed() })
    }

    /// How long it took to connect and sign in.
    pub fn opened_in(&self) -> Duration {
        self.opened_in
    }

    /// One command.
    pub async fn run(&self, cmd: &Cmd) -> Result<Value, Error> {
        ask(&mut self.connection.clone(), cmd, self.within).await
    }

    /// One command, given as its words.
    pub async fn words(&self, words: &[&str]) -> Result<Value, Error> {
        self.run(&command(words)).await
    }

    /// Several commands in one round trip, each with its own verdict.
    pub async fn pipe(&self, pipeline: &Pipeline) -> Result<Vec<Result<Value, Error>>, Error> {
        ask_all(&mut self.connection.clone(), pipeline, self.within).await
    }
}

/// A command made of words.
pub fn command<W: AsRef<str>>(words: &[W]) -> Cmd {
    let mut cmd = Cmd::new();
    for word in words {
        cmd.arg(word.as_ref());
    }
    cmd
}
