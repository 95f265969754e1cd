//! What the programs say of themselves.

use anyhow::{Context, Result, ensure};
use line_tests::Program;

use super::{COMMANDS, DISPATCHER, PATIENCE, SCALER, ended};

const REDIS: &[&str] = &[
    "REDIS_SENTINEL_HOST",
    "REDIS_SENTINEL_PORT",
    "REDIS_SENTINELS",
    "REDIS_SENTINEL_MASTER_NAME",
    "REDIS_URL",
    "REDIS_URL_FILE",
    "REDIS_DB",
    "REDIS_USERNAME",
    "REDIS_PASSWORD",
    "REDIS_PASSWORD_FILE",
    "REDIS_SENTINEL_USERNAME",
    "REDIS_SENTINEL_PASSWORD",
    "REDIS_SENTINEL_PASSWORD_FILE",
    "REDIS_TLS",
    "REDIS_TLS_CA_FILE",
    "REDIS_TLS_CERT_FILE",
    "REDIS_TLS_KEY_FILE",
    "REDIS_SENTINEL_TLS",
    "STREAM_NAME",
    "CONSUMER_GROUP",
];

const PROCESS: &[&str] =
    &["ADMIN_ADDR", "SHUTDOWN_GRACE", "LOG_FORMAT", "RUST_LOG", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME"];

const OF_SCALER: &[&str] = &[
    "SCALER_ADDR",
    "SCALER_ALLOWED_SENTINELS",
    "SCALER_TLS_CERT_FILE",
    "SCALER_TLS_KEY_FILE",
    "SCALER_TLS_CLIENT_CA_FILE",
];

const NAMES_AND_AGENTS: &[&str] = &[
    "CONSUMER_NAME",
    "DLQ_STREAM",
    "PARKED_STREAM",
    "ROUTING_KEY",
    "STREAM_KEEP",
    "KAGENT_A2A_URL",
    "AGENT_NAMESPACE",
    "INTERNAL_A2A_BEARER_TOKEN",
    "INTERNAL_A2A_BEARER_TOKEN_FILE",
    "A2A_VERSION",
    "A2A_USER_ID",
    "ALERTMANAGER_TARGET_AGENT",
];

const WORKER: &[&str] = &[
    "DISPATCHER_WORKERS",
    "BLOCK_MS",
    "MIN_IDLE_MS",
    "MAX_ATTEMPTS",
    "GIVE_UP_AFTER",
    "ON_UNCERTAIN",
    "ACK_ON",
    "RESOLVED_SETTLES",
    "RUN_DEADLINE",
];

const HOOK: &[&str] = &[
    "HTTP_ADDR",
    "WEBHOOK_BEARER_TOKEN",
    "WEBHOOK_BEARER_TOKEN_FILE",
    "WEBHOOK_MAX_BODY",
    "ALERTMANAGER_ALLOWED_SEVERITIES",
    "ALERTMANAGER_INCLUDE_RESOLVED",
    "EPISODE_SLACK",
    "ALERT_RERUN_AFTER",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_help_names_every_variable_and_shows_no_value() -> Result<()> {
    for (program, arguments) in COMMANDS {
        let parts: &[&[&str]] = match (program, arguments) {
            (SCALER, _) => &[REDIS, PROCESS, OF_SCALER],
            (_, ["work"]) => &[REDIS, PROCESS, NAMES_AND_AGENTS, WORKER],
            (_, ["hook"]) => &[REDIS, PROCESS, NAMES_AND_AGENTS, HOOK],
            _ => &[REDIS, PROCESS, NAMES_AND_AGENTS, WORKER, HOOK],
        };
        let mut arguments = arguments.to_vec();
        arguments.push("--help");
        let help = ended(program, &arguments, &[("REDIS_PASSWORD", "marker-of-a-secret")]).await?;
        ensure!(help.code == 0 && help.err.is_empty(), "{help:?}");
        for variable in parts.concat() {
            let flag = format!("--{} <", variable.to_lowercase().replace('_', "-"));
            ensure!(help.out.contains(&format!("[env: {variable}]")), "{program} {arguments:?}: {variable}");
            ensure!(help.out.contains(&flag), "{program} {arguments:?}: {flag}");
        }
        ensure!(!help.out.contains("marker-of-a-secret"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn version_overview_and_completions() -> Result<()> {
    for program in [SCALER, DISPATCHER] {
        let version = ended(program, &["--version"], &[]).await?;
        let number = version.out.trim().strip_prefix(program).context("another name")?;
        ensure!(version.code == 0 && number.trim().split('.').count() == 3 && version.err.is_empty(), "{version:?}");
    }
    let overview = ended(DISPATCHER, &["--help"], &[]).await?;
    ensure!(overview.code == 0 && overview.err.is_empty(), "{overview:?}");
    for command in ["hook", "work", "run", "replay", "check", "completions"] {
        ensure!(overview.out.lines().any(|line| line.trim().starts_with(command)), "{command}: {}", overview.out);
    }
    for (program, shell) in
        [DISPATCHER, SCALER].into_iter().flat_map(|program| ["bash", "zsh", "fish"].map(|shell| (program, shell)))
    {
        let script = ended(program, &["completions", shell], &[]).await?;
        ensure!(script.code == 0 && script.err.is_empty(), "{program} {shell}: {}", script.err);
        ensure!(script.out.contains(program) && script.out.contains("redis-sentinels"), "{program} {shell}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_written_is_a_failure() -> Result<()> {
    let check = "check --for scaler --redis-url redis://127.0.0.1:1/4 --timeout 1s";
    for (program, arguments) in [(SCALER, "completions bash"), (DISPATCHER, "completions bash"), (DISPATCHER, check)] {
        let mut running = Program::shell(program, &format!("\"$PROGRAM\" {arguments} > /dev/full"), &[])?;
        let code = running.exit_code(PATIENCE).await?;
        ensure!(
            code == 1 && running.log().contains("cannot be written"),
            "{program} {arguments}: {code} {}",
            running.tail()
        );
    }
    Ok(())
}
