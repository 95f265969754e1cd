//! From settings to a running scaler and back: assembly, and the exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use daemon::{Lifecycle, Readiness, Telemetry, Verdict, admin_router, bind, exit, output, serve_http};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::explain;
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::server;
use crate::service::Service;
use crate::settings::{Args, Settings};
use crate::tls::Rotation;

/// KEDA external scaler for the consumer group of a Redis stream behind Sentinel.
///
/// Without a command it serves. Every flag has an environment variable. A secret can also be given as `NAME_FILE`, a
/// file that is read again when it is needed. Mistakes in the settings are all reported at once, with exit code 64.
#[derive(Debug, Parser)]
#[command(name = "stream-scaler", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is odd about a `ScaledObject` or `ScaledJob`, and what KEDA would do now and why
    ///
    /// Reads manifests and, with the settings of the scaler, the numbers in Redis; with --sample it needs neither. Exit
    /// code 0: all right (warnings allowed); 1: Kubernetes, KEDA or the scaler would refuse something; 64: wrong usage,
    /// or a file that cannot be read; 69: Redis does not answer.
    Explain(Box<explain::Args>),
    /// Print a completion script for your shell
    Completions {
        /// bash, elvish, fish, powershell or zsh
        shell: clap_complete::Shell,
    },
}

/// Why the scaler did not start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("{0}")]
    Telemetry(#[from] daemon::TelemetryError),
    #[error("{0}")]
    Bind(#[from] daemon::BindError),
}

/// Runs the program with the arguments and environment of the process.
pub fn run() -> ExitCode {
    daemon::install_crypto_provider();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not mistakes. Nothing is left to do where nobody can read them.
            error.print().ok();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::DONE });
        }
    };
    match cli.command {
        None => serve(cli.serve),
        Some(Command::Explain(args)) => match explain::main(*args) {
            Ok(code) => ExitCode::from(code),
            Err(failure) => complain(&failure.to_string(), failure.code()),
        },
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "stream-scaler", &mut script);
            match output::print(std::io::stdout(), |out| out.write_all(&script)) {
                Ok(()) => ExitCode::from(exit::DONE),
                Err(error) => complain(&format!("the script cannot be written: {error}"), exit::FAILED),
            }
        }
    }
}

fn serve(args: Args) -> ExitCode {
    let settings = match Settings::new(args) {
        Ok(settings) => settings,
        Err(mistakes) => return complain(&format!("settings that cannot be used:\n{mistakes}"), exit::USAGE),
    };
    // One thread is plenty, and it lets a connection write once for all of its push streams that have something to
    // tell: with several threads each of a thousand words would be a write of its own.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("no events can be waited for: {error}"), exit::FAILED),
    };
    match runtime.block_on(live(settings)) {
        Ok(Verdict::Clean) => ExitCode::SUCCESS,
        Ok(Verdict::Failed) => ExitCode::from(exit::FAILED),
        Err(error) => complain(&error.to_string(), exit::FAILED),
    }
}

fn complain(text: &str, code: u8) -> ExitCode {
    writeln!(std::io::stderr(), "stream-scaler: {text}").ok();
    ExitCode::from(code)
}

async fn live(settings: Settings) -> Result<Verdict, StartError> {
    let telemetry = daemon::init(settings.telemetry.clone())?;
    let scaler = bind(settings.scaler_addr, "SCALER_ADDR").await?;
    let admin = bind(settings.admin_addr, "ADMIN_ADDR").await?;
    let life = Lifecycle::new(settings.grace);
    start(&life, settings, &telemetry, scaler, admin);
    let verdict = life.run_until_stopped().await;
    telemetry.shutdown().await;
    Ok(verdict)
}

/// Starts all tasks. Samplers outlive the last call and end with the server.
fn start(life: &Lifecycle, settings: Settings, telemetry: &Telemetry, scaler: TcpListener, admin: TcpListener) {
    let readiness = Readiness::new();
    let metrics = Metrics::new(&telemetry.meter());
    let (samplers, end_of_samplers) = (TaskTracker::new(), CancellationToken::new());
    let pool =
        Pool::new(settings.endpoint, metrics.clone(), readiness.clone(), samplers.clone(), end_of_samplers.clone());
    let door = settings.tls.map(|(files, loaded)| {
        let rotation = Rotation::new(files, loaded, metrics.clone());
        let door = rotation.door();
        life.spawn("tls", rotation.run(life.soft().clone()));
        door
    });
    let service = Service::new(settings.own, pool, metrics, life.soft().clone());

    let admin_stop = life.soft().clone();
    let router = admin_router(readiness, telemetry.metrics());
    life.spawn_fallible("admin", serve_http(admin, router, admin_stop));

    let serving = life.clone();
    life.spawn_fallible("grpc", async move {
        let ended = server::serve(scaler, door, service, &serving).await;
        end_of_samplers.cancel();
        samplers.close();
        samplers.wait().await;
        ended
    });
}
