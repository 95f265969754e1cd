//! The numbers of a stream: read from Redis, or given by hand.

use std::collections::HashMap;
use std::time::Duration;

use redis_stream::backlog::{Counter, Lag, Method};
use redis_stream::connection::{Link, LinkOptions};
use redis_stream::endpoint::{Endpoint, Locator};
use redis_stream::error::{Class, Error};
use serde::Serialize;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::reading::{Counts, as_float};
use crate::trigger::{Metric, Redis, Source, Trigger};

/// Longest wait for a connection, and for a reading.
const WITHIN: Duration = Duration::from_secs(5);

/// Name of the connection in `CLIENT LIST`.
const CLIENT_NAME: &str = "stream-scaler-explain";

/// One reading, in entries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Sample {
    pub(super) backlog: u64,
    pub(super) pending: u64,
    pub(super) lag: u64,
    pub(super) length: u64,
    /// Seconds since the oldest unfinished entry was written, where that is known.
    pub(super) age: Option<f64>,
    /// Where the lag comes from.
    pub(super) method: &'static str,
    /// `false`: there are at least so many unread entries.
    pub(super) exact: bool,
    /// Entries wait for an agent in streams of their own.
    pub(super) waiting: bool,
    /// The same as the scaler has it.
    #[serde(skip)]
    pub(super) counts: Counts,
}

/// Why there is no sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoSample {
    pub(super) text: String,
    /// Somebody has to change something; otherwise Redis did not answer.
    pub(super) refused: bool,
}

impl Sample {
    /// Reads `backlog=12,pending=3,lag=9,length=100,age=30`, in any order. What is left out follows from the rest.
    pub(super) fn parse(raw: &str) -> Result<Self, String> {
        const ACCEPTED: &str = "expected numbers such as backlog=12,pending=3,lag=9,length=100,age=30";
        let mut given: HashMap<&str, u64> = HashMap::new();
        for pair in raw.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, number) = pair.split_once('=').ok_or(ACCEPTED)?;
            let (name, number) = (name.trim(), number.trim().parse().map_err(|_| ACCEPTED)?);
            if !["backlog", "pending", "lag", "length", "age"].contains(&name) {
                return Err(ACCEPTED.to_owned());
            }
            if given.insert(name, number).is_some() {
                return Err(format!("{name} is given twice"));
            }
        }
        if given.is_empty() {
            return Err(ACCEPTED.to_owned());
        }
        let of = |name: &str| given.get(name).copied();
        let (backlog, pending, lag) = match (of("backlog"), of("pending"), of("lag")) {
            (None, pending, lag) => {
                let (pending, lag) = (pending.unwrap_or(0), lag.unwrap_or(0));
                (pending.saturating_add(lag), pending, lag)
            }
            (Some(backlog), Some(pending), None) => (backlog, pending, backlog.saturating_sub(pending)),
            (Some(backlog), pending, None) => (backlog, pending.unwrap_or(0), backlog),
            (Some(backlog), None, Some(lag)) => (backlog, backlog.saturating_sub(lag), lag),
            (Some(backlog), Some(pending), Some(lag)) => (backlog, pending, lag),
        };
        // At least one while entries wait for an agent.
        let sum = pending.saturating_add(lag);
        let waiting = backlog == 1 && sum == 0;
        if backlog != sum && !waiting {
            return Err("backlog must be pending plus lag (or 1, with neither, while entries wait for an agent)".into());
        }
        let length = of("length").unwrap_or(sum);
        let next_age_ms = of("age").map(|seconds| seconds.saturating_mul(1000));
        let lag_found = Lag::exact(lag, Method::Counted);
        let counts = Counts { length, pending, lag, backlog, lag_found, waiting, next_age_ms, ..Counts::default() };
        Ok(Self { method: "given", ..Self::from(counts) })
    }

    /// The number that a trigger reports; `None` where it is not known.
    pub(super) fn value(&self, trigger: &Trigger) -> Option<f64> {
        (trigger.metric != Metric::Age || self.age.is_some()).then(|| self.counts.value(trigger))
    }
}

impl From<Counts> for Sample {
    fn from(counts: Counts) -> Self {
        let oldest = counts.sorted(None).oldest_ms.max(counts.next_age_ms);
        Self {
            backlog: counts.backlog,
            pending: counts.pending,
            lag: counts.lag,
            length: counts.length,
            age: oldest.map(|milliseconds| as_float(milliseconds) / 1000.0),
            method: said_of(counts.lag_found.method),
            exact: counts.lag_found.is_exact(),
            waiting: counts.waiting,
            counts,
        }
    }
}

/// Where the number of unread entries comes from.
fn said_of(method: Method) -> &'static str {
    match method {
        Method::Ids | Method::Counted | Method::Carried => "by their ids",
        Method::Reported => "as Redis reports it: too many to count",
        Method::WholeStream => "no group yet: every entry is unread",
        Method::Missing => "there is no stream",
    }
}

impl From<Error> for NoSample {
    fn from(error: Error) -> Self {
        Self { text: error.to_string(), refused: error.class() == Class::Configuration }
    }
}

/// Reads each source once, over connections that end with this call.
pub(super) async fn read(own: &Endpoint, sources: &[Source]) -> HashMap<Source, Result<Sample, NoSample>> {
    let (tracker, end) = (TaskTracker::new(), CancellationToken::new());
    let mut links: HashMap<(Redis, u16), Link> = HashMap::new();
    let mut samples = HashMap::new();
    for source in sources {
        let link = links.entry((source.redis.clone(), source.db)).or_insert_with(|| {
            let options = LinkOptions { client_name: CLIENT_NAME.to_owned() };
            Link::start(endpoint(own, source), options, &tracker, end.child_token())
        });
        samples.insert(source.clone(), sample(link, source).await.map_err(NoSample::from));
    }
    end.cancel();
    tracker.close();
    tracker.wait().await;
    samples
}

async fn sample(link: &Link, source: &Source) -> Result<Sample, Error> {
    let session = link.session(WITHIN).await?;
    let mut counter = Counter::new(&source.stream, &source.group);
    let reading = timeout(WITHIN, counter.read(&session)).await;
    let reading = reading.map_err(|_| Error::unanswered(format!("no reading within {} s", WITHIN.as_secs())))??;
    Ok(Sample::from(Counts::from(&reading)))
}

/// Another Redis is reached as the scaler reaches it: with its own credentials.
fn endpoint(own: &Endpoint, source: &Source) -> Endpoint {
    let mut endpoint = Endpoint { db: source.db, ..own.clone() };
    if let Redis::Other { sentinels, master } = &source.redis {
        endpoint.locator = Locator::Sentinel { sentinels: sentinels.clone(), master: master.clone() };
    }
    endpoint
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::trigger;

    #[test]
    fn what_is_left_out_follows_from_the_rest() {
        let rows = [
            ("backlog=12", (12, 0, 12, 12)),
            ("backlog=12,pending=3", (12, 3, 9, 12)),
            ("backlog=12,lag=3", (12, 9, 3, 12)),
            (" lag=9 , pending=3 ", (12, 3, 9, 12)),
            ("pending=3,length=100", (3, 3, 0, 100)),
            ("length=5", (0, 0, 0, 5)),
            ("backlog=1,pending=0,lag=0", (1, 0, 0, 0)),
        ];
        for (raw, expected) in rows {
            let sample = Sample::parse(raw).unwrap();
            assert_eq!((sample.backlog, sample.pending, sample.lag, sample.length), expected, "{raw}");
        }
        let sample = Sample::parse("backlog=2,age=30").unwrap();
        let of = |sample: &Sample, metric| sample.value(&trigger(&[("metric", metric)]));
        assert_eq!((of(&sample, "age"), of(&sample, "lag")), (Some(30.0), Some(2.0)));
        assert_eq!(of(&Sample::parse("backlog=2").unwrap(), "age"), None);
    }

    #[test]
    fn what_is_no_sample() {
        for raw in
            ["", "12", "backlog=", "backlog=-1", "backlog=1.5", "lg=1", "lag=1,lag=2", "backlog=5,pending=3,lag=3"]
        {
            assert!(Sample::parse(raw).is_err(), "{raw}");
        }
    }
}
