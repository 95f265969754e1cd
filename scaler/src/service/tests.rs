use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::{Instant, advance, timeout};

use super::*;
use crate::feed::{PATIENCE, TOGETHER};
use crate::fixture::{Fake, counts, metadata, own};
use crate::reading::{Counts, FRESH_FOR, as_float};

struct Scaler {
    fake: Fake,
    service: Service<Fake>,
    stop: CancellationToken,
}

fn scaler() -> Scaler {
    let (fake, stop) = (Fake::new(), CancellationToken::new());
    let metrics = Metrics::new(&opentelemetry::global::meter("test"));
    Scaler { service: Service::new(own(), fake.clone(), metrics, stop.clone()), fake, stop }
}

fn object(pairs: &[(&str, &str)]) -> ScaledObjectRef {
    ScaledObjectRef { name: "worker".into(), namespace: "incidents".into(), scaler_metadata: metadata(pairs) }
}

impl Scaler {
    async fn spec(&self, pairs: &[(&str, &str)]) -> Result<Vec<MetricSpec>, Status> {
        let answer = self.service.get_metric_spec(Request::new(object(pairs))).await?;
        Ok(answer.into_inner().metric_specs)
    }

    async fn active(&self, pairs: &[(&str, &str)]) -> Result<bool, Status> {
        Ok(self.service.is_active(Request::new(object(pairs))).await?.into_inner().result)
    }

    /// The whole and the fractional value of the only metric, asked for by the name that its spec gives.
    async fn value(&self, pairs: &[(&str, &str)]) -> Result<(i64, f64), Status> {
        let metric_name = self.spec(pairs).await?.remove(0).metric_name;
        let values = self.values(pairs, &metric_name).await?;
        assert_eq!(values.len(), 1);
        assert_eq!(values[0].metric_name, metric_name);
        Ok((values[0].metric_value, values[0].metric_value_float))
    }

    async fn values(&self, pairs: &[(&str, &str)], name: &str) -> Result<Vec<MetricValue>, Status> {
        let request = GetMetricsRequest { scaled_object_ref: Some(object(pairs)), metric_name: name.to_owned() };
        Ok(self.service.get_metrics(Request::new(request)).await?.into_inner().metric_values)
    }
}

#[tokio::test(start_paused = true)]
async fn the_spec_needs_no_reading() {
    let scaler = scaler();
    let expected =
        MetricSpec { metric_name: "s-dispatch-group-lag".to_owned(), target_size: 3, target_size_float: 2.5 };
    let specs = scaler.spec(&[("stream", "s"), ("metric", "lag"), ("target", "2.5")]).await.unwrap();
    assert_eq!(specs, [expected]);
}

#[tokio::test(start_paused = true)]
async fn values_of_every_metric() {
    let scaler = scaler();
    scaler.fake.read(counts(4, 7));
    for (metric, value) in [("backlog", 11), ("pending", 4), ("lag", 7), ("length", 100)] {
        let (whole, float) = scaler.value(&[("metric", metric)]).await.unwrap();
        assert_eq!(whole, value, "{metric}");
        assert!((float - as_float(u64::try_from(value).unwrap())).abs() < f64::EPSILON, "{metric}");
    }
    assert!(scaler.active(&[]).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_age_is_told_with_its_fraction_and_never_rounded_down() {
    let scaler = scaler();
    scaler.fake.read(Counts { next_age_ms: Some(1_250), ..counts(0, 1) });
    let age = [("metric", "age"), ("target", "90")];
    assert_eq!(scaler.spec(&age).await.unwrap()[0].metric_name, "incident-events-dispatch-group-age");
    assert_eq!(scaler.value(&age).await.unwrap(), (2, 1.25));
    assert!(scaler.active(&age).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_zero_that_was_read_is_a_zero() {
    let scaler = scaler();
    scaler.fake.read(counts(0, 0));
    assert_eq!(scaler.value(&[]).await.unwrap(), (0, 0.0));
    assert!(!scaler.active(&[]).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_number_and_the_activity_that_is_asked_for_next_come_from_one_reading() {
    let scaler = scaler();
    scaler.fake.read(counts(1, 0));
    assert_eq!(scaler.value(&[]).await.unwrap().0, 1);
    scaler.fake.read(counts(0, 0));
    assert!(scaler.active(&[]).await.unwrap());
    assert_eq!(scaler.value(&[]).await.unwrap().0, 0, "a number is always the latest");
    assert!(!scaler.active(&[]).await.unwrap());

    scaler.fake.read(counts(1, 0));
    assert!(!scaler.active(&[]).await.unwrap());
    advance(TOGETHER + Duration::from_millis(1)).await;
    assert!(scaler.active(&[]).await.unwrap());
    assert_eq!(scaler.value(&[]).await.unwrap().0, 1);
    scaler.fake.connection.lose();
    assert_eq!(scaler.active(&[]).await.unwrap_err().code(), Code::Unavailable, "what no longer holds is not told");
}

#[tokio::test(start_paused = true)]
async fn another_metrics_name_is_refused() {
    let scaler = scaler();
    scaler.fake.read(counts(1, 1));
    let error = scaler.values(&[], "s0-incident-events-dispatch-group-backlog").await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("incident-events-dispatch-group-backlog"));
}

#[tokio::test(start_paused = true)]
async fn bad_metadata_is_refused_by_every_call() {
    let scaler = scaler();
    let bad = [("target", "-1"), ("databaseIndex", "x")];
    let stream = scaler.service.stream_is_active(Request::new(object(&bad))).await;
    let errors = [
        scaler.spec(&bad).await.unwrap_err(),
        scaler.active(&bad).await.unwrap_err(),
        scaler.values(&bad, "any").await.unwrap_err(),
        stream.err().unwrap(),
    ];
    for error in errors {
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().contains("target") && error.message().contains("databaseIndex"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_is_unavailable_in_time() {
    let scaler = scaler();
    let begin = Instant::now();
    assert_eq!(scaler.active(&[]).await.unwrap_err().code(), Code::Unavailable);
    assert!(begin.elapsed() >= PATIENCE && begin.elapsed() < FRESH_FOR);

    scaler.fake.read(counts(1, 0));
    advance(FRESH_FOR + Duration::from_millis(1)).await;
    assert_eq!(scaler.value(&[]).await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_known_trouble_is_answered_at_once() {
    let scaler = scaler();
    let begin = Instant::now();
    scaler.fake.fail(Trouble::Unavailable("connection refused".to_owned()));
    let error = scaler.value(&[]).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().contains("connection refused"));
    scaler.fake.fail(Trouble::Configuration("NOPERM".to_owned()));
    assert_eq!(scaler.active(&[]).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_the_first_reading() {
    let scaler = scaler();
    let fake = scaler.fake.clone();
    let (active, ()) = tokio::join!(scaler.active(&[]), async {
        tokio::task::yield_now().await;
        fake.read(counts(0, 1));
    });
    assert!(active.unwrap());
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_connection_the_next_reading_is_awaited() {
    let scaler = scaler();
    scaler.fake.read(counts(5, 5));
    scaler.fake.connection.lose();
    assert_eq!(scaler.value(&[]).await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_stream_tells_and_ends_without_an_error() {
    let scaler = scaler();
    scaler.fake.read(counts(1, 0));
    let answer = scaler.service.stream_is_active(Request::new(object(&[]))).await.unwrap();
    let mut stream = answer.into_inner();
    assert!(stream.next().await.unwrap().unwrap().result);
    scaler.stop.cancel();
    assert!(timeout(Duration::from_secs(1), stream.next()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn closed_streams_make_room_for_others() {
    let scaler = scaler();
    let open = || scaler.service.stream(&object(&[]));
    let mut streams: Vec<_> = (0..MOST_STREAMS).map(|_| open().unwrap()).collect();
    assert_eq!(open().err().unwrap().code(), Code::ResourceExhausted);
    streams.pop();
    assert!(open().is_ok());
}

#[tokio::test(start_paused = true)]
async fn pushed_specs_are_not_served() {
    let scaler = scaler();
    let error = scaler.service.stream_metric_spec(Request::new(object(&[]))).await.err().unwrap();
    assert_eq!(error.code(), Code::Unimplemented);
}
