//! What all long-running commands have in common, and the parts they are put together from.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use daemon::{Lifecycle, Readiness, Telemetry, Verdict, admin_router, bind, exit, serve_http};
use redis_stream::connection::{Link, LinkOptions};
use redis_stream::endpoint::Endpoint;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Failure;
use crate::dispatch::agents::Agents;
use crate::dispatch::dispatcher::{Dispatcher, Stops};
use crate::dispatch::routes::Routes;
use crate::hook::direct::Direct;
use crate::hook::intake::Intake;
use crate::hook::server::{Server, router};
use crate::keeper::{self, Keeper};
use crate::metrics::Metrics;
use crate::outbox::publish::Publisher;
use crate::outbox::{Outbox, OutboxSettings, listing, watch};
use crate::settings::{HookSettings, LineSettings, ProcessSettings, PublishSettings, WorkSettings};
use crate::worker;
use crate::worker::crew::{Crew, CrewParts};

/// Longest time for opening a connection to an agent.
const CONNECT_WITHIN: Duration = Duration::from_secs(4);

/// A process that is being put together.
pub(super) struct Process {
    pub(super) life: Lifecycle,
    pub(super) readiness: Readiness,
    pub(super) metrics: Metrics,
    pub(super) telemetry: Telemetry,
    outbox: listing::Slot,
    links: TaskTracker,
    links_end: CancellationToken,
}

/// Runs `start` on a runtime and then the process until it is stopped.
pub(super) fn run<F, S>(settings: ProcessSettings, start: S) -> Result<u8, Failure>
where
    S: FnOnce(Arc<Process>) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    runtime.block_on(async {
        let telemetry = daemon::init(settings.telemetry)?;
        let admin = bind(settings.admin_addr, "ADMIN_ADDR").await?;
        let process = Arc::new(Process {
            life: Lifecycle::new(settings.grace),
            readiness: Readiness::new(),
            metrics: Metrics::new(&telemetry.meter()),
            telemetry,
            outbox: listing::Slot::default(),
            links: TaskTracker::new(),
            links_end: CancellationToken::new(),
        });
        // Not ready before everything listens.
        let started = process.readiness.latch("start");
        started.set(false, "starting");
        let router = admin_router(process.readiness.clone(), process.telemetry.metrics())
            .merge(listing::router(Arc::clone(&process.outbox)));
        let stop = process.life.finished().clone();
        process.life.spawn_companion("admin", serve_http(admin, router, stop));
        start(Arc::clone(&process)).await?;
        started.set(true, "");
        let verdict = process.life.clone().run_until_stopped().await;
        process.links_end.cancel();
        process.links.close();
        process.links.wait().await;
        if let Some(process) = Arc::into_inner(process) {
            process.telemetry.shutdown().await;
        }
        Ok(if verdict == Verdict::Clean { exit::DONE } else { exit::FAILED })
    })
}

impl Process {
    /// The way to Redis; it stays until everything else has ended.
    pub(super) fn link(&self, endpoint: Endpoint, client_name: &str) -> Link {
        let options = LinkOptions { client_name: client_name.to_owned() };
        Link::start(endpoint, options, &self.links, self.links_end.clone())
    }

    /// The agents.
    pub(super) fn agents(setup: &LineSettings) -> Result<Arc<Agents>, Failure> {
        Ok(Arc::new(Agents::new(a2a::http_client(CONNECT_WITHIN)?, setup.agents.clone())))
    }

    /// Starts the housekeeping in Redis.
    pub(super) fn start_keeper(&self, link: Link, setup: &LineSettings, stream_keep: Option<Duration>) {
        let keeper = Keeper { link, names: Arc::clone(&setup.names), stream_keep, metrics: self.metrics.clone() };
        keeper::start(&self.life, &keeper);
    }

    /// Starts the worker's loops.
    pub(super) fn start_worker(&self, link: Link, setup: &LineSettings, agents: Arc<Agents>, settings: WorkSettings) {
        let stops = Stops { soft: self.life.soft().clone(), last_call: CancellationToken::new() };
        let (lease, give_up_after) = (settings.dispatch.lease, settings.dispatch.give_up_after);
        let dispatcher = Dispatcher::new(
            link.clone(),
            Arc::clone(&setup.names),
            Arc::clone(&agents),
            Routes::new(setup.names.routing.clone(), setup.default_agent.clone()),
            settings.dispatch,
            stops.clone(),
            self.metrics.clone(),
        );
        let (crew, finishes) = Crew::new(CrewParts {
            link,
            names: Arc::clone(&setup.names),
            lease,
            block: settings.block,
            width: settings.width,
            give_up_after,
            nonce: setup.nonce.clone(),
            stops,
            metrics: self.metrics.clone(),
            life: self.life.clone(),
            dispatcher,
            agents,
        });
        worker::start(&self.life, &self.readiness, &crew, finishes);
    }

    /// Starts the hook's server and what it needs.
    pub(super) async fn start_hook(
        &self,
        link: Option<Link>,
        setup: &LineSettings,
        agents: Arc<Agents>,
        parts: HookParts,
    ) -> Result<(), Failure> {
        let HookParts { hook, publish, may_do_without } = parts;
        let listener = bind(hook.http_addr, "HTTP_ADDR").await?;
        let (names, metrics) = (Arc::clone(&setup.names), self.metrics.clone());
        let outbox = open_outbox(&publish.outbox, may_do_without)?;
        // One hook, one outbox.
        let _ = self.outbox.set(Arc::clone(&outbox));
        let publisher = link.clone().map(|link| {
            let replicas = publish.wait_for_replicas;
            Publisher::new(link, Arc::clone(&names), Arc::clone(&outbox), metrics.clone(), replicas)
        });
        if let (Some(link), Some(publisher)) = (link, &publisher) {
            self.life.spawn("publish", Arc::clone(publisher).run(self.life.clone()));
            self.life.spawn("rounds of the outbox", Arc::clone(publisher).run_rounds(self.life.clone()));
            self.life.spawn("outcomes", Arc::clone(publisher.outcomes()).run(link, self.life.clone()));
        }
        let direct = Direct::new(Arc::clone(&outbox), publisher.clone(), agents, self.life.clone(), metrics.clone());
        self.life.spawn("direct dispatch", Arc::clone(&direct).run());
        self.life.spawn(
            "outbox watch",
            watch::run(Arc::clone(&outbox), self.readiness.latch("outbox"), metrics.clone(), self.life.clone()),
        );
        let intake = Intake::new(publisher, outbox, names, hook.intake, direct, metrics);
        let server = Server::new(intake, hook.token, hook.max_body);
        let stop = self.life.soft().clone();
        self.life.spawn_fallible("hook", serve_http(listener, router(server, self.readiness.clone()), stop));
        Ok(())
    }
}

/// What the hook is put together from.
pub(super) struct HookParts {
    pub(super) hook: HookSettings,
    pub(super) publish: PublishSettings,
    /// Nobody asked for the outbox's file: without it the hook keeps everything in memory.
    pub(super) may_do_without: bool,
}

fn open_outbox(settings: &OutboxSettings, may_do_without: bool) -> Result<Arc<Outbox>, Failure> {
    if let Some(folder) = settings.path.as_deref().and_then(Path::parent) {
        // What is wrong with it is said when the file is opened.
        let _ = std::fs::create_dir_all(folder);
    }
    match Outbox::open(settings.clone()) {
        Err(error) if may_do_without => {
            tracing::warn!(%error, "incidents are kept in memory only (set OUTBOX_PATH)");
            Ok(Outbox::open(OutboxSettings { path: None, ..settings.clone() })?)
        }
        opened => Ok(opened?),
    }
}
