//! The blocking read, on a connection of its own.

use std::time::Duration;

use redis::Cmd;
use redis::aio::MultiplexedConnection;

use crate::connection::Session;
use crate::dial::ask;
use crate::entry::Entry;
use crate::error::Error;

/// Redis starts the BLOCK time again when another consumer wins the race for an entry
/// (redis/redis#12998), so the margin is wide.
const MARGIN: Duration = Duration::from_secs(2);

/// Reads new entries of a consumer group. One read at a time, never dropped while it waits: a read
/// that nobody awaits still receives an entry, into the pending list of a consumer that never sees
/// it. To stop a read, [`Reader::handle`] and [`Session`] unblock it from outside.
#[derive(Debug)]
pub struct Reader {
    connection: MultiplexedConnection,
    client_id: i64,
    session: Session,
}

/// What is read for whom.
#[derive(Debug, Clone)]
pub struct Group {
    /// The stream's key.
    pub stream: String,
    /// The consumer group.
    pub group: String,
    /// Our name in it.
    pub consumer: String,
}

/// Stops a blocked read from outside.
#[derive(Debug, Clone)]
pub struct Unblock {
    client_id: i64,
    session: Session,
}

impl Reader {
    pub(crate) fn new(connection: MultiplexedConnection, client_id: i64, session: Session) -> Self {
        Self { connection, client_id, session }
    }

    /// Up to `count` entries that no consumer has seen, waiting up to `block` for the first one.
    pub async fn read(&mut self, from: &Group, count: usize, block: Duration) -> Result<Vec<Entry>, Error> {
        let mut cmd = Cmd::new();
        cmd.arg("XREADGROUP").arg("GROUP").arg(&from.group).arg(&from.consumer).arg("COUNT").arg(count);
        cmd.arg("BLOCK").arg(u64::try_from(block.as_millis()).unwrap_or(u64::MAX).max(1));
        cmd.arg("STREAMS").arg(&from.stream).arg(">");
        let result = tokio::select! {
            result = ask(&mut self.connection, &cmd, block + MARGIN) => result,
            () = self.session.closed() => Err(Error::unanswered("connection to the master lost")),
        };
        match result {
            Ok(reply) => Ok(Entry::parse_read(&reply)),
            Err(error) => {
                self.session.end_if_useless(&error);
                Err(error.while_doing("XREADGROUP"))
            }
        }
    }

    /// What ends a waiting [`Reader::read`] at once, with what it has.
    pub fn handle(&self) -> Unblock {
        Unblock { client_id: self.client_id, session: self.session.clone() }
    }
}

impl Unblock {
    /// `CLIENT UNBLOCK`: the read returns as if its time was up.
    pub async fn unblock(&self) -> Result<(), Error> {
        let mut cmd = Cmd::new();
        cmd.arg("CLIENT").arg("UNBLOCK").arg(self.client_id);
        self.session.run(&cmd).await.map(drop)
    }
}
