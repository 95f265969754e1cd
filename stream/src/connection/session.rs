//! One checked connection to one master.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, PushInfo, PushKind, Value};
use tokio_util::sync::CancellationToken;

use super::LinkOptions;
use crate::dial::{Dial, ask, ask_all};
use crate::endpoint::{Endpoint, HostPort};
use crate::error::{Class, Error};
use crate::reader::Reader;
use crate::script::Call;
use crate::tail::Tail;
use crate::value;

const CONNECT_WITHIN: Duration = Duration::from_millis(700);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const ROLE_WITHIN: Duration = Duration::from_secs(1);

/// A connection to the master for everything but blocking reads. Clones share it.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    id: u64,
    address: HostPort,
    replid: String,
    endpoint: Endpoint,
    client_name: String,
    /// Redis' clock and ours at the same moment.
    clock: (i64, Instant),
    /// Taken out when the session ends: the server notices only when the last clone is gone.
    connection: Mutex<Option<MultiplexedConnection>>,
    closed: CancellationToken,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({} {})", self.0.id, self.0.address)
    }
}

impl Session {
    /// Connects, and checks on this connection that the node is a master and serves.
    pub(super) async fn open(endpoint: &Endpoint, options: &LinkOptions, address: &HostPort) -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let closed = CancellationToken::new();
        let token = closed.clone();
        let mut connection = dial(endpoint, address)
            .open(move |info: PushInfo| {
                if info.kind == PushKind::Disconnection {
                    token.cancel();
                }
                Ok::<(), ()>(())
            })
            .await?;
        let facts = introduce(&mut connection, &options.client_name)
            .await
            .map_err(|error| error.while_doing(&address.to_string()))?;
        Ok(Self(Arc::new(Inner {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            address: address.clone(),
            replid: facts.replid,
            endpoint: endpoint.clone(),
            client_name: options.client_name.clone(),
            clock: (facts.now_ms, Instant::now()),
            connection: Mutex::new(Some(connection)),
            closed,
        })))
    }

    /// Unique within the process; grows.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// The master's address.
    pub fn address(&self) -> &HostPort {
        &self.0.address
    }

    /// The replication id when the session was opened: it names the history that the master has.
    pub fn replid(&self) -> &str {
        &self.0.replid
    }

    /// Still in use.
    pub fn is_open(&self) -> bool {
        !self.0.closed.is_cancelled()
    }

    /// Ends when the session does.
    pub async fn closed(&self) {
        self.0.closed.cancelled().await;
    }

    /// Redis' clock now, Unix milliseconds, reckoned from its clock at the connect: a change of
    /// either wall clock in between does no harm to deadlines that Redis judges.
    pub fn redis_now_ms(&self) -> i64 {
        let (at_connect, then) = self.0.clock;
        at_connect.saturating_add(i64::try_from(then.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    /// How long ago the session was opened.
    pub fn age(&self) -> Duration {
        self.0.clock.1.elapsed()
    }

    /// One command, within two seconds.
    pub async fn run(&self, cmd: &Cmd) -> Result<Value, Error> {
        self.run_within(cmd, ANSWER_WITHIN).await
    }

    /// One command. A missed deadline ends the session: an answer that comes later would belong to
    /// nobody.
    pub async fn run_within(&self, cmd: &Cmd, within: Duration) -> Result<Value, Error> {
        let mut connection = self.connection()?;
        let result = tokio::select! {
            result = ask(&mut connection, cmd, within) => result,
            () = self.0.closed.cancelled() => Err(Error::unanswered("connection to the master lost")),
        };
        self.judge(result)
    }

    /// Several commands in one round trip, each with its own verdict.
    pub async fn pipe(&self, pipeline: &Pipeline) -> Result<Vec<Result<Value, Error>>, Error> {
        let mut connection = self.connection()?;
        let results = tokio::select! {
            results = ask_all(&mut connection, pipeline, ANSWER_WITHIN) => results,
            () = self.0.closed.cancelled() => Err(Error::unanswered("connection to the master lost")),
        };
        let results = self.judge(results)?;
        for error in results.iter().filter_map(|result| result.as_ref().err()) {
            self.end_if_useless(error);
        }
        Ok(results)
    }

    /// Calls a script, loading it first where the server does not have it.
    pub async fn invoke(&self, call: &Call<'_>) -> Result<Value, Error> {
        let cmd = call.cmd();
        let result = match self.run(&cmd).await {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                self.run(&call.script.load()).await?;
                self.run(&cmd).await
            }
            result => result,
        };
        result.map_err(|error| error.while_doing(call.script.name()))
    }

    /// Calls scripts in one round trip, each with its own verdict.
    pub async fn invoke_all(&self, calls: &[Call<'_>]) -> Result<Vec<Result<Value, Error>>, Error> {
        let results = self.pipe(&together(calls)).await?;
        let missing =
            |result: &Result<Value, Error>| result.as_ref().is_err_and(|error| error.code() == Some("NOSCRIPT"));
        if !results.iter().any(missing) {
            return Ok(results);
        }
        // The server has lost its scripts: those that were not run are run now, one by one.
        let mut complete = Vec::with_capacity(results.len());
        for (result, call) in results.into_iter().zip(calls) {
            complete.push(if missing(&result) { self.invoke(call).await } else { result });
        }
        Ok(complete)
    }

    /// A connection of its own for blocking reads, to the same node, checked in the same way.
    pub async fn reader(&self) -> Result<Reader, Error> {
        let (connection, client_id) = self.another(&self.0.client_name).await?;
        Ok(Reader::new(connection, client_id, self.clone()))
    }

    /// A connection of its own that waits for the ends of streams to move, under this name in `CLIENT LIST`.
    pub async fn tail(&self, client_name: &str) -> Result<Tail, Error> {
        let (connection, _) = self.another(client_name).await?;
        Ok(Tail::new(connection, self.clone()))
    }

    /// A second connection to the same node with the same history, and its client id.
    async fn another(&self, client_name: &str) -> Result<(MultiplexedConnection, i64), Error> {
        let mut connection = dial(&self.0.endpoint, &self.0.address).open(|_: PushInfo| Ok::<(), ()>(())).await?;
        let facts = introduce(&mut connection, client_name).await?;
        if facts.replid != self.0.replid {
            let error = Error::unreachable("the master has another history than a moment ago");
            self.end_if_useless(&error);
            return Err(error);
        }
        Ok((connection, facts.client_id))
    }

    /// Ends the session; its users get errors of class `Reconnect`.
    pub fn close(&self, why: &str) {
        if self.is_open() {
            tracing::warn!(address = %self.0.address, why, "leaving the master");
        }
        self.0.closed.cancel();
        self.0.connection.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(super) async fn check_role(&self) -> Result<(), Error> {
        let mut cmd = Cmd::new();
        cmd.arg("ROLE");
        is_master(&self.run_within(&cmd, ROLE_WITHIN).await?)
    }

    fn connection(&self) -> Result<MultiplexedConnection, Error> {
        let connection = self.0.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        connection.filter(|_| self.is_open()).ok_or_else(|| Error::unreachable("connection to the master lost"))
    }

    fn judge<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result {
            self.end_if_useless(error);
        }
        result
    }

    pub(crate) fn end_if_useless(&self, error: &Error) {
        if error.class() == Class::Reconnect {
            self.close(&error.to_string());
        }
    }
}

fn dial<'a>(endpoint: &'a Endpoint, address: &'a HostPort) -> Dial<'a> {
    Dial { address, credentials: &endpoint.node, tls: endpoint.tls.as_ref(), db: endpoint.db, within: CONNECT_WITHIN }
}

fn together(calls: &[Call<'_>]) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(calls.len());
    for call in calls {
        pipeline.add_command(call.cmd());
    }
    pipeline
}

struct Facts {
    replid: String,
    now_ms: i64,
    client_id: i64,
}

/// Role, readiness, history, clock and name in one round trip. `ROLE` alone says "master" while
/// the dataset is loading; `PING` does not.
async fn introduce(connection: &mut MultiplexedConnection, name: &str) -> Result<Facts, Error> {
    let mut pipeline = Pipeline::new();
    pipeline.cmd("ROLE").cmd("PING").cmd("INFO").arg("replication").cmd("TIME").cmd("CLIENT").arg("ID");
    pipeline.cmd("CLIENT").arg("SETNAME").arg(name);
    let mut answers = ask_all(connection, &pipeline, ROLE_WITHIN).await?.into_iter();
    let mut answer =
        || answers.next().unwrap_or_else(|| Err(Error::unexpected("the first commands", &"too few answers")));
    is_master(&answer()?)?;
    answer()?;
    let info = answer()?;
    let replid = value::text(&info).and_then(replid_of).ok_or_else(|| Error::unexpected("INFO replication", &info))?;
    let time = answer()?;
    let now_ms = milliseconds(&time).ok_or_else(|| Error::unexpected("TIME", &time))?;
    let id = answer()?;
    let client_id = value::int(&id).ok_or_else(|| Error::unexpected("CLIENT ID", &id))?;
    if let Err(error) = answer() {
        tracing::debug!(%error, "the connection has no name");
    }
    Ok(Facts { replid, now_ms, client_id })
}

fn is_master(role: &Value) -> Result<(), Error> {
    match value::items(role).and_then(|items| items.first()).and_then(value::text) {
        Some("master") => Ok(()),
        Some(role) => Err(Error::unreachable(format!("this node is a {role}, not the master"))),
        None => Err(Error::unexpected("ROLE", role)),
    }
}

fn replid_of(info: &str) -> Option<String> {
    info.lines().find_map(|line| line.strip_prefix("master_replid:")).map(|id| id.trim().to_owned())
}

fn milliseconds(time: &Value) -> Option<i64> {
    match value::items(time)? {
        [seconds, micros] => Some(value::int(seconds)? * 1000 + value::int(micros)? / 1000),
        _ => None,
    }
}
