//! Stream, group, what is kept beside them, and the agents of the routing hash.

use anyhow::{Result, ensure};
use line_tests::line::{Books, DEAD, GROUP, STREAM};

use super::counter::{agent, books, json, server, settings};

async fn run(books: &mut Books, commands: &[&str]) -> Result<()> {
    for command in commands {
        books.0.cmd(&command.split(' ').collect::<Vec<_>>()).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_streams_is_told() -> Result<()> {
    let (redis, agent) = (server(&[]).await?, agent().await?);
    let mut books = books(&redis).await?;
    run(
        &mut books,
        &[
            "XADD incident:events 1-1 workflow_id am-1",
            "XADD incident:events 2-1 workflow_id am-2",
            "XGROUP CREATE incident:events dispatch-group 0",
            "XREADGROUP GROUP dispatch-group ghost COUNT 1 STREAMS incident:events >",
            "XCLAIM incident:events dispatch-group ghost 0 1-1 IDLE 60000 JUSTID",
            "XADD incident:events:dlq * workflow_id am-3 reason failed",
            "XADD incident:events:parked * workflow_id am-4",
            "SADD incident:events:waiting incident:events:waiting:kagent:triage-agent",
            "XADD incident:events:waiting:kagent:triage-agent * workflow_id am-5",
            "HSET incident:routing investigation ops/other remediation ../x",
        ],
    )
    .await?;
    let said = json(&settings(&redis, &agent)).await?;
    ensure!(said.code == 1, "{said:?}");
    said.expect("ok", "stream", &["2 entries", "2 ever added", "the oldest from"])?;
    said.expect("ok", "group", &[GROUP, "1 pending, 1 unread"])?;
    said.expect("warning", "stuck", &["1 entries", "--state stuck"])?;
    said.expect("warning", "dead", &["1 dead letters in the last hour"])?;
    said.expect("warning", "parked", &["1 incidents"])?;
    said.expect("warning", "waiting", &["1 incidents wait for kagent/triage-agent"])?;
    said.expect("problem", "routes", &["remediation -> \"../x\"", "HSET incident:routing"])?;
    said.expect("ok", "agent", &["ops/other", "lists its tasks"])?;
    ensure!(books.length(STREAM).await? == 2 && books.length(DEAD).await? == 1 && books.pending().await? == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_other_types_and_foreign_trimming_are_found() -> Result<()> {
    let (redis, agent) = (server(&[]).await?, agent().await?);
    let mut books = books(&redis).await?;
    run(&mut books, &["SET incident:events x", "SADD incident:routing x"]).await?;
    let said = json(&settings(&redis, &agent)).await?;
    ensure!(said.code == 1 && said.amiss()? == ["type", "type"], "{said:?}");
    said.expect("problem", "type", &["incident:events is a string, not a stream (WRONGTYPE)", "STREAM_NAME"])?;
    said.expect("problem", "type", &["incident:routing is a set, not a hash", "ROUTING_KEY"])?;

    run(&mut books, &["DEL incident:events incident:routing"]).await?;
    for _ in 0..1_300 {
        run(&mut books, &["XADD incident:events MAXLEN ~ 1000 * f v"]).await?;
    }
    run(&mut books, &["XGROUP CREATE incident:events dispatch-group $"]).await?;
    let said = json(&settings(&redis, &agent)).await?;
    ensure!(said.code == 0 && said.amiss()? == ["trimmed"], "{said:?}");
    said.expect("warning", "trimmed", &["MAXLEN ~ 1000", "all by trimming", "STREAM_KEEP"])
}
