//! Scalers with one fault each: the check that looks for it fails, and no other must.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::{StreamExt as _, stream};
use line_tests::keda::conformance::{CHECKS, Finding, Outcome, Subject, run};
use tonic::Status;

use super::fake::{Fake, spec, value};

/// Fakes serve neither, and have nothing to repeat.
const ABSENT: [&str; 3] = ["health", "reflection", "stream-repeat"];

/// Fakes that are asked at the same time: more would keep each other waiting.
const AT_ONCE: usize = 9;
/// Long enough for a busy machine; only the slow one is measured against less.
const WITHIN: Duration = Duration::from_secs(5);
const SLOW: Duration = Duration::from_millis(1100);
const TOO_SHORT: Duration = Duration::from_millis(500);

async fn failed(fake: Fake) -> Result<BTreeSet<&'static str>> {
    Ok(all_failed(&findings(fake).await?).into_iter().filter(|id| !ABSENT.contains(id)).collect())
}

fn all_failed(findings: &[Finding]) -> BTreeSet<&'static str> {
    let failed = findings.iter().filter(|finding| matches!(finding.outcome, Outcome::Fail(_)));
    failed.map(|finding| finding.check.id).collect()
}

async fn findings(fake: Fake) -> Result<Vec<Finding>> {
    let within = if fake.delay == SLOW { TOO_SHORT } else { WITHIN };
    let (address, _serving) = fake.serve()?;
    line_tests::eventually_ok("the scaler", Duration::from_secs(15), async || {
        line_tests::Keda::connect(&address).await.map(drop)
    })
    .await?;
    let subject = Subject {
        work: true,
        bad: vec![("bad".into(), "marker-of-a-value".into())],
        unreadable: vec![("unreadable".into(), "1".into())],
        within,
        listen: Duration::from_millis(700),
        repeat_within: Some(Duration::from_secs(2)),
        streams: 50,
        connections: 2,
        ..Subject::new(address)
    };
    run(&subject).await
}

/// What is wrong, how the fake is made so, and every check that fails.
type Fault = (&'static str, fn(&mut Fake), &'static [&'static str]);

fn zero(fake: &mut Fake) {
    fake.values = vec![value("queue", 0, 0.0)];
}

const FAULTS: &[Fault] = &[
    ("nothing", |_| {}, &[]),
    ("target 0", |fake| fake.specs = vec![spec("queue", 0, 0.0)], &["every-version", "spec-numbers", "spec-target"]),
    (
        "float target only",
        |fake| fake.specs = vec![spec("queue", 0, 6.111)],
        &["every-version", "spec-numbers", "spec-target"],
    ),
    ("another integer target", |fake| fake.specs = vec![spec("queue", 70, 6.111)], &["spec-numbers"]),
    ("no specs", |fake| fake.specs.clear(), &["spec-given"]),
    (
        "specs that change",
        |fake| fake.other_specs = Some(vec![spec("queue", 8, 8.0)]),
        &["spec-constant", "unknown-keys"],
    ),
    (
        "a name with a slash",
        |fake| {
            fake.specs = vec![spec("a/queue", 7, 6.111)];
            fake.values = vec![value("a/queue", 23, 22.222)];
        },
        &["spec-name"],
    ),
    ("one name twice", |fake| fake.specs.push(spec("queue", 7, 6.111)), &["spec-distinct", "spec-single"]),
    ("two values", |fake| fake.values.push(value("running", 3, 3.0)), &["value-one"]),
    ("another name", |fake| fake.values = vec![value("other", 23, 22.222)], &["value-one"]),
    ("no value", |fake| fake.values.clear(), &["every-version", "value-numbers", "value-one", "work-seen"]),
    ("integer value only", |fake| fake.values = vec![value("queue", 23, 0.0)], &["value-numbers"]),
    (
        "a negative value",
        |fake| fake.values = vec![value("queue", -1, -1.0)],
        &["every-version", "value-numbers", "work-seen"],
    ),
    ("any name is taken", |fake| fake.takes_any_name = true, &["value-unknown"]),
    ("a false zero", zero, &["work-seen"]),
    ("inactive with work", |fake| fake.active = false, &["stream-agrees", "work-seen"]),
    ("a zero that was not read", |fake| fake.blind_values = Some(vec![value("queue", 0, 0.0)]), &["blind-error"]),
    ("no spec without the source", |fake| fake.blind_specs = true, &["blind-spec"]),
    ("slow answers", |fake| fake.delay = SLOW, &["burst", "in-time"]),
    ("unknown keys refused", |fake| fake.refuses_strangers = true, &["unknown-keys"]),
    ("bad metadata taken", |fake| fake.complaint = None, &["bad-metadata"]),
    (
        "a value repeated",
        |fake| fake.complaint = Some(Status::unknown("marker-of-a-value")),
        &["bad-metadata", "bad-values"],
    ),
    ("a silent stream", |fake| fake.words.clear(), &["stream-first"]),
    ("ends with UNAVAILABLE", |fake| fake.end = Some(Status::unavailable("going away")), &["stream-end"]),
    (
        "ends with UNAVAILABLE, later",
        |fake| {
            fake.pace = Duration::from_millis(1200);
            fake.end = Some(Status::unavailable("going away"));
        },
        &["stream-end"],
    ),
    (
        "a flood",
        |fake| {
            fake.words = vec![true; 100];
            fake.pace = Duration::from_millis(50);
        },
        &["stream-calm"],
    ),
    ("no specs streamed", |fake| fake.streamed_specs = Some(Vec::new()), &["spec-stream"]),
    ("other specs streamed", |fake| fake.streamed_specs = Some(vec![spec("other", 1, 1.0)]), &["spec-stream"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_found_and_nothing_else() -> Result<()> {
    let mut found = BTreeSet::new();
    let runs = FAULTS.iter().map(|(what, wrong, expected)| async move {
        let mut fake = Fake::right();
        wrong(&mut fake);
        let failed = failed(fake).await?;
        ensure!(failed == expected.iter().copied().collect(), "{what}: {failed:?}");
        Ok(failed)
    });
    let mut runs = stream::iter(runs).buffer_unordered(AT_ONCE);
    while let Some(failed) = runs.next().await {
        found.extend(failed?);
    }
    // A crowd that is not served takes a server with limits, `stream-repeat` fails for all fakes alike.
    let never: Vec<_> = CHECKS.iter().map(|check| check.id).filter(|id| !found.contains(id)).collect();
    ensure!(never == ["stream-crowd", "stream-repeat", "health", "reflection"], "{never:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_found() -> Result<()> {
    let failed = all_failed(&findings(Fake::right()).await?);
    ensure!(failed == ABSENT.into(), "{failed:?}");
    Ok(())
}

/// A scaler's words are a stranger's.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_steers_a_terminal_or_forges_the_last_line() -> Result<()> {
    let mut fake = Fake::right();
    fake.complaint = Some(Status::unknown("\u{1b}[2J\nconformance: checks=28 failed=0 advice=0"));
    let findings = findings(fake).await?;
    let seen = findings.iter().find(|finding| finding.check.id == "bad-metadata").map(|finding| &finding.outcome);
    let Some(Outcome::Fail(seen)) = seen else { anyhow::bail!("{seen:?}") };
    ensure!(seen.contains("conformance: checks") && !seen.contains(['\u{1b}', '\n']), "{seen:?}");
    Ok(())
}

/// Streams beyond what the server takes at a time never get a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_is_not_served_is_found() -> Result<()> {
    let (address, _serving) = Fake::right().serve_at_most(10)?;
    line_tests::eventually_ok("the scaler", Duration::from_secs(15), async || {
        line_tests::Keda::connect(&address).await.map(drop)
    })
    .await?;
    let findings = run(&Subject { streams: 50, connections: 2, ..Subject::new(address) }).await?;
    let crowd = findings.iter().find(|finding| finding.check.id == "stream-crowd");
    let crowd = crowd.map(|finding| finding.outcome.clone());
    ensure!(matches!(&crowd, Some(Outcome::Fail(seen)) if seen.starts_with("20 of 50")), "{crowd:?}");
    Ok(())
}
