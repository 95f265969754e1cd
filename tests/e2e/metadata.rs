//! A trigger's metadata may hold what came out of a Secret: no value is logged, and none is repeated. And it may not
//! send the scaler, with its credentials, to a server of its own choice.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::keda::ScaledObject;
use line_tests::line::{Member, Settings};
use line_tests::{Keda, Redis, RedisOptions, eventually_ok};
use stream_scaler::trigger::KEYS;
use tonic::{Code, Status};

const PATIENCE: Duration = Duration::from_secs(15);
const CANARY: &str = "canary-of-a-secret";

/// Keys besides the scaler's: KEDA's own, and one that nobody knows.
const OTHERS: [&str; 10] = [
    "enableTLS",
    "password",
    "scalerAddress",
    "sentinelPassword",
    "sentinelUsername",
    "tlsClientKey",
    "unsafeSsl",
    "unknown",
    "username",
    "caCert",
];

async fn scaler(settings: Settings) -> Result<(Member, Keda)> {
    let scaler = Member::scaler(&settings.with("RUST_LOG", "info,stream_scaler=trace,redis_stream=trace")).await?;
    let keda = Keda::connect(&scaler.grpc).await?;
    Ok((scaler, keda))
}

/// What each of the calls answers.
async fn answers(keda: &Keda, object: &ScaledObject) -> [Option<Status>; 4] {
    let name = keda.metric_specs(object).await;
    let asked = name.as_ref().ok().and_then(|specs| specs.first()).map_or("any", |spec| spec.metric_name.as_str());
    [
        keda.metrics(object, asked).await.err(),
        keda.is_active(object).await.err(),
        keda.stream_is_active(object).await.err(),
        name.err(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_is_logged_or_repeated() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let (mut scaler, keda) = scaler(Settings::of_redis(&redis.address())).await?;
    let mut refused = 0;
    for key in KEYS.into_iter().chain(OTHERS) {
        for name in [key.to_owned(), format!("{key}FromEnv")] {
            let object = ScaledObject::with_metadata(&[(&name, CANARY), ("unknown2", CANARY)]);
            for status in answers(&keda, &object).await.into_iter().flatten() {
                ensure!(status.code() == Code::InvalidArgument, "{name}: {status:?}");
                ensure!(status.message().contains(&format!("{name}:")), "{name}: {status:?}");
                ensure!(!status.message().contains(CANARY), "{name}: {status:?}");
                refused += 1;
            }
        }
    }
    ensure!(refused > 80, "{refused}");
    let everything: Vec<(&str, &str)> = KEYS.into_iter().map(|key| (key, CANARY)).collect();
    for status in answers(&keda, &ScaledObject::with_metadata(&everything)).await {
        ensure!(!status.context("taken")?.message().contains(CANARY));
    }
    ensure!(scaler.program.terminate(PATIENCE).await?.code() == Some(0));
    let log = scaler.program.log();
    ensure!(log.contains("taking KEDA's calls") && !log.contains(CANARY), "{log}");
    Ok(())
}

/// What a source is called is not in the log either: not when it is read, when it is of another type, nor when Redis goes.
#[tokio::test(flavor = "multi_thread")]
async fn no_name_is_logged_when_a_reading_fails() -> Result<()> {
    let mut redis = Redis::start(RedisOptions::default()).await?;
    let (mut scaler, keda) = scaler(Settings::of_redis(&redis.address())).await?;
    let object = ScaledObject::with_metadata(&[("streamFromEnv", CANARY), ("consumerGroupFromEnv", CANARY)]);
    ensure!(!keda.is_active(&object).await?);
    let mut push = keda.stream_is_active(&object).await?;
    ensure!(push.message().await?.context("no first word")?.result == false);
    let mut client = redis.client().await?;
    client.cmd(&["SELECT", "4"]).await?;
    client.cmd(&["SET", CANARY, "no stream"]).await?;
    eventually_ok("the type to be refused", PATIENCE, async || {
        let status = keda.is_active(&object).await.err().context("taken")?;
        ensure!(status.code() == Code::FailedPrecondition && !status.message().contains(CANARY), "{status:?}");
        Ok(())
    })
    .await?;
    redis.kill9().await?;
    eventually_ok("the readings to fail", PATIENCE, async || {
        let status = keda.is_active(&object).await.err().context("taken")?;
        ensure!(status.code() == Code::Unavailable && !status.message().contains(CANARY), "{status:?}");
        Ok(())
    })
    .await?;
    ensure!(scaler.program.terminate(PATIENCE).await?.code() == Some(0));
    let log = scaler.program.log();
    // One reason after the other, each with its own line.
    ensure!(log.matches("no reading").count() == 2 && !log.contains(CANARY), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_allowed_sentinels_by_whatever_key() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let settings = Settings::of_redis(&redis.address()).with("SCALER_ALLOWED_SENTINELS", "allowed:26379,[::1]:26379");
    let (_scaler, keda) = scaler(settings).await?;
    let pairs = |host: &str, port: &str| {
        let both = format!("{host}:{port}");
        [
            vec![("addresses", both.clone())],
            vec![("address", both.clone())],
            vec![("addressesFromEnv", both.clone())],
            vec![("addressFromEnv", both.clone())],
            vec![("addresses", format!("allowed:26379,{both}"))],
            vec![("hosts", host.to_owned()), ("ports", port.to_owned())],
            vec![("host", host.to_owned()), ("port", port.to_owned())],
            vec![("hostsFromEnv", host.to_owned()), ("portsFromEnv", port.to_owned())],
            vec![("hostFromEnv", host.to_owned()), ("portFromEnv", port.to_owned())],
            vec![("hosts", format!("allowed,{host}")), ("ports", format!("26379,{port}"))],
        ]
    };
    // Another host, port or way of writing is another address.
    let strangers =
        [("stranger", "26379"), ("allowed", "26380"), ("Allowed", "26379"), ("allowed.", "26379"), ("::2", "26379")];
    for (host, port) in strangers {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        for metadata in pairs(&host, port) {
            let metadata: Vec<(&str, &str)> = metadata.iter().map(|(key, value)| (*key, value.as_str())).collect();
            let status = keda.metric_specs(&ScaledObject::with_metadata(&metadata)).await.err();
            let status = status.with_context(|| format!("{metadata:?} was taken"))?;
            ensure!(status.code() == Code::InvalidArgument, "{metadata:?}: {status:?}");
            ensure!(status.message().contains("SCALER_ALLOWED_SENTINELS"), "{metadata:?}: {status:?}");
        }
    }
    for (host, port) in [("allowed", "26379"), ("[::1]", "26379")] {
        for metadata in pairs(host, port) {
            let metadata: Vec<(&str, &str)> = metadata.iter().map(|(key, value)| (*key, value.as_str())).collect();
            let specs = keda.metric_specs(&ScaledObject::with_metadata(&metadata)).await;
            ensure!(specs.is_ok(), "{metadata:?}: {specs:?}");
        }
    }
    Ok(())
}
