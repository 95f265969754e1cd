//! The conformance kit: against this scaler, against wrong ones, and KEDA's own end-to-end cases with the emulated KEDA.

#[path = "conformance/cases.rs"]
mod cases;
#[path = "conformance/fake.rs"]
mod fake;
#[path = "conformance/ours.rs"]
mod ours;
#[path = "conformance/scene.rs"]
mod scene;
#[path = "conformance/wrong.rs"]
mod wrong;

/// Test figures go to stderr, where the test runner shows them with `--nocapture`.
fn figure(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}
