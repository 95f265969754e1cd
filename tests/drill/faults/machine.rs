//! Disks and clocks.

use anyhow::Result;

use super::{Effect, unknown};
use crate::kinds::Kind;
use crate::schedule::Planned;
use crate::stage::Stage;

pub(super) async fn inject(_stage: &mut Stage, planned: &Planned) -> Result<Effect> {
    unknown(planned)
}

pub(super) fn problem(_kind: Kind, _stage: &Stage) -> Option<String> {
    Some("not made yet".into())
}
