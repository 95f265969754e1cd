//! A Redis of its own, two workers' names, one incident.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use jiff::Timestamp;
use line_tests::line::{Books, DEAD, GROUP, STREAM};
use line_tests::{Client, Redis, RedisOptions};
use redis_stream::connection::{Link, LinkOptions, Session};
use redis_stream::endpoint::{Endpoint, Locator};
use redis_stream::entry::Entry;
use redis_stream::reader::Group;
use redis_stream::script::Call;
use redis_stream::{group, value};
use stream_dispatcher::dispatch::decision::Blame;
use stream_dispatcher::dispatch::gate::Unsent;
use stream_dispatcher::dispatch::names::Names;
use stream_dispatcher::dispatch::outcome::{Outcome, Reason};
use stream_dispatcher::dispatch::publish::{self, Begun, Published};
use stream_dispatcher::dispatch::record::{self, Finish, Run, Subject, Taken};
use stream_dispatcher::incident::{Alert, Incident, Status, context_id};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The incident's agent.
pub(crate) const AGENT: &str = "kagent/triage-agent";
/// The workers' lease.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// The waiting stream of the incident's agent.
pub(crate) const WAITING: &str = "incident:events:waiting:kagent:triage-agent";

/// A Redis with database 4, and a session as a program has it.
pub(crate) struct Desk {
    pub(crate) redis: Redis,
    pub(crate) session: Session,
    pub(crate) books: Books,
    pub(crate) a: Arc<Names>,
    pub(crate) b: Arc<Names>,
    stop: CancellationToken,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn names(consumer: &str) -> Arc<Names> {
    Arc::new(Names {
        group: Group { stream: STREAM.into(), group: GROUP.into(), consumer: consumer.into() },
        dead_letters: DEAD.into(),
        parked: "incident:events:parked".into(),
        routing: "incident:routing".into(),
    })
}

impl Desk {
    pub(crate) async fn open() -> Result<Self> {
        let redis = Redis::start(RedisOptions::default()).await?;
        let address = redis.address().parse().map_err(|error: String| anyhow!(error))?;
        let endpoint = Endpoint::plain(Locator::Direct(address), 4);
        let stop = CancellationToken::new();
        let options = LinkOptions { client_name: "desk".into() };
        let link = Link::start(endpoint, options, &TaskTracker::new(), stop.clone());
        let session = link.session(Duration::from_secs(5)).await?;
        let books = Books::at(&redis.address()).await?;
        let desk = Self { redis, session, books, a: names("a"), b: names("b"), stop };
        group::ensure(&desk.session, &desk.a.group).await?;
        Ok(desk)
    }

    /// Another connection, to change things behind everybody's back.
    pub(crate) async fn client(&self) -> Result<Client> {
        self.redis.database(4).await
    }

    pub(crate) async fn words(&self, call: Call<'_>) -> Result<Vec<String>> {
        Ok(record::words(&self.session.invoke(&call).await?))
    }

    /// The first word of the answer.
    pub(crate) async fn word(&self, call: Call<'_>) -> Result<String> {
        self.words(call).await?.into_iter().next().context("an empty answer")
    }

    pub(crate) async fn publish(&self, incident: &Incident, begun: &Begun) -> Result<Published> {
        let deadline = self.session.redis_now_ms() + 5_000;
        self.publish_by(incident, begun, deadline, None).await
    }

    pub(crate) async fn publish_by(
        &self,
        incident: &Incident,
        begun: &Begun,
        deadline: i64,
        rerun: Option<Duration>,
    ) -> Result<Published> {
        let call = publish::publish(&self.a, incident, begun, deadline, rerun);
        Ok(publish::published(&self.session.invoke(&call).await?)?)
    }

    /// Reads the next unread entry in a worker's name.
    pub(crate) async fn read(&self, names: &Names) -> Result<Entry> {
        let mut reader = self.session.reader().await?;
        let entries = reader.read(&names.group, 1, Duration::from_millis(500)).await?;
        entries.into_iter().next().context("nothing unread")
    }

    pub(crate) async fn take(&self, names: &Names, incident: &Incident, entry: &Entry) -> Result<Taken> {
        self.take_as(names, incident, entry, false).await
    }

    pub(crate) async fn take_as(
        &self,
        names: &Names,
        incident: &Incident,
        entry: &Entry,
        fresh: bool,
    ) -> Result<Taken> {
        let assumed = Run { attempts: 1, ..run(incident) };
        let call = record::take(names, &subject(incident, entry), &assumed, fresh, LEASE);
        Ok(record::taken(&self.session.invoke(&call).await?, AGENT)?)
    }

    /// Publishes, reads and takes an incident in the name of `a`.
    pub(crate) async fn held(&self, incident: &Incident) -> Result<Entry> {
        self.publish(incident, &Begun::Queued).await?;
        let entry = self.read(&self.a).await?;
        self.take(&self.a, incident, &entry).await?;
        Ok(entry)
    }

    pub(crate) async fn field(&mut self, incident: &Incident, field: &str) -> Result<String> {
        self.books.field(&record_key(incident), field).await
    }

    /// The whole record.
    pub(crate) async fn record(&self, incident: &Incident) -> Result<Vec<String>> {
        let mut cmd = redis::Cmd::new();
        cmd.arg("HGETALL").arg(record_key(incident));
        let reply = self.session.run(&cmd).await?;
        let text = |item| value::text(item).unwrap_or_default().to_owned();
        Ok(value::pairs(&reply)
            .into_iter()
            .map(|(name, content)| format!("{}={}", text(name), text(content)))
            .collect())
    }
}

pub(crate) fn incident(fingerprint: &str) -> Incident {
    incident_of(fingerprint, Status::Firing)
}

pub(crate) fn incident_of(fingerprint: &str, status: Status) -> Incident {
    let alert = Alert {
        status,
        fingerprint: fingerprint.into(),
        starts_at: Timestamp::UNIX_EPOCH,
        ends_at: None,
        labels: [("severity".to_owned(), "critical".to_owned())].into(),
        annotations: [].into(),
        generator_url: String::new(),
    };
    Incident::new(alert, "triage-agent", "", "", Timestamp::now())
}

pub(crate) fn record_key(incident: &Incident) -> String {
    format!("incident:dispatch:{}-investigation", incident.workflow_id)
}

pub(crate) fn subject(incident: &Incident, entry: &Entry) -> Subject {
    Subject { workflow_id: incident.workflow_id.clone(), step: "investigation".into(), entry_id: entry.id.to_string() }
}

pub(crate) fn run(incident: &Incident) -> Run {
    let message_id = incident.message_id();
    Run { context_id: context_id(&message_id), message_id, task_id: None, wire: None, agent: AGENT.into(), attempts: 0 }
}

/// A try that did not reach the agent, and whose trouble that is.
pub(crate) fn unsent(blame: Blame) -> Unsent<'static> {
    Unsent {
        fresh: true,
        blame,
        pause: Duration::from_millis(100),
        wish: None,
        lasted: Duration::ZERO,
        words: "refused",
    }
}

pub(crate) fn finish(incident: &Incident, entry: &Entry, reason: Reason) -> Finish {
    Finish {
        subject: subject(incident, entry),
        run: Run { task_id: Some("task-1".into()), ..run(incident) },
        outcome: Outcome { reason, error: "why".into(), result: Some("the answer".into()) },
        fields: entry.fields.clone(),
        acknowledge: true,
        via: "stream",
    }
}
