//! `list` and `show`.

use anyhow::{Result, ensure};
use line_tests::line::DEAD;

use super::counter::{Counter, PARKED};

/// One of each: a pending one, a stuck one, a waiting, a parked and a dead one.
async fn one_of_each() -> Result<Counter> {
    let mut counter = Counter::open().await?;
    counter.held("am-pending", "x", "1").await?;
    counter.held("am-stuck", "x", "3").await?;
    counter.waiting("am-waiting").await?;
    counter.copy(PARKED, "am-parked", "x", "input-required").await?;
    counter.dead("am-dead").await?;
    Ok(counter)
}

#[tokio::test]
async fn every_state_is_listed_and_can_be_asked_for() -> Result<()> {
    let counter = one_of_each().await?;
    let all = ["am-pending", "am-stuck", "am-waiting", "am-parked", "am-dead"];
    let rows = [
        ("all", &all[..]),
        ("pending", &all[..2]),
        ("stuck", &all[1..2]),
        ("waiting", &all[2..3]),
        ("parked", &all[3..4]),
        ("dead", &all[4..]),
    ];
    for (state, expected) in rows {
        let said = counter.replay(&["list", "--state", state, "-o", "json"]).await?;
        ensure!(said.code == 0 && said.column("workflow_id")? == expected, "{state}: {} {}", said.out, said.err);
    }
    let said = counter.replay(&["list", "-o", "json"]).await?;
    ensure!(said.column("state")? == ["pending", "stuck", "waiting", "parked", "dead"], "{}", said.out);
    let rows = said.rows()?;
    ensure!(rows[1]["owner"] == "ghost" && rows[1]["deliveries"] == 3 && rows[1]["attempts"].is_null());
    ensure!(rows[4]["reason"] == "failed" && rows[4]["attempts"] == 2 && rows[4]["alertname"] == "HighCPU");
    ensure!(said.err.is_empty(), "{}", said.err);
    Ok(())
}

#[tokio::test]
async fn a_list_is_filtered_and_cut() -> Result<()> {
    let mut counter = one_of_each().await?;
    counter.books.add(DEAD, &[("workflow_id", "am-ops"), ("agent_target", "ops/other")]).await?;
    let ops = counter.replay(&["list", "--agent", "ops/other", "-o", "json"]).await?;
    ensure!(ops.column("workflow_id")? == ["am-ops"], "{}", ops.out);
    ensure!(counter.replay(&["list", "--older-than", "1h", "-o", "json"]).await?.out.is_empty());
    let cut = counter.replay(&["list", "--limit", "2"]).await?;
    ensure!(cut.code == 0 && cut.out.lines().count() == 3, "a heading and two rows: {}", cut.out);
    ensure!(cut.err.contains("more than 2"), "{}", cut.err);
    ensure!(!cut.out.contains('\u{1b}'), "no colours in a file: {}", cut.out);
    Ok(())
}

#[tokio::test]
async fn pages_leave_nothing_out() -> Result<()> {
    let mut counter = Counter::open().await?;
    for number in 0..250 {
        counter.dead(&format!("am-{number}")).await?;
        counter.held(&format!("am-p{number}"), "x", "1").await?;
    }
    let said = counter.replay(&["list", "-o", "json"]).await?;
    let mut found = said.column("workflow_id")?;
    found.sort();
    found.dedup();
    ensure!(found.len() == 500, "{}", found.len());
    Ok(())
}

#[tokio::test]
async fn an_incident_is_shown_by_any_of_its_ids_and_cannot_harm_the_terminal() -> Result<()> {
    let mut counter = Counter::open().await?;
    let hostile = "first\nlast error  forged \u{1b}[2J\u{202e}";
    let id = counter.copy(DEAD, "am-1", hostile, "failed").await?;
    let client = &mut counter.books.0;
    client
        .cmd(&["HSET", "incident:dispatch:am-1-investigation", "v", "1", "state", "dead", "owner", "w\u{1b}]0;x\u{7}"])
        .await?;
    client.cmd(&["SET", "incident:artifact:am-1:result", "the whole\nanswer"]).await?;
    for name in [&*id, "am-1", "5-1"] {
        let said = counter.replay(&["show", name]).await?;
        ensure!(said.code == 0, "{name}: {}", said.err);
        ensure!(!said.out.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}'), "{}", said.out);
        for part in ["dead, entry", "  | last error  forged \\u{1b}[2J\\u{202e}", "w\\u{1b}]0;x\\u{7}", "  | answer"] {
            ensure!(said.out.contains(part), "{part}: {}", said.out);
        }
        let errors: Vec<_> = said.out.lines().filter(|line| line.starts_with("last error")).collect();
        ensure!(errors == ["last error           it went wrong"], "{errors:?}");
    }
    let said = counter.replay(&["show", "am-1", "-o", "json"]).await?;
    ensure!(said.out.lines().count() == 1 && !said.out.contains(['\u{1b}', '\u{202e}']), "{}", said.out);
    let row = &said.rows()?[0];
    ensure!(row["answer"] == "the whole\nanswer" && row["record"]["state"] == "dead", "{row}");
    ensure!(row["places"][0]["fields"][3][1] == hostile, "{row}");
    Ok(())
}

#[tokio::test]
async fn show_says_where_it_is_now() -> Result<()> {
    let mut counter = one_of_each().await?;
    let unread = counter.books.order("am-unread", "x").await?;
    let rows = [
        ("am-stuck", "stuck, entry"),
        ("am-stuck", "held by ghost"),
        ("am-waiting", "incident:events:waiting:kagent:triage-agent"),
        ("am-parked", "parked, entry"),
        ("am-unread", "unread, entry"),
        (&*unread, "unread, entry"),
    ];
    for (id, part) in rows {
        let said = counter.replay(&["show", id]).await?;
        ensure!(said.code == 0 && said.out.contains(part), "{id}: {} {}", said.out, said.err);
    }
    let said = counter.replay(&["show", "am-nobody"]).await?;
    ensure!(said.code == 1 && said.err.contains("nothing is known of am-nobody"), "{}", said.err);
    Ok(())
}
