//! `make bench`, a part: an agent is down for 90 s, three leases, under load. What becomes of the other agent's
//! latency, of the backlog, and of the entries.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Result, ensure};

const LEASE: Duration = Duration::from_secs(30);
const MOST: f64 = 1.2;

#[tokio::main]
async fn main() -> Result<()> {
    let lease = std::env::args().nth(1).map_or(Ok(LEASE), |seconds| seconds.parse().map(Duration::from_secs))?;
    let seen = line_tests::agent_down::run(lease).await?;
    let ratio = seen.during / seen.before;
    let mut out = std::io::stdout().lock();
    let mut line = |what: &str, is: String, aim: &str| writeln!(out, "{what:<52} {is:>10} {aim:>10}");
    line("one of two agents down for three leases", "is".into(), "aim")?;
    line("entries for each agent, all run once, no dead letter", seen.entries.to_string(), "-")?;
    line("other agent, entry to run before, median ms", format!("{:.1}", seen.before * 1e3), "-")?;
    line("the same meanwhile, ms", format!("{:.1}", seen.during * 1e3), "-")?;
    line("ratio", format!("{ratio:.2}"), &format!("<= {MOST}"))?;
    line("most backlog in the first lease", seen.most_at_first.to_string(), "<= 21")?;
    line("backlog at the end", seen.at_last.to_string(), "<= 2")?;
    line("entries waiting then", seen.waiting.to_string(), "-")?;
    line("tries at the agent in the last two leases", format!("{:.0}", seen.tries), "-")?;
    line("until everything had run once it was back, s", format!("{:.1}", seen.caught_up), "-")?;
    ensure!(ratio <= MOST, "the other agent's latency rose {ratio:.2} times");
    Ok(())
}
