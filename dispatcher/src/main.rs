//! `stream-dispatcher`: hook, work, run, replay, check.

use std::process::ExitCode;

fn main() -> ExitCode {
    stream_dispatcher::commands::main()
}
