//! The client against a server of our own that answers, or breaks off, as a test says.
#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

mod credentials;
mod faults;
mod lists;
mod script;
mod versions;
