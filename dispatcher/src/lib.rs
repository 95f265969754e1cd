//! From an alert to an agent: hook, worker and the operator's commands.
//!
//! `incident` says what an alert becomes, `hook` takes alerts in, `worker` takes entries from the
//! stream, `dispatch` hands one incident to one agent, `keeper` keeps Redis in order, `replay` is for
//! operators, `commands` assembles programs out of them.

pub mod check;
pub mod commands;
#[cfg(feature = "controls")]
mod controls;
pub mod dispatch;
pub mod hook;
pub mod incident;
pub mod keeper;
pub mod metrics;
pub mod outbox;
pub mod replay;
pub mod settings;
mod text;
pub mod worker;
