//! The loops that heal: every open incident is offered to Redis again and again, until it has ended. What Redis has
//! forgotten goes onto the stream anew; what it knows stays as it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use daemon::Lifecycle;
use redis_stream::connection::{Link, Session};
use redis_stream::error::{Class, Error};

use super::Outbox;
use super::index::Mark;
use super::item::{Offer, Sent, Stage};
use super::outcomes::Outcomes;
use super::tombstones::Tombstones;
use crate::dispatch::names::Names;
use crate::dispatch::publish::{self, Begun, Published};
use crate::dispatch::record::{self, Finish, Subject};
use crate::incident::{Incident, STEP};
use crate::metrics::Metrics;

/// How long a publish may still be applied after it was sent, by Redis' clock.
const APPLY_WITHIN: Duration = Duration::from_secs(2);
/// From one offer of the same incident to the next: the last one may still be applied before.
const APART: Duration = Duration::from_secs(3);
/// What Redis has not taken is not offered again before, however many new incidents call.
const REFUSED_FOR: Duration = Duration::from_millis(100);
/// From one look at what is not published to the next, while nothing calls.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A history is new for so long: the first round puts back what the one before it had.
const NEW_FOR: Duration = Duration::from_secs(10);
/// Calls of one round trip at most.
const BATCH: usize = 100;

/// What became of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offered {
    /// Redis has it.
    Taken(Published),
    /// It certainly is not on the stream.
    No,
    /// It may be, now or later.
    Unknown,
}

/// What tells one failure to publish from another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trouble {
    class: Class,
    code: Option<String>,
    uncertain: bool,
}

impl From<&Error> for Trouble {
    fn from(error: &Error) -> Self {
        Self { class: error.class(), code: error.code().map(str::to_owned), uncertain: error.uncertain() }
    }
}

/// Offers incidents to Redis. One for the process.
pub struct Publisher {
    link: Link,
    names: Arc<Names>,
    outbox: Arc<Outbox>,
    outcomes: Arc<Outcomes>,
    tombstones: Tombstones,
    metrics: Metrics,
    wait_for_replicas: usize,
    /// Why Redis has not taken what it was offered last.
    trouble: Mutex<Option<Trouble>>,
    /// Redis' history, and since when another one is gone, if this process has seen that.
    history: Mutex<(String, Option<Instant>)>,
}

impl Publisher {
    /// Nothing was offered yet. `wait_for_replicas`: so many have to have what was published before that counts.
    pub fn new(
        link: Link,
        names: Arc<Names>,
        outbox: Arc<Outbox>,
        metrics: Metrics,
        wait_for_replicas: usize,
    ) -> Arc<Self> {
        let outcomes = Outcomes::new(Arc::clone(&names), Arc::clone(&outbox), metrics.clone());
        let tombstones = Tombstones::new(Arc::clone(&names), Arc::clone(&outbox), metrics.clone());
        let (trouble, history) = (Mutex::default(), Mutex::default());
        Arc::new(Self { link, names, outbox, outcomes, tombstones, metrics, wait_for_replicas, trouble, history })
    }

    /// The connection.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// The follower of outcomes.
    pub fn outcomes(&self) -> &Arc<Outcomes> {
        &self.outcomes
    }

    /// Redis takes what it is offered.
    pub fn is_well(&self) -> bool {
        lock(&self.trouble).is_none() && self.link.current().is_some()
    }

    /// Whether another incident may go onto the stream now, or waits behind others.
    pub fn has_room(&self) -> bool {
        let most = self.outbox.settings().most_published;
        self.outbox.look(|index| !index.has_queue())
            && usize::try_from(self.outbox.counts().published).unwrap_or(usize::MAX) < most
    }

    /// Offers open incidents, in order.
    pub async fn offer(&self, session: &Session, incidents: &[Incident], rerun: Option<Duration>) -> Vec<Offered> {
        let mut all = Vec::with_capacity(incidents.len());
        for batch in incidents.chunks(BATCH) {
            all.extend(self.offer_batch(session, batch, rerun).await);
        }
        all
    }

    async fn offer_batch(&self, session: &Session, batch: &[Incident], rerun: Option<Duration>) -> Vec<Offered> {
        let before: Vec<_> = batch.iter().map(|incident| self.outbox.find(&incident.workflow_id)).collect();
        let ids: Vec<_> = batch.iter().map(|incident| incident.workflow_id.as_str()).collect();
        // A restart must not take for new what Redis may have.
        if self.outbox.begin_offer(&ids).await.is_err() {
            return batch.iter().map(|_| Offered::No).collect();
        }
        let deadline = session.redis_now_ms() + i64::try_from(APPLY_WITHIN.as_millis()).unwrap_or(i64::MAX);
        let earlier = self.is_new_history(session);
        let calls: Vec<_> = batch
            .iter()
            .zip(&before)
            .map(|(incident, mark)| {
                let mark = mark.as_ref();
                let begun =
                    mark.map_or(Begun::Queued, |mark| begun(mark.offer_so_far(), mark.direct.as_ref(), earlier));
                publish::publish(&self.names, incident, &begun, deadline, rerun)
            })
            .collect();
        let mut results: Vec<_> = match session.invoke_all(&calls).await {
            Ok(replies) => replies
                .into_iter()
                .map(|reply| self.judge(reply.and_then(|reply| publish::published(&reply))))
                .collect(),
            Err(error) => batch.iter().map(|_| self.judge(Err(error.clone()))).collect(),
        };
        self.have_replicated(session, &mut results).await;
        for ((incident, before), result) in batch.iter().zip(before).zip(&results) {
            let offer = match result {
                Offered::Taken(_) => Offer::Confirmed,
                Offered::Unknown => Offer::Unanswered,
                Offered::No => before.map_or(Offer::Never, |mark| mark.offer_so_far()),
            };
            self.outbox.end_offer(&incident.workflow_id, offer);
        }
        results
    }

    /// Redis has left another history a moment ago: what it does not know was lost with that. Later a record that is
    /// missing was evicted or deleted, and its incident may have been sent just now.
    fn is_new_history(&self, session: &Session) -> bool {
        let mut history = lock(&self.history);
        if history.0 != session.replid() {
            let opened = Instant::now().checked_sub(session.age());
            let left = opened.filter(|_| !history.0.is_empty());
            *history = (session.replid().to_owned(), left);
        }
        history.1.is_some_and(|left| left.elapsed() < NEW_FOR)
    }

    fn judge(&self, result: Result<Published, Error>) -> Offered {
        match result {
            Ok(Published::Expired) => Offered::No,
            Ok(published) => {
                lock(&self.trouble).take();
                Offered::Taken(published)
            }
            Err(error) => {
                self.metrics.redis_error(error.class());
                // What is waiting is tried again and again: the same is said once.
                let trouble = Trouble::from(&error);
                let uncertain = trouble.uncertain;
                if lock(&self.trouble).replace(trouble.clone()) != Some(trouble) {
                    tracing::warn!(%error, uncertain, "not published");
                }
                if uncertain { Offered::Unknown } else { Offered::No }
            }
        }
    }

    /// Where replicas have to have it too, what they do not have is not taken for published.
    async fn have_replicated(&self, session: &Session, results: &mut [Offered]) {
        const WITHIN: Duration = Duration::from_secs(1);
        if self.wait_for_replicas == 0 || !results.iter().any(|result| matches!(result, Offered::Taken(_))) {
            return;
        }
        let mut wait = redis::Cmd::new();
        wait.arg("WAIT").arg(self.wait_for_replicas).arg(u64::try_from(WITHIN.as_millis()).unwrap_or(u64::MAX));
        let have = match session.run(&wait).await {
            Ok(reply) => redis_stream::value::int(&reply).unwrap_or(0),
            Err(error) => {
                self.metrics.redis_error(error.class());
                0
            }
        };
        if usize::try_from(have).is_ok_and(|have| have >= self.wait_for_replicas) {
            return;
        }
        tracing::warn!(have, wanted = self.wait_for_replicas, "too few replicas have what was published");
        for result in
            results.iter_mut().filter(|result| matches!(result, Offered::Taken(Published::New | Published::Again)))
        {
            *result = Offered::Unknown;
        }
    }

    /// Publishes what waits, in order. Runs until the soft stop.
    pub async fn run(self: Arc<Self>, life: Lifecycle) {
        let mut sessions = self.link.sessions();
        loop {
            if let Some(session) = self.link.current()
                && !self.offer_waiting(&session, &life).await
            {
                // Each new incident calls; what was refused a moment ago would be refused again.
                tokio::select! {
                    () = tokio::time::sleep(REFUSED_FOR) => {}
                    _ = sessions.changed() => continue,
                    () = life.soft().cancelled() => return,
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.outbox.changed().notified() => {}
                _ = sessions.changed() => {}
                () = life.soft().cancelled() => return,
            }
        }
    }

    /// Goes through everything that is known, now and then, and at once when Redis has another history or has forgotten
    /// outcomes. Runs until the soft stop.
    pub async fn run_rounds(self: Arc<Self>, life: Lifecycle) {
        let mut done: Option<(String, Instant)> = None;
        let mut sessions = self.link.sessions();
        loop {
            if let Some(session) = self.link.current() {
                let anew = done.as_ref().is_none_or(|(replid, _)| replid != session.replid());
                let due = done.as_ref().is_none_or(|(_, at)| at.elapsed() >= self.outbox.settings().round_every);
                if (anew || due) && self.round(&session, anew).await {
                    done = Some((session.replid().to_owned(), Instant::now()));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = sessions.changed() => {}
                () = self.outcomes.forgotten().notified() => done = None,
                () = life.soft().cancelled() => return,
            }
        }
    }

    /// What has ended lately, then everything that is open, then all else that has ended: there may be a great many, and
    /// nobody waits for them. `anew`: Redis has another history than before, or has forgotten outcomes.
    async fn round(&self, session: &Session, anew: bool) -> bool {
        let latest = if anew { self.tombstones.latest(session).await } else { Ok(()) };
        let offered = latest.is_ok() && self.offer_all(session).await;
        let ended = match latest {
            Ok(()) => self.tombstones.round(session, anew).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &ended {
            tracing::warn!(%error, "what has ended is not all put back yet");
        }
        ended.is_ok() && offered
    }

    /// Offers everything that is open and was offered before; false: not now.
    async fn offer_all(&self, session: &Session) -> bool {
        let mut after = None;
        loop {
            let numbers = self.outbox.look(|index| index.after(after, BATCH));
            let Some(last) = numbers.last().copied() else { return true };
            after = Some(last);
            // What was never offered goes in its turn, by the rate that the stream may take. What is being offered now
            // must not be taken for what was offered before.
            let again = |mark: Mark| mark.offer != Offer::Never && mark.offered.is_none_or(|at| at.elapsed() >= APART);
            let published = self
                .open(numbers)
                .await
                .into_iter()
                .filter(|incident| self.outbox.find(&incident.workflow_id).is_some_and(again));
            if !self.offer_open(session, published.collect()).await {
                return false;
            }
        }
    }

    /// Offers what waits; false: not now.
    async fn offer_waiting(&self, session: &Session, life: &Lifecycle) -> bool {
        while !life.soft().is_cancelled() {
            let published = usize::try_from(self.outbox.counts().published).unwrap_or(usize::MAX);
            let room = self.outbox.settings().most_published.saturating_sub(published).min(BATCH);
            let numbers = self.outbox.look(|index| index.to_offer(room, APART, Instant::now()));
            if numbers.is_empty() {
                return true;
            }
            let open = self.open(numbers).await;
            // They are there and cannot be read: not now.
            if open.is_empty() || !self.offer_open(session, open).await {
                return false;
            }
        }
        true
    }

    async fn open(&self, numbers: Vec<u64>) -> Vec<Incident> {
        match self.outbox.incidents(numbers).await {
            Ok(found) => found.into_iter().map(|(_, incident)| incident).collect(),
            Err(error) => {
                tracing::warn!(%error, "open incidents cannot be read");
                Vec::new()
            }
        }
    }

    /// Offers these; false: not now.
    async fn offer_open(&self, session: &Session, incidents: Vec<Incident>) -> bool {
        let (ended, rest): (Vec<_>, Vec<_>) =
            incidents.into_iter().partition(|incident| self.end_of(&incident.workflow_id).is_some());
        for incident in ended {
            if !self.record_end(session, &incident).await {
                return false;
            }
        }
        let direct: Vec<_> = rest.iter().map(|incident| self.outbox.find(&incident.workflow_id)).collect();
        let results = self.offer(session, &rest, None).await;
        let mut finals = Vec::new();
        for ((incident, mark), result) in rest.iter().zip(direct).zip(&results) {
            match result {
                Offered::Taken(Published::Final) => finals.push(incident.workflow_id.clone()),
                Offered::Taken(published) => self.announce(incident, mark.and_then(|mark| mark.direct), *published),
                Offered::No | Offered::Unknown => {}
            }
        }
        if let Err(error) = self.outcomes.learn(session, &finals).await {
            tracing::warn!(%error, "final records cannot be read");
        }
        results.iter().all(|result| matches!(result, Offered::Taken(_)))
    }

    fn announce(&self, incident: &Incident, direct: Option<Sent>, published: Published) {
        let id = &incident.workflow_id;
        match (direct.map(|sent| sent.stage), published) {
            (Some(Stage::Running), Published::New) => {
                tracing::info!(workflow_id = %id, "a direct dispatch was handed over to the workers");
            }
            // The worker asks an agent that lists, and may be told that it is not there yet.
            (Some(_), Published::New) => self.metrics.duplicate_possible("direct"),
            (_, Published::Again) => {
                self.metrics.republished();
                tracing::warn!(workflow_id = %id, "Redis had forgotten its entry; it is on the stream again");
            }
            _ => {}
        }
    }

    fn end_of(&self, id: &str) -> Option<Sent> {
        let sent = self.outbox.find(id)?.direct?;
        matches!(sent.stage, Stage::Ended(_)).then_some(sent)
    }

    /// The end of a direct run becomes the record's.
    async fn record_end(&self, session: &Session, incident: &Incident) -> bool {
        let Some(Sent { run, stage: Stage::Ended(outcome) }) = self.end_of(&incident.workflow_id) else { return true };
        let subject =
            Subject { workflow_id: incident.workflow_id.clone(), step: STEP.to_owned(), entry_id: String::new() };
        let fields = incident.fields().into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let finish = Finish { subject, run, outcome, fields, acknowledge: false, via: "direct" };
        match session.invoke(&record::finish(&self.names, &finish)).await {
            Ok(_) => {
                self.outbox.end_offer(&incident.workflow_id, Offer::Confirmed);
                if let Err(error) = self.outcomes.learn(session, std::slice::from_ref(&incident.workflow_id)).await {
                    tracing::warn!(%error, "a final record cannot be read");
                }
                true
            }
            Err(error) => {
                self.metrics.redis_error(error.class());
                tracing::warn!(%error, "the end of a direct run is not recorded yet");
                false
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a record that is created now has to say.
fn begun(offer: Offer, direct: Option<&Sent>, earlier: bool) -> Begun {
    match (direct, offer) {
        (Some(Sent { run, stage: Stage::Running | Stage::Ended(_) }), _) => Begun::Accepted(run.clone()),
        (Some(_), _) => Begun::Unanswered,
        (None, Offer::Never) => Begun::Queued,
        (None, Offer::Unanswered | Offer::Confirmed) if earlier => Begun::OfferedEarlier,
        (None, Offer::Unanswered | Offer::Confirmed) => Begun::Offered,
    }
}
