use std::future::pending;
use std::time::{Duration, Instant};

use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::Resource;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

use super::testing::metrics_with_a_counter;
use super::{LogFormat, Telemetry, TelemetryError, metrics, traces};
use crate::trace_context::TraceContext;

/// Telemetry that exports to `endpoint`, without touching the process-wide logger.
fn exporting_to(endpoint: String) -> Telemetry {
    let resource = Resource::builder().with_service_name("under-test").build();
    let spans = traces::provider(endpoint, resource.clone()).unwrap();
    let metrics = metrics::Metrics::new(resource).unwrap();
    let meter = metrics.provider.meter("test");
    Telemetry { metrics, spans: Some(spans), meter }
}

/// Records one span, ends the telemetry, and says how long the end took.
async fn time_to_shut_down(telemetry: Telemetry) -> Duration {
    let layer = telemetry.spans.as_ref().map(traces::layer);
    tracing::subscriber::with_default(registry().with(layer), || {
        tracing::info_span!("dispatch").in_scope(|| ());
    });
    let asked = Instant::now();
    telemetry.shutdown().await;
    asked.elapsed()
}

/// The runtime of this test has one thread, the case in which an inline shutdown waits for itself.
#[tokio::test]
async fn a_collector_that_refuses_does_not_hold_up_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let took = time_to_shut_down(exporting_to(endpoint)).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// The export reaches the collector although this runtime's only thread waits for it, and gives up when no answer comes.
#[tokio::test]
async fn a_collector_that_is_silent_does_not_hold_up_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (report, mut told) = oneshot::channel();
    let collector = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut preface = [0; 14];
        stream.read_exact(&mut preface).await.unwrap();
        report.send(preface).unwrap();
        // Keeps the connection open until the test is over.
        pending::<()>().await;
    });
    let took = time_to_shut_down(exporting_to(endpoint)).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(told.try_recv(), Ok(*b"PRI * HTTP/2.0"));
    collector.abort();
}

#[tokio::test]
async fn a_span_follows_the_context_it_was_given() {
    let telemetry = exporting_to("http://127.0.0.1:9".to_owned());
    let layer = telemetry.spans.as_ref().map(traces::layer);
    let remote = TraceContext::generate();
    tracing::subscriber::with_default(registry().with(layer), || {
        assert_eq!(TraceContext::current(), None, "outside of any span");

        let child = tracing::info_span!("request");
        remote.set_parent(&child);
        let inside = child.in_scope(TraceContext::current).unwrap();
        assert_eq!(trace_id(&inside), trace_id(&remote));
        assert_ne!(inside.traceparent, remote.traceparent);

        let consumer = tracing::info_span!("dispatch");
        remote.link_span(&consumer);
        let inside = consumer.in_scope(TraceContext::current).unwrap();
        assert_ne!(trace_id(&inside), trace_id(&remote), "linked, not a child");
    });
    telemetry.shutdown().await;
}

fn trace_id(context: &TraceContext) -> Option<&str> {
    context.traceparent.split('-').nth(1)
}

#[test]
fn an_exporter_needs_a_runtime_and_a_url() {
    let resource = Resource::builder_empty().build();
    let outside = traces::provider("http://collector:4317".to_owned(), resource.clone());
    assert!(matches!(outside, Err(TelemetryError::NoRuntime)));
    let no_url = traces::provider("collector:4317".to_owned(), resource);
    assert!(matches!(no_url, Err(TelemetryError::Endpoint)));
}

#[test]
fn metrics_come_out_in_seconds_and_without_scopes() {
    let text = metrics_with_a_counter().render().unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.contains(&"dispatches_total{outcome=\"settled\"} 3"), "{text}");
    assert!(lines.contains(&"dispatch_duration_seconds_bucket{le=\"0.25\"} 0"), "{text}");
    assert!(lines.contains(&"dispatch_duration_seconds_bucket{le=\"0.5\"} 1"), "{text}");
    assert!(text.contains("service_name=\"under-test\""), "{text}");
    assert!(!text.contains("otel_scope"), "{text}");
}

#[test]
fn log_formats_have_names() {
    assert_eq!("json".parse(), Ok(LogFormat::Json));
    assert_eq!("text".parse(), Ok(LogFormat::Text));
    let error = "xml".parse::<LogFormat>().unwrap_err();
    assert_eq!(error, "\"xml\" is not a log format; accepted: json, text");
}
