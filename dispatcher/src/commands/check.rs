//! `check`: tries every connection and setting, says what works and what to mend.

use std::io::{self, Write};
use std::time::Duration;

use daemon::settings::parse;
use daemon::{Mistakes, escape, output};
use serde_json::json;

use super::Failure;
use super::process::Process;
use crate::check::access::Role;
use crate::check::finding::{Finding, Level, Report};
use crate::check::{self, Plan};
use crate::settings::{self, args};

/// Version of the JSON document: a field that is taken away or changes its meaning is a new one.
const DOCUMENT: u32 = 1;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// For which program: what it needs of Redis, and which settings it has
    #[arg(long = "for", value_enum, default_value = "all", value_name = "PROGRAM", help_heading = "Check")]
    role: For,
    /// Warnings count as failures
    #[arg(long, help_heading = "Check")]
    strict: bool,
    /// Longest wait for a connection, and for every answer [default: 3s]
    #[arg(long, value_name = "TIME", value_parser = parse::positive_duration, help_heading = "Check")]
    timeout: Option<Duration>,
    /// How it is printed
    #[arg(short, long, value_enum, default_value = "text", help_heading = "Check")]
    output: Format,
    #[command(flatten)]
    line: args::LineArgs,
    #[command(flatten)]
    keep: args::KeepArgs,
    #[command(flatten)]
    work: args::WorkArgs,
    #[command(flatten)]
    alerts: args::AlertArgs,
    #[command(flatten)]
    hook: args::HookArgs,
    #[command(flatten)]
    outbox: args::OutboxArgs,
    #[command(flatten)]
    process: args::ProcessArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum For {
    /// `stream-dispatcher hook`
    Hook,
    /// `stream-dispatcher work`
    Work,
    /// `stream-scaler`: Redis only
    Scaler,
    /// All of them, with one Redis user
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people: one line for each finding, with what to do below it
    Text,
    /// One JSON document
    Json,
}

impl From<For> for Role {
    fn from(role: For) -> Self {
        match role {
            For::Hook => Self::Hook,
            For::Work => Self::Work,
            For::Scaler => Self::Scaler,
            For::All => Self::All,
        }
    }
}

/// Checks, prints, and says how it went by the exit code.
pub(super) fn main(args: Args) -> Result<u8, Failure> {
    let (strict, format) = (args.strict, args.output);
    let plan = plan(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    let report = runtime.block_on(async {
        let _telemetry = super::quiet("error")?;
        Ok::<_, Failure>(check::run(&plan).await)
    });
    // A disk that hangs holds nobody up.
    runtime.shutdown_background();
    let report = report?;
    let code = report.code(strict);
    output::print(anstream::stdout(), |out| match format {
        Format::Text => text(out, &report),
        Format::Json => writeln!(out, "{}", escape::json(&document(&report, plan.role, code))),
    })
    .map_err(Failure::Output)?;
    Ok(code)
}

/// Reads what the program in question would read. All mistakes come back at once.
fn plan(mut args: Args) -> Result<Plan, Failure> {
    let role = Role::from(args.role);
    let mut mistakes = Mistakes::new();
    if matches!(role, Role::Hook | Role::All) {
        args.line.stream.stream_name = args.line.stream.stream_name.or(args.hook.redis_stream_name.clone());
    }
    let work = matches!(role, Role::Work | Role::All).then(|| settings::work(&args.work, &mut mistakes));
    let keep = settings::keep(&args.keep, &mut mistakes);
    let process = settings::process(&args.process, &mut mistakes);
    let line = settings::line(args.line, &mut mistakes);
    let mut outbox = None;
    if matches!(role, Role::Hook | Role::All) {
        let target = line.as_ref().map_or("", |line| line.default_agent.as_str());
        settings::hook(&args.hook, &args.alerts, target, &mut mistakes);
        outbox = Some(settings::outbox(&args.outbox, &mut mistakes).outbox);
    }
    if role != Role::Hook {
        settings::require_redis(line.as_ref(), &mut mistakes);
    }
    let (Some(line), true) = (line, mistakes.is_empty()) else { return Err(mistakes.into()) };
    let agents = Process::agents(&line)?;
    let within = args.timeout.unwrap_or(Duration::from_secs(3));
    Ok(Plan { line, work, keep, outbox, grace: process.grace, role, within, agents })
}

fn text(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let mut subject = None;
    for finding in report.findings() {
        if subject != Some(finding.subject) {
            subject = Some(finding.subject);
            writeln!(out, "{}", finding.subject.as_str())?;
        }
        line(out, finding)?;
    }
    let count = |level| report.count(level);
    let (ok, skipped) = (count(Level::Ok), count(Level::Skipped));
    let (warnings, problems) = (count(Level::Warning), count(Level::Problem));
    writeln!(out, "check: ok={ok} warnings={warnings} problems={problems} skipped={skipped}")
}

/// The stream that it is written to takes the colours out where they do not belong.
fn line(out: &mut dyn Write, finding: &Finding) -> io::Result<()> {
    let color = match finding.level {
        Level::Ok => "32",
        Level::Skipped => "2",
        Level::Warning => "33",
        Level::Problem => "31",
    };
    let (level, id, text) = (finding.level.as_str(), finding.id, escape::line(&finding.text));
    writeln!(out, "  \u{1b}[{color}m{level:<8}\u{1b}[0m {id:<13} {text}")?;
    match &finding.fix {
        Some(fix) => writeln!(out, "  {:<8} {:<13} fix: {}", "", "", escape::line(fix)),
        None => Ok(()),
    }
}

fn document(report: &Report, role: Role, code: u8) -> serde_json::Value {
    json!({
        "version": DOCUMENT,
        "for": role.as_str(),
        "findings": report.findings(),
        "ok": report.count(Level::Ok),
        "skipped": report.count(Level::Skipped),
        "warnings": report.count(Level::Warning),
        "problems": report.count(Level::Problem),
        "exit_code": code,
    })
}
