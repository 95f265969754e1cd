//! `explain`: reads manifests, says what is odd about them, and what KEDA would do now and why.
//!
//! [`yaml`] reads a file within bounds, [`manifest`] and [`pause`] take out what KEDA reads, [`lint`] and [`triggers`] say what is
//! odd, [`migrate`] rewrites KEDA's own trigger, [`sample`] has the numbers, [`keda`] the arithmetic, [`outlook`] the
//! words, [`report`] puts it together, [`print`] prints it.

mod finding;
mod keda;
mod keys;
mod lint;
mod manifest;
mod migrate;
mod outlook;
mod pause;
mod print;
mod report;
mod sample;
mod triggers;
mod yaml;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use daemon::{Mistakes, exit, output};

use crate::settings::{OwnArgs, Reach};
use outlook::Present;
use redis_stream::args::RedisArgs;
use report::{Known, Report};
use sample::Sample;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Manifests (YAML), or - for standard input
    file: PathBuf,
    /// Numbers to judge by, in entries, such as pending=3,lag=9; Redis is not asked
    #[arg(long, value_name = "NUMBERS", value_parser = Sample::parse, help_heading = "Explain")]
    sample: Option<Sample>,
    /// How many replicas there are; of a `ScaledJob`, how many jobs have not ended
    #[arg(long, value_name = "N", help_heading = "Explain")]
    replicas: Option<u32>,
    /// Of a `ScaledJob`: how many of its jobs have not begun [default: 0]
    #[arg(long, value_name = "N", help_heading = "Explain")]
    pending_jobs: Option<u32>,
    /// How it is printed
    #[arg(short, long, value_enum, default_value = "table", help_heading = "Explain")]
    output: Format,
    #[command(flatten)]
    own: OwnArgs,
    #[command(flatten)]
    redis: RedisArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON document
    Json,
}

/// Why nothing could be explained.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("settings that cannot be used:\n{0}")]
    Settings(#[from] Mistakes),
    #[error("{file:?} {problem}")]
    File { file: PathBuf, problem: String },
    #[error("no threads can be started: {0}")]
    Runtime(io::Error),
    #[error("what there is to say cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::File { .. } => exit::USAGE,
            Self::Runtime(_) | Self::Output(_) => exit::FAILED,
        }
    }
}

/// Explains, prints, and says how it went by the exit code.
pub(crate) fn main(args: Args) -> Result<u8, Failure> {
    let (format, present) = (args.output, present(&args));
    let report = explain(args, present)?;
    let (_, unread) = report.triggers();
    let code = if report.is_refused() {
        exit::FAILED
    } else if unread > 0 {
        exit::UNAVAILABLE
    } else {
        exit::DONE
    };
    output::print(anstream::stdout(), |out| match format {
        Format::Table => print::text(out, &report),
        Format::Json => print::json(out, &report, code),
    })?;
    Ok(code)
}

fn present(args: &Args) -> Present {
    Present { replicas: args.replicas.map(u64::from), pending_jobs: args.pending_jobs.map_or(0, u64::from) }
}

fn explain(args: Args, present: Present) -> Result<Report, Failure> {
    let offline = args.sample.is_some();
    let Reach { endpoint, own } = Reach::read(&args.own, args.redis, offline)?;
    let failed = |problem| Failure::File { file: args.file.clone(), problem };
    let text = read(&args.file).map_err(|error| failed(format!("cannot be read: {error}")))?;
    let documents = yaml::documents(&text).map_err(|error| failed(format!("cannot be understood: {error}")))?;
    let known = Known { own: &own, given: endpoint.is_some() };
    let (examined, passed_over) = report::examine(&documents, &known, present);
    if examined.is_empty() {
        return Err(failed(format!(
            "holds neither a ScaledObject nor a ScaledJob ({} other documents)",
            passed_over.len()
        )));
    }
    let sources = report::sources(&examined);
    let samples = match (args.sample, &endpoint) {
        (Some(sample), _) => sources.into_iter().map(|source| (source, Ok(sample.clone()))).collect(),
        (None, Some(endpoint)) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(Failure::Runtime)?.block_on(sample::read(endpoint, &sources))
        }
        (None, None) => HashMap::new(),
    };
    Ok(report::complete(examined, passed_over, &samples, present))
}

fn read(file: &Path) -> io::Result<String> {
    // One more than what is taken, so that a file that is too large is told apart.
    let most = yaml::LARGEST_FILE as u64 + 1;
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        io::stdin().take(most).read_to_end(&mut bytes)?;
    } else {
        File::open(file)?.take(most).read_to_end(&mut bytes)?;
    }
    if bytes.len() as u64 == most {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))
}
