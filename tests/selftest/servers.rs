use std::time::{Duration, Instant};

use anyhow::Result;
use line_tests::{Client, Redis, RedisOptions, Reply};

#[tokio::test]
async fn every_kind_of_reply_is_read() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let mut client = redis.database(4).await?;
    let id = client.cmd(&["XADD", "s", "1-1", "name", "v\u{e4}lue"]).await?;
    assert_eq!(id.text()?, "1-1");
    client.cmd(&["XGROUP", "CREATE", "s", "g", "0"]).await?;
    assert!(client.cmd(&["GET", "absent"]).await?.is_nil());
    assert_eq!(client.cmd(&["XLEN", "s"]).await?.int()?, 1);
    client.cmd(&[b"SET".as_slice(), b"binary", &[0xff, 0, b'\r', b'\n']]).await?;
    let binary = client.cmd(&["GET", "binary"]).await?;
    assert_eq!(binary, Reply::Bytes(vec![0xff, 0, b'\r', b'\n']));
    let groups = client.cmd(&["XINFO", "GROUPS", "s"]).await?;
    let group = groups.items()?.first().unwrap().fields()?;
    assert_eq!(group.get("lag").unwrap().int()?, 1);
    let refused = client.cmd(&["XLEN", "binary"]).await.unwrap_err();
    assert!(refused.to_string().starts_with("WRONGTYPE"), "{refused}");
    assert!(matches!(client.raw(&["XLEN", "binary"]).await?, Reply::Error(_)));
    Ok(())
}

#[tokio::test]
async fn data_and_port_survive_a_kill() -> Result<()> {
    let mut redis = Redis::start(RedisOptions::default()).await?;
    let address = redis.address();
    redis.client().await?.cmd(&["SET", "key", "kept"]).await?;
    redis.kill9().await?;
    assert!(Client::connect(&address).await.is_err());
    redis.restart().await?;
    assert_eq!(redis.address(), address);
    let kept = redis.client().await?.cmd(&["GET", "key"]).await?;
    assert_eq!(kept.text()?, "kept");
    Ok(())
}

#[tokio::test]
async fn a_paused_server_times_out_and_the_connection_is_not_used_again() -> Result<()> {
    let mut redis = Redis::start(RedisOptions::default()).await?;
    let short = Duration::from_millis(100);
    let mut client = redis.client().await?.with_timeout(short);
    redis.pause()?;
    let begun = Instant::now();
    assert!(client.cmd(&["PING"]).await.is_err());
    assert!(begun.elapsed() >= short);
    redis.resume()?;
    assert!(client.cmd(&["PING"]).await.is_err(), "the old answer is on its way");
    redis.client().await?.cmd(&["PING"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_password_is_asked_for() -> Result<()> {
    let options = RedisOptions {
        password: Some("secret".into()),
        config: vec!["maxmemory-policy allkeys-lru".into()],
        ..RedisOptions::default()
    };
    let redis = Redis::start(options).await?;
    let mut stranger = Client::connect(&redis.address()).await?;
    let refused = stranger.cmd(&["PING"]).await.unwrap_err();
    assert!(refused.to_string().starts_with("NOAUTH"), "{refused}");
    let policy = redis.client().await?.cmd(&["CONFIG", "GET", "maxmemory-policy"]).await?.texts()?;
    assert_eq!(policy, ["maxmemory-policy", "allkeys-lru"]);
    Ok(())
}
