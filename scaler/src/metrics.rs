//! Every instrument of the scaler. All series exist from the start, at zero.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Meter, UpDownCounter};
use redis_stream::backlog::{Lag, Method};
use redis_stream::error::Class;
use tonic::Code;

use crate::reading::{Counts, Sorted};
use crate::tls::Refusal;
use crate::trigger::Orphans;

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

/// How lags are found, and whether they are certain then; see [`Method`].
const LAGS: [(Method, bool); 7] = [
    (Method::Ids, true),
    (Method::Counted, true),
    (Method::Carried, true),
    (Method::WholeStream, true),
    (Method::Missing, true),
    (Method::Counted, false),
    (Method::Reported, false),
];

/// The limits of the gauge, whatever triggers have.
const ORPHANS: Orphans = Orphans { after: Duration::from_secs(10 * 60), poison: Some(10) };

/// What unfinished entries are told apart by.
const KINDS: [&str; 4] = ["lag", "live", "orphaned", "poison"];

/// The instruments.
#[derive(Debug, Clone)]
pub struct Metrics {
    rpcs: Counter<u64>,
    samples: Counter<u64>,
    sample_errors: Counter<u64>,
    streams: UpDownCounter<i64>,
    sources: UpDownCounter<i64>,
    lags: Counter<u64>,
    entries: UpDownCounter<i64>,
    events: Counter<u64>,
    refused_events: UpDownCounter<i64>,
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
            lags: meter
                .u64_counter("scaler_lag_method")
                .with_description("Readings by how the lag was found, and whether it is exact.")
                .build(),
            entries: meter
                .i64_up_down_counter("scaler_entries")
                .with_description("Unfinished entries of all watched sources, as last read.")
                .build(),
            events: meter
                .u64_counter("scaler_events")
                .with_description("Times that new entries of a stream had it read at once.")
                .build(),
            refused_events: meter
                .i64_up_down_counter("scaler_events_refused")
                .with_description("Redis databases whose new entries are noticed late because XREAD is refused.")
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
        for (method, exact) in LAGS {
            self.lags.add(0, &lag_labels(method, exact));
        }
        for kind in KINDS {
            self.entries.add(0, &[KeyValue::new("kind", kind)]);
        }
        self.samples.add(0, &[]);
        self.streams.add(0, &[]);
        self.sources.add(0, &[]);
        self.events.add(0, &[]);
        self.refused_events.add(0, &[]);
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

    /// Counts how a lag was found.
    pub fn lag(&self, lag: &Lag) {
        self.lags.add(1, &lag_labels(lag.method, lag.is_exact()));
    }

    /// The entries of one source, until the gauge is dropped.
    pub fn entries(&self) -> EntriesGauge {
        EntriesGauge { entries: self.entries.clone(), shown: [0; KINDS.len()] }
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

fn lag_labels(method: Method, exact: bool) -> [KeyValue; 2] {
    let certainty = if exact { "exact" } else { "at_least" };
    [KeyValue::new("by", method.as_str()), KeyValue::new("certainty", certainty)]
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

/// The part of one source in the gauge of entries.
#[derive(Debug)]
pub struct EntriesGauge {
    entries: UpDownCounter<i64>,
    shown: [i64; KINDS.len()],
}

impl EntriesGauge {
    /// Shows a new reading.
    pub fn show(&mut self, counts: &Counts) {
        let Sorted { live, orphaned, poison, .. } = counts.sorted(Some(ORPHANS));
        self.set([counts.lag, live, orphaned, poison].map(|entries| i64::try_from(entries).unwrap_or(i64::MAX)));
    }

    fn set(&mut self, entries: [i64; KINDS.len()]) {
        for ((kind, new), shown) in KINDS.into_iter().zip(entries).zip(self.shown) {
            self.entries.add(new.saturating_sub(shown), &[KeyValue::new("kind", kind)]);
        }
        self.shown = entries;
    }
}

impl Drop for EntriesGauge {
    fn drop(&mut self) {
        self.set([0; KINDS.len()]);
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
