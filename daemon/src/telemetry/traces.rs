//! Spans, exported over OTLP when there is an endpoint.

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use super::TelemetryError;

/// Crates that carry the export itself: their spans would be exported, which makes spans, which would be exported.
const CARRIERS: [&str; 5] = ["h2", "hyper", "opentelemetry", "tonic", "tower"];

/// A provider that exports in batches to `endpoint`. Must be called inside the runtime, which runs the connection.
pub(super) fn provider(endpoint: String, resource: Resource) -> Result<SdkTracerProvider, TelemetryError> {
    if !["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
        return Err(TelemetryError::Endpoint);
    }
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(TelemetryError::NoRuntime);
    }
    let exporter =
        SpanExporter::builder().with_tonic().with_endpoint(endpoint).build().map_err(TelemetryError::Exporter)?;
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

/// Turns `tracing` spans of level info and above into exported ones, whatever the log filter says.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let ours = filter_fn(|metadata| {
        let target = metadata.target();
        !CARRIERS.iter().any(|carrier| target.starts_with(carrier))
    });
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(env!("CARGO_PKG_NAME")))
        .with_filter(ours.and(LevelFilter::INFO))
}
