//! An HTTP/1.1 listener with limits: connections, time for the head of a request, time to drain.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections served at once; later ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 1024;
/// Longest wait for the head of a request, also between two requests of one connection.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Longest wait for requests in flight after `stop`.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);
/// Pause after a failed accept: out of file descriptors does not mend itself in a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{what}: cannot listen on {addr}: {source}{}", hint(source))]
pub struct BindError {
    what: String,
    addr: SocketAddr,
    source: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another process uses it, choose another port",
        io::ErrorKind::AddrNotAvailable => "; this host has no such address, 0.0.0.0 listens on all",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege, choose a higher one",
        _ => "",
    }
}

/// Listens on `addr`; `what` names the setting or the purpose in the error.
pub async fn bind(addr: SocketAddr, what: &str) -> Result<TcpListener, BindError> {
    TcpListener::bind(addr).await.map_err(|source| BindError { what: what.to_owned(), addr, source })
}

/// Serves until `stop`, then takes no new connection and lets requests in flight finish for at most ten seconds.
///
/// A failed accept is logged and tried again; the only error returned is that of a listener that is unusable from the start.
pub async fn serve_http(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    let addr = listener.local_addr()?;
    tracing::info!(%addr, "listening");
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Some(Ok(slot)) = stop.run_until_cancelled(Arc::clone(&slots).acquire_owned()).await {
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else {
            break;
        };
        match accepted {
            Ok((stream, _)) => {
                let serving = serve_connection(stream, router.clone(), stop.clone());
                connections.spawn(async move {
                    serving.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%addr, %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    drain(addr, connections).await;
    Ok(())
}

async fn drain(addr: SocketAddr, mut connections: JoinSet<()>) {
    let all_done = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_WITHIN, all_done).await.is_err() {
        tracing::warn!(%addr, open = connections.len(), "requests still in flight are cut off");
        connections.shutdown().await;
    }
}

async fn serve_connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    // Answers are small and complete; waiting to fill a packet only adds latency. Failing to say so is harmless.
    stream.set_nodelay(true).ok();
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests;
