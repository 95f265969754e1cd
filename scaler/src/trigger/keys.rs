//! Typed access to the metadata map; collects mistakes.

use std::collections::HashMap;
use std::time::Duration;

use daemon::settings::parse;
use redis_stream::endpoint::HostPort;

use super::Problem;

/// Every key that means something; each is also accepted with `FromEnv` behind it.
pub const KEYS: [&str; 20] = [
    "stream",
    "consumerGroup",
    "databaseIndex",
    "addresses",
    "address",
    "hosts",
    "ports",
    "host",
    "port",
    "sentinelMaster",
    "metric",
    "target",
    "activationTarget",
    "activationLagCount",
    "jobScalingStrategy",
    "pendingOrphanedAfter",
    "pendingPoisonAfter",
    "pendingEntriesCount",
    "lagCount",
    "streamLength",
];

/// KEDA prints values with three decimals: a smaller target would be zero to it.
const SMALLEST_TARGET: f64 = 0.001;
const LARGEST_NUMBER: f64 = 1e12;
const LONGEST_NAME: usize = 512;

/// The metadata, and what was found wrong with it.
pub(super) struct Keys<'a> {
    metadata: &'a HashMap<String, String>,
    problems: Vec<Problem>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(metadata: &'a HashMap<String, String>) -> Self {
        Self { metadata, problems: Vec::new() }
    }

    /// All mistakes, in a stable order.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by(|a, b| (&a.key, &a.problem).cmp(&(&b.key, &b.problem)));
        self.problems.dedup();
        self.problems
    }

    pub(super) fn reject(&mut self, key: &str, problem: impl Into<String>) {
        self.problems.push(Problem { key: key.to_owned(), problem: problem.into() });
    }

    /// The key as it was given, and its value. A key with `FromEnv` behind it stands for the key itself: KEDA has
    /// already put the variable's value in its place. Blank means absent.
    pub(super) fn given(&self, key: &str) -> Option<(String, &'a str)> {
        debug_assert!(KEYS.contains(&key), "{key} is not in the list of keys");
        [key.to_owned(), format!("{key}FromEnv")].into_iter().find_map(|name| {
            let value = self.metadata.get(&name)?.trim();
            (!value.is_empty()).then_some((name, value))
        })
    }

    /// The name of a stream, group or master.
    pub(super) fn name(&mut self, key: &str) -> Option<String> {
        let (key, value) = self.given(key)?;
        if value.len() > LONGEST_NAME {
            self.reject(&key, format!("longer than {LONGEST_NAME} bytes"));
            return None;
        }
        Some(value.to_owned())
    }

    pub(super) fn database(&mut self, key: &str) -> Option<u16> {
        let (key, value) = self.given(key)?;
        value.parse().map_err(|_| self.reject(&key, "expected a number from 0 to 65535")).ok()
    }

    /// A number of entries per replica.
    pub(super) fn target(&mut self, key: &str) -> Option<f64> {
        self.number(key, SMALLEST_TARGET, "expected a number greater than 0")
    }

    /// A number of entries, zero included.
    pub(super) fn count(&mut self, key: &str) -> Option<f64> {
        self.number(key, 0.0, "expected a number, 0 or more")
    }

    fn number(&mut self, key: &str, smallest: f64, expected: &str) -> Option<f64> {
        let (key, value) = self.given(key)?;
        let number = value.parse().ok().filter(|number| (smallest..=LARGEST_NUMBER).contains(number));
        if number.is_none() {
            self.reject(&key, format!("{expected} (at most 10^12)"));
        }
        number
    }

    /// A time with a unit, not below `shortest`; `None` for `off` too.
    pub(super) fn duration_or_off(&mut self, key: &str, shortest: Duration) -> Option<Duration> {
        let (key, value) = self.given(key)?;
        match parse::duration_or_off(value) {
            Ok(time) if time.is_none_or(|time| time >= shortest) => time,
            _ => {
                let shortest = shortest.as_secs();
                self.reject(&key, format!("expected a time with a unit, such as 10m, not below {shortest}s, or off"));
                None
            }
        }
    }

    /// A whole number, not below `least`; `None` for `off` too.
    pub(super) fn whole_or_off(&mut self, key: &str, least: u64) -> Option<u64> {
        let (key, value) = self.given(key)?;
        if value.eq_ignore_ascii_case("off") {
            return None;
        }
        let number = value.parse().ok().filter(|number| *number >= least);
        if number.is_none() {
            self.reject(&key, format!("expected a whole number, {least} or more, or off"));
        }
        number
    }

    /// One of several words, compared without regard to case.
    pub(super) fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let (key, value) = self.given(key)?;
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(value));
        if found.is_none() {
            let accepted: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.reject(&key, format!("expected one of: {}", accepted.join(", ")));
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// A list of `host:port`; `None` when there is none that can be used.
    pub(super) fn addresses(&mut self, key: &str) -> Option<(String, Vec<HostPort>)> {
        let (key, value) = self.given(key)?;
        let addresses = value.split(',').map(str::parse).collect::<Result<_, _>>();
        if addresses.is_err() {
            self.reject(&key, "expected host:port,host:port,...");
        }
        Some((key, addresses.ok()?))
    }

    /// The same as two lists of equal length.
    pub(super) fn hosts_and_ports(&mut self, hosts: &str, ports: &str) -> Option<(String, Vec<HostPort>)> {
        let (hosts_key, hosts_value) = match (self.given(hosts), self.given(ports)) {
            (None, None) => return None,
            (None, Some((key, _))) => {
                self.reject(&key, format!("useless without {hosts}"));
                return None;
            }
            (Some(given), _) => given,
        };
        let Some((ports_key, ports_value)) = self.given(ports) else {
            self.reject(&hosts_key, format!("needs {ports}, one port per host"));
            return None;
        };
        if hosts_value.split(',').count() != ports_value.split(',').count() {
            self.reject(&ports_key, format!("expected one port per host of {hosts_key}"));
            return None;
        }
        let pairs = hosts_value.split(',').zip(ports_value.split(','));
        let addresses = pairs.map(|(host, port)| join(host.trim(), port.trim()).parse()).collect::<Result<_, _>>();
        if addresses.is_err() {
            self.reject(&hosts_key, format!("expected host,host,... with {ports_key} as port,port,..."));
        }
        Some((hosts_key, addresses.ok()?))
    }
}

fn join(host: &str, port: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
