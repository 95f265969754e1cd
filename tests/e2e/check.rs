//! `stream-dispatcher check`, as an operator runs it before a rollout.

#[path = "check/counter.rs"]
mod counter;
#[path = "check/permitted.rs"]
mod permitted;
#[path = "check/redis.rs"]
mod redis;
#[path = "check/sentinel.rs"]
mod sentinel;
#[path = "check/streams.rs"]
mod streams;
#[path = "check/usage.rs"]
mod usage;
