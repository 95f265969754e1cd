//! What becomes of an alert: it is written to the outbox, then offered to Redis. Without a file an agent takes it
//! directly where Redis certainly has not; otherwise Alertmanager is told to come again.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use daemon::TraceContext;
use jiff::Timestamp;
use redis_stream::connection::Session;
use redis_stream::error::Error;
use redis_stream::script::Call;
use redis_stream::value;
use serde::Serialize;

use super::direct::{Direct, Handed};
use super::episodes::Episodes;
use super::payload::{Filter, Unreadable, Webhook};
use crate::dispatch::names::{KEEP_FINAL, Names, episode_key};
use crate::dispatch::publish::Published;
use crate::dispatch::record;
use crate::dispatch::scripts;
use crate::incident::{Alert, Incident, STEP, Status};
use crate::metrics::Metrics;
use crate::outbox::index::Mark;
use crate::outbox::item::{Offer, Tombstone};
use crate::outbox::publish::{Offered, Publisher};
use crate::outbox::{Outbox, unix_now};

/// How long a dead letter may still be written after it was sent, by Redis' clock.
const APPLY_WITHIN: Duration = Duration::from_secs(2);
/// How long a webhook waits for a connection before it goes the other way.
const CONNECTION_WITHIN: Duration = Duration::from_millis(500);
/// Calls of one round trip at most.
const BATCH: usize = 100;

/// What the hook did with one webhook; the body of its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// `accepted`, or `unavailable` when something could not be taken.
    pub status: &'static str,
    /// Newly taken: stream + direct + outbox.
    pub accepted: u64,
    /// Known already.
    pub duplicate: u64,
    /// Not meant for agents.
    pub ignored: u64,
    /// Not readable; dead letters.
    pub undecodable: u64,
    /// On the stream.
    pub stream: u64,
    /// With an agent.
    pub direct: u64,
    /// In the outbox.
    pub outbox: u64,
    /// Could not be taken.
    #[serde(skip)]
    pub refused: u64,
}

/// How the hook takes alerts in.
#[derive(Debug, Clone)]
pub struct IntakeSettings {
    /// Which alerts are meant for agents.
    pub filter: Filter,
    /// Which agent they go to.
    pub target: String,
    /// How far apart two start times of one episode may be.
    pub episode_slack: Duration,
    /// After this long a final incident that fires on is run again.
    pub rerun_after: Option<Duration>,
}

/// Takes webhooks in. One for the process.
pub struct Intake {
    publisher: Option<Arc<Publisher>>,
    outbox: Arc<Outbox>,
    names: Arc<Names>,
    settings: IntakeSettings,
    direct: Arc<Direct>,
    metrics: Metrics,
    episodes: Mutex<Episodes>,
}

impl Intake {
    /// `publisher`: absent when no Redis is configured at all.
    pub fn new(
        publisher: Option<Arc<Publisher>>,
        outbox: Arc<Outbox>,
        names: Arc<Names>,
        settings: IntakeSettings,
        direct: Arc<Direct>,
        metrics: Metrics,
    ) -> Self {
        Self { publisher, outbox, names, settings, direct, metrics, episodes: Mutex::default() }
    }

    /// Takes one webhook in; `trace` is its sender's.
    pub async fn take(&self, webhook: Webhook, trace: &TraceContext) -> Tally {
        let mut tally = Tally::default();
        let session = match &self.publisher {
            // The outbox takes it at once; a connection that is missing is its affair.
            Some(publisher) if self.outbox.is_durable() => publisher.link().current(),
            Some(publisher) => publisher.link().session(CONNECTION_WITHIN).await.ok(),
            None => None,
        };
        self.bury(session.as_ref(), &webhook.unreadable, &mut tally).await;
        let (wanted, others): (Vec<_>, Vec<_>) =
            webhook.alerts.into_iter().partition(|alert| self.settings.filter.takes(alert));
        tally.ignored = others.len() as u64;
        if let Some(session) = &session {
            self.close_episodes(session, &others).await;
        }
        let incidents = self.incidents(session.as_ref(), wanted, trace).await;
        let new = self.without_known(session.as_ref(), incidents, &mut tally).await;
        self.accept(session.as_ref(), new, &mut tally).await;
        tally.accepted = tally.stream + tally.direct + tally.outbox;
        tally.status = if tally.refused == 0 { "accepted" } else { "unavailable" };
        self.count(&tally);
        tally
    }

    /// Leaves out what the outbox answers for: what is open there, and what has ended.
    async fn without_known(
        &self,
        session: Option<&Session>,
        mut incidents: Vec<Incident>,
        tally: &mut Tally,
    ) -> Vec<Incident> {
        let buried = self.buried(&incidents).await;
        let (mut again, mut renewed) = (Vec::new(), Vec::new());
        incidents.retain(|incident| {
            let tombstone = buried.iter().find(|tombstone| tombstone.workflow_id == incident.workflow_id);
            let may_run_again = self.settings.rerun_after.is_some() && session.is_some();
            match (self.outbox.find(&incident.workflow_id), tombstone) {
                (Some(mark), _) if may_run_again && mark.offer == Offer::Confirmed => {
                    again.push(incident.clone());
                    false
                }
                (Some(mark), _)
                    if self.outbox.is_durable() || mark.offer == Offer::Confirmed || mark.is_with_agent() =>
                {
                    tally.duplicate += 1;
                    false
                }
                (None, Some(_)) if may_run_again => {
                    again.push(incident.clone());
                    false
                }
                (None, Some(tombstone)) => {
                    renewed.push(Tombstone { at: unix_now(), ..tombstone.clone() });
                    tally.duplicate += 1;
                    false
                }
                _ => true,
            }
        });
        if !renewed.is_empty() {
            self.outbox.bury(renewed, None).await;
        }
        if let (Some(session), Some(publisher)) = (session, &self.publisher) {
            self.rerun(session, publisher, &again, tally).await;
        }
        incidents
    }

    /// Tombstones of the given; an outbox that cannot be read knows none, and Redis' records answer.
    async fn buried(&self, incidents: &[Incident]) -> Vec<Tombstone> {
        let ids: Vec<_> = incidents.iter().map(|incident| incident.workflow_id.clone()).collect();
        if ids.is_empty() {
            return Vec::new();
        }
        self.outbox.buried(ids, STEP).await.unwrap_or_default()
    }

    /// What has ended and fires on: Redis' record says whether it is time for a new run.
    async fn rerun(&self, session: &Session, publisher: &Publisher, incidents: &[Incident], tally: &mut Tally) {
        let results = publisher.offer(session, incidents, self.settings.rerun_after).await;
        for (incident, result) in incidents.iter().zip(results) {
            match result {
                Offered::Taken(Published::New) => {
                    tally.stream += 1;
                    if let Err(error) = self.outbox.accept(std::slice::from_ref(incident), Offer::Confirmed).await {
                        tracing::warn!(workflow_id = %incident.workflow_id, %error, "a new run is not in the outbox");
                    }
                }
                Offered::Taken(_) => tally.duplicate += 1,
                Offered::No | Offered::Unknown => tally.refused += 1,
            }
        }
    }

    async fn accept(&self, session: Option<&Session>, incidents: Vec<Incident>, tally: &mut Tally) {
        let ready = match (session, &self.publisher) {
            (Some(session), Some(publisher)) if publisher.has_room() => Some((session, publisher)),
            _ => None,
        };
        let offer = if ready.is_some() { Offer::Unanswered } else { Offer::Never };
        let durable = match self.outbox.accept(&incidents, offer).await {
            Ok(()) => self.outbox.is_durable(),
            Err(error) => {
                tracing::warn!(%error, "not taken into the outbox");
                false
            }
        };
        let left = match ready {
            Some((session, publisher)) => self.publish(session, publisher, incidents, durable, tally).await,
            None => incidents,
        };
        if durable {
            tally.outbox += left.len() as u64;
        } else {
            self.hand_directly(left, tally).await;
        }
    }

    /// Publishes; answers those that certainly are not on the stream.
    async fn publish(
        &self,
        session: &Session,
        publisher: &Publisher,
        incidents: Vec<Incident>,
        durable: bool,
        tally: &mut Tally,
    ) -> Vec<Incident> {
        let results = publisher.offer(session, &incidents, self.settings.rerun_after).await;
        let (mut left, mut finals) = (Vec::new(), Vec::new());
        for (incident, result) in incidents.into_iter().zip(results) {
            match result {
                Offered::Taken(Published::New) => tally.stream += 1,
                Offered::Taken(Published::Final) => {
                    tally.duplicate += 1;
                    finals.push(incident.workflow_id);
                }
                Offered::Taken(_) => tally.duplicate += 1,
                Offered::Unknown if !durable => tally.refused += 1,
                Offered::Unknown | Offered::No => left.push(incident),
            }
        }
        if let Err(error) = publisher.outcomes().learn(session, &finals).await {
            tracing::debug!(%error, "final records cannot be read");
        }
        left
    }

    /// The way without a file: an agent has it, or Alertmanager comes again.
    async fn hand_directly(&self, incidents: Vec<Incident>, tally: &mut Tally) {
        let ids: Vec<_> = incidents.iter().map(|incident| incident.workflow_id.clone()).collect();
        let (certain, doubtful): (Vec<_>, Vec<_>) = incidents.into_iter().partition(|incident| {
            self.outbox.find(&incident.workflow_id).is_some_and(|mark| mark.offer == Offer::Never)
        });
        // It may be on the stream, now or later; or the outbox has not even taken it.
        tally.refused += doubtful.len() as u64;
        for handed in self.direct.hand_all(certain).await {
            match handed {
                Handed::Accepted => tally.direct += 1,
                Handed::Known => tally.duplicate += 1,
                Handed::No => tally.refused += 1,
            }
        }
        for id in ids {
            let nothing_happened = |mark: Mark| mark.offer == Offer::Never && mark.direct.is_none();
            if self.outbox.find(&id).is_some_and(nothing_happened) {
                self.outbox.withdraw(&id);
            }
        }
    }

    /// Alerts that cannot be read become dead letters, each once.
    async fn bury(&self, session: Option<&Session>, unreadable: &[Unreadable], tally: &mut Tally) {
        for alert in unreadable {
            tracing::warn!(problem = %alert.problem, digest = %alert.digest, "an alert cannot be read");
            let buried = match session {
                Some(session) => self.bury_one(session, alert).await,
                None => Ok(self.publisher.is_none()),
            };
            match buried {
                Ok(true) => tally.undecodable += 1,
                Ok(false) => tally.refused += 1,
                Err(error) => {
                    self.metrics.redis_error(error.class());
                    tally.refused += 1;
                }
            }
        }
    }

    async fn bury_one(&self, session: &Session, alert: &Unreadable) -> Result<bool, Error> {
        let call = scripts::REFUSE
            .call()
            .key(format!("incident:undecodable:{}", alert.digest))
            .key(&self.names.dead_letters)
            .number(KEEP_FINAL.as_secs())
            .number(deadline(session))
            .arg("alert")
            .arg(&alert.raw)
            .arg("error")
            .arg(&alert.problem);
        let reply = session.invoke(&call).await?;
        Ok(record::words(&reply).first().is_some_and(|word| word != "expired"))
    }

    /// The alerts with the start of their episodes; without Redis each has its own.
    async fn incidents(&self, session: Option<&Session>, alerts: Vec<Alert>, trace: &TraceContext) -> Vec<Incident> {
        let starts = match session {
            Some(session) => self.episodes(session, &alerts).await,
            None => Vec::new(),
        };
        let mut seen = HashSet::new();
        let mut incidents = Vec::with_capacity(alerts.len());
        for (index, mut alert) in alerts.into_iter().enumerate() {
            alert.starts_at = self.start_of(&alert, starts.get(index).copied().flatten());
            let trace = trace.child();
            let state = trace.tracestate.as_deref().unwrap_or_default();
            let incident = Incident::new(alert, &self.settings.target, &trace.traceparent, state, Timestamp::now());
            // The same alert twice in one body is one incident.
            if seen.insert(incident.workflow_id.clone()) {
                incidents.push(incident);
            }
        }
        incidents
    }

    /// The start of the alert's episode: what Redis says, else what was heard last.
    fn start_of(&self, alert: &Alert, known: Option<Timestamp>) -> Timestamp {
        let mut episodes = self.episodes.lock().unwrap_or_else(PoisonError::into_inner);
        let start = known
            .unwrap_or_else(|| episodes.start_of(&alert.fingerprint, alert.starts_at, self.settings.episode_slack));
        episodes.note(&alert.fingerprint, start);
        start
    }

    async fn episodes(&self, session: &Session, alerts: &[Alert]) -> Vec<Option<Timestamp>> {
        let mut starts = Vec::with_capacity(alerts.len());
        for batch in alerts.chunks(BATCH) {
            let calls: Vec<_> = batch.iter().map(|alert| self.episode(alert)).collect();
            match session.invoke_all(&calls).await {
                Ok(replies) => starts.extend(replies.into_iter().map(|reply| {
                    let nanos: i128 = value::text(&reply.ok()?)?.parse().ok()?;
                    Timestamp::from_nanosecond(nanos).ok()
                })),
                Err(error) => {
                    self.metrics.redis_error(error.class());
                    starts.extend(batch.iter().map(|_| None));
                }
            }
        }
        starts
    }

    fn episode(&self, alert: &Alert) -> Call<'_> {
        scripts::EPISODE
            .call()
            .key(episode_key(&alert.fingerprint))
            .arg(alert.status.as_str())
            .number(alert.starts_at.as_nanosecond())
            .number(self.settings.episode_slack.as_nanos())
            .number(KEEP_FINAL.as_secs())
            .arg(alert.ends_at.map(|end| end.as_nanosecond().to_string()).unwrap_or_default())
    }

    /// A resolved alert ends its episode, also where no agent hears of it.
    async fn close_episodes(&self, session: &Session, alerts: &[Alert]) {
        let resolved: Vec<_> = alerts.iter().filter(|alert| alert.status == Status::Resolved).cloned().collect();
        self.episodes(session, &resolved).await;
    }

    fn count(&self, tally: &Tally) {
        for (result, count) in [
            ("stream", tally.stream),
            ("direct", tally.direct),
            ("outbox", tally.outbox),
            ("duplicate", tally.duplicate),
            ("ignored", tally.ignored),
            ("undecodable", tally.undecodable),
            ("refused", tally.refused),
        ] {
            self.metrics.alerts(result, count);
        }
    }
}

fn deadline(session: &Session) -> i64 {
    session.redis_now_ms() + i64::try_from(APPLY_WITHIN.as_millis()).unwrap_or(i64::MAX)
}
