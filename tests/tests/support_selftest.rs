//! The support must be right before a test that uses it can prove anything.

#[path = "support_selftest/agents.rs"]
mod agents;
#[path = "support_selftest/basics.rs"]
mod basics;
#[path = "support_selftest/servers.rs"]
mod servers;
#[path = "support_selftest/trio.rs"]
mod trio;
