//! `stream-scaler`

use std::process::ExitCode;

fn main() -> ExitCode {
    stream_scaler::run()
}
