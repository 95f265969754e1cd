//! `replay`: an operator's view of what is not settled, and running it again.

mod change;
mod drop;
mod export;
mod import;
mod list;
mod print;
mod progress;
mod retry;
mod show;

use std::io;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use daemon::settings::parse;
use daemon::{Mistakes, escape, exit};
use redis_stream::connection::{Link, LinkOptions, Session};
use redis_stream::error::{Class, Error};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Failure;
use crate::dispatch::agents::AgentName;
use crate::dispatch::names::Names;
use crate::replay::did::PATIENCE;
use crate::replay::filter::{Filter, Now, Selection};
use crate::replay::item::Item;
use crate::replay::scan::Scan;
use crate::settings::{self, LineSettings, args};

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List what is pending, waiting, parked and dead
    List(list::Args),
    /// Show everything about one incident
    Show(show::Args),
    /// Give back what is stuck, run again what is parked or dead
    Retry(retry::Args),
    /// Give up what nobody wants to run: a dead letter, acknowledged
    Drop(drop::Args),
    /// Write what is pending, waiting, parked and dead to a file, one JSON object a line
    Export(export::Args),
    /// Put what was exported onto the stream, unless it is known there
    Import(import::Args),
}

/// Where Redis and the agents are.
#[derive(Debug, clap::Args)]
struct Place {
    #[command(flatten)]
    line: args::LineArgs,
    /// Lease of the workers, milliseconds [default: 30000]
    #[arg(long, env = "MIN_IDLE_MS", hide_env_values = true, value_name = "MS", help_heading = "Stream")]
    min_idle_ms: Option<String>,
}

/// Which entries are meant.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Filters")]
struct Filters {
    /// Where they are; stuck: pending, and either idle for a lease or delivered three times or more
    #[arg(long, default_value = "all", value_parser = PossibleValuesParser::new(Selection::WORDS)
        .try_map(|word| word.parse::<Selection>()))]
    state: Selection,
    /// Only what was written to where it is longer ago than this, such as 10m
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    older_than: Option<Duration>,
    /// Only what is for this agent: agent, or namespace/agent
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
}

/// How something is changed.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Changing")]
struct Manner {
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// At most this many per second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,
    /// At most this many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object per line
    Json,
}

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("Redis cannot be reached: {0}")]
    Unreachable(Error),
    #[error("{0}")]
    Redis(#[from] Error),
    #[error("a file cannot be read or written: {0}")]
    Output(#[from] io::Error),
    #[error("{0}")]
    Setup(#[from] Failure),
}

/// The error with the name of the file.
fn named(file: &str) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{file}: {error}"))
}

impl Trouble {
    fn code(&self) -> u8 {
        match self {
            Self::Unreachable(_) => exit::UNAVAILABLE,
            Self::Redis(error) if matches!(error.class(), Class::Reconnect | Class::Retry) => exit::UNAVAILABLE,
            Self::Redis(_) | Self::Setup(_) | Self::Output(_) => exit::FAILED,
        }
    }
}

/// What every command has.
struct Desk {
    link: Link,
    setup: LineSettings,
    lease: Duration,
}

impl Desk {
    async fn session(&self) -> Result<Session, Trouble> {
        self.link.session(PATIENCE).await.map_err(Trouble::Unreachable)
    }

    fn now(&self, session: &Session) -> Now {
        Now { ms: session.redis_now_ms(), lease: self.lease }
    }

    fn names(&self) -> &Arc<Names> {
        &self.setup.names
    }

    /// The next page; a second time where the connection was lost.
    async fn page(&self, scan: &mut Scan) -> Result<Option<Vec<Item>>, Trouble> {
        match scan.page(&self.session().await?).await {
            Err(error) if error.class() == Class::Reconnect => Ok(scan.page(&self.session().await?).await?),
            page => Ok(page?),
        }
    }
}

/// Runs one of the commands.
pub(super) fn main(args: Args) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    runtime.block_on(async {
        let _telemetry = super::quiet("warn")?;
        match args.command {
            Command::List(args) => list::main(args).await,
            Command::Show(args) => show::main(args).await,
            Command::Retry(args) => retry::main(args).await,
            Command::Drop(args) => drop::main(args).await,
            Command::Export(args) => export::main(args).await,
            Command::Import(args) => import::main(args).await,
        }
    })
}

/// Reads the settings and the filters, then does the work. All mistakes come back at once.
async fn with_desk(
    place: Place,
    filters: Option<&Filters>,
    mut mistakes: Mistakes,
    work: impl AsyncFnOnce(&Desk, Filter) -> Result<u8, Trouble>,
) -> Result<u8, Failure> {
    let lease = mistakes.take("MIN_IDLE_MS", place.min_idle_ms.as_deref(), Duration::from_secs(30), parse::millis);
    let setup = settings::line(place.line, &mut mistakes);
    settings::require_redis(setup.as_ref(), &mut mistakes);
    let Some(setup) = setup else { return Err(mistakes.into()) };
    let filter = filters.map_or_else(Filter::everything, |filters| filter(filters, &setup, &mut mistakes));
    let Some(endpoint) = setup.endpoint.clone().filter(|_| mistakes.is_empty()) else { return Err(mistakes.into()) };
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let options = LinkOptions { client_name: "stream-dispatcher-replay".to_owned() };
    let link = Link::start(endpoint, options, &TaskTracker::new(), stop);
    match work(&Desk { link, setup, lease }, filter).await {
        Ok(code) => Ok(code),
        // Whoever reads the output has seen enough: `replay list | head`.
        Err(Trouble::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit::DONE),
        Err(trouble) => {
            complain(&trouble);
            Ok(trouble.code())
        }
    }
}

fn complain(trouble: &Trouble) {
    let text = escape::line(&trouble.to_string());
    writeln!(anstream::stderr(), "stream-dispatcher: {text}").ok();
}

fn filter(filters: &Filters, setup: &LineSettings, mistakes: &mut Mistakes) -> Filter {
    let namespace = setup.agents.namespace.clone();
    let agent = filters.agent.as_deref().and_then(|agent| match AgentName::parse(agent, &namespace) {
        Ok(agent) => Some(agent),
        Err(error) => {
            mistakes.add("--agent", error.to_string());
            None
        }
    });
    Filter { selection: filters.state, older_than: filters.older_than, agent, namespace }
}
