//! Exit codes of all commands. 64 and 69 are those of BSD's `sysexits.h`.

/// Everything asked for was done.
pub const DONE: u8 = 0;
/// It was tried and failed.
pub const FAILED: u8 = 1;
/// Some of it was done; the summary says how much.
pub const PARTLY: u8 = 2;
/// Wrong usage or settings; nothing was tried.
pub const USAGE: u8 = 64;
/// A service that is needed cannot be reached.
pub const UNAVAILABLE: u8 = 69;
