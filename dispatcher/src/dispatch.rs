//! Handing one incident to one agent: the record, the agents, the decision, the run.

pub mod agents;
mod calls;
pub mod decision;
pub mod dispatcher;
mod find;
pub mod firing;
mod follow;
pub mod gate;
pub mod held;
pub mod names;
pub mod outcome;
mod polls;
pub mod profile;
pub mod publish;
pub mod record;
mod resume;
pub mod routes;
pub mod scripts;
mod send;
mod waits;

pub(crate) use send::was_answered;
