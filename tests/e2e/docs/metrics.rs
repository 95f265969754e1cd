//! `docs/metrics.md`: its tables name exactly what the programs serve.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::line::{Books, Member, STREAM, Settings};
use line_tests::{Redis, RedisOptions, alerts, eventually_ok};

use super::page;

const PAGE: &str = "docs/metrics.md";
const PATIENCE: Duration = Duration::from_secs(15);
/// Of the exporter; its values are versions.
const INFO: &str = "target_info";

#[derive(Debug, PartialEq, Eq)]
struct Metric {
    kind: String,
    labels: BTreeSet<String>,
    programs: BTreeSet<String>,
}

type Metrics = BTreeMap<String, Metric>;
type Values = BTreeMap<String, BTreeSet<String>>;

/// The labels of a series line.
fn labels(line: &str) -> Vec<(String, String)> {
    let Some((_, rest)) = line.split_once('{') else { return Vec::new() };
    let Some((inner, _)) = rest.rsplit_once('}') else { return Vec::new() };
    let pair = |pair: &str| {
        let (name, value) = pair.split_once("=\"")?;
        Some((name.to_owned(), value.to_owned()))
    };
    inner.trim_end_matches('"').split("\",").filter_map(pair).collect()
}

/// Adds what a program serves.
fn observe(text: &str, program: &str, metrics: &mut Metrics, values: &mut Values) -> Result<()> {
    let mut current: Option<String> = None;
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declared.split_once(' ').context("an odd TYPE line")?;
            let new = || Metric { kind: kind.to_owned(), labels: BTreeSet::new(), programs: BTreeSet::new() };
            metrics.entry(name.to_owned()).or_insert_with(new).programs.insert(program.to_owned());
            current = Some(name.to_owned());
        } else if !line.starts_with('#') {
            let name = current.as_ref().context("a series before its TYPE")?;
            let metric = metrics.get_mut(name).context("a series without a TYPE")?;
            for (label, value) in labels(line).into_iter().filter(|(label, _)| label != "le") {
                metric.labels.insert(label.clone());
                if name != INFO {
                    values.entry(label).or_default().insert(value);
                }
            }
        }
    }
    Ok(())
}

async fn served() -> Result<(Metrics, Values)> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let settings = Settings::of_redis(&redis.address());
    let (hook, worker) = (Member::dispatcher("hook", &settings).await?, Member::dispatcher("work", &settings).await?);
    let scaler = Member::scaler(&settings).await?;
    // A histogram appears with its first value: an entry that names no incident gives one.
    Books::at(&redis.address()).await?.add(STREAM, &[("step", "none")]).await?;
    eventually_ok("the entry to be worked on", PATIENCE, async || {
        ensure!(worker.metric("dispatch_duration_seconds_count", "").await? > 0.5);
        Ok(())
    })
    .await?;
    let (mut metrics, mut values) = (Metrics::new(), Values::new());
    for (member, program) in [(&hook, "dispatcher"), (&worker, "dispatcher"), (&scaler, "scaler")] {
        let (status, text) = alerts::get(&format!("{}/metrics", member.admin)).await?;
        ensure!(status == 200, "{status} {text}");
        observe(&text, program, &mut metrics, &mut values)?;
    }
    Ok((metrics, values))
}

fn written() -> Result<(Metrics, Values)> {
    let page = page::read(PAGE)?;
    let metric = |row: Vec<String>| -> Result<(String, Metric)> {
        let [name, kind, labels, programs, _] = row.as_slice() else { anyhow::bail!("an odd row: {row:?}") };
        let programs = programs.split(", ").map(str::to_owned).collect();
        let metric = Metric { kind: kind.clone(), labels: page::code_words(labels).collect(), programs };
        Ok((name.clone(), metric))
    };
    let value = |row: Vec<String>| -> Result<(String, BTreeSet<String>)> {
        let [label, values, _] = row.as_slice() else { anyhow::bail!("an odd row: {row:?}") };
        Ok((label.clone(), page::code_words(values).collect()))
    };
    let metrics = page::rows(page::section(&page, "## Metrics")?).into_iter().map(metric).collect::<Result<_>>()?;
    let values = page::rows(page::section(&page, "## Labels")?).into_iter().map(value).collect::<Result<_>>()?;
    Ok((metrics, values))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_metrics_names_what_the_programs_serve() -> Result<()> {
    let ((served, their_values), (written, values)) = (served().await?, written()?);
    for (name, metric) in &served {
        let page = written.get(name).with_context(|| format!("{PAGE} lacks {name}: {metric:?}"))?;
        ensure!(page == metric, "{PAGE} says of {name} {page:?}, the program {metric:?}");
    }
    let gone: Vec<_> = written.keys().filter(|name| !served.contains_key(*name)).collect();
    ensure!(gone.is_empty(), "{PAGE} names what nobody serves: {gone:?}");
    ensure!(values == their_values, "{PAGE} has the label values {values:?}, the programs {their_values:?}");
    Ok(())
}
