//! How a process of this project lives: it starts, says whether it is well, is observed, and stops.
//!
//! Nothing here knows of streams, scaling or agents, and nothing here reads the environment: settings come from the caller.

pub mod admin;
pub mod escape;
pub mod exit;
pub mod http_server;
pub mod lifecycle;
pub mod output;
pub mod readiness;
pub mod settings;
pub mod telemetry;
pub mod trace_context;

#[cfg(test)]
mod testing;

pub use admin::{admin_router, probe_router};
pub use http_server::{BindError, bind, serve_http};
pub use lifecycle::{Lifecycle, Verdict};
pub use readiness::{Heartbeat, Latch, Readiness};
pub use settings::{Mistake, Mistakes, Secret};
pub use telemetry::{
    LogFormat, MetricsError, MetricsHandle, SECONDS_BUCKETS, Telemetry, TelemetryError, TelemetrySettings, init,
    log_format_default,
};
pub use trace_context::TraceContext;

/// Chooses aws-lc-rs for every TLS connection of the process. Safe to call any number of times.
///
/// Call it in the first line of `main`: a tree that contains two providers and has chosen none stops at the first handshake.
pub fn install_crypto_provider() {
    let chosen_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // An error only says that a provider is in place already, which is what is wanted.
    drop(chosen_before);
}
