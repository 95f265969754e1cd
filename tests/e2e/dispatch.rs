//! Agents that fail: the whole decision table on real servers, what is sent again, what is not, and what becomes of
//! the incident.

#[path = "dispatch/case.rs"]
mod case;
#[path = "dispatch/desk.rs"]
mod desk;
#[path = "dispatch/ends.rs"]
mod ends;
#[path = "dispatch/gate.rs"]
mod gate;
#[path = "dispatch/matrix.rs"]
mod matrix;
#[path = "dispatch/odd.rs"]
mod odd;
#[path = "dispatch/play.rs"]
mod play;
#[path = "dispatch/recoveries.rs"]
mod recoveries;
#[path = "dispatch/sends.rs"]
mod sends;
#[path = "dispatch/table.rs"]
mod table;
#[path = "dispatch/waits.rs"]
mod waits;
#[path = "dispatch/words.rs"]
mod words;
