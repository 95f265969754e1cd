//! `outbox`: the file of a hook that does not run, emptied onto the stream.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use daemon::{Lifecycle, Mistakes, exit};
use redis_stream::connection::{Link, LinkOptions};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Failure;
use crate::metrics::Metrics;
use crate::outbox::publish::Publisher;
use crate::outbox::{Outbox, OutboxSettings};
use crate::settings::{self, args};

/// Without anything getting on for so long, Redis counts as unreachable.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Arguments of `outbox`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put everything that is open in the file onto the stream; for a hook that does not run any more
    Drain(Box<DrainArgs>),
}

#[derive(Debug, clap::Args)]
struct DrainArgs {
    #[command(flatten)]
    line: args::LineArgs,
    #[command(flatten)]
    outbox: args::OutboxArgs,
}

/// Runs the command.
pub(super) fn main(args: Args) -> Result<u8, Failure> {
    let Command::Drain(args) = args.command;
    let mut mistakes = Mistakes::new();
    let publish = settings::outbox(&args.outbox, &mut mistakes);
    let setup = settings::line(args.line, &mut mistakes);
    settings::require_redis(setup.as_ref(), &mut mistakes);
    if publish.outbox.path.is_none() {
        mistakes.add("OUTBOX_PATH", "say which file to drain");
    }
    let (Some(setup), true) = (setup, mistakes.is_empty()) else { return Err(mistakes.into()) };
    let Some(endpoint) = setup.endpoint.clone() else { return Err(mistakes.into()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    runtime.block_on(async {
        let telemetry = super::quiet("warn")?;
        // A flood is what is wanted here.
        let outbox = Outbox::open(OutboxSettings { most_published: usize::MAX, ..publish.outbox })?;
        let stop = CancellationToken::new();
        let options = LinkOptions { client_name: "stream-dispatcher-outbox".to_owned() };
        let link = Link::start(endpoint, options, &TaskTracker::new(), stop.clone());
        let metrics = Metrics::new(&telemetry.meter());
        let publisher = Publisher::new(
            link.clone(),
            Arc::clone(&setup.names),
            Arc::clone(&outbox),
            metrics,
            publish.wait_for_replicas,
        );
        let life = Lifecycle::new(Duration::from_secs(1));
        let publishing = tokio::spawn(Arc::clone(&publisher).run(life.clone()));
        let left = watch(&outbox).await;
        life.request_stop();
        // It ends with the soft stop; a panic there is on the screen already.
        let _ = publishing.await;
        stop.cancel();
        drop(publisher);
        let done = outbox.counts().published;
        if let Some(outbox) = Arc::into_inner(outbox) {
            outbox.close();
        }
        if left == 0 {
            writeln!(anstream::stdout(), "drained: published={done} left=0").ok();
            return Ok(exit::DONE);
        }
        let why = link.trouble();
        writeln!(anstream::stderr(), "stream-dispatcher: drained: published={done} left={left}: {why}").ok();
        Ok(exit::UNAVAILABLE)
    })
}

/// Until nothing is left, or nothing gets on; what is left.
async fn watch(outbox: &Outbox) -> u64 {
    let left = || outbox.counts().kept + outbox.counts().direct;
    let bar = indicatif::ProgressBar::new(left());
    let (mut least, mut since) = (left(), std::time::Instant::now());
    while least > 0 && since.elapsed() < PATIENCE {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = left();
        if now < least {
            bar.inc(least - now);
            (least, since) = (now, std::time::Instant::now());
        }
    }
    bar.finish_and_clear();
    left()
}
