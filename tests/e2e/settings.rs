//! Settings as an operator gives them: every mistake at once, no secret repeated, every variable in the help.

use std::time::Duration;

use anyhow::{Result, ensure};
use line_tests::Program;

#[path = "settings/given.rs"]
mod given;
#[path = "settings/help.rs"]
mod help;
#[path = "settings/wrong.rs"]
mod wrong;

const PATIENCE: Duration = Duration::from_secs(15);
const DISPATCHER: &str = "stream-dispatcher";
const SCALER: &str = "stream-scaler";

/// The long-running commands: the program and its arguments.
const COMMANDS: [(&str, &[&str]); 4] =
    [(SCALER, &[]), (DISPATCHER, &["work"]), (DISPATCHER, &["hook"]), (DISPATCHER, &["run"])];

/// A program that has ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    out: String,
    err: String,
}

async fn ended(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Ended> {
    let mut program = Program::start(program, arguments, environment)?;
    let code = program.exit_code(PATIENCE).await?;
    Ok(Ended { code, out: program.output(), err: program.log() })
}

/// Fails unless it ended with the code for bad usage, said so on stderr, and nothing on stdout.
fn expect_usage(ended: &Ended) -> Result<()> {
    ensure!(ended.code == 64 && ended.out.is_empty() && !ended.err.is_empty(), "{ended:?}");
    ensure!(!ended.err.contains("panicked"), "{ended:?}");
    Ok(())
}
