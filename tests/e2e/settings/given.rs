//! Settings that are in order, by whatever way they come.

use anyhow::{Result, ensure};
use line_tests::alerts::{self, burst, webhook};
use line_tests::keda::ScaledObject;
use line_tests::line::{Books, DATABASE, Member, STREAM, Settings};
use line_tests::ports::free_port;
use line_tests::{Keda, Program, Redis, RedisOptions, eventually_ok};
use tempfile::NamedTempFile;

use super::{DISPATCHER, PATIENCE};

fn file(text: &str) -> Result<NamedTempFile> {
    let file = NamedTempFile::new()?;
    std::fs::write(file.path(), text)?;
    Ok(file)
}

fn path(file: &NamedTempFile) -> String {
    file.path().display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_url_out_of_a_file() -> Result<()> {
    let redis = Redis::start(RedisOptions { password: Some("p@ss/word".into()), ..RedisOptions::default() }).await?;
    redis.database(7).await?.cmd(&["XADD", STREAM, "*", "workflow_id", "w"]).await?;
    let url = file(&format!("redis://:p%40ss%2Fword@{}/7\n", redis.address()))?;
    // The database of the URL wins.
    let settings = Settings::default().with("REDIS_URL_FILE", path(&url)).with("REDIS_DB", "3");
    let scaler = Member::scaler(&settings).await?;
    let active = Keda::connect(&scaler.grpc).await?.is_active(&ScaledObject::with_metadata(&[])).await?;
    ensure!(active, "the entry in database 7 is not seen");
    ensure!(!scaler.program.log().contains("p@ss") && !scaler.program.log().contains("p%40ss"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_token_out_of_a_file_that_changes() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let token = file("first\n")?;
    let settings = Settings::of_redis(&redis.address()).with("WEBHOOK_BEARER_TOKEN_FILE", path(&token));
    let hook = Member::dispatcher("hook", &settings).await?;
    let body = webhook(&burst(1, 1, "echo"));
    let status = async |token| alerts::post_body(&hook.http, &body, token).await.map(|(status, _)| status);
    ensure!(status(None).await? == 401 && status(Some("other")).await? == 401 && status(Some("first")).await? == 200);
    std::fs::write(token.path(), "second")?;
    eventually_ok("the new token", PATIENCE, async || {
        ensure!(status(Some("second")).await? == 200 && status(Some("first")).await? == 401);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_present_hook_s_name_of_the_stream() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let mut books = Books::at(&redis.address()).await?;
    let settings = Settings::of_redis(&redis.address()).with("REDIS_STREAM_NAME", "theirs");
    let hook = Member::dispatcher("hook", &settings).await?;
    ensure!(alerts::post(&hook.http, &burst(1, 1, "echo")).await?.0 == 200);
    ensure!(books.length("theirs").await? == 1 && books.length(STREAM).await? == 0);
    let hook = Member::dispatcher("hook", &settings.with("STREAM_NAME", "ours")).await?;
    ensure!(alerts::post(&hook.http, &burst(2, 1, "echo")).await?.0 == 200);
    ensure!(books.length("theirs").await? == 1 && books.length("ours").await? == 1, "STREAM_NAME wins");
    Ok(())
}

/// `:PORT` is what Go programs, and so the present manifests, write; a flag wins over its variable.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_without_a_host_and_flags_over_variables() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let (http, admin) = (free_port()?, free_port()?);
    let (http_addr, url) = (format!(":{http}"), format!("redis://{}/{DATABASE}", redis.address()));
    let admin_addr = format!("127.0.0.1:{admin}");
    let environment = [("HTTP_ADDR", http_addr.as_str()), ("ADMIN_ADDR", "127.0.0.1:1"), ("REDIS_URL", &url)];
    let mut hook = Program::start(DISPATCHER, &["hook", "--admin-addr", &admin_addr], &environment)?;
    for url in [format!("http://127.0.0.1:{http}/healthz"), format!("http://127.0.0.1:{admin}/readyz")] {
        let answered = eventually_ok("the hook", PATIENCE, async || {
            let (status, body) = alerts::get(&url).await?;
            ensure!(status == 200, "{status} {body}");
            Ok(())
        });
        answered.await.map_err(|error| error.context(hook.tail()))?;
    }
    ensure!(hook.terminate(PATIENCE).await?.code() == Some(0), "{}", hook.tail());
    Ok(())
}
