//! What becomes of an alert: the stream; an agent directly when Redis certainly has not taken it;
//! otherwise Alertmanager is told to come again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use daemon::TraceContext;
use jiff::Timestamp;
use redis_stream::connection::{Link, Session};
use redis_stream::error::Error;
use redis_stream::script::Call;
use redis_stream::value;
use serde::Serialize;

use super::direct::{Direct, Handed};
use super::payload::{Filter, Unreadable, Webhook};
use crate::dispatch::names::{KEEP_FINAL, Names, episode_key};
use crate::dispatch::publish::{self, Begun, Published};
use crate::dispatch::record;
use crate::dispatch::scripts;
use crate::incident::{Alert, Incident, Status};
use crate::metrics::Metrics;

/// How long a publish may still be applied after it was sent, by Redis' clock.
const APPLY_WITHIN: Duration = Duration::from_secs(2);
/// How long a webhook waits for a connection before it goes the other way.
const CONNECTION_WITHIN: Duration = Duration::from_millis(500);
/// Calls of one round trip at most.
const BATCH: usize = 100;
/// Incidents remembered as offered to Redis, so that nothing is sent as new that may have run.
const REMEMBERED: usize = 100_000;

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
    link: Option<Link>,
    names: Arc<Names>,
    settings: IntakeSettings,
    direct: Arc<Direct>,
    metrics: Metrics,
    offers: Mutex<Offers>,
}

/// What became of one incident at Redis.
enum Publishing {
    Taken(Published),
    /// It certainly is not on the stream.
    No,
    /// It may be, now or later.
    Unknown,
}

impl Intake {
    /// `link`: absent when no Redis is configured at all.
    pub fn new(
        link: Option<Link>,
        names: Arc<Names>,
        settings: IntakeSettings,
        direct: Arc<Direct>,
        metrics: Metrics,
    ) -> Self {
        Self { link, names, settings, direct, metrics, offers: Mutex::default() }
    }

    /// Takes one webhook in; `trace` is its sender's.
    pub async fn take(&self, webhook: Webhook, trace: &TraceContext) -> Tally {
        let mut tally = Tally::default();
        let session = match &self.link {
            Some(link) => link.session(CONNECTION_WITHIN).await.ok(),
            None => None,
        };
        self.bury(session.as_ref(), &webhook.unreadable, &mut tally).await;
        let (wanted, others): (Vec<_>, Vec<_>) =
            webhook.alerts.into_iter().partition(|alert| self.settings.filter.takes(alert));
        tally.ignored = others.len() as u64;
        if let Some(session) = &session {
            self.close_episodes(session, &others).await;
        }
        let mut incidents = self.incidents(session.as_ref(), wanted, trace).await;
        // What went directly is published by its hand-over alone: as begun, not as new.
        incidents.retain(|incident| match self.direct.standing(&incident.workflow_id, session.is_some()) {
            None => true,
            Some(standing) => {
                let counter = if standing == Handed::No { &mut tally.refused } else { &mut tally.duplicate };
                *counter += 1;
                false
            }
        });
        let left = match session {
            Some(session) => self.publish(&session, incidents, &mut tally).await,
            None => incidents,
        };
        self.hand_directly(left, &mut tally).await;
        tally.accepted = tally.stream + tally.direct + tally.outbox;
        tally.status = if tally.refused == 0 { "accepted" } else { "unavailable" };
        self.count(&tally);
        tally
    }

    /// Alerts that cannot be read become dead letters, each once.
    async fn bury(&self, session: Option<&Session>, unreadable: &[Unreadable], tally: &mut Tally) {
        for alert in unreadable {
            tracing::warn!(problem = %alert.problem, digest = %alert.digest, "an alert cannot be read");
            let buried = match session {
                Some(session) => self.bury_one(session, alert).await,
                None => Ok(self.link.is_none()),
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
            if let Some(Some(start)) = starts.get(index) {
                alert.starts_at = *start;
            }
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

    /// Publishes; answers those that certainly are not on the stream.
    async fn publish(&self, session: &Session, incidents: Vec<Incident>, tally: &mut Tally) -> Vec<Incident> {
        let mut left = Vec::new();
        let mut incidents = incidents.into_iter().peekable();
        while incidents.peek().is_some() {
            let batch: Vec<_> = incidents.by_ref().take(BATCH).collect();
            let results = self.publish_batch(session, &batch).await;
            for (incident, result) in batch.into_iter().zip(results) {
                match result {
                    Publishing::Taken(Published::New) => {
                        tally.stream += 1;
                        self.remember(incident.workflow_id, Offer::Confirmed);
                    }
                    Publishing::Taken(_) => {
                        tally.duplicate += 1;
                        self.remember(incident.workflow_id, Offer::Confirmed);
                    }
                    Publishing::No => left.push(incident),
                    Publishing::Unknown => {
                        tally.refused += 1;
                        self.remember(incident.workflow_id, Offer::Unanswered);
                    }
                }
            }
        }
        left
    }

    async fn publish_batch(&self, session: &Session, batch: &[Incident]) -> Vec<Publishing> {
        let (deadline, rerun) = (deadline(session), self.settings.rerun_after);
        let calls: Vec<_> = batch
            .iter()
            .map(|incident| {
                // Redis can forget a whole run in a failover: what was offered before may have run.
                let begun = if self.offered(incident).is_some() { Begun::Offered } else { Begun::Queued };
                publish::publish(&self.names, incident, &begun, deadline, rerun)
            })
            .collect();
        // Whoever stops waiting here must not forget that these were sent.
        let first: Vec<_> = batch.iter().map(|incident| self.offered(incident).is_none()).collect();
        for (incident, _) in batch.iter().zip(&first).filter(|(_, first)| **first) {
            self.remember(incident.workflow_id.clone(), Offer::Unanswered);
        }
        let results: Vec<_> = match session.invoke_all(&calls).await {
            Ok(replies) => replies
                .into_iter()
                .map(|reply| self.judge(reply.and_then(|reply| publish::published(&reply))))
                .collect(),
            Err(error) => batch.iter().map(|_| self.judge(Err(error.clone()))).collect(),
        };
        for ((incident, first), result) in batch.iter().zip(first).zip(&results) {
            if first && matches!(result, Publishing::No) {
                self.withdraw(&incident.workflow_id);
            }
        }
        results
    }

    fn judge(&self, result: Result<Published, Error>) -> Publishing {
        match result {
            Ok(Published::Expired) => Publishing::No,
            Ok(published) => Publishing::Taken(published),
            Err(error) => {
                self.metrics.redis_error(error.class());
                tracing::warn!(%error, uncertain = error.uncertain(), "not published");
                if error.uncertain() { Publishing::Unknown } else { Publishing::No }
            }
        }
    }

    async fn hand_directly(&self, incidents: Vec<Incident>, tally: &mut Tally) {
        let mut new = Vec::new();
        for incident in incidents {
            match self.offered(&incident) {
                Some(Offer::Confirmed) => tally.duplicate += 1,
                // It may be on the stream, now or later.
                Some(Offer::Unanswered) => tally.refused += 1,
                None => new.push(incident),
            }
        }
        for handed in self.direct.hand_all(new).await {
            match handed {
                Handed::Accepted => tally.direct += 1,
                Handed::Known => tally.duplicate += 1,
                Handed::No => tally.refused += 1,
            }
        }
    }

    fn remember(&self, workflow_id: String, offer: Offer) {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner).add(workflow_id, offer);
    }

    /// Redis certainly has not taken it.
    fn withdraw(&self, workflow_id: &str) {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner).ids.remove(workflow_id);
    }

    fn offered(&self, incident: &Incident) -> Option<Offer> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner).ids.get(&incident.workflow_id).copied()
    }

    fn count(&self, tally: &Tally) {
        for (result, count) in [
            ("stream", tally.stream),
            ("direct", tally.direct),
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

/// What came of publishing an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offer {
    /// Redis has taken it.
    Confirmed,
    /// No answer came.
    Unanswered,
}

/// The newest offers, bounded.
#[derive(Default)]
struct Offers {
    ids: HashMap<String, Offer>,
    order: VecDeque<String>,
}

impl Offers {
    fn add(&mut self, id: String, offer: Offer) {
        if self.ids.insert(id.clone(), offer).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest);
            }
        }
    }
}
