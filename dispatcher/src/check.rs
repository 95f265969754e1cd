//! What an operator asks before a rollout, or when something is odd: does everything work that is needed?
//!
//! One file looks at one subject; its judgement is pure and stands beside it. Nothing is written but one key with an
//! expiry and one file beside the outbox, no message goes to an agent, and every look has a deadline.

pub mod access;
pub mod agents;
pub mod finding;
pub mod info;
pub mod outbox;
mod redis;
pub mod sentinel;
pub mod server;
pub mod settings;
mod stream;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use redis_stream::endpoint::{Endpoint, HostPort, Locator};
use redis_stream::error::Error;
use redis_stream::probe::Probe;

use crate::dispatch::agents::Agents;
use crate::outbox::OutboxSettings;
use crate::settings::{LineSettings, WorkSettings};
use access::Role;
use finding::{Finding, Report, Subject};

/// A subject may take as long as this many answers.
const ANSWERS: u32 = 4;
/// The lease where no worker is meant.
const USUAL_LEASE: Duration = Duration::from_secs(30);

/// What is checked.
pub struct Plan {
    /// Redis, names, agents.
    pub line: LineSettings,
    /// The worker's settings, where it is meant.
    pub work: Option<WorkSettings>,
    /// How long entries stay that were taken care of; absent: for ever.
    pub keep: Option<Duration>,
    /// The hook's outbox, where the hook is meant.
    pub outbox: Option<OutboxSettings>,
    /// From SIGTERM to the end.
    pub grace: Duration,
    /// For which program.
    pub role: Role,
    /// Deadline of a connection and of every answer.
    pub within: Duration,
    /// The agents.
    pub agents: Arc<Agents>,
}

/// Looks at everything, at once as far as possible.
pub async fn run(plan: &Plan) -> Report {
    let named = if plan.role.dispatches() { agents::named(&plan.line) } else { BTreeSet::new() };
    let (redis, mut looked, outbox) = tokio::join!(
        redis_side(plan),
        agents::look(&plan.agents, named.iter().cloned(), plan.within),
        outbox::look(plan.outbox.as_ref(), plan.within),
    );
    let (mut findings, routed) = redis;
    let more = routed.into_iter().map(|agent| qualified(&plan.line, &agent)).filter(|agent| !named.contains(agent));
    let more: BTreeSet<_> = more.collect();
    if plan.role.dispatches() {
        looked.extend(agents::look(&plan.agents, more, plan.within).await);
    }
    findings.extend(settings::judge(&plan.line, plan.work.as_ref(), plan.grace));
    findings.extend(looked);
    findings.extend(outbox);
    Report::new(findings)
}

fn qualified(line: &LineSettings, agent: &str) -> String {
    if agent.contains('/') { agent.to_owned() } else { format!("{}/{agent}", line.agents.namespace) }
}

/// Sentinel, master and streams, and the agents of the routing hash.
async fn redis_side(plan: &Plan) -> (Vec<Finding>, Vec<String>) {
    let Some(endpoint) = &plan.line.endpoint else { return (Vec::new(), Vec::new()) };
    let (mut findings, address) = match &endpoint.locator {
        Locator::Direct(address) => (Vec::new(), Some(address.clone())),
        Locator::Sentinel { sentinels, master } => {
            let sights = sentinel::look(endpoint, sentinels, master, plan.within).await;
            let lease = plan.work.as_ref().map(|work| work.dispatch.lease);
            (sentinel::judge(&sights, master, lease), sentinel::master(&sights))
        }
    };
    let Some(address) = address else {
        findings.push(Finding::skipped(Subject::Redis, "connect", "no Sentinel names a master"));
        return (findings, Vec::new());
    };
    match Probe::node(endpoint, &address, plan.within).await {
        Ok(probe) => {
            let (seen, routed) = master_side(plan, endpoint, &probe, &address).await;
            findings.extend(seen);
            (findings, routed)
        }
        Err(error) => {
            findings.push(server::no_connection(&error));
            (findings, Vec::new())
        }
    }
}

async fn master_side(
    plan: &Plan,
    endpoint: &Endpoint,
    probe: &Probe,
    address: &HostPort,
) -> (Vec<Finding>, Vec<String>) {
    let look = redis::Look {
        endpoint,
        names: &plan.line.names,
        role: plan.role,
        agent: qualified(&plan.line, &plan.line.default_agent),
        namespace: plan.line.agents.namespace.clone(),
        lease: plan.work.as_ref().map_or(USUAL_LEASE, |work| work.dispatch.lease),
        keep: plan.keep,
        within: plan.within,
    };
    let limit = plan.within * ANSWERS;
    let at_master = tokio::time::timeout(limit, look.at_master(probe, address));
    let at_streams = tokio::time::timeout(limit, look.at_streams(probe));
    let (master, streams) = tokio::join!(at_master, at_streams);
    let mut findings = master.unwrap_or_else(|_| Err(too_slow(limit))).unwrap_or_else(|error| given_up(&error));
    match streams.unwrap_or_else(|_| Err(too_slow(limit))) {
        Ok((seen, routed)) => {
            findings.extend(seen);
            (findings, routed)
        }
        Err(error) => {
            findings.extend(given_up(&error));
            (findings, Vec::new())
        }
    }
}

fn too_slow(limit: Duration) -> Error {
    Error::unanswered(format!("not finished within {limit:?}"))
}

/// It broke off in the middle.
fn given_up(error: &Error) -> Vec<Finding> {
    vec![server::no_connection(error)]
}
