//! Everything the drill starts. Dropping it kills the processes and removes their folders.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::line::{DATABASE, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, Client, FakeClock, Member, Road, Trio, TrioOptions};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::disk::Disk;
use crate::kinds::{GRACE, LEASE, Sight, UNCERTAIN};
use crate::lives::Lives;
use crate::options::{Control, Options};

const WORKERS: usize = 3;
/// More than `SHUTDOWN_GRACE`.
const LEAVE_WITHIN: Duration = Duration::from_secs(20);

/// The line, as processes on free ports.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) trio: Trio,
    /// In the order of [`Sight::BOTH`], as the hooks.
    pub(crate) agents: Vec<Agent>,
    pub(crate) hooks: Vec<Place>,
    pub(crate) workers: Vec<Place>,
    pub(crate) lives: Lives,
    /// The clock of the data servers.
    pub(crate) redis_clock: Option<FakeClock>,
    /// Where one hook has its outbox.
    pub(crate) disk: Option<Disk>,
    pub(crate) folder: TempDir,
}

/// A process of the product: it may be ended and started again, its road and settings stay.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) road: Road,
    pub(crate) clock: Option<FakeClock>,
    pub(crate) address: watch::Sender<String>,
    command: &'static str,
    settings: Settings,
    member: Member,
    lives: Lives,
    /// What the processes before this one have logged.
    past: String,
}

impl Stage {
    /// Starts one after the other.
    pub(crate) async fn start(options: &Options) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("drill-").tempdir()?;
        // Only what is needed: the line is to be as it is elsewhere.
        let needs = |id: &str| options.chosen().iter().any(|kind| kind.id.starts_with(id));
        let redis_clock = if needs("clock") { FakeClock::new(folder.path(), "redis")? } else { None };
        let trio = Trio::start(trio_options(redis_clock.as_ref())).await?;
        let mut agents = Vec::new();
        for kind in [AgentKind::V10, AgentKind::V03] {
            agents.push(Agent::start(kind, AgentOptions::default()).await?);
        }
        let config = folder.path().join("agents.toml");
        std::fs::write(&config, profiles(&agents))?;
        let disk = if needs("disk") { Disk::mount(&outbox_folder(folder.path(), Sight::Listing))? } else { None };
        let (hooks, workers, lives) = (Vec::new(), Vec::new(), Lives::default());
        let mut stage = Self { trio, agents, hooks, workers, lives, redis_clock, disk, folder };
        for sight in Sight::BOTH {
            let settings = hook_settings(&config, stage.folder.path(), sight, options)?;
            let hook = stage.place("hook", sight.agent(), settings).await?;
            stage.hooks.push(hook);
        }
        for number in 1..=WORKERS {
            let worker = stage.place("work", &number.to_string(), worker_settings(&config, options.control)).await?;
            stage.workers.push(worker);
        }
        Ok(stage)
    }

    async fn place(&self, command: &'static str, name: &str, settings: Settings) -> Result<Place> {
        let road = Road::open(&self.trio.addresses(), &self.trio.sentinels()).await?;
        let file = format!("{command}-{name}");
        let clock = if self.redis_clock.is_some() { FakeClock::new(self.folder.path(), &file)? } else { None };
        let settings = settings.with("REDIS_SENTINELS", road.sentinels().join(","));
        let variables = clock.iter().flat_map(FakeClock::environment);
        let settings = variables.fold(settings, |settings, (name, value)| settings.with(&name, value));
        let member = Member::dispatcher(command, &settings).await?;
        self.lives.begin(&member.admin);
        let address = watch::Sender::new(member.http.clone());
        let lives = self.lives.clone();
        let (name, past) = (format!("{command} {name}"), String::new());
        Ok(Place { name, road, clock, address, command, settings, member, lives, past })
    }

    /// Fails if a program has ended.
    pub(crate) fn all_running(&mut self) -> Result<()> {
        for place in self.hooks.iter_mut().chain(&mut self.workers) {
            let running = place.member.program.is_running();
            ensure!(running, "{} has ended by itself: {}", place.name, place.member.program.tail());
        }
        Ok(())
    }

    /// Hooks and workers.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.hooks.iter().chain(&self.workers)
    }

    /// Writes the logs of all processes into a folder.
    pub(crate) fn keep_logs(&self, folder: Option<&Path>) -> Result<()> {
        let Some(folder) = folder else { return Ok(()) };
        std::fs::create_dir_all(folder)?;
        for place in self.places() {
            std::fs::write(folder.join(format!("{}.log", place.name.replace(' ', "-"))), place.log())?;
        }
        Ok(())
    }

    /// A connection to the master, in the line's database.
    pub(crate) async fn master(&self) -> Result<Client> {
        self.trio.client(DATABASE).await
    }
}

impl Place {
    /// SIGKILL, and another process in its place.
    pub(crate) async fn kill_and_start(&mut self) -> Result<()> {
        self.lives.end(&self.member.admin).await;
        self.member.program.kill9().await?;
        self.start().await
    }

    /// SIGTERM, and another process in its place once it has ended; gives how it ended.
    pub(crate) async fn end_and_start(&mut self) -> Result<ExitStatus> {
        let status = self.end().await?;
        self.start().await?;
        Ok(status)
    }

    /// SIGTERM; gives how it ended.
    pub(crate) async fn end(&mut self) -> Result<ExitStatus> {
        self.lives.end(&self.member.admin).await;
        self.member.program.terminate(LEAVE_WITHIN).await
    }

    /// SIGSTOP or SIGCONT.
    pub(crate) fn pause(&mut self, paused: bool) -> Result<()> {
        if paused { self.member.program.pause() } else { self.member.program.resume() }
    }

    /// Where its metrics are.
    pub(crate) fn admin(&self) -> &str {
        &self.member.admin
    }

    /// Everything that it has logged, in all its lives.
    pub(crate) fn log(&self) -> String {
        format!("{}{}", self.past, self.member.program.log())
    }

    /// Starts the process once more.
    pub(crate) async fn start(&mut self) -> Result<()> {
        self.past = self.log();
        let started = Member::dispatcher(self.command, &self.settings).await;
        self.member = started.with_context(|| format!("{} could not be started again", self.name))?;
        self.lives.begin(&self.member.admin);
        self.address.send_replace(self.member.http.clone());
        Ok(())
    }
}

/// Only what SAVE was asked for is on disk: a master that is killed may come back with that.
fn trio_options(clock: Option<&FakeClock>) -> TrioOptions {
    let environment = clock.map(FakeClock::environment).unwrap_or_default();
    TrioOptions { config: vec!["appendonly no".into()], environment, ..TrioOptions::default() }
}

/// A folder for each, so that one of them can be a disk of its own.
fn outbox_folder(folder: &Path, sight: Sight) -> PathBuf {
    folder.join(format!("outbox-{}", sight.agent()))
}

/// The settings file: one agent that lists, one that is blind and answers a send at the run's end.
fn profiles(agents: &[Agent]) -> String {
    let url = |index: usize| agents.get(index).map(Agent::url).unwrap_or_default();
    format!(
        "[defaults]\nmax_runs = 100000\nrun_deadline = \"75s\"\nsend_timeout = \"3s\"\n\
         [agents.\"kagent/{}\"]\nurl = \"{}/\"\nversion = \"1.0\"\nrecovery = \"list\"\n\
         [agents.\"kagent/{}\"]\nurl = \"{}/\"\nversion = \"0.3\"\nrecovery = \"none\"\nmode = \"blocking\"\n",
        Sight::Listing.agent(),
        url(0),
        Sight::Blind.agent(),
        url(1),
    )
}

fn common(config: &Path) -> Settings {
    Settings::default()
        .with("CONFIG", config.to_string_lossy())
        .with("MIN_IDLE_MS", LEASE.as_millis().to_string())
        .with("BLOCK_MS", "1000")
        .with("SHUTDOWN_GRACE", format!("{}s", GRACE.as_secs()))
        .with("DISPATCHER_WORKERS", "20")
}

fn hook_settings(config: &Path, folder: &Path, sight: Sight, options: &Options) -> Result<Settings> {
    let settings = common(config)
        .with("ALERTMANAGER_TARGET_AGENT", sight.agent())
        .with("DIRECT_AFTER_UNCERTAIN", format!("{}s", UNCERTAIN.as_secs()))
        .with("OUTBOX_ROUND", format!("{}s", options.round));
    if options.control == Some(Control::Outbox) {
        return Ok(settings);
    }
    let outbox = outbox_folder(folder, sight);
    std::fs::create_dir_all(&outbox)?;
    Ok(settings.with("OUTBOX_PATH", outbox.join("outbox").to_string_lossy()))
}

fn worker_settings(config: &Path, control: Option<Control>) -> Settings {
    match control {
        Some(Control::Renewal) => common(config).with("DRILL_CONTROL", "no-renewal"),
        Some(Control::Recovery) => common(config).with("DRILL_CONTROL", "no-recovery"),
        Some(Control::Outbox) | None => common(config),
    }
}
