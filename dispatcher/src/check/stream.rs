//! Looks at the stream, its group, and what is kept beside them.

mod judge;

use redis::Value;
use redis_stream::entry::Entry;
use redis_stream::error::{Class, Error};
use redis_stream::id::EntryId;
use redis_stream::probe::Probe;
use redis_stream::value;

use super::finding::{Finding, Subject};
use super::redis::{Look, now_ms};
use crate::dispatch::agents::AgentName;
use crate::dispatch::names::OUTCOMES;

/// Dead letters as recent as this are news.
const RECENT_MS: i64 = 3_600_000;
/// More than this is not counted one by one.
const PAGE: usize = 100;

/// What is seen of the stream; absent where it may not be looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Entries.
    pub(super) length: i64,
    /// Entries ever added; absent before Redis 7.0.
    pub(super) added: Option<i64>,
    /// The oldest one.
    pub(super) first: Option<EntryId>,
    /// Single entries were deleted (`XDEL`); trimming leaves no such trace.
    pub(super) deleted: bool,
}

/// What is seen of the group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Delivered and not acknowledged.
    pub(super) pending: i64,
    /// Unread; absent where Redis does not know.
    pub(super) lag: Option<i64>,
    /// Consumers with their pending entries and idle milliseconds; absent if they may not be listed.
    pub(super) consumers: Option<Vec<Consumer>>,
    /// Pending entries that nobody has renewed for a lease, at most [`PAGE`].
    pub(super) stuck: Option<usize>,
}

/// One consumer of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Consumer {
    /// Its name.
    pub(super) name: String,
    /// Entries in its name.
    pub(super) pending: i64,
    /// Milliseconds since it was last heard.
    pub(super) idle_ms: i64,
}

impl Look<'_> {
    /// Everything about the streams, and the agents that the routing hash names.
    pub(super) async fn at_streams(&self, probe: &Probe) -> Result<(Vec<Finding>, Vec<String>), Error> {
        let names = self.names;
        let mut seen = Seen { probe, findings: Vec::new(), refused: Vec::new() };
        let stream = names.group.stream.as_str();
        let keys = [
            (stream, "stream", "STREAM_NAME"),
            (&names.dead_letters, "stream", "DLQ_STREAM"),
            (&names.parked, "stream", "PARKED_STREAM"),
            (&names.routing, "hash", "ROUTING_KEY"),
            (&names.waiting_set(), "set", "STREAM_NAME"),
            (OUTCOMES, "stream", "REDIS_DB"),
        ];
        let mut there = Vec::new();
        for (key, kind, setting) in keys {
            there.push(seen.kind(key, kind, setting).await?);
        }
        let is = |index: usize| there.get(index).copied().unwrap_or(true);
        if is(0) {
            seen.stream(self).await?;
        } else if seen.findings.is_empty() {
            seen.findings.push(judge::no_stream(stream));
        }
        if is(4) {
            seen.waiting(self).await?;
        }
        if is(2) {
            seen.parked(&names.parked).await?;
        }
        if is(1) {
            seen.dead(&names.dead_letters).await?;
        }
        let routes = if is(3) { seen.routes(self).await? } else { Vec::new() };
        Ok((seen.done(), routes))
    }
}

/// What was seen so far, and what may not be looked at.
struct Seen<'a> {
    probe: &'a Probe,
    findings: Vec<Finding>,
    refused: Vec<String>,
}

impl Seen<'_> {
    fn done(mut self) -> Vec<Finding> {
        self.refused.dedup();
        if !self.refused.is_empty() {
            let text = format!("this user may not look with {}", self.refused.join(", "));
            self.findings.push(Finding::skipped(Subject::Stream, "not-permitted", text));
        }
        self.findings
    }

    /// `None` where it may not be asked, or was refused for another reason that does not concern the connection.
    async fn ask(&mut self, words: &[&str]) -> Result<Option<Value>, Error> {
        match self.probe.words(words).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.class() == Class::Reconnect => Err(error),
            Err(error) if error.code() == Some("NOPERM") => {
                let name = words.iter().take(if words.first() == Some(&"XINFO") { 2 } else { 1 });
                self.refused.push(name.copied().collect::<Vec<_>>().join(" "));
                Ok(None)
            }
            Err(_) => Ok(None),
        }
    }

    /// Whether the key is there and of its kind; `true` also where that cannot be said.
    async fn kind(&mut self, key: &str, expected: &str, setting: &str) -> Result<bool, Error> {
        let Some(answer) = self.ask(&["TYPE", key]).await? else { return Ok(true) };
        let found = value::text(&answer).unwrap_or_default().to_owned();
        if found != expected && found != "none" {
            self.findings.push(judge::wrong_type(key, expected, &found, setting));
        }
        Ok(found == expected)
    }

    async fn stream(&mut self, look: &Look<'_>) -> Result<(), Error> {
        let group = &look.names.group;
        let extent = self.ask(&["XINFO", "STREAM", &group.stream]).await?.as_ref().map(judge::extent);
        if let Some(extent) = &extent {
            self.findings.extend(judge::stream(&group.stream, extent, now_ms(), look.keep));
        }
        let Some(groups) = self.ask(&["XINFO", "GROUPS", &group.stream]).await? else { return Ok(()) };
        let Some(mut standing) = judge::standing(&groups, &group.group) else {
            self.findings.push(judge::no_group(&group.group, extent.map_or(0, |extent| extent.length)));
            return Ok(());
        };
        let consumers = self.ask(&["XINFO", "CONSUMERS", &group.stream, &group.group]).await?;
        standing.consumers = consumers.as_ref().map(judge::consumers);
        let lease = look.lease.as_millis().to_string();
        let page = PAGE.to_string();
        let stuck = ["XPENDING", &group.stream, &group.group, "IDLE", &lease, "-", "+", &page];
        standing.stuck = self.ask(&stuck).await?.map(|rows| value::items(&rows).map_or(0, <[Value]>::len));
        self.findings.extend(judge::group(&group.group, &standing, look.lease));
        Ok(())
    }

    async fn waiting(&mut self, look: &Look<'_>) -> Result<(), Error> {
        let Some(members) = self.ask(&["SMEMBERS", &look.names.waiting_set()]).await? else { return Ok(()) };
        for key in value::items(&members).unwrap_or_default().iter().filter_map(value::text).take(PAGE) {
            let length = self.ask(&["XLEN", key]).await?.as_ref().and_then(value::int).unwrap_or(0);
            if length > 0 {
                let agent = look.names.agent_of(key).unwrap_or_else(|| key.to_owned());
                self.findings.push(judge::waiting(&agent, length));
            }
        }
        Ok(())
    }

    async fn parked(&mut self, key: &str) -> Result<(), Error> {
        let length = self.ask(&["XLEN", key]).await?.as_ref().and_then(value::int);
        self.findings.extend(length.map(judge::parked));
        Ok(())
    }

    async fn dead(&mut self, key: &str) -> Result<(), Error> {
        let length = self.ask(&["XLEN", key]).await?.as_ref().and_then(value::int);
        let since = now_ms().saturating_sub(RECENT_MS).to_string();
        let recent = self.ask(&["XRANGE", key, &since, "+", "COUNT", &PAGE.to_string()]).await?;
        if let Some(recent) = recent {
            self.findings.push(judge::dead(length, Entry::parse_list(&recent).len()));
        }
        Ok(())
    }

    /// The agents of the routing hash.
    async fn routes(&mut self, look: &Look<'_>) -> Result<Vec<String>, Error> {
        let Some(answer) = self.ask(&["HGETALL", &look.names.routing]).await? else { return Ok(Vec::new()) };
        let text = |value| value::bytes(value).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let routes: Vec<_> =
            value::pairs(&answer).into_iter().filter_map(|(step, agent)| Some((text(step)?, text(agent)?))).collect();
        let is_agent = |agent: &str| AgentName::parse(agent, &look.namespace).is_ok();
        self.findings.push(judge::routes(&look.names.routing, &routes, is_agent));
        Ok(routes.into_iter().map(|(_, agent)| agent).filter(|agent| is_agent(agent)).collect())
    }
}
