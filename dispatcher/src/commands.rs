//! The commands: assembly, exit codes, and everything that is printed.

mod check;
mod hook;
mod outbox;
mod process;
mod replay;
mod run;
mod work;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use daemon::{LogFormat, Mistakes, TelemetrySettings, exit, output};

/// Takes critical alerts from Alertmanager to AI agents over a Redis stream, once each.
///
/// Every flag has an environment variable; a secret can also be given as `NAME_FILE`. Mistakes in the
/// settings are all reported at once, with exit code 64.
#[derive(Debug, Parser)]
#[command(name = "stream-dispatcher", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take Alertmanager webhooks: to the stream, or to an agent while Redis is unavailable
    Hook(Box<hook::Args>),
    /// Take incidents from the stream, hand them to agents, acknowledge them
    Work(Box<work::Args>),
    /// Hook and worker in one process
    Run(Box<run::Args>),
    /// See what is stuck, waiting, parked or dead, and run it again
    Replay(Box<replay::Args>),
    /// Try every connection and setting, say what works and what to mend
    ///
    /// Changes nothing: it writes one key of its own that expires, and sends no message to an agent. Exit code 0: all
    /// right (warnings allowed); 1: problems; 64: wrong settings; 69: Redis, Sentinel or an agent does not answer.
    Check(Box<check::Args>),
    /// Empty the outbox of a hook that does not run any more
    Outbox(outbox::Args),
    /// Print a completion script for your shell
    Completions {
        /// bash, elvish, fish, powershell or zsh
        shell: clap_complete::Shell,
    },
}

/// Why a command did not do its job.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Settings that cannot be used.
    #[error("settings that cannot be used:\n{0}")]
    Settings(#[from] Mistakes),
    /// Logs, metrics or traces.
    #[error("{0}")]
    Telemetry(#[from] daemon::TelemetryError),
    /// An address that cannot be listened on.
    #[error("{0}")]
    Bind(#[from] daemon::BindError),
    /// No HTTP client.
    #[error("{0}")]
    Http(#[from] a2a::HttpClientError),
    /// No threads.
    #[error("no threads can be started: {0}")]
    Runtime(std::io::Error),
    /// What was asked for cannot be printed.
    #[error("the answer cannot be written: {0}")]
    Output(std::io::Error),
    #[error(transparent)]
    Outbox(#[from] crate::outbox::store::Error),
}

/// Logs of a command that somebody waits for: only what is worse than `filter`.
fn quiet(filter: &str) -> Result<daemon::Telemetry, daemon::TelemetryError> {
    daemon::init(TelemetrySettings {
        service_name: "stream-dispatcher".to_owned(),
        log_format: LogFormat::Text,
        filter: filter.to_owned(),
        otlp_endpoint: None,
    })
}

/// Runs the program with the arguments and environment of the process.
pub fn main() -> ExitCode {
    daemon::install_crypto_provider();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not mistakes. Nothing is left to do where nobody can read them.
            error.print().ok();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::DONE });
        }
    };
    match command(cli.command) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            writeln!(anstream::stderr(), "stream-dispatcher: {failure}").ok();
            ExitCode::from(if matches!(failure, Failure::Settings(_)) { exit::USAGE } else { exit::FAILED })
        }
    }
}

fn command(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Hook(args) => hook::main(*args),
        Command::Work(args) => work::main(*args),
        Command::Run(args) => run::main(*args),
        Command::Replay(args) => replay::main(*args),
        Command::Check(args) => check::main(*args),
        Command::Outbox(args) => outbox::main(args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "stream-dispatcher", &mut script);
            output::print(std::io::stdout(), |out| out.write_all(&script)).map_err(Failure::Output)?;
            Ok(exit::DONE)
        }
    }
}
