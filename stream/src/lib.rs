//! A consumer group on a Redis stream behind Sentinel.
//!
//! Layers, from the wire up: [`endpoint`] (what to connect to), [`sentinel`] (who is master, and
//! following it), [`connection`] (role-checked connections with deadlines), [`group`] (commands of
//! the consumer group on raw values), [`lease`] (scripts that check ownership), [`backlog`]
//! (what is left to do). The crate knows streams and groups; what an entry means is its user's.

pub mod args;
pub mod backlog;
pub mod connection;
mod dial;
pub mod endpoint;
pub mod endpoint_settings;
pub mod entry;
pub mod error;
pub mod group;
pub mod id;
pub mod lease;
pub mod probe;
pub mod reader;
pub mod retry;
pub mod script;
pub mod sentinel;
pub mod survival;
pub mod tail;
pub mod value;
