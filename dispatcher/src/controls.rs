//! Parts that the drill switches off, to prove that it would notice. Only with the feature `controls`, never shipped.

use std::sync::LazyLock;

/// What is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    /// No lease is renewed, and no record is written back.
    NoRenewal,
    /// What somebody has begun counts as fresh.
    NoRecovery,
}

static CHOSEN: LazyLock<Option<Control>> = LazyLock::new(|| {
    #[expect(clippy::disallowed_methods, reason = "not a setting: there is none of this in a shipped program")]
    match std::env::var("DRILL_CONTROL").ok()?.as_str() {
        "no-renewal" => Some(Control::NoRenewal),
        "no-recovery" => Some(Control::NoRecovery),
        _ => None,
    }
});

/// Whether this part is switched off.
pub(crate) fn is_off(part: Control) -> bool {
    *CHOSEN == Some(part)
}
