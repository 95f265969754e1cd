//! A private way from one process to every server of a trio, with faults of the network on it.
//!
//! Each server has a port here that leads to it. The answers of Sentinels carry ports: those are replaced by the
//! ports here, so that whoever begins at [`Road::sentinels`] never leaves the road. All ports have five digits, so
//! that no length changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::ports::free_port;

/// Bytes of one piece.
const PIECE: usize = 16 * 1024;
/// Digits of a port.
const DIGITS: usize = 5;

/// What happens to what is under way to or from one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Nothing.
    Clear,
    /// Answers come this much later.
    Slow(Duration),
    /// Nothing comes through, nothing is refused; what was sent arrives later.
    Blocked,
    /// The connection ends in the middle of the next answer.
    CutAnswers,
}

/// The ports of one process.
#[derive(Debug)]
pub struct Road {
    lanes: Vec<Lane>,
}

#[derive(Debug)]
struct Lane {
    server: String,
    here: String,
    is_sentinel: bool,
    weather: watch::Sender<Weather>,
    _task: AbortOnDropHandle<()>,
}

type Ports = Arc<BTreeMap<Vec<u8>, Vec<u8>>>;

impl Road {
    /// Opens a lane to each data server and each Sentinel (`127.0.0.1:port`).
    pub async fn open(nodes: &[String], sentinels: &[String]) -> Result<Self> {
        let mut ports = BTreeMap::new();
        for server in nodes.iter().chain(sentinels) {
            let port = server.rsplit(':').next().context("an address without a port")?;
            ports.insert(port.as_bytes().to_vec(), free_port()?.to_string().into_bytes());
        }
        let ports = Arc::new(ports);
        let mut lanes = Vec::new();
        for (server, is_sentinel) in nodes.iter().map(|node| (node, false)).chain(sentinels.iter().map(|s| (s, true))) {
            lanes.push(Lane::open(server, is_sentinel, &ports).await?);
        }
        Ok(Self { lanes })
    }

    /// The Sentinels' `host:port` on this road.
    pub fn sentinels(&self) -> Vec<String> {
        self.lanes.iter().filter(|lane| lane.is_sentinel).map(|lane| lane.here.clone()).collect()
    }

    /// The weather between the process and every server.
    pub fn everywhere(&self, weather: Weather) {
        for lane in &self.lanes {
            lane.weather.send_replace(weather);
        }
    }

    /// The weather between the process and the data servers.
    pub fn at_nodes(&self, weather: Weather) {
        for lane in self.lanes.iter().filter(|lane| !lane.is_sentinel) {
            lane.weather.send_replace(weather);
        }
    }

    /// The weather between the process and one server, by its own address.
    pub fn at(&self, server: &str, weather: Weather) {
        for lane in self.lanes.iter().filter(|lane| lane.server == server) {
            lane.weather.send_replace(weather);
        }
    }
}

impl Lane {
    async fn open(server: &str, is_sentinel: bool, ports: &Ports) -> Result<Self> {
        let port = server.rsplit(':').next().unwrap_or_default().as_bytes();
        let here = ports.get(port).context("a server without a port here")?;
        let here = format!("127.0.0.1:{}", String::from_utf8_lossy(here));
        let listener = TcpListener::bind(&here).await.with_context(|| format!("cannot listen on {here}"))?;
        let (weather, seen) = watch::channel(Weather::Clear);
        let ports = is_sentinel.then(|| Arc::clone(ports));
        let task = tokio::spawn(serve(listener, server.to_owned(), seen, ports));
        Ok(Self { server: server.to_owned(), here, is_sentinel, weather, _task: AbortOnDropHandle::new(task) })
    }
}

async fn serve(listener: TcpListener, server: String, weather: watch::Receiver<Weather>, ports: Option<Ports>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(carry(client, server.clone(), weather.clone(), ports.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, until either end closes it.
async fn carry(client: TcpStream, server: String, weather: watch::Receiver<Weather>, ports: Option<Ports>) {
    let mut sky = weather.clone();
    passable(&mut sky).await;
    let Ok(upstream) = TcpStream::connect(&server).await else { return };
    if client.set_nodelay(true).is_err() || upstream.set_nodelay(true).is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = upstream.into_split();
    tokio::select! {
        () = questions(from_client, to_server, weather.clone()) => {}
        () = answers(from_server, to_client, weather, ports) => {}
    }
}

async fn questions(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut weather: watch::Receiver<Weather>) {
    let mut piece = vec![0; PIECE];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        passable(&mut weather).await;
        if to.write_all(piece.get(..length).unwrap_or_default()).await.is_err() {
            return;
        }
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    ports: Option<Ports>,
) {
    let mut piece = vec![0; PIECE];
    let mut text = Vec::new();
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        text.extend_from_slice(piece.get(..length).unwrap_or_default());
        // A reply never ends with a digit: the rest of the number is on its way.
        if ports.is_some() && text.last().is_some_and(u8::is_ascii_digit) {
            continue;
        }
        if let Some(ports) = &ports {
            replace(&mut text, ports);
        }
        passable(&mut weather).await;
        let now = *weather.borrow();
        match now {
            Weather::Slow(delay) => sleep(delay).await,
            Weather::CutAnswers => {
                let half = text.get(..text.len() / 2).unwrap_or_default();
                // Nobody may be left to read it.
                to.write_all(half).await.ok();
                return;
            }
            Weather::Clear | Weather::Blocked => {}
        }
        if to.write_all(&text).await.is_err() {
            return;
        }
        text.clear();
    }
}

/// Waits until something comes through.
async fn passable(weather: &mut watch::Receiver<Weather>) {
    // An error means that the road is gone, and with it this task.
    weather.wait_for(|weather| *weather != Weather::Blocked).await.ok();
}

/// Replaces every number that is the port of a server.
fn replace(text: &mut [u8], ports: &BTreeMap<Vec<u8>, Vec<u8>>) {
    let numbers = text.chunk_by_mut(|left, right| left.is_ascii_digit() == right.is_ascii_digit());
    for number in numbers.filter(|number| number.len() == DIGITS) {
        if let Some(here) = ports.get(&*number) {
            number.copy_from_slice(here);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_replaced_where_they_are_whole_numbers() {
        let ports = BTreeMap::from([(b"12001".to_vec(), b"20001".to_vec())]);
        let mut text = b"$5\r\n12001\r\nmymaster 127.0.0.1 12001 127.0.0.1 112001 12001".to_vec();
        replace(&mut text, &ports);
        assert_eq!(text, b"$5\r\n20001\r\nmymaster 127.0.0.1 20001 127.0.0.1 112001 20001");
    }
}
