//! Every instrument of the scaler. All series exist from the start, at zero.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Meter, UpDownCounter};
use redis_stream::error::Class;
use tonic::Code;

use crate::tls::Refusal;

/// The calls that are counted, by their gRPC names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rpc {
    /// `IsActive`
    IsActive,
    /// `StreamIsActive`, counted when it is opened
    StreamIsActive,
    /// `GetMetricSpec`
    GetMetricSpec,
    /// `GetMetrics`
    GetMetrics,
    /// `StreamMetricSpec`
    StreamMetricSpec,
}

impl Rpc {
    const ALL: [Self; 5] =
        [Self::IsActive, Self::StreamIsActive, Self::GetMetricSpec, Self::GetMetrics, Self::StreamMetricSpec];

    fn as_str(self) -> &'static str {
        match self {
            Self::IsActive => "IsActive",
            Self::StreamIsActive => "StreamIsActive",
            Self::GetMetricSpec => "GetMetricSpec",
            Self::GetMetrics => "GetMetrics",
            Self::StreamMetricSpec => "StreamMetricSpec",
        }
    }
}

/// Codes that the service answers.
const CODES: [Code; 6] = [
    Code::Ok,
    Code::InvalidArgument,
    Code::Unavailable,
    Code::FailedPrecondition,
    Code::ResourceExhausted,
    Code::Unimplemented,
];

const CLASSES: [Class; 5] = [Class::Retry, Class::Reconnect, Class::NoGroup, Class::Configuration, Class::Fatal];

/// The instruments.
#[derive(Debug, Clone)]
pub struct Metrics {
    rpcs: Counter<u64>,
    samples: Counter<u64>,
    sample_errors: Counter<u64>,
    streams: UpDownCounter<i64>,
    sources: UpDownCounter<i64>,
    handshakes: Counter<u64>,
    tls_expires: Gauge<i64>,
    tls_files_unusable: Gauge<u64>,
}

impl Metrics {
    /// Creates the instruments in `meter`.
    pub fn new(meter: &Meter) -> Self {
        let metrics = Self {
            rpcs: meter
                .u64_counter("scaler_rpcs")
                .with_description("Calls answered, by method and gRPC status code.")
                .build(),
            samples: meter.u64_counter("scaler_samples").with_description("Readings taken from Redis.").build(),
            sample_errors: meter
                .u64_counter("scaler_sample_errors")
                .with_description("Readings that failed, by class of error.")
                .build(),
            streams: meter
                .i64_up_down_counter("scaler_open_streams")
                .with_description("StreamIsActive calls that are open.")
                .build(),
            sources: meter
                .i64_up_down_counter("scaler_watched_sources")
                .with_description("Streams and consumer groups that are being watched.")
                .build(),
            handshakes: meter
                .u64_counter("scaler_tls_handshakes")
                .with_description("TLS connections of clients, by how the handshake ended.")
                .build(),
            tls_expires: meter
                .i64_gauge("scaler_tls_expiry_timestamp_seconds")
                .with_description("When the TLS certificate in use ends, seconds since 1970; 0 without TLS.")
                .build(),
            tls_files_unusable: meter
                .u64_gauge("scaler_tls_files_unusable")
                .with_description("1 while the TLS files cannot be used and an earlier certificate is in use.")
                .build(),
        };
        metrics.start_at_zero();
        metrics
    }

    fn start_at_zero(&self) {
        for rpc in Rpc::ALL {
            for code in CODES {
                self.rpcs.add(0, &rpc_labels(rpc, code));
            }
        }
        for class in CLASSES {
            self.sample_errors.add(0, &[KeyValue::new("class", class.as_str())]);
        }
        self.samples.add(0, &[]);
        self.streams.add(0, &[]);
        self.sources.add(0, &[]);
        for refusal in Refusal::ALL.map(Some).into_iter().chain([None]) {
            self.handshakes.add(0, &[handshake_label(refusal)]);
        }
        self.tls_expires(0);
        self.tls_files_unusable(false);
    }

    /// Counts an answered call.
    pub fn rpc(&self, rpc: Rpc, code: Code) {
        self.rpcs.add(1, &rpc_labels(rpc, code));
    }

    /// Counts a reading.
    pub fn sample(&self) {
        self.samples.add(1, &[]);
    }

    /// Counts a failed reading.
    pub fn sample_error(&self, class: Class) {
        self.sample_errors.add(1, &[KeyValue::new("class", class.as_str())]);
    }

    /// Counts an open stream until the guard is dropped.
    pub fn stream(&self) -> OpenGuard {
        OpenGuard::open(&self.streams)
    }

    /// Counts a handshake: done, or refused.
    pub fn handshake(&self, refused: Option<Refusal>) {
        self.handshakes.add(1, &[handshake_label(refused)]);
    }

    /// When the certificate ends, seconds since 1970.
    pub fn tls_expires(&self, at: i64) {
        self.tls_expires.record(at, &[]);
    }

    /// Whether the files are worse than what is in use.
    pub fn tls_files_unusable(&self, unusable: bool) {
        self.tls_files_unusable.record(u64::from(unusable), &[]);
    }

    /// Counts a watched source until the guard is dropped.
    pub fn source(&self) -> OpenGuard {
        OpenGuard::open(&self.sources)
    }
}

fn rpc_labels(rpc: Rpc, code: Code) -> [KeyValue; 2] {
    [KeyValue::new("method", rpc.as_str()), KeyValue::new("code", code_name(code))]
}

fn handshake_label(refused: Option<Refusal>) -> KeyValue {
    KeyValue::new("handshake", refused.map_or("done", Refusal::as_str))
}

/// The code's name in the gRPC specification, lower case.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::InvalidArgument => "invalid_argument",
        Code::Unavailable => "unavailable",
        Code::FailedPrecondition => "failed_precondition",
        Code::ResourceExhausted => "resource_exhausted",
        Code::Unimplemented => "unimplemented",
        _ => "other",
    }
}

/// Something that is open while this exists.
#[derive(Debug)]
pub struct OpenGuard(UpDownCounter<i64>);

impl OpenGuard {
    fn open(counter: &UpDownCounter<i64>) -> Self {
        counter.add(1, &[]);
        Self(counter.clone())
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.add(-1, &[]);
    }
}
