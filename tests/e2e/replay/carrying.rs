//! `export` and `import`.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::line::{Books, DEAD, Member, STREAM, Settings};
use line_tests::ports::free_port;
use line_tests::{Agent, AgentKind, AgentOptions, eventually_ok};
use serde_json::{Value, json};

use super::counter::{Counter, PARKED, WAITING, run};

const PATIENCE: Duration = Duration::from_secs(20);

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_string_lossy().into_owned()
}

async fn field(books: &mut Books, workflow_id: &str, name: &str) -> Result<String> {
    let key = format!("incident:dispatch:{workflow_id}-investigation");
    Ok(books.0.cmd(&["HGET", &key, name]).await?.text()?.to_owned())
}

#[tokio::test]
async fn what_is_exported_arrives_in_another_redis_and_runs_once() -> Result<()> {
    let (mut here, folder) = (Counter::open().await?, tempfile::tempdir()?);
    here.dead("am-dead").await?;
    here.copy(PARKED, "am-parked", "parked text", "input-required").await?;
    here.waiting("am-waiting").await?;
    here.held("am-held", "held text", "1").await?;
    let fields =
        [("workflow_id", "am-foreign"), ("artifact_key", "incident:artifact:am-foreign:alert"), ("odd", "a\nb")];
    here.books.add(WAITING, &fields).await?;
    here.books.0.cmd(&["SET", "incident:artifact:am-foreign:alert", "kept apart"]).await?;
    here.books.add(DEAD, &[("junk", "1"), ("error", "no workflow id")]).await?;
    let file = path(&folder, "open.jsonl");
    let said = here.replay(&["export", &file]).await?;
    ensure!(said.code == 0 && said.last() == "replay: exported=6", "{} {}", said.out, said.err);
    ensure!(std::fs::read_to_string(&file)?.lines().count() == 6);
    let again = here.replay(&["export", &file]).await?;
    ensure!(again.code == 1 && again.err.contains("open.jsonl"), "a file is never written over: {}", again.err);
    let said = here.replay(&["export", "-", "--state", "dead", "--limit", "1"]).await?;
    let row = &said.rows()?[0];
    ensure!(
        row["state"] == "dead" && row["reason"] == "failed" && row["fields"][0] == json!(["workflow_id", "am-dead"]),
        "{row}"
    );
    ensure!(said.err.contains("exported=1"), "{}", said.err);

    let mut there = Counter::open().await?;
    let said = there.replay(&["import", &file, "--dry-run"]).await?;
    ensure!(said.code == 2 && said.last().starts_with("replay: imported=5 skipped=0 failed=1 (dry"), "{}", said.out);
    ensure!(there.books.length(STREAM).await? == 0);
    let said = there.replay(&["import", &file, "--yes", "--limit", "2", "--rate", "50"]).await?;
    ensure!(said.code == 0 && said.last() == "replay: imported=2 skipped=0 failed=0", "{} {}", said.out, said.err);
    let said = there.replay(&["import", &file, "--yes"]).await?;
    ensure!(said.code == 2 && said.last() == "replay: imported=3 skipped=2 failed=1", "{}", said.out);
    ensure!(said.out.contains("failed line 6: workflow_id is missing"), "{}", said.out);
    let said = there.replay(&["import", &file, "--yes"]).await?;
    ensure!(said.code == 2 && said.last() == "replay: imported=0 skipped=5 failed=1", "{}", said.out);
    ensure!(there.books.length(STREAM).await? == 5);

    let agent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    let settings = Settings::of_redis(&there.redis.address()).agents_at(&agent.url());
    let _worker = Member::dispatcher("work", &settings).await?;
    eventually_ok("all to have run", PATIENCE, async || {
        let states = ["am-dead", "am-parked", "am-waiting", "am-held", "am-foreign"];
        for id in states {
            ensure!(field(&mut there.books, id, "state").await? == "settled", "{id}");
        }
        Ok(())
    })
    .await?;
    let runs = agent.runs()?;
    ensure!(runs.len() == 5 && runs.values().all(|count| *count == 1), "{runs:?}");
    ensure!(runs.contains_key("am-dead-investigation-r1") && runs.contains_key("am-held-investigation"), "{runs:?}");
    let texts: Vec<_> = agent.executions().await?.into_iter().map(|execution| execution.text).collect();
    ensure!(texts.iter().any(|text| text.contains("kept apart")), "{texts:?}");
    Ok(())
}

/// An incident whose run goes on at the agent is followed there by its task, not sent again.
#[tokio::test]
async fn a_run_that_goes_on_is_followed_after_an_import() -> Result<()> {
    let (mut here, folder) = (Counter::open().await?, tempfile::tempdir()?);
    let agent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    let mut worker =
        Member::dispatcher("work", &Settings::of_redis(&here.redis.address()).agents_at(&agent.url())).await?;
    here.books.order("am-1", "slow 5").await?;
    eventually_ok("the run", PATIENCE, async || {
        ensure!(field(&mut here.books, "am-1", "state").await? == "accepted");
        Ok(())
    })
    .await?;
    worker.program.kill9().await?;
    let file = path(&folder, "running.jsonl");
    ensure!(here.replay(&["export", &file, "--state", "pending"]).await?.last() == "replay: exported=1");
    let mut there = Counter::open().await?;
    let said = there.replay(&["import", &file, "--yes"]).await?;
    ensure!(said.last() == "replay: imported=1 skipped=0 failed=0", "{} {}", said.out, said.err);
    let _other =
        Member::dispatcher("work", &Settings::of_redis(&there.redis.address()).agents_at(&agent.url())).await?;
    eventually_ok("the end of the run", PATIENCE, async || {
        ensure!(field(&mut there.books, "am-1", "state").await? == "settled");
        Ok(())
    })
    .await?;
    ensure!(
        agent.runs()?.into_iter().collect::<Vec<_>>() == [("am-1-investigation".to_owned(), 1)],
        "{:?}",
        agent.runs()?
    );
    Ok(())
}

#[tokio::test]
async fn bad_files_and_usage() -> Result<()> {
    let (counter, folder) = (Counter::open().await?, tempfile::tempdir()?);
    let missing = path(&folder, "missing.jsonl");
    let said = counter.replay(&["import", &missing, "--yes"]).await?;
    ensure!(said.code == 1 && said.err.contains("missing.jsonl"), "{} {}", said.code, said.err);
    let bad = path(&folder, "bad.jsonl");
    let good: Value =
        json!({"v": 1, "state": "waiting", "entry_id": "1-0", "fields": [["workflow_id", "am-1"], ["text", "x"]]});
    std::fs::write(&bad, format!("not json\n\n{good}\n{{\"v\":9}}\n"))?;
    let said = counter.replay(&["import", &bad, "--yes"]).await?;
    ensure!(said.code == 2 && said.last() == "replay: imported=1 skipped=0 failed=2", "{}", said.out);
    for arguments in [&["import", &bad][..], &["import", "-"], &["export", "-", "--state", "gone"]] {
        let said = counter.replay(arguments).await?;
        ensure!(said.code == 64, "{arguments:?}: {} {}", said.code, said.err);
    }
    let nowhere = format!("redis://127.0.0.1:{}", free_port()?);
    let out = path(&folder, "out.jsonl");
    for arguments in [&["export", &out][..], &["import", &bad, "--yes"]] {
        let said = run(arguments, &[("REDIS_URL", &nowhere)]).await?;
        ensure!(said.code == 69, "{arguments:?}: {} {}", said.code, said.err);
    }
    ensure!(!std::path::Path::new(&out).exists(), "half a file is left behind");
    let row = counter.replay(&["list", "-o", "json"]).await?;
    row.out.is_empty().then_some(()).context("nothing is pending")?;
    Ok(())
}
