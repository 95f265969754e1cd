//! What operators do with incidents that are not settled: see them, and run them again.
//!
//! [`item`] is one entry where it lies, [`filter`] says
//! which are meant, [`scan`] reads them page by page, [`find`] by their ids, [`row`] sums one up,
//! [`show`] tells all of it, [`plan`] decides what a retry means for it, [`retry`] does that, [`mod@drop`] gives it
//! up; [`did`] says what became of it. [`portable`] is an incident in a file, [`import`] brings it back.
//! Nothing here prints.

pub mod did;
pub mod drop;
pub mod filter;
pub mod find;
pub mod id;
pub mod import;
pub mod item;
pub mod kept;
pub mod plan;
pub mod portable;
pub mod retry;
pub mod row;
pub mod scan;
pub mod show;
