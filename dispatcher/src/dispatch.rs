//! Handing one incident to one agent: the record, the agents, the decision, the run.

pub mod agents;
pub mod dispatcher;
mod find;
mod follow;
pub mod held;
pub mod names;
pub mod outcome;
pub mod publish;
pub mod record;
pub mod routes;
pub mod scripts;
mod send;
