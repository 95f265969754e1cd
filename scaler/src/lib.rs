//! KEDA external scaler for the consumer group of a Redis stream behind Sentinel.
//!
//! [`trigger`] reads a trigger's metadata, [`pool`] and [`sampler`] keep readings of what triggers ask for, `events`
//! wakes the samplers when entries come, [`reading`] judges what they read, [`service`] and [`push`] answer from that,
//! [`server`] carries the answers, over [`tls`] where it is set. `explain` looks at manifests with the same eyes.

mod events;
mod explain;
pub mod feed;
#[cfg(test)]
mod fixture;
pub mod metrics;
mod pace;
pub mod pool;
pub mod push;
mod reader;
pub mod reading;
mod run;
pub mod sampler;
pub mod server;
pub mod service;
pub mod settings;
pub mod tls;
pub mod trigger;

pub use run::run;
