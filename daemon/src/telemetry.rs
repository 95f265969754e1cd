//! Logs, metrics and traces of a process, set up once.

mod logs;
mod metrics;
mod traces;

use std::io::IsTerminal;
use std::str::FromStr;
use std::time::Duration;

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

pub use metrics::{MetricsError, MetricsHandle, SECONDS_BUCKETS};

/// Longest time the last spans may take to reach a collector.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);
/// Longest wait for the thread that flushes, should it not keep its own limit.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(3);

/// The SDK reports its own ordinary life at info. A filter that names it comes later and wins.
const QUIET: &str = "opentelemetry=warn";

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object on a line: `timestamp`, `level`, `target`, `fields`, and `span` inside of one.
    Json,
    /// For people, coloured on a terminal.
    Text,
}

impl FromStr for LogFormat {
    type Err = String;

    /// `json` or `text`.
    fn from_str(raw: &str) -> Result<Self, String> {
        match raw {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(format!("{raw:?} is not a log format; accepted: json, text")),
        }
    }
}

/// Text on a terminal, JSON elsewhere. Logs go to stderr, so that is what counts.
pub fn log_format_default() -> LogFormat {
    if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json }
}

/// What [`init`] needs to know.
#[derive(Debug, Clone)]
pub struct TelemetrySettings {
    /// `service.name` of metrics and traces.
    pub service_name: String,
    /// Shape of the log lines.
    pub log_format: LogFormat,
    /// Which events are logged, in the syntax of `RUST_LOG`.
    pub filter: String,
    /// Where spans go, as `http://host:4317` or `https://...` (OTLP over gRPC). `None`: no span is exported.
    pub otlp_endpoint: Option<String>,
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter does not parse.
    #[error("the log filter is not valid: {0}; accepted: a level (info), or target=level,... as in RUST_LOG")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The Prometheus reader could not be made.
    #[error("the metrics reader could not be set up: {0}")]
    Metrics(#[source] opentelemetry_sdk::error::OTelSdkError),
    /// The endpoint is not a URL of the right kind.
    #[error("the OTLP endpoint must begin with http:// or https://, such as http://collector:4317")]
    Endpoint,
    /// The span exporter could not be made.
    #[error("spans cannot be exported to the OTLP endpoint: {0}; expected http://host:4317 or https://host:4317")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
    /// There is no tokio runtime to run the exporter's connection.
    #[error("spans can only be exported from inside a tokio runtime")]
    NoRuntime,
    /// A subscriber is in place already.
    #[error("logging was set up before: {0}")]
    AlreadySetUp(#[from] tracing_subscriber::util::TryInitError),
}

/// The telemetry of the running process. Keep it until the end, then call [`Telemetry::shutdown`].
#[derive(Debug)]
pub struct Telemetry {
    metrics: metrics::Metrics,
    spans: Option<SdkTracerProvider>,
    meter: Meter,
}

/// Sets up logs on stderr, a metrics registry and, with an endpoint, the export of spans.
///
/// Can be done once in a process. Must be called inside a tokio runtime if there is an endpoint.
pub fn init(settings: TelemetrySettings) -> Result<Telemetry, TelemetryError> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", settings.filter))?;
    let resource = Resource::builder().with_service_name(settings.service_name).build();
    let metrics = metrics::Metrics::new(resource.clone()).map_err(TelemetryError::Metrics)?;
    let spans = match settings.otlp_endpoint {
        Some(endpoint) => Some(traces::provider(endpoint, resource)?),
        None => None,
    };
    tracing_subscriber::registry()
        .with(spans.as_ref().map(traces::layer))
        .with(logs::to_stderr(settings.log_format).with_filter(filter))
        .try_init()?;
    logs::log_panics();
    let meter = metrics.provider.meter(env!("CARGO_PKG_NAME"));
    Ok(Telemetry { metrics, spans, meter })
}

impl Telemetry {
    /// Where instruments are made. Never label them with entry ids, alert names or URLs: 2000 label sets is the limit.
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// What `/metrics` needs.
    pub fn metrics(&self) -> MetricsHandle {
        self.metrics.handle()
    }

    /// Sends the last spans. Returns within three seconds, also when the collector is gone.
    pub async fn shutdown(self) {
        let Some(spans) = self.spans else {
            return;
        };
        // The provider blocks its thread while the export runs on the runtime: on a runtime of one thread they would wait for each other.
        let flushing = tokio::task::spawn_blocking(move || spans.shutdown_with_timeout(FLUSH_WITHIN));
        match tokio::time::timeout(SHUTDOWN_WITHIN, flushing).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the last spans were not exported"),
            Ok(Err(error)) => tracing::warn!(%error, "the last spans were not exported"),
            Err(_) => tracing::warn!("the last spans were not exported in time"),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
