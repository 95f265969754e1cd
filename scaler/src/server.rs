//! The gRPC server: the scaler, health (`grpc.health.v1`) and reflection on one port, with limits and an orderly end.

use std::time::Duration;

use daemon::Lifecycle;
use keda_proto::externalscaler::external_scaler_server::{ExternalScaler, ExternalScalerServer};
use keda_proto::{FILE_DESCRIPTOR_SET, SERVICE_NAME};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::push;
use crate::tls::Door;

/// A trigger's metadata is a handful of short strings; a message larger than this is not one.
const MESSAGE_LIMIT: usize = 256 * 1024;
const HEADER_LIMIT: u32 = 16 * 1024;

/// KEDA opens one connection per scaler address and puts the streams of all its objects on it. More than there may be
/// streams at all: at this limit its calls would wait, instead of being refused.
const STREAMS_PER_CONNECTION: u32 = 16_384;
const CALLS_PER_CONNECTION: usize = 1024;

/// KEDA sends no keepalive; a client that vanished is noticed only by asking.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);
const KEEPALIVE_WITHIN: Duration = Duration::from_secs(10);

/// KEDA never closes a connection by itself, so new replicas would never be found.
const CONNECTION_AGE: Duration = Duration::from_secs(30 * 60);

/// Longer than a stream may be, so that streams end by themselves, with OK, before their connection is cut.
const CONNECTION_AGE_GRACE: Duration = push::LONGEST.saturating_add(Duration::from_secs(60));

/// Far above what a call may take (1.5 s): a guard against mistakes here.
const CALL_WITHIN: Duration = Duration::from_secs(5);

/// After the soft stop, calls and streams have this long to end. Watchers of health and users of reflection may
/// never do, and hyper may wait for a dead client (hyperium/hyper#4170).
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Why serving ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The server could not go on.
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The description of the services does not decode.
    #[error("gRPC reflection cannot be set up: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Serves `service` on `listener`, behind `door` where there is TLS, until the soft stop of `life`, then drains.
/// `service` ends its streams itself at the soft stop.
pub async fn serve(
    listener: TcpListener,
    door: Option<Door>,
    service: impl ExternalScaler,
    life: &Lifecycle,
) -> Result<(), ServeError> {
    let health = HealthReporter::new();
    report(&health, ServingStatus::Serving).await;
    let router = limited()
        .add_service(
            ExternalScalerServer::new(service)
                .max_decoding_message_size(MESSAGE_LIMIT)
                .max_encoding_message_size(MESSAGE_LIMIT),
        )
        .add_service(tonic_health::pb::health_server::HealthServer::new(
            tonic_health::server::HealthService::from_health_reporter(health.clone()),
        ))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    if let Ok(addr) = listener.local_addr() {
        tracing::info!(%addr, "taking KEDA's calls");
    }
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(KEEPALIVE_EVERY));
    let stopping = stopping(life, &health);
    // On the heap: it has two servers in it, of which one runs.
    let serving = Box::pin(async {
        match door {
            None => router.serve_with_incoming_shutdown(incoming, stopping).await,
            Some(door) => router.serve_with_incoming_shutdown(door.connections(incoming), stopping).await,
        }
    });
    tokio::select! {
        ended = serving => Ok(ended?),
        () = overdue(life) => {
            tracing::warn!("connections still open are cut off");
            Ok(())
        }
    }
}

fn limited() -> Server {
    Server::builder()
        .timeout(CALL_WITHIN)
        .concurrency_limit_per_connection(CALLS_PER_CONNECTION)
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .http2_max_header_list_size(HEADER_LIMIT)
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_WITHIN))
        .max_connection_age(CONNECTION_AGE)
        .max_connection_age_grace(CONNECTION_AGE_GRACE)
}

fn reflection<'a>() -> tonic_reflection::server::Builder<'a> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Health of the server as a whole and of the service. It says that calls are answered, not that Redis is up:
/// otherwise an outage of Redis would take away the scaler too, and with it KEDA's fallback.
async fn report(health: &HealthReporter, status: ServingStatus) {
    for name in ["", SERVICE_NAME] {
        health.set_service_status(name, status).await;
    }
}

async fn stopping(life: &Lifecycle, health: &HealthReporter) {
    life.soft().cancelled().await;
    report(health, ServingStatus::NotServing).await;
}

async fn overdue(life: &Lifecycle) {
    life.soft().cancelled().await;
    tokio::select! {
        () = life.hard().cancelled() => {}
        () = sleep(DRAIN_WITHIN) => {}
    }
}

#[cfg(test)]
mod tests;
