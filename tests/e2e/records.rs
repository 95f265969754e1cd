//! The scripts of the dispatch record, row by row, on a real Redis.

#[path = "records/desk.rs"]
mod desk;
#[path = "records/finishing.rs"]
mod finishing;
#[path = "records/firing.rs"]
mod firing;
#[path = "records/gate.rs"]
mod gate;
#[path = "records/publishing.rs"]
mod publishing;
#[path = "records/taking.rs"]
mod taking;
#[path = "records/trimming.rs"]
mod trimming;
#[path = "records/waiting.rs"]
mod waiting;
#[path = "records/warmth.rs"]
mod warmth;
