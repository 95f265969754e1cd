//! Metrics for the tests of this crate, without touching the process-wide logger.

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::Resource;

use super::metrics::{Metrics, MetricsHandle, SECONDS_BUCKETS};

/// A registry with a counter at 3 and a histogram with one value of 0.3 s.
pub(crate) fn metrics_with_a_counter() -> MetricsHandle {
    let resource = Resource::builder().with_service_name("under-test").build();
    let metrics = Metrics::new(resource).expect("a fresh registry takes the reader");
    let meter = metrics.provider.meter("test");
    let outcome = [KeyValue::new("outcome", "settled")];
    meter.u64_counter("dispatches").build().add(3, &outcome);
    let duration = meter.f64_histogram("dispatch_duration").with_unit("s");
    let duration = duration.with_boundaries(SECONDS_BUCKETS.to_vec()).build();
    duration.record(0.3, &[]);
    metrics.handle()
}
