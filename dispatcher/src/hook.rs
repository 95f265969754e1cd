//! The hook: alerts come in over HTTP and are answered once each is in Redis or with an agent.

pub mod direct;
pub mod intake;
pub mod payload;
pub mod server;
