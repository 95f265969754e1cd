//! A client for the A2A protocol (agent to agent) over JSON-RPC and HTTP, for versions 0.3 and 1.0.
//!
//! What it is for: a caller that must not lose a message and would rather not have an agent run it twice.
//! So the client makes one call and never retries, and every error says whether the request may have left,
//! whether the agent may have run it, and when to come back ([`Failure`], [`Class`]).
//! The one exception is the version: a refusal that proves that nothing ran (see [`Version::Auto`])
//! is answered by speaking the other version once, and the agent's version is remembered.
//!
//! Reading is tolerant (both versions' shapes are understood on either), writing is exact.
//!
//! ```no_run
//! use std::time::Duration;
//! use a2a::{Agent, AgentOptions, Answer, Class, Mode, Outgoing};
//! use http::HeaderMap;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let http = a2a::http_client(Duration::from_secs(5))?;
//! let url = a2a::agent_url("http://kagent-controller.kagent:8083/api/a2a/kagent/triage-agent/")?;
//! let agent = Agent::new(http, AgentOptions::new(url));
//!
//! let message = Outgoing::new("incident-42-investigation", "The disk of db-1 is full.");
//! match agent.send(&message, Mode::NonBlocking, &HeaderMap::new()).await {
//!     Ok(sent) => match sent.answer {
//!         Answer::Task(task) => {
//!             let task = agent.get(&task.id, Some(sent.wire), &HeaderMap::new()).await?;
//!             assert!(!task.state.is_interrupted());
//!         }
//!         Answer::Message(reply) => assert!(reply.text.is_some()),
//!     },
//!     Err(error) if error.class() == Class::NotExecuted => { /* send it again later */ }
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```

mod agent;
mod bearer;
mod card;
mod classify;
mod client;
mod error;
mod failure;
mod message;
mod options;
mod parse;
mod retry_after;
mod rpc;
mod rpc_error;
mod task;
mod text;
mod wire;

pub use agent::Agent;
pub use bearer::Bearer;
pub use card::Card;
pub use classify::Class;
pub use client::{HttpClientError, InvalidUrl, agent_url, http_client};
pub use error::{CancelError, CardError, GetError, ListError, SendError};
pub use failure::{Cause, Failure};
pub use message::{Answer, Mode, Outgoing, Reply, Sent};
pub use options::AgentOptions;
pub use retry_after::MAX_RETRY_AFTER;
pub use rpc_error::{Detail, RpcError};
pub use task::{State, Task};
pub use wire::{UnknownVersion, Version, Wire};
