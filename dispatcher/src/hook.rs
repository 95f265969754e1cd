//! The hook: alerts come in over HTTP and are answered once each is on disk, in Redis or with an agent.

pub mod direct;
mod episodes;
mod follow;
mod hand;
pub mod intake;
mod message;
pub mod payload;
pub mod server;
