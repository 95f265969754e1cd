//! Every instrument of the dispatcher. Counters exist from the start, labels are fixed words.

use std::time::Duration;

use daemon::SECONDS_BUCKETS;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};
use redis_stream::error::Class;
use redis_stream::survival::Verdict;

use crate::dispatch::decision::Row;
use crate::dispatch::outcome::Reason;
use crate::outbox::index::Counts;

/// The instruments. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    alerts: Counter<u64>,
    entries: Counter<u64>,
    outcomes: Counter<u64>,
    attempts: Counter<u64>,
    waits: Counter<u64>,
    moved: Counter<u64>,
    polls: Counter<u64>,
    decisions: Counter<u64>,
    duplicate_possible: Counter<u64>,
    leases_lost: Counter<u64>,
    handed_back: Counter<u64>,
    finals_written_back: Counter<u64>,
    trimmed: Counter<u64>,
    consumers_removed: Counter<u64>,
    groups_created: Counter<u64>,
    newer_records: Counter<u64>,
    redis_errors: Counter<u64>,
    in_flight: UpDownCounter<i64>,
    waiting: Gauge<u64>,
    outbox: Gauge<u64>,
    tombstones: Gauge<u64>,
    republished: Counter<u64>,
    restored: Counter<u64>,
    history: Counter<u64>,
    duration: Histogram<f64>,
}

/// What a hook did with an alert.
const ALERTS: [&str; 7] = ["stream", "direct", "outbox", "duplicate", "ignored", "undecodable", "refused"];
/// How an entry came to a worker.
const ENTRIES: [&str; 2] = ["read", "claimed"];
/// What Redis had forgotten of an end.
const RESTORED: [&str; 2] = ["record", "copy"];
/// What became of what had been written, after a connection.
const HISTORIES: [Verdict; 3] = [Verdict::Survived, Verdict::Lost, Verdict::Unknown];
/// Why a second run is possible.
const DOUBTS: [&str; 2] = ["uncertain", "direct"];
const CLASSES: [Class; 5] = [Class::Retry, Class::Reconnect, Class::NoGroup, Class::Configuration, Class::Fatal];

impl Metrics {
    /// All instruments, at zero.
    pub fn new(meter: &Meter) -> Self {
        let counter = |name: &'static str, about: &'static str| meter.u64_counter(name).with_description(about).build();
        let metrics = Self {
            alerts: counter("hook_alerts", "Alerts received, by what became of them"),
            entries: counter("worker_entries", "Entries taken from the stream, by how they came"),
            outcomes: counter("dispatch_outcomes", "Incidents with a final outcome"),
            attempts: counter("dispatch_attempts", "Sends that may have reached an agent"),
            waits: counter("dispatch_waits", "Tries that certainly did not reach an agent"),
            moved: counter("dispatch_moved", "Entries put into a waiting stream"),
            polls: counter("dispatch_polls", "Looks at a task"),
            decisions: counter("dispatch_decisions", "Decisions by row of the decision table"),
            duplicate_possible: counter("dispatch_duplicate_possible", "Sends after which a second run is possible"),
            leases_lost: counter("worker_leases_lost", "Held entries that another worker took over"),
            handed_back: counter("worker_handed_back", "Entries given back for another worker"),
            finals_written_back: counter("worker_finals_written_back", "Outcomes that Redis had forgotten"),
            trimmed: counter("stream_trimmed", "Entries removed from the stream"),
            consumers_removed: counter("worker_consumers_removed", "Consumers of workers that are gone"),
            groups_created: counter("worker_groups_created", "Times the consumer group was missing and created"),
            newer_records: counter("dispatch_newer_records", "Records left alone: a later version wrote them"),
            redis_errors: counter("redis_errors", "Failed Redis operations by class"),
            in_flight: meter.i64_up_down_counter("dispatch_in_flight").with_description("Entries held now").build(),
            waiting: meter.u64_gauge("dispatch_waiting").with_description("Entries in waiting streams").build(),
            outbox: meter
                .u64_gauge("outbox_open")
                .with_description("Open incidents in the outbox, by where they are")
                .build(),
            tombstones: meter
                .u64_gauge("outbox_tombstones")
                .with_description("Ended incidents that are remembered")
                .build(),
            republished: counter("outbox_republished", "Incidents whose entry Redis had forgotten"),
            restored: counter("outbox_restored", "Ends that Redis had forgotten, by what was missing"),
            history: counter("hook_history", "Connections by what became of what had been written"),
            duration: meter
                .f64_histogram("dispatch_duration")
                .with_unit("s")
                .with_description("From taking an entry to its outcome")
                .with_boundaries(SECONDS_BUCKETS.to_vec())
                .build(),
        };
        metrics.start_at_zero();
        metrics
    }

    fn start_at_zero(&self) {
        for result in ALERTS {
            self.alerts(result, 0);
        }
        for how in ENTRIES {
            self.entries(how, 0);
        }
        for reason in Reason::ALL {
            self.outcomes.add(0, &labels_of(*reason));
        }
        for cause in DOUBTS {
            self.duplicate_possible.add(0, &[KeyValue::new("cause", cause)]);
        }
        for class in CLASSES {
            self.redis_errors.add(0, &[KeyValue::new("class", class.as_str())]);
        }
        for row in Row::ALL {
            self.decisions.add(0, &[KeyValue::new("row", row.id())]);
        }
        let plain = [&self.attempts, &self.waits, &self.moved, &self.polls, &self.leases_lost, &self.handed_back];
        for counter in plain.into_iter().chain([
            &self.groups_created,
            &self.newer_records,
            &self.finals_written_back,
            &self.trimmed,
            &self.consumers_removed,
        ]) {
            counter.add(0, &[]);
        }
        self.in_flight.add(0, &[]);
        self.waiting.record(0, &[]);
        self.republished.add(0, &[]);
        self.tombstones(0);
        self.outbox(Counts::default());
        for what in RESTORED {
            self.restored.add(0, &[KeyValue::new("what", what)]);
        }
        for verdict in HISTORIES {
            self.history.add(0, &[KeyValue::new("verdict", verdict.as_str())]);
        }
    }

    /// Alerts with this result.
    pub fn alerts(&self, result: &'static str, count: u64) {
        self.alerts.add(count, &[KeyValue::new("result", result)]);
    }

    /// Entries that came by a read or a claim.
    pub fn entries(&self, how: &'static str, count: u64) {
        self.entries.add(count, &[KeyValue::new("how", how)]);
    }

    /// One final outcome.
    pub fn outcome(&self, reason: Reason) {
        self.outcomes.add(1, &labels_of(reason));
    }

    /// One send.
    pub fn attempt(&self) {
        self.attempts.add(1, &[]);
    }

    /// One try that did not reach the agent.
    pub fn wait(&self) {
        self.waits.add(1, &[]);
    }

    /// One entry went to its agent's waiting stream.
    pub fn moved(&self) {
        self.moved.add(1, &[]);
    }

    /// One look at a task.
    pub fn poll(&self) {
        self.polls.add(1, &[]);
    }

    /// One decision.
    pub fn decision(&self, row: Row) {
        self.decisions.add(1, &[KeyValue::new("row", row.id())]);
    }

    /// One send that may make a second run.
    pub fn duplicate_possible(&self, cause: &'static str) {
        self.duplicate_possible.add(1, &[KeyValue::new("cause", cause)]);
    }

    /// One held entry is somebody else's now.
    pub fn lease_lost(&self) {
        self.leases_lost.add(1, &[]);
    }

    /// Entries given back.
    pub fn handed_back(&self, count: u64) {
        self.handed_back.add(count, &[]);
    }

    /// One outcome was recorded again.
    pub fn final_written_back(&self) {
        self.finals_written_back.add(1, &[]);
    }

    /// Entries that nobody needs any more were removed from the stream.
    pub fn trimmed(&self, count: u64) {
        self.trimmed.add(count, &[]);
    }

    /// A consumer that was left behind was removed.
    pub fn consumer_removed(&self) {
        self.consumers_removed.add(1, &[]);
    }

    /// The group was created.
    pub fn group_created(&self) {
        self.groups_created.add(1, &[]);
    }

    /// One record of a later version.
    pub fn newer_record(&self) {
        self.newer_records.add(1, &[]);
    }

    /// One failed Redis operation.
    pub fn redis_error(&self, class: Class) {
        self.redis_errors.add(1, &[KeyValue::new("class", class.as_str())]);
    }

    /// Entries in all waiting streams, as last seen.
    pub fn waiting(&self, entries: u64) {
        self.waiting.record(entries, &[]);
    }

    /// Open incidents in the outbox.
    pub fn outbox(&self, counts: Counts) {
        for (place, count) in [("published", counts.published), ("direct", counts.direct), ("kept", counts.kept)] {
            self.outbox.record(count, &[KeyValue::new("place", place)]);
        }
    }

    /// Tombstones, as last counted.
    pub fn tombstones(&self, count: u64) {
        self.tombstones.record(count, &[]);
    }

    /// Redis had forgotten an open incident's entry.
    pub fn republished(&self) {
        self.republished.add(1, &[]);
    }

    /// Redis had forgotten an end: its record, or its dead letter or parked entry.
    pub fn restored(&self, what: &'static str) {
        self.restored.add(1, &[KeyValue::new("what", what)]);
    }

    /// What became of what had been written before a connection.
    pub fn history(&self, verdict: Verdict) {
        self.history.add(1, &[KeyValue::new("verdict", verdict.as_str())]);
    }

    /// An entry is held.
    pub fn began(&self) {
        self.in_flight.add(1, &[]);
    }

    /// It is not held any more.
    pub fn ended(&self, after: Duration) {
        self.in_flight.add(-1, &[]);
        self.duration.record(after.as_secs_f64(), &[]);
    }
}

fn labels_of(reason: Reason) -> [KeyValue; 2] {
    [KeyValue::new("state", reason.ends().as_str()), KeyValue::new("reason", reason.as_str())]
}
