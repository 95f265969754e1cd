//! Redis and Sentinel behind TLS, passwords and ACL users.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::keda::ScaledObject;
use line_tests::line::{DATABASE, Member};
use line_tests::{Client, Keda, Redis, RedisOptions, eventually_ok};
use tonic::{Code, Status};

#[path = "secured/certificates.rs"]
mod certificates;
#[path = "secured/passwords.rs"]
mod passwords;
#[path = "secured/permissions.rs"]
mod permissions;
#[path = "secured/tls.rs"]
mod tls;

use certificates::Certificates;

const PATIENCE: Duration = Duration::from_secs(15);
const PASSWORD: &str = "marker-of-the-right-one";

/// The line of `docs/operating.md` that defines a user, with [`PASSWORD`]: what operators give is what is tested.
fn user(name: &str) -> Result<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating.md");
    let page = std::fs::read_to_string(page)?;
    let begin = format!("user {name} ");
    let line = page.lines().find(|line| line.starts_with(&begin)).with_context(|| format!("no user {name}"))?;
    Ok(line.replace(">PASSWORD", &format!(">{PASSWORD}")))
}

async fn backlog(scaler: &Member) -> Result<i64, Status> {
    let keda = Keda::connect(&scaler.grpc).await.map_err(|error| Status::internal(error.to_string()))?;
    let name = "incident-events-dispatch-group-backlog";
    let values = keda.metrics(&ScaledObject::with_metadata(&[]), name).await?;
    values.first().map(|value| value.metric_value).ok_or_else(|| Status::internal("no value"))
}

async fn until_backlog(scaler: &Member, expected: i64) -> Result<()> {
    eventually_ok(format!("a backlog of {expected}"), PATIENCE, async || {
        let found = backlog(scaler).await?;
        ensure!(found == expected, "{found}");
        Ok(())
    })
    .await
    .with_context(|| scaler.program.tail())
}

/// Waits for the error that names what is wrong; gives its text. A first reading that takes too long is another error.
async fn until_error(scaler: &Member, code: Code, named: &str) -> Result<String> {
    eventually_ok(format!("{code:?} that names {named}"), PATIENCE, async || match backlog(scaler).await {
        Err(status) if status.code() == code && status.message().contains(named) => Ok(status.message().to_owned()),
        other => anyhow::bail!("{other:?}"),
    })
    .await
}

/// A server with an own port for TLS besides the plain one, which is the test's.
struct Guarded {
    redis: Redis,
    tls_port: u16,
}

impl Guarded {
    async fn start(certificates: &Certificates) -> Result<Self> {
        let tls_port = line_tests::ports::free_port()?;
        let mut config = certificates.server_lines(tls_port);
        config.extend([user("incident-worker")?, user("incident-scaler")?]);
        let redis = Redis::start(RedisOptions { config, ..RedisOptions::default() }).await?;
        Ok(Self { redis, tls_port })
    }

    async fn client(&self) -> Result<Client> {
        self.redis.database(DATABASE).await
    }
}
