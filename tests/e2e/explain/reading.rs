//! Numbers out of Redis.

use anyhow::{Result, ensure};
use line_tests::line::{Books, DATABASE, GROUP, STREAM};
use line_tests::ports::free_port;
use line_tests::{Redis, RedisOptions};

use super::{expect, explain, file, manifest};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_now() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let url = format!("redis://{}/{DATABASE}", redis.address());
    let environment = [("REDIS_URL", url.as_str())];
    let (_kept, path) = file(&manifest("target: \"2\""))?;
    let said = explain(&[&path], &environment).await?;
    expect(
        &said,
        0,
        &["there is no stream", "no: the backlog, 0, is not more than the activation, 0", "replicas, when no trigger"],
    )?;

    let mut books = Books::at(&redis.address()).await?;
    for _ in 0..7 {
        books.add(STREAM, &[("f", "v")]).await?;
    }
    let said = explain(&[&path], &environment).await?;
    expect(&said, 0, &["7 = 0 pending + 7 unread (no group yet", "from 0 to 1 at once (pushed), then 4 replicas"])?;

    books.0.cmd(&["XGROUP", "CREATE", STREAM, GROUP, "0"]).await?;
    books.0.cmd(&["XREADGROUP", "GROUP", GROUP, "c", "COUNT", "3", "STREAMS", STREAM, ">"]).await?;
    let said = explain(&[&path, "--replicas", "4", "-o", "json"], &environment).await?;
    expect(&said, 0, &[])?;
    let document = said.json()?;
    let object = &document["objects"][0];
    let judged = &object["triggers"][0]["judged"];
    ensure!(judged["sample"]["pending"] == 3 && judged["sample"]["lag"] == 4, "{document}");
    ensure!(judged["value"] == 7.0 && judged["active"] == true && judged["wanted"] == 4, "{document}");
    ensure!(judged["metric_name"] == "incident-events-dispatch-group-backlog", "{document}");
    ensure!(object["outlook"]["result"] == 4 && document["exit_code"] == 0, "{document}");
    ensure!(object["name"] == "worker" && object["namespace"] == "incidents", "{document}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_does_not_answer_and_one_that_refuses() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let (_kept, path) = file(&manifest("metric: backlog"))?;
    let away = format!("redis://127.0.0.1:{}/{DATABASE}", free_port()?);
    let said = explain(&[&path], &[("REDIS_URL", &away)]).await?;
    expect(&said, 69, &["unread", "unread=1 errors=0"])?;

    redis.database(DATABASE).await?.cmd(&["SET", STREAM, "text"]).await?;
    let url = format!("redis://{}/{DATABASE}", redis.address());
    let said = explain(&[&path], &[("REDIS_URL", &url)]).await?;
    expect(&said, 1, &["unread", "WRONGTYPE"])?;
    // What the manifest says is wrong whether Redis answers or not.
    let (_kept, path) = file(&manifest("target: none"))?;
    expect(&explain(&[&path], &[("REDIS_URL", &away)]).await?, 1, &["metadata.target"])
}

/// The settings of the scaler decide which Sentinels a trigger may name.
#[tokio::test(flavor = "multi_thread")]
async fn another_redis_must_be_allowed() -> Result<()> {
    let url = format!("redis://127.0.0.1:{}/{DATABASE}", free_port()?);
    let (_kept, path) = file(&manifest("addresses: other:26379"))?;
    let arguments = [path.as_str(), "--sample", "lag=1"];
    let said = explain(&arguments, &[("REDIS_URL", &url)]).await?;
    expect(&said, 1, &["metadata.addresses", "add other:26379 to SCALER_ALLOWED_SENTINELS"])?;
    let allowed = [("REDIS_URL", url.as_str()), ("SCALER_ALLOWED_SENTINELS", "other:26379")];
    expect(&explain(&arguments, &allowed).await?, 0, &["master mymaster of other:26379"])?;
    // Without settings it is not known which are allowed.
    expect(&explain(&arguments, &[]).await?, 0, &["master mymaster of other:26379"])
}
