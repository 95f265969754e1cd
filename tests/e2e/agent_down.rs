//! One of two agents is down for three leases: short ones here, in full length in `make bench`.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Result, ensure};

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_down_loses_nothing_and_holds_nobody_up() -> Result<()> {
    let seen = line_tests::agent_down::run(Duration::from_secs(3)).await?;
    writeln!(std::io::stderr(), "{seen:?}")?;
    // One probe at a time, ever more rarely: without that there would be one for each of the entries that came.
    ensure!(seen.tries < 12.0, "{seen:?}");
    Ok(())
}
