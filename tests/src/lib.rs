//! Support for the end-to-end tests: real Redis and Sentinel servers, real A2A agents, the
//! product's programs as processes, and observers that share no code with the product.
//!
//! Everything a test starts has its own folder and ports and is killed when its handle is dropped.

pub mod agent;
pub mod agent_down;
pub mod alerts;
pub mod fake_clock;
mod http;
pub mod keda;
mod launch;
pub mod line;
pub mod patience;
mod places;
pub mod ports;
pub mod prober;
pub mod process;
pub mod redis;
pub mod resp;
pub mod road;
pub mod screen;
pub mod sentinel;
pub mod signals;

pub use agent::{Agent, AgentKind, AgentOptions, Execution};
pub use fake_clock::FakeClock;
pub use keda::Keda;
pub use line::Member;
pub use patience::{eventually, eventually_every, eventually_ok, eventually_ok_every};
pub use prober::Prober;
pub use process::Program;
pub use redis::{Redis, RedisOptions};
pub use resp::{Client, Reply};
pub use road::{Road, Weather};
pub use sentinel::{Trio, TrioOptions};
