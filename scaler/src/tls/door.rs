//! Shakes hands with whoever connects. Clients do not wait for each other: a slow one costs a place for a few
//! seconds, nothing else.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, FuturesUnordered, Stream, StreamExt as _};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::TcpIncoming;

use super::HTTP2;
use super::refusal::{Refusal, Sayings};
use crate::metrics::Metrics;

/// A handshake takes a few round trips.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);

/// Handshakes at a time; more clients wait in the listener's queue.
const MOST_HANDSHAKES: usize = 256;

/// After a connection could not be accepted at all, which mostly means that no more files can be opened.
const BREATH: Duration = Duration::from_millis(100);

type Handshake = Pin<Box<dyn Future<Output = Result<TlsStream<TcpStream>, Refused>> + Send>>;

/// A client that does not get in.
struct Refused {
    client: String,
    why: Refusal,
}

/// What clients meet on the port.
#[derive(Debug, Clone)]
pub struct Door {
    configs: watch::Receiver<Arc<ServerConfig>>,
    metrics: Metrics,
}

impl Door {
    /// A door that follows `configs`.
    pub(super) fn new(configs: watch::Receiver<Arc<ServerConfig>>, metrics: Metrics) -> Self {
        Self { configs, metrics }
    }

    /// The connections that came about. It never ends, and yields no error: who is refused is said and counted here.
    pub(crate) fn connections(self, incoming: TcpIncoming) -> impl Stream<Item = io::Result<TlsStream<TcpStream>>> {
        let at_work = Keeper { door: self, incoming, handshakes: FuturesUnordered::new(), sayings: Sayings::default() };
        stream::unfold(at_work, async |mut keeper| keeper.next().await.map(|connection| (Ok(connection), keeper)))
    }

    fn handshake(&self, client: TcpStream) -> Handshake {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.configs.borrow()));
        Box::pin(async move {
            let address = client.peer_addr().map_or_else(|_| "unknown".to_owned(), |address| address.to_string());
            let refused = |why| Refused { client: address, why };
            match timeout(HANDSHAKE_WITHIN, acceptor.accept(client)).await {
                Err(_) => Err(refused(Refusal::Slow)),
                Ok(Err(error)) => Err(refused(Refusal::from(&error))),
                Ok(Ok(connection)) if connection.get_ref().1.alpn_protocol() != Some(HTTP2) => {
                    Err(refused(Refusal::Protocol))
                }
                Ok(Ok(connection)) => Ok(connection),
            }
        })
    }
}

struct Keeper {
    door: Door,
    incoming: TcpIncoming,
    handshakes: FuturesUnordered<Handshake>,
    sayings: Sayings,
}

impl Keeper {
    /// The next client that has got in.
    async fn next(&mut self) -> Option<TlsStream<TcpStream>> {
        loop {
            tokio::select! {
                Some(client) = self.incoming.next(), if self.handshakes.len() < MOST_HANDSHAKES => match client {
                    Ok(client) => self.handshakes.push(self.door.handshake(client)),
                    Err(error) => {
                        tracing::debug!(%error, "a connection could not be accepted");
                        sleep(BREATH).await;
                    }
                },
                Some(outcome) = self.handshakes.next() => match outcome {
                    Ok(connection) => {
                        self.door.metrics.handshake(None);
                        return Some(connection);
                    }
                    Err(refused) => self.refuse(&refused),
                },
                else => return None,
            }
        }
    }

    fn refuse(&mut self, Refused { client, why }: &Refused) {
        self.door.metrics.handshake(Some(*why));
        let Some(advice) = why.advice() else { return };
        if let Some(unsaid) = self.sayings.due(*why, Instant::now()) {
            tracing::warn!(client, unsaid, why = advice, "a client was refused on the gRPC port");
        }
    }
}
