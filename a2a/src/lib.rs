//! A client for the A2A protocol (agent to agent) over JSON-RPC and HTTP, for versions 0.3 and 1.0.
//!
//! It is for callers that must not lose a message and would rather not have an agent run it twice: dispatchers, webhooks,
//! schedulers. So it makes one call and repeats nothing that may have run, and every error says whether the request may have left,
//! whether the agent may have run it, and when to come back. It knows nothing of where the messages come from.
//!
//! # Example
//!
//! ```no_run
//! use std::time::Duration;
//! use a2a::{Agent, AgentOptions, Answer, Mode, Outgoing, SendError};
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
//!             println!("{}: {}", task.state.as_str(), task.result_text().unwrap_or("nothing yet"));
//!         }
//!         Answer::Message(reply) => println!("{}", reply.text.unwrap_or_default()),
//!     },
//!     Err(SendError::NotExecuted(failure)) => println!("again in {:?}: {failure}", failure.retry_after()),
//!     Err(SendError::Ambiguous(failure)) => println!("look for it first: {failure}"),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The package's example `send` is a whole command that also follows the run to its end.
//!
//! # Versions
//!
//! [`Version::Auto`] finds out which version an agent speaks and remembers it for all clones of the [`Agent`];
//! [`Version::Fixed`] speaks one only. The header `A2A-Version` is always sent. Reading is tolerant (both versions' shapes are
//! understood on either wire, empty members count as absent, unknown ones are passed over), writing is exact.
//!
//! # Errors, and what to do
//!
//! Each operation has an error type of its own, and all carry a [`Failure`]: the [`Cause`], the HTTP status, the JSON-RPC code and
//! details, [`left`](Failure::left), [`may_have_run`](Failure::may_have_run), [`retry_after`](Failure::retry_after), and the class:
//!
//! | class | which answers | what to do |
//! |---|---|---|
//! | [`NotExecuted`](Class::NotExecuted) | no connection (DNS, refused, connect timeout, TLS); 429 and 503 that do not come from the agent itself; 404 `Agent ... not found`; -32603 of a kagent controller that could not dial the agent; `KAGENT_SEND_NOT_ACCEPTED` | wait, send the same message id again |
//! | [`Ambiguous`](Class::Ambiguous) | timeout, reset, cut or too large answer; an answer that is empty, not JSON, or to another call; 408, 500, 502, 504, other 5xx; other -32603, -32006, unknown codes | [`Agent::find`] it, else choose between twice and never |
//! | [`Terminal`](Class::Terminal) | 3xx, other 4xx; -32700, -32600, -32601, -32602, -32001 to -32005, -32007 to -32009 | give up, tell somebody |
//! | [`Credentials`](Class::Credentials) | 401, 403, -31401, -31403, a token that cannot be read | keep the message, stop sending until the token is renewed |
//!
//! A JSON-RPC answer counts whatever the status and the content type; the status counts where there is none or its code is unknown.
//! What proves nothing is ambiguous, such as the end of a reused connection, or a refused stream of HTTP/2.
//!
//! # The two exceptions to "one call"
//!
//! Both need an answer that proves that nothing ran, and both happen at most once for each call:
//!
//! - The agent refuses the version (-32009, -32601, or HTTP 400 with a text that names `A2A-Version`) and the version is
//!   [`Version::Auto`]: the same is said on the other wire.
//! - The agent refuses the credentials (401, 403, -31401, -31403) and the [`Bearer`] gives another token by then:
//!   the same is said with the new token.
//!
//! # Limits
//!
//! An answer is read up to [`AgentOptions::max_body`] (8 MiB), JSON up to 128 levels. Ids longer than 512 bytes or with control
//! characters count as absent, page tokens likewise beyond 4 KiB; error texts are cut at 1 KiB, with everything a terminal would
//! obey escaped. A task's own text is left as it is. [`Agent::find`] reads at most 5 pages and 100 messages of each task,
//! and says so where that was not enough. A wait that a server asks for is cut to [`MAX_RETRY_AFTER`].
//!
//! # What is not spoken
//!
//! Streaming and resubscription, push notifications, the gRPC and REST bindings, file and data parts, extensions, the extended card,
//! signed cards. Redirects are not followed, proxies in the environment not used, and addresses in a card not called.

mod agent;
mod bearer;
mod card;
mod classify;
mod client;
mod error;
mod failure;
#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(any(test, fuzzing))]
mod invariants;
mod judge;
mod message;
mod options;
mod page;
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
pub use page::Page;
pub use retry_after::MAX_RETRY_AFTER;
pub use rpc_error::{Detail, RpcError};
pub use task::{State, Task};
pub use wire::{UnknownVersion, Version, Wire};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
