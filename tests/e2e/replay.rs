//! `stream-dispatcher replay`, as an operator uses it.

#[path = "replay/carrying.rs"]
mod carrying;
#[path = "replay/counter.rs"]
mod counter;
#[path = "replay/dropping.rs"]
mod dropping;
#[path = "replay/looking.rs"]
mod looking;
#[path = "replay/refusing.rs"]
mod refusing;
#[path = "replay/retrying.rs"]
mod retrying;
