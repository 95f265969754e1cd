//! Every instrument of the scaler. All series exist from the start, at zero.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter, UpDownCounter};
use redis_stream::error::Class;
use tonic::Code;

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
    events: Counter<u64>,
    refused_events: UpDownCounter<i64>,
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
            events: meter
                .u64_counter("scaler_events")
                .with_description("Times that new entries of a stream had it read at once.")
                .build(),
            refused_events: meter
                .i64_up_down_counter("scaler_events_refused")
                .with_description("Redis databases whose new entries are noticed late because XREAD is refused.")
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
        self.events.add(0, &[]);
        self.refused_events.add(0, &[]);
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

    /// Counts new entries that were noticed.
    pub fn event(&self) {
        self.events.add(1, &[]);
    }

    /// Counts a database where `XREAD` is refused until the guard is dropped.
    pub fn refused_events(&self) -> OpenGuard {
        OpenGuard::open(&self.refused_events)
    }

    /// Counts a watched source until the guard is dropped.
    pub fn source(&self) -> OpenGuard {
        OpenGuard::open(&self.sources)
    }
}

fn rpc_labels(rpc: Rpc, code: Code) -> [KeyValue; 2] {
    [KeyValue::new("method", rpc.as_str()), KeyValue::new("code", code_name(code))]
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
