//! Mistakes.

use std::net::TcpListener;

use anyhow::{Context, Result, ensure};
use line_tests::line::{Member, Settings};
use line_tests::ports::free_port;

use super::{COMMANDS, DISPATCHER, Ended, SCALER, ended, expect_usage};

const SECRET: &str = "marker-of-a-secret";

/// Mistakes that every program must name.
const COMMON: &[(&str, &str)] = &[
    ("ADMIN_ADDR", "everywhere"),
    ("SHUTDOWN_GRACE", "25"),
    ("LOG_FORMAT", "xml"),
    ("REDIS_SENTINEL_PORT", "many"),
    ("REDIS_SENTINELS", "one,two:x"),
    ("REDIS_URL", "http://user:marker-of-a-secret@host"),
    ("REDIS_DB", "four"),
    ("REDIS_TLS", "perhaps"),
    ("REDIS_SENTINEL_TLS", "2"),
    ("REDIS_TLS_CERT_FILE", "/only/the/certificate"),
    ("REDIS_SENTINEL_PASSWORD_FILE", "/does/not/exist"),
];

const SCALER_ONLY: &[(&str, &str)] = &[
    ("SCALER_ADDR", "0.0.0.0"),
    ("SCALER_ALLOWED_SENTINELS", "a:1,b"),
    ("SCALER_TLS_CERT_FILE", "/does/not/exist"),
    ("SCALER_TLS_KEY_FILE", "/does/not/exist"),
    ("SCALER_TLS_CLIENT_CA_FILE", "/does/not/exist"),
];

const AGENTS: &[(&str, &str)] = &[
    ("KAGENT_A2A_URL", "agents"),
    ("AGENT_NAMESPACE", "Not_A_Label"),
    ("ALERTMANAGER_TARGET_AGENT", "../admin"),
    ("A2A_VERSION", "2"),
    ("A2A_USER_ID", "a\u{1}b"),
];

const WORKER: &[(&str, &str)] = &[
    ("DISPATCHER_WORKERS", "0"),
    ("BLOCK_MS", "1s"),
    ("MIN_IDLE_MS", "5"),
    ("MAX_ATTEMPTS", "-1"),
    ("GIVE_UP_AFTER", "24"),
    ("ON_UNCERTAIN", "hope"),
    ("ACK_ON", "sight"),
    ("RUN_DEADLINE", "0s"),
];

const HOOK: &[(&str, &str)] = &[
    ("HTTP_ADDR", "8080"),
    ("WEBHOOK_BEARER_TOKEN_FILE", "/does/not/exist"),
    ("WEBHOOK_MAX_BODY", "lots"),
    ("ALERTMANAGER_INCLUDE_RESOLVED", "maybe"),
    ("EPISODE_SLACK", "5"),
    ("ALERT_RERUN_AFTER", "never"),
];

/// Each mistake stands on a line of its own that begins with its variable and names the flag too.
fn expect_named(ended: &Ended, variable: &str) -> Result<()> {
    let flag = format!("--{}", variable.to_lowercase().replace('_', "-"));
    let named = ended.err.lines().any(|line| line.starts_with(variable) && line.contains(&format!("({flag}):")));
    ensure!(named, "{variable} is not named:\n{}", ended.err);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_mistakes_are_named_at_once_and_no_secret() -> Result<()> {
    for (program, arguments) in COMMANDS {
        let parts: &[&[(&str, &str)]] = match (program, arguments) {
            (SCALER, _) => &[COMMON, SCALER_ONLY],
            (_, ["work"]) => &[COMMON, AGENTS, WORKER],
            (_, ["hook"]) => &[COMMON, AGENTS, HOOK],
            _ => &[COMMON, AGENTS, WORKER, HOOK],
        };
        let wrong = parts.concat();
        let mut environment = wrong.clone();
        // Given twice: the mistake is named, the value is not.
        environment.extend([("REDIS_PASSWORD", SECRET), ("REDIS_PASSWORD_FILE", "/some/file")]);
        environment.extend([("REDIS_SENTINEL_USERNAME", "somebody"), ("WEBHOOK_BEARER_TOKEN", SECRET)]);
        environment.extend([("INTERNAL_A2A_BEARER_TOKEN", SECRET), ("INTERNAL_A2A_BEARER_TOKEN_FILE", "/f")]);
        let ended = ended(program, arguments, &environment).await?;
        expect_usage(&ended).with_context(|| format!("{program} {arguments:?}"))?;
        for (variable, _) in &wrong {
            // A token given twice is a mistake of the pair.
            let named = variable.strip_suffix("_FILE").filter(|name| *name == "WEBHOOK_BEARER_TOKEN");
            expect_named(&ended, named.unwrap_or(variable)).with_context(|| format!("{program} {arguments:?}"))?;
        }
        expect_named(&ended, "REDIS_PASSWORD")?;
        if program == DISPATCHER {
            expect_named(&ended, "INTERNAL_A2A_BEARER_TOKEN")?;
        }
        ensure!(!ended.err.contains(SECRET), "{program} {arguments:?} shows a secret:\n{}", ended.err);
    }
    Ok(())
}

/// A secret in a place where none belongs is not repeated either.
#[tokio::test(flavor = "multi_thread")]
async fn a_url_with_a_password_in_place_of_an_address() -> Result<()> {
    let url = format!("redis://:{SECRET}@host:6379");
    for name in ["REDIS_SENTINEL_HOST", "REDIS_SENTINELS", "SCALER_ALLOWED_SENTINELS", "REDIS_URL"] {
        let url = if name == "REDIS_URL" { format!("{url}/x y") } else { url.clone() };
        let own = [("REDIS_SENTINEL_HOST", "host"), (name, url.as_str())];
        let environment = if name == "REDIS_SENTINEL_HOST" { &own[1..] } else { &own[..] };
        let ended = ended(SCALER, &[], environment).await?;
        expect_usage(&ended)?;
        expect_named(&ended, name)?;
        ensure!(!ended.err.contains(SECRET), "{name} shows a secret:\n{}", ended.err);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_url_that_is_none() -> Result<()> {
    for url in ["agents", "ftp://agents/{agent}", "http://user:marker-of-a-secret@/{agent}/{other}"] {
        let environment = [("REDIS_SENTINEL_HOST", "host"), ("KAGENT_A2A_URL", url)];
        let ended = ended(DISPATCHER, &["work"], &environment).await?;
        expect_usage(&ended).context(url)?;
        expect_named(&ended, "KAGENT_A2A_URL")?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_that_do_not_exist() -> Result<()> {
    for (program, arguments) in COMMANDS {
        for wrong in ["--redis-passwrd=marker-of-a-secret", "--no-such-flag", "surplus"] {
            let mut arguments = arguments.to_vec();
            arguments.push(wrong);
            let ended = ended(program, &arguments, &[("REDIS_PASSWORD", SECRET)]).await?;
            expect_usage(&ended)?;
            ensure!(!ended.err.contains(SECRET), "{ended:?}");
            ensure!(ended.err.contains(wrong.split('=').next().unwrap_or(wrong)), "{ended:?}");
        }
    }
    for arguments in [&[][..], &["wrok"]] {
        expect_usage(&ended(DISPATCHER, arguments, &[]).await?)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_redis_only_the_hook_s_work_is_left() -> Result<()> {
    for (program, arguments) in [(SCALER, &[][..]), (DISPATCHER, &["work"][..])] {
        // A manifest sets a variable to nothing where it means "not set".
        for environment in [&[][..], &[("REDIS_URL", ""), ("REDIS_SENTINELS", " ")]] {
            let ended = ended(program, arguments, environment).await?;
            expect_usage(&ended)?;
            expect_named(&ended, "REDIS_SENTINEL_HOST")?;
        }
    }
    for command in ["hook", "run"] {
        let mut member = Member::dispatcher(command, &Settings::default()).await?;
        ensure!(member.program.log().contains("no Redis is given"), "{}", member.program.log());
        let status = member.program.terminate(super::PATIENCE).await?;
        ensure!(status.code() == Some(0), "{status}: {}", member.program.tail());
    }
    Ok(())
}

/// Something else has the port: the program ends, which a platform shows, and says which setting to change.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let taken = taken.local_addr()?.to_string();
    let redis = format!("redis://127.0.0.1:{}", free_port()?);
    let free = [free_port()?, free_port()?, free_port()?].map(|port| format!("127.0.0.1:{port}"));
    let [http, admin, grpc] = free.each_ref().map(String::as_str);
    let cases = [
        (SCALER, &[][..], "ADMIN_ADDR"),
        (SCALER, &[], "SCALER_ADDR"),
        (DISPATCHER, &["work"], "ADMIN_ADDR"),
        (DISPATCHER, &["hook"], "ADMIN_ADDR"),
        (DISPATCHER, &["hook"], "HTTP_ADDR"),
        (DISPATCHER, &["run"], "HTTP_ADDR"),
    ];
    for (program, arguments, setting) in cases {
        let mut environment =
            vec![("REDIS_URL", redis.as_str()), ("HTTP_ADDR", http), ("ADMIN_ADDR", admin), ("SCALER_ADDR", grpc)];
        environment.retain(|(name, _)| *name != setting);
        environment.push((setting, &taken));
        let ended = ended(program, arguments, &environment).await?;
        ensure!(ended.code == 1 && ended.out.is_empty(), "{program} {arguments:?} {setting}: {ended:?}");
        let clear = ended.err.lines().any(|line| line.contains(setting) && line.contains(&taken));
        ensure!(clear && ended.err.contains("in use"), "{program} {arguments:?} {setting}: {}", ended.err);
    }
    Ok(())
}
