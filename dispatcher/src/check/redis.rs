//! Looks at the master and at the replicas that would take its place.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redis::{Pipeline, Value};
use redis_stream::endpoint::{Endpoint, HostPort, Locator};
use redis_stream::error::{Class, Error};
use redis_stream::probe::{Probe, command};
use redis_stream::value;

use super::access::{self, Role, Trial, Verdict};
use super::finding::{Finding, Subject};
use super::info::Info;
use super::server;
use crate::dispatch::names::Names;

/// Round trips that are measured.
const PINGS: usize = 21;
/// How long the key of the check lives, whatever becomes of the check.
const KEY_LIVES_MS: &str = "10000";
/// Settings of the server that are of interest; few users may read them.
const CONFIG: [&str; 4] = ["save", "appendfsync", "min-replicas-to-write", "min-replicas-max-lag"];

/// What is looked at, and for whom.
pub(super) struct Look<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) names: &'a Names,
    pub(super) role: Role,
    /// `namespace/agent` of the default agent.
    pub(super) agent: String,
    /// Namespace of an agent that is named without one.
    pub(super) namespace: String,
    pub(super) lease: Duration,
    /// How long our own trimming leaves entries.
    pub(super) keep: Option<Duration>,
    pub(super) within: Duration,
}

impl Look<'_> {
    /// Everything about the master but its streams.
    pub(super) async fn at_master(&self, probe: &Probe, address: &HostPort) -> Result<Vec<Finding>, Error> {
        let tls = if self.endpoint.tls.is_some() { "TLS" } else { "no TLS" };
        let text = format!("{address} reached in {:.1?}, database {}, {tls}", probe.opened_in(), self.endpoint.db);
        let mut findings = vec![Finding::ok(Subject::Redis, "connect", text)];
        match info(probe).await {
            Ok(info) => {
                let behind_sentinel = matches!(self.endpoint.locator, Locator::Sentinel { .. });
                findings.extend(server::judge(&info, now_ms() / 1000, behind_sentinel));
                findings.extend(self.at_replicas(&info).await);
            }
            Err(error) if error.code() == Some("NOPERM") => {
                findings.push(Finding::skipped(Subject::Redis, "info", error.to_string()));
            }
            Err(error) => return Err(error),
        }
        findings.extend(clock(probe).await?);
        findings.extend(server::latency(pings(probe).await?));
        findings.extend(self.permissions(probe).await?);
        Ok(findings)
    }

    /// The replicas, at the addresses that Sentinel would name after a failover.
    async fn at_replicas(&self, info: &Info) -> Vec<Finding> {
        let mut looks = tokio::task::JoinSet::new();
        for replica in info.replicas() {
            let (endpoint, within) = (self.endpoint.clone(), self.within);
            let address = HostPort { host: replica.host, port: replica.port };
            looks.spawn(async move {
                let opened = Probe::node(&endpoint, &address, within).await;
                (address, opened.map(drop))
            });
        }
        let mut looked = looks.join_all().await;
        looked.sort_by(|a, b| a.0.cmp(&b.0));
        let (good, bad): (Vec<_>, Vec<_>) = looked.into_iter().partition(|(_, opened)| opened.is_ok());
        let fix = "make the announced address reachable from here (replica-announce-ip, NetworkPolicy), with the same \
                   users on every node";
        let away = bad.into_iter().filter_map(|(_, opened)| opened.err()).map(|error| {
            let text = format!("after a failover we could not connect: {error}");
            Finding::warning(Subject::Redis, "replica", text, fix)
        });
        let good: Vec<_> = good.iter().map(|(address, _)| address.to_string()).collect();
        let reached = format!("replicas can be reached at {}", good.join(", "));
        let reached = (!good.is_empty()).then(|| Finding::ok(Subject::Redis, "replica", reached));
        reached.into_iter().chain(away).collect()
    }

    /// The write test and the permissions.
    async fn permissions(&self, probe: &Probe) -> Result<Vec<Finding>, Error> {
        let key = format!("{}:check:{:016x}", self.names.group.stream, fastrand::u64(..));
        let mut findings = Vec::new();
        let mut written = false;
        if self.role != Role::Scaler {
            let set = probe.words(&["SET", &key, "check", "PX", KEY_LIVES_MS]).await;
            written = set.is_ok();
            findings.push(server::write(set.as_ref().map(drop)));
        }
        let commands = access::trials(self.role, self.endpoint.db, &key);
        let commands: Vec<_> = commands.into_iter().filter(|trial| written || !trial.needs_key).collect();
        let keys = access::key_trials(self.role, self.names, &self.agent);
        let user = self.endpoint.node.username.clone().unwrap_or_else(|| "default".to_owned());
        // The real forms are tried where nobody may be asked about users.
        let dry = probe.words(&["ACL", "DRYRUN", &user, "PING"]).await.is_ok();
        let commands = verdicts(probe, dry.then_some(&user), commands).await?;
        let keys = verdicts(probe, dry.then_some(&user), keys).await?;
        findings.extend(access::judge(&user, &commands, &keys));
        if written {
            // It expires by itself where it may not be deleted.
            probe.words(&["DEL", &key]).await.ok();
        }
        Ok(findings)
    }
}

/// Asks for each trial: as `user` with `ACL DRYRUN` (Redis 7.0), else by its real form.
async fn verdicts(probe: &Probe, user: Option<&String>, trials: Vec<Trial>) -> Result<Vec<(Trial, Verdict)>, Error> {
    let mut pipeline = Pipeline::with_capacity(trials.len());
    for trial in &trials {
        let mut words: Vec<&str> = Vec::new();
        if let Some(user) = user {
            words.extend(["ACL", "DRYRUN", user]);
        }
        words.extend(trial.words.iter().map(String::as_str));
        pipeline.add_command(command(&words));
    }
    let answers = probe.pipe(&pipeline).await?;
    Ok(trials.into_iter().zip(answers.iter().map(|answer| verdict(answer, user.is_some()))).collect())
}

fn verdict(answer: &Result<Value, Error>, dry: bool) -> Verdict {
    match answer {
        Ok(answer) if dry => match value::text(answer) {
            Some("OK") | None => Verdict::Allowed,
            Some(words) => Verdict::of_refusal(words),
        },
        Err(error) if error.code() == Some("NOPERM") => Verdict::of_refusal(&error.to_string()),
        // Refused for its arguments: past the permissions.
        Ok(_) | Err(_) => Verdict::Allowed,
    }
}

async fn info(probe: &Probe) -> Result<Info, Error> {
    let answer = probe.words(&["INFO"]).await?;
    let text = value::text(&answer).ok_or_else(|| Error::unexpected("INFO", &answer))?;
    let mut info = Info::parse(text);
    let mut pipeline = Pipeline::new();
    for name in CONFIG {
        pipeline.cmd("CONFIG").arg("GET").arg(name);
    }
    for (name, answer) in CONFIG.iter().zip(probe.pipe(&pipeline).await?) {
        if let Ok(answer) = &answer
            && let Some(text) = value::field(answer, name).and_then(value::text)
        {
            info.set(name, text);
        }
    }
    Ok(info)
}

async fn clock(probe: &Probe) -> Result<Option<Finding>, Error> {
    let before = now_ms();
    let answer = match probe.words(&["TIME"]).await {
        Err(error) if error.class() == Class::Reconnect => return Err(error),
        answer => answer,
    };
    let ours = i64::midpoint(before, now_ms());
    let theirs = answer.ok().as_ref().and_then(value::items).and_then(|items| match items {
        [seconds, micros] => Some(value::int(seconds)? * 1000 + value::int(micros)? / 1000),
        _ => None,
    });
    Ok(theirs.map(|theirs| server::clock(theirs.saturating_sub(ours))))
}

async fn pings(probe: &Probe) -> Result<Vec<Duration>, Error> {
    let mut trips = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let begun = Instant::now();
        match probe.words(&["PING"]).await {
            Ok(_) => trips.push(begun.elapsed()),
            Err(error) if error.code().is_some() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(trips)
}

/// Our clock, Unix milliseconds.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
