use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get as on_get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{DRAIN_WITHIN, HEAD_WITHIN, bind, serve_http};
use crate::testing::{get, within_patience};

#[tokio::test]
async fn a_request_in_flight_is_finished_and_no_new_one_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (arrived, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&arrived), Arc::clone(&release));
    let slow = move || async move {
        tell.notify_one();
        wait.notified().await;
        "done"
    };
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve_http(listener, Router::new().route("/", on_get(slow)), stop.clone()));
    let asking = tokio::spawn(async move { get(addr, "/").await });
    within_patience(arrived.notified()).await;

    stop.cancel();
    let refused = async {
        while TcpStream::connect(addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    within_patience(refused).await;
    assert!(!serving.is_finished(), "the request is still in flight");

    release.notify_one();
    let answer = within_patience(asking).await.unwrap().unwrap();
    assert!(answer.ends_with("done"), "{answer}");
    within_patience(serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_up_the_stop() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let arrived = Arc::new(Notify::new());
    let tell = Arc::clone(&arrived);
    let endless = move || async move {
        tell.notify_one();
        std::future::pending::<&str>().await
    };
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve_http(listener, Router::new().route("/", on_get(endless)), stop.clone()));
    let asking = tokio::spawn(async move { get(addr, "/").await });
    within_patience(arrived.notified()).await;

    // From here on only timers can make progress, so the clock jumps to the end of the drain.
    tokio::time::pause();
    stop.cancel();
    within_patience(serving).await.unwrap().unwrap();
    tokio::time::resume();
    let cut_off = within_patience(asking).await.unwrap();
    assert!(!matches!(cut_off, Ok(answer) if !answer.is_empty()));
}

#[tokio::test]
async fn an_idle_connection_is_closed_at_once_by_the_stop() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve_http(listener, Router::new(), stop.clone()));
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    let mut status = [0; 12];
    within_patience(stream.read_exact(&mut status)).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 404");
    stop.cancel();
    let asked = Instant::now();
    within_patience(serving).await.unwrap().unwrap();
    assert!(asked.elapsed() < DRAIN_WITHIN, "nothing was in flight");
}

#[tokio::test]
async fn a_client_that_never_finishes_its_head_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve_http(listener, Router::new(), stop.clone()));
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    // The server's timer is the only one, so the clock jumps to it.
    tokio::time::pause();
    let asked = Instant::now();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.ok();
    assert!(asked.elapsed() <= HEAD_WITHIN + Duration::from_secs(1));
    stop.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_taken_port_is_reported_with_advice() {
    let first = bind(SocketAddr::from(([127, 0, 0, 1], 0)), "ADMIN_ADDR").await.unwrap();
    let addr = first.local_addr().unwrap();
    let error = bind(addr, "ADMIN_ADDR").await.unwrap_err().to_string();
    let start = format!("ADMIN_ADDR: cannot listen on {addr}: ");
    assert!(error.starts_with(&start), "{error}");
    assert!(error.ends_with("; another process uses it, choose another port"), "{error}");
}
