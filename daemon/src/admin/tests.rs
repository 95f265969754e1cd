use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{admin_router, live, probe_router};
use crate::http_server::serve_http;
use crate::readiness::Readiness;
use crate::telemetry::testing::metrics_with_a_counter;
use crate::testing::{get, within_patience};

/// Serves both routers on a free port until the handle is dropped.
async fn serve(readiness: &Readiness) -> (SocketAddr, AbortOnDropHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let metrics = metrics_with_a_counter();
    // The public probes share `/readyz`, so they are mounted aside.
    let router = admin_router(readiness.clone(), metrics).nest("/hook", probe_router(readiness.clone()));
    let serving = tokio::spawn(serve_http(listener, router, CancellationToken::new()));
    (addr, AbortOnDropHandle::new(serving))
}

#[tokio::test]
async fn readiness_names_every_problem() {
    let readiness = Readiness::new();
    let (way, outbox) = (readiness.latch("way"), readiness.latch("outbox"));
    let (addr, _serving) = serve(&readiness).await;
    way.set(false, "no Redis and no agent is configured");
    outbox.set(false, "read-only");
    for path in ["/readyz", "/hook/readyz"] {
        let answer = within_patience(get(addr, path)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        let body = "\r\n\r\nway: no Redis and no agent is configured\noutbox: read-only\n";
        assert!(answer.ends_with(body), "{answer}");
    }
    way.set(true, "");
    outbox.set(true, "");
    for path in ["/readyz", "/hook/readyz"] {
        let answer = within_patience(get(addr, path)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nready\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_process_that_is_not_ready_is_alive() {
    let readiness = Readiness::new();
    let _never_set = readiness.latch("settings");
    let _never_ticked = readiness.heartbeat("reader", Duration::from_secs(1));
    let (addr, _serving) = serve(&readiness).await;
    for path in ["/livez", "/hook/healthz"] {
        let answer = within_patience(get(addr, path)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_is_silent_for_long_is_death() {
    let readiness = Readiness::new();
    let _silent = readiness.heartbeat("reader", Duration::from_secs(1));
    tokio::time::advance(Duration::from_secs(61)).await;
    let answer = live(State(readiness)).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let (addr, _serving) = serve(&Readiness::new()).await;
    let answer = within_patience(get(addr, "/metrics")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
    assert!(answer.contains("\ndispatches_total{outcome=\"settled\"} 3\n"), "{answer}");
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let (addr, _serving) = serve(&Readiness::new()).await;
    let answer = within_patience(get(addr, "/")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}
