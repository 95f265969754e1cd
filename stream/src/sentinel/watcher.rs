//! One Sentinel: one connection, subscribed and asked.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, PushInfo, PushKind, Value};
use tokio::sync::mpsc;

use super::{Report, Shared};
use crate::dial::{Dial, ask};
use crate::endpoint::HostPort;
use crate::error::Error;
use crate::retry::Delays;
use crate::value;

const CONNECT_WITHIN: Duration = Duration::from_millis(500);
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// Polling is the second source: it works where SUBSCRIBE is forbidden and finds a lost message.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// While a failover is under way, and after a poke, so that a new master is found at once.
const POLL_URGENTLY: Duration = Duration::from_millis(50);
const CHANNEL: &str = "+switch-master";

/// Watches one Sentinel until the process stops.
pub(super) async fn watch(shared: Arc<Shared>, address: HostPort) {
    let stop = shared.stop.clone();
    let forever = async {
        let mut delays = Delays::new(Duration::from_millis(50), Duration::from_secs(1));
        loop {
            let error = session(&shared, &address, &mut delays).await;
            shared.silent(&address, error.of_sentinel());
            tokio::select! {
                () = tokio::time::sleep(delays.next_delay()) => {}
                () = shared.poke.notified() => tokio::time::sleep(POLL_URGENTLY).await,
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = forever => {}
    }
}

/// From connect to the first failure.
async fn session(shared: &Arc<Shared>, address: &HostPort, delays: &mut Delays) -> Error {
    match open(shared, address).await {
        Ok((connection, messages)) => {
            delays.reset();
            follow(shared, address, connection, messages).await
        }
        Err(error) => error,
    }
}

async fn open(shared: &Shared, address: &HostPort) -> Result<(MultiplexedConnection, mpsc::Receiver<PushInfo>), Error> {
    let (sender, messages) = mpsc::channel(64);
    // A full channel loses nothing: every message only means "ask again", and one is waiting.
    let pushes = move |info: PushInfo| match sender.try_send(info) {
        Err(mpsc::error::TrySendError::Closed(_)) => Err(()),
        Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => Ok(()),
    };
    let dial = Dial {
        address,
        credentials: &shared.options.credentials,
        tls: shared.options.tls.as_ref(),
        db: 0,
        within: CONNECT_WITHIN,
    };
    let mut connection = dial.open(pushes).await?;
    let subscribe = tokio::time::timeout(ANSWER_WITHIN, connection.subscribe(CHANNEL)).await;
    if let Ok(Err(error)) = subscribe {
        tracing::warn!(sentinel = %address, %error, "cannot subscribe to +switch-master, polling only");
    }
    Ok((connection, messages))
}

async fn follow(
    shared: &Arc<Shared>,
    address: &HostPort,
    mut connection: MultiplexedConnection,
    mut messages: mpsc::Receiver<PushInfo>,
) -> Error {
    loop {
        let report = match question(&mut connection, &shared.options.master).await {
            Ok((report, peers)) => {
                for peer in peers {
                    shared.follow(peer);
                }
                report
            }
            Err(error) => return error.while_doing(&address.to_string()),
        };
        let pause = if report.failing_over { POLL_URGENTLY } else { POLL_EVERY };
        shared.answered(address, report);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.poke.notified() => tokio::time::sleep(POLL_URGENTLY).await,
            message = messages.recv() => match message {
                Some(message) if message.kind == PushKind::Disconnection => {
                    return Error::unreachable(format!("{address}: connection closed"));
                }
                Some(_) => {}
                None => return Error::unreachable(format!("{address}: connection closed")),
            },
        }
    }
}

/// Asks for the master, its epoch, and the other Sentinels.
async fn question(connection: &mut MultiplexedConnection, name: &str) -> Result<(Report, Vec<HostPort>), Error> {
    let address = sentinel(connection, "GET-MASTER-ADDR-BY-NAME", name).await?;
    let Some(master) = address_of_pair(&address) else {
        return Ok((Report { master: None, epoch: 0, failing_over: false }, Vec::new()));
    };
    let details = sentinel(connection, "MASTER", name).await?;
    let epoch = value::field(&details, "config-epoch").and_then(value::int).unwrap_or(0);
    let flags = value::field(&details, "flags").and_then(value::text).unwrap_or_default();
    let report = Report {
        master: Some(master),
        epoch: u64::try_from(epoch).unwrap_or(0),
        failing_over: flags.split(',').any(|flag| matches!(flag, "failover_in_progress" | "s_down" | "o_down")),
    };
    let peers = match sentinel(connection, "SENTINELS", name).await {
        Ok(peers) => value::items(&peers).unwrap_or_default().iter().filter_map(address_of_peer).collect(),
        // Following the configured ones is enough where this command is forbidden.
        Err(error) if error.code().is_some() => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok((report, peers))
}

async fn sentinel(connection: &mut MultiplexedConnection, what: &str, name: &str) -> Result<Value, Error> {
    let mut cmd = Cmd::new();
    cmd.arg("SENTINEL").arg(what).arg(name);
    ask(connection, &cmd, ANSWER_WITHIN).await
}

fn address_of_pair(reply: &Value) -> Option<HostPort> {
    match value::items(reply)? {
        [host, port] => address(host, port),
        _ => None,
    }
}

fn address_of_peer(peer: &Value) -> Option<HostPort> {
    address(value::field(peer, "ip")?, value::field(peer, "port")?)
}

fn address(host: &Value, port: &Value) -> Option<HostPort> {
    let host = value::text(host)?.to_owned();
    let port = u16::try_from(value::int(port)?).ok()?;
    (!host.is_empty()).then_some(HostPort { host, port })
}
