//! KEDA and the autoscaler at work on one `ScaledObject`: the calls, over real connections, at real but shorter times.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use super::addresses::Addresses;
use super::workload::{Metric, Read, Seen};
use super::{Keda, Limits, MetricSpec, Reconnect, ScaledObject, Version, Workload, answer};

/// One trigger of type `external` or `external-push`, with the addresses that the scaler's name resolves to.
#[derive(Debug)]
pub struct Trigger {
    scalers: Addresses,
    object: ScaledObject,
    version: Version,
}

impl Trigger {
    /// Connects when it is first used.
    pub fn new(addresses: &[&str], object: ScaledObject, version: Version) -> Result<Self> {
        let scalers = addresses.iter().map(|address| Keda::lazy(address)).collect::<Result<Vec<_>>>()?;
        Ok(Self { scalers: Addresses::new(scalers)?, object, version })
    }

    /// Over a connection that is there.
    pub fn of(keda: &Keda, object: ScaledObject, version: Version) -> Self {
        Self { scalers: Addresses::of(keda.clone()), object, version }
    }

    /// `GetMetricSpec`, then `GetMetrics` and `IsActive` of each spec; what fails is tried once more at once.
    pub async fn round(&self) -> Seen {
        let specs = match self.specs().await {
            Ok(specs) if !specs.is_empty() => Ok(specs),
            Ok(_) | Err(_) => self.specs().await,
        };
        let specs = match specs {
            Ok(specs) if specs.is_empty() => return Seen::Empty,
            Ok(specs) => specs,
            Err(_) => return Seen::Failed,
        };
        let mut metrics = Vec::new();
        for spec in specs {
            let name = answer::outer_name(0, &spec.metric_name);
            let asked = answer::inner_name(&name);
            let read = match self.read(asked).await {
                Ok(read) => Some(read),
                Err(_) => self.read(asked).await.ok(),
            };
            metrics.push(Metric { target: answer::target(self.version, &spec), name, read });
        }
        Seen::Metrics(metrics)
    }

    async fn specs(&self) -> Result<Vec<MetricSpec>, Status> {
        self.scalers.call(async |keda| keda.metric_specs(&self.object).await).await
    }

    async fn read(&self, name: &str) -> Result<Read, Status> {
        let values = self.scalers.call(async |keda| keda.metrics(&self.object, name).await).await?;
        let active = self.scalers.call(async |keda| keda.is_active(&self.object).await).await?;
        Ok(Read { total: answer::total(self.version, &values), active })
    }
}

/// A `ScaledObject` and its times.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Of KEDA.
    pub version: Version,
    /// `external-push`, not `external`.
    pub push: bool,
    /// Replicas.
    pub limits: Limits,
    /// Replicas at the start.
    pub replicas: u32,
    /// `pollingInterval`
    pub polling: Duration,
    /// The autoscaler's period, 15 s by default.
    pub syncing: Duration,
    /// [`Reconnect::FIRST`] in the time of this plan.
    pub reconnect: Duration,
}

/// KEDA at work until it is dropped.
#[derive(Debug)]
pub struct Operator {
    shared: Arc<Shared>,
    seen: watch::Receiver<u32>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    trigger: Trigger,
    plan: Plan,
    begin: Instant,
    workload: Mutex<Workload>,
    replicas: watch::Sender<u32>,
    history: Mutex<Vec<(Duration, u32)>>,
    /// What the last poll brought.
    last: Mutex<Option<Seen>>,
}

impl Operator {
    /// Starts to poll, to autoscale and, for `external-push`, to listen.
    pub fn start(addresses: &[&str], object: ScaledObject, plan: Plan) -> Result<Self> {
        let trigger = Trigger::new(addresses, object, plan.version)?;
        let workload = Workload::new(plan.version, plan.limits.clone(), plan.replicas);
        let (replicas, seen) = watch::channel(plan.replicas);
        let history = Mutex::new(vec![(Duration::ZERO, plan.replicas)]);
        let push = plan.push;
        let begin = Instant::now();
        let (workload, last) = (Mutex::new(workload), Mutex::default());
        let shared = Arc::new(Shared { trigger, plan, begin, workload, replicas, history, last });
        let mut tasks = vec![tokio::spawn(poll(Arc::clone(&shared))), tokio::spawn(sync(Arc::clone(&shared)))];
        if push {
            tasks.push(tokio::spawn(listen(Arc::clone(&shared))));
        }
        Ok(Self { shared, seen, _tasks: tasks.into_iter().map(AbortOnDropHandle::new).collect() })
    }

    /// Replicas now.
    pub fn replicas(&self) -> u32 {
        *self.seen.borrow()
    }

    /// Every number of replicas there was, with its time since the start.
    pub fn history(&self) -> Vec<(Duration, u32)> {
        self.shared.history.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn course(&self) -> String {
        let last = self.shared.last.lock().unwrap_or_else(PoisonError::into_inner);
        format!("{:?}, by the last poll {last:?}", self.history())
    }

    /// Waits until there are so many replicas; gives how long it took.
    pub async fn reach(&self, replicas: u32, patience: Duration) -> Result<Duration> {
        let (begin, mut seen) = (Instant::now(), self.seen.clone());
        let reached = tokio::time::timeout(patience, seen.wait_for(|now| *now == replicas)).await;
        reached.with_context(|| format!("not {replicas} replicas within {patience:?}: {}", self.course()))??;
        Ok(begin.elapsed())
    }

    /// Fails as soon as there is another number of replicas within this time.
    pub async fn stay(&self, replicas: u32, time: Duration) -> Result<()> {
        let mut seen = self.seen.clone();
        let left = tokio::time::timeout(time, seen.wait_for(|now| *now != replicas)).await;
        anyhow::ensure!(left.is_err(), "not {replicas} replicas: {}", self.course());
        Ok(())
    }
}

impl Shared {
    fn change(&self, how: impl FnOnce(&mut Workload, Duration)) {
        let now = self.begin.elapsed();
        let mut workload = self.workload.lock().unwrap_or_else(PoisonError::into_inner);
        let before = workload.replicas();
        how(&mut workload, now);
        let replicas = workload.replicas();
        if replicas != before {
            self.history.lock().unwrap_or_else(PoisonError::into_inner).push((now, replicas));
            self.replicas.send_replace(replicas);
        }
    }
}

async fn poll(shared: Arc<Shared>) {
    let mut ticks = interval(shared.plan.polling);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let seen = [shared.trigger.round().await];
        shared.change(|workload, now| {
            if !workload.is_autoscaled() {
                workload.reconcile(&seen);
            }
            workload.poll(now, &seen);
        });
        let [seen] = seen;
        *shared.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }
}

async fn sync(shared: Arc<Shared>) {
    let mut ticks = interval(shared.plan.syncing);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let seen = [shared.trigger.round().await];
        shared.change(|workload, now| workload.sync(now, &seen));
    }
}

async fn listen(shared: Arc<Shared>) {
    let mut reconnect = Reconnect::new(shared.plan.reconnect);
    loop {
        let ended = follow(&shared).await;
        sleep(reconnect.delay(ended.is_ok())).await;
    }
}

/// One stream, to its end.
async fn follow(shared: &Shared) -> Result<(), Status> {
    let trigger = &shared.trigger;
    let mut stream = trigger.scalers.call(async |keda| keda.stream_is_active(&trigger.object).await).await?;
    while let Some(told) = stream.message().await? {
        shared.change(|workload, now| workload.pushed(now, told.result));
    }
    Ok(())
}
