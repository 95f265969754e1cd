//! What all long-running commands have in common, and the parts they are put together from.

use std::future::Future;
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
use crate::settings::{HookSettings, LineSettings, ProcessSettings, WorkSettings};
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
            links: TaskTracker::new(),
            links_end: CancellationToken::new(),
        });
        // Not ready before everything listens.
        let started = process.readiness.latch("start");
        started.set(false, "starting");
        let router = admin_router(process.readiness.clone(), process.telemetry.metrics());
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
        settings: HookSettings,
    ) -> Result<(), Failure> {
        let listener = bind(settings.http_addr, "HTTP_ADDR").await?;
        let names = Arc::clone(&setup.names);
        let direct = Direct::new(link.clone(), Arc::clone(&names), agents, self.life.clone(), self.metrics.clone());
        let intake = Intake::new(link, names, settings.intake, Arc::clone(&direct), self.metrics.clone());
        let server = Server::new(intake, settings.token, settings.max_body);
        self.life.spawn("direct hand-over", direct.run());
        let stop = self.life.soft().clone();
        self.life.spawn_fallible("hook", serve_http(listener, router(server, self.readiness.clone()), stop));
        Ok(())
    }
}
