use std::fmt;

/// One thing that is looked at.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub id: &'static str,
    /// What should be.
    pub what: &'static str,
    /// What KEDA does otherwise.
    pub consequence: &'static str,
    /// Whether it is a must.
    pub weight: Weight,
}

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// A workload is scaled wrongly.
    Must,
    /// Somebody has a harder time.
    Advice,
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "must",
            Self::Advice => "advice",
        })
    }
}

const fn must(id: &'static str, what: &'static str, consequence: &'static str) -> Check {
    Check { id, what, consequence, weight: Weight::Must }
}

const fn advice(id: &'static str, what: &'static str, consequence: &'static str) -> Check {
    Check { id, what, consequence, weight: Weight::Advice }
}

/// All checks, in the order of the report.
pub const CHECKS: &[Check] = &[
    must(
        "spec-given",
        "GetMetricSpec gives at least one spec",
        "no autoscaler, and the failure counts for no fallback",
    ),
    must("spec-constant", "GetMetricSpec gives the same each time", "the autoscaler asks for a name that is gone"),
    must("spec-target", "every target is above zero, as integer and as float", "the autoscaler is refused"),
    must("spec-numbers", "the integer target is the float, rounded up", "KEDA before 2.17 scales by another target"),
    must("spec-name", "a metric's name is not empty and has neither / nor %", "the autoscaler is refused"),
    must("spec-distinct", "no two specs have one name", "the ScaledObject is refused"),
    advice("spec-single", "there is one spec", "a ScaledJob counts the first one and averages the targets"),
    must("value-one", "GetMetrics gives one value, under the asked name", "all values are summed; none is no failure"),
    must("value-numbers", "integer and float agree, and are not negative", "versions of KEDA read different numbers"),
    must("value-unknown", "an unknown metric name is an error", "a number is taken for a metric that it is not of"),
    must("work-seen", "with work to do, the value is above zero and IsActive true", "the workload is scaled to zero"),
    must("blind-error", "GetMetrics and IsActive fail where the source cannot be read", "a zero scales to zero"),
    must("blind-spec", "GetMetricSpec answers all the same", "the fallback never comes (kedacore/keda#8056)"),
    must("in-time", "every call is answered in time", "KEDA sets no deadline: its loop hangs as long as the call"),
    must(
        "burst",
        "200 polls at once are answered, in twice the time of one: they queue at the asker too",
        "many ScaledObjects are polled at the same moment",
    ),
    must("unknown-keys", "unknown metadata is passed over", "KEDA sends all keys of the trigger, its own too"),
    must("every-version", "each emulated KEDA gets a usable reading", "an older or newer KEDA does not scale"),
    advice(
        "bad-metadata",
        "bad metadata is INVALID_ARGUMENT that names the keys",
        "the mistake has to be searched for",
    ),
    advice("bad-values", "the message repeats no value", "a resolved secret is in KEDA's log"),
    must("stream-first", "StreamIsActive tells the state at once", "nobody is woken before the next poll"),
    must("stream-agrees", "its first word is IsActive's", "the workload goes up and down"),
    must("stream-crowd", "thousands of streams all get their first word in 10 s", "some ScaledObjects are never woken"),
    must("stream-end", "a stream ends with OK, also when the scaler stops", "each reconnect waits longer, up to 60 s"),
    advice("stream-calm", "no more than three words in two seconds", "each `true` costs calls to the API server"),
    advice(
        "stream-repeat",
        "`true` comes again while there is work",
        "one that KEDA dropped is lost until the next poll",
    ),
    must(
        "spec-stream",
        "StreamMetricSpec is UNIMPLEMENTED, or tells GetMetricSpec's specs at once",
        "the trigger vanishes",
    ),
    advice("health", "grpc.health.v1 says SERVING", "Kubernetes cannot probe the port"),
    advice("reflection", "reflection lists the service", "an operator cannot ask by hand"),
];
