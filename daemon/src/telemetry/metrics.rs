//! Instruments and their Prometheus text. The only file that knows of the Prometheus exporter.

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

/// Histogram boundaries in seconds, from 5 ms to 20 min. The SDK's own are made for milliseconds.
pub const SECONDS_BUCKETS: [f64; 16] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0, 1200.0];

/// Metrics that could not be written as text.
#[derive(Debug, thiserror::Error)]
#[error("metrics could not be written as text: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// Writes all metrics of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MetricsHandle {
    registry: Registry,
    /// Kept so that the reader stays registered as long as somebody can ask.
    _provider: SdkMeterProvider,
}

impl MetricsHandle {
    /// All metrics in the Prometheus text format, version 0.0.4.
    pub fn render(&self) -> Result<String, MetricsError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}

/// The meter provider and the registry it is read through.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) provider: SdkMeterProvider,
    registry: Registry,
}

impl Metrics {
    pub(super) fn new(resource: Resource) -> Result<Self, OTelSdkError> {
        let registry = Registry::new();
        let reader =
            opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false).build()?;
        let provider = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();
        Ok(Self { provider, registry })
    }

    pub(super) fn handle(&self) -> MetricsHandle {
        MetricsHandle { registry: self.registry.clone(), _provider: self.provider.clone() }
    }
}
