//! TLS with client certificates, and what is said where it fails.

use anyhow::{Result, ensure};
use line_tests::line::{Books, DATABASE, Member, STREAM, Settings};
use line_tests::ports::free_port;
use line_tests::{Agent, AgentKind, AgentOptions, Redis, eventually_ok};
use tonic::Code;

use super::{Certificates, Guarded, PASSWORD, PATIENCE, until_backlog, until_error, user};

/// A sentinel that watches the server over TLS; gives its own port for TLS.
async fn sentinel(certificates: &Certificates, guarded: &Guarded) -> Result<(Redis, u16)> {
    let (port, tls_port) = (free_port()?, free_port()?);
    let config = format!(
        "port {port}\nbind 127.0.0.1\nprotected-mode no\n{}\n{}\nsentinel monitor mymaster 127.0.0.1 {} 1\n",
        certificates.server_lines(tls_port).join("\n"),
        user("incident-line")?,
        guarded.tls_port,
    );
    let sentinel = Redis::sentinel(port, &config, None).await?;
    let mut client = sentinel.client().await?;
    eventually_ok("the sentinel's agreement", PATIENCE, async || {
        client.cmd(&["SENTINEL", "CKQUORUM", "mymaster"]).await.map(drop)
    })
    .await?;
    Ok((sentinel, tls_port))
}

/// Everything at once: TLS with client certificates and users with the least permissions, at nodes and at Sentinel.
#[tokio::test(flavor = "multi_thread")]
async fn worker_and_scaler_through_sentinel() -> Result<()> {
    let certificates = Certificates::new()?;
    let guarded = Guarded::start(&certificates).await?;
    let (_sentinel, sentinel_port) = sentinel(&certificates, &guarded).await?;
    let agent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    let settings = certificates
        .settings(Settings::default())
        // By name: the certificate has both, and Sentinel names the node by address.
        .with("REDIS_SENTINELS", format!("localhost:{sentinel_port}"))
        .with("REDIS_SENTINEL_TLS", "true")
        .with("REDIS_SENTINEL_USERNAME", "incident-line")
        .with("REDIS_SENTINEL_PASSWORD", PASSWORD)
        .with("REDIS_PASSWORD", PASSWORD)
        .agents_at(&agent.url());
    let mut books = Books(guarded.client().await?);
    books.order("am-secured", "echo").await?;

    let scaler = Member::scaler(&settings.clone().with("REDIS_USERNAME", "incident-scaler")).await?;
    until_backlog(&scaler, 1).await?;
    let worker = Member::dispatcher("work", &settings.with("REDIS_USERNAME", "incident-worker")).await?;
    until_backlog(&scaler, 0).await?;
    books.is_drained().await?;
    ensure!(agent.executions_from_log()?.len() == 1);

    let clients = books.0.cmd(&["CLIENT", "LIST", "TYPE", "normal"]).await?.text()?.to_owned();
    for name in ["stream-scaler", "stream-dispatcher-work"] {
        let mut own = clients.lines().filter(|line| line.contains(&format!("name={name} "))).peekable();
        ensure!(own.peek().is_some(), "{name} is not connected: {clients}");
        ensure!(own.all(|line| line.contains(&format!("laddr=127.0.0.1:{} ", guarded.tls_port))), "{clients}");
    }
    for member in [&scaler, &worker] {
        let log = member.program.log();
        ensure!(!log.contains("polling only") && !log.contains(PASSWORD) && !log.contains("ERROR"), "{log}");
    }
    Ok(())
}

fn direct(certificates: &Certificates, port: u16) -> Settings {
    certificates
        .settings(Settings::default())
        .with("REDIS_URL", format!("rediss://incident-scaler:{PASSWORD}@localhost:{port}/{DATABASE}"))
        .with("REDIS_TLS", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_with_tls() -> Result<()> {
    let certificates = Certificates::new()?;
    let guarded = Guarded::start(&certificates).await?;
    guarded.client().await?.cmd(&["XADD", STREAM, "*", "workflow_id", "w"]).await?;
    let scaler = Member::scaler(&direct(&certificates, guarded.tls_port)).await?;
    until_backlog(&scaler, 1).await
}

/// The error says which file is to be looked at; once it has been put right, nothing has to be restarted.
#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_did_not_sign() -> Result<()> {
    let certificates = Certificates::new()?;
    let guarded = Guarded::start(&certificates).await?;
    std::fs::copy(certificates.path("other-ca.pem"), certificates.path("mounted.pem"))?;
    let mounted = certificates.path("mounted.pem").display().to_string();
    let settings = direct(&certificates, guarded.tls_port).with("REDIS_TLS_CA_FILE", mounted);
    let scaler = Member::scaler(&settings).await?;
    let message = until_error(&scaler, Code::FailedPrecondition, "REDIS_TLS_CA_FILE").await?;
    ensure!(message.contains("certificate"), "{message}");
    std::fs::copy(certificates.path("ca.pem"), certificates.path("mounted.pem"))?;
    until_backlog(&scaler, 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_certificate_where_one_is_asked_for() -> Result<()> {
    let certificates = Certificates::new()?;
    let guarded = Guarded::start(&certificates).await?;
    let settings =
        direct(&certificates, guarded.tls_port).with("REDIS_TLS_CERT_FILE", "").with("REDIS_TLS_KEY_FILE", "");
    let scaler = Member::scaler(&settings).await?;
    until_error(&scaler, Code::FailedPrecondition, "REDIS_TLS_CERT_FILE").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_there() -> Result<()> {
    let certificates = Certificates::new()?;
    let guarded = Guarded::start(&certificates).await?;
    let missing = certificates.path("missing.pem").display().to_string();
    let settings = direct(&certificates, guarded.tls_port).with("REDIS_TLS_CA_FILE", missing.clone());
    let scaler = Member::scaler(&settings).await?;
    until_error(&scaler, Code::FailedPrecondition, &missing).await?;
    Ok(())
}

/// TLS spoken to a port without it, and the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_port() -> Result<()> {
    let certificates = Certificates::new()?;
    let guarded = Guarded::start(&certificates).await?;
    let tls_on_plain = Member::scaler(&direct(&certificates, guarded.redis.port())).await?;
    let plain_on_tls = Member::scaler(&Settings::of_redis(&format!("127.0.0.1:{}", guarded.tls_port))).await?;
    for scaler in [&tls_on_plain, &plain_on_tls] {
        until_error(scaler, Code::Unavailable, "REDIS_TLS").await?;
    }
    Ok(())
}
