//! `stream-dispatcher`: hook, work, run, replay.

use std::process::ExitCode;

fn main() -> ExitCode {
    stream_dispatcher::commands::main()
}
