//! The scaler as KEDA sees it: the numbers of a real Redis, an error where there is none, never a wrong zero.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use line_tests::keda::ScaledObject;
use line_tests::line::{DATABASE, Member, Settings};
use line_tests::{Client, Keda, Redis, RedisOptions, eventually};
use tonic::{Code, Status};

#[path = "scaler/aging.rs"]
mod aging;
#[path = "scaler/counting.rs"]
mod counting;
#[path = "scaler/failing.rs"]
mod failing;
#[path = "scaler/histories.rs"]
mod histories;
#[path = "scaler/losing.rs"]
mod losing;
#[path = "scaler/refusing.rs"]
mod refusing;
#[path = "scaler/serving.rs"]
mod serving;
#[path = "scaler/sharing.rs"]
mod sharing;
#[path = "scaler/waking.rs"]
mod waking;

const PATIENCE: Duration = Duration::from_secs(30);
/// KEDA polls many objects one after the other: an answer, good or bad, must not keep it longer.
const ANSWER_WITHIN: Duration = Duration::from_millis(1500);

/// One Redis, one scaler, and a client of each.
struct Desk {
    redis: Redis,
    scaler: Member,
    keda: Keda,
    client: Client,
}

impl Desk {
    async fn open() -> Result<Self> {
        let redis = Redis::start(RedisOptions::default()).await?;
        let scaler = Member::scaler(&Settings::of_redis(&redis.address())).await?;
        let keda = Keda::connect(&scaler.grpc).await?;
        let client = redis.database(DATABASE).await?;
        Ok(Self { redis, scaler, keda, client })
    }

    /// Runs a command that may take long on a busy machine.
    async fn at_length(&mut self, words: &[&str]) -> Result<()> {
        self.redis.database(DATABASE).await?.with_timeout(PATIENCE * 2).cmd(words).await.map(drop)
    }

    /// Runs a command given as words with blanks between.
    async fn redis(&mut self, command: &str) -> Result<()> {
        let words: Vec<&str> = command.split_whitespace().collect();
        self.client.cmd(&words).await.map(drop).with_context(|| command.to_owned())
    }
}

fn object(metadata: &[(&str, &str)]) -> ScaledObject {
    ScaledObject::with_metadata(metadata)
}

/// `GetMetrics`, asked with the name that `GetMetricSpec` gave, as KEDA does. Both numbers of the answer must agree.
async fn value(keda: &Keda, object: &ScaledObject) -> Result<i64, Status> {
    let specs = keda.metric_specs(object).await?;
    let name = specs.first().map(|spec| spec.metric_name.clone()).unwrap_or_default();
    let values = keda.metrics(object, &name).await?;
    match values.as_slice() {
        [one] if one.metric_name == name && format!("{}", one.metric_value_float) == one.metric_value.to_string() => {
            Ok(one.metric_value)
        }
        other => Err(Status::data_loss(format!("{name}: {other:?}"))),
    }
}

/// The outcome of a call with the time that it took.
async fn timed<T>(call: impl Future<Output = Result<T, Status>>) -> (Result<T, Code>, Duration) {
    let begin = Instant::now();
    let outcome = call.await.map_err(|status| status.code());
    (outcome, begin.elapsed())
}

/// Fails unless both calls that need Redis answer this error in time, and the one that needs none answers.
async fn expect_error(keda: &Keda, object: &ScaledObject, code: Code) -> Result<Duration> {
    let name = keda.metric_specs(object).await?.first().context("no spec")?.metric_name.clone();
    let (active, first) = timed(keda.is_active(object)).await;
    let (values, second) = timed(keda.metrics(object, &name)).await;
    ensure!(active == Err(code), "IsActive: {active:?} after {first:?}");
    ensure!(values == Err(code), "GetMetrics: {values:?} after {second:?}");
    let longest = first.max(second);
    ensure!(longest < ANSWER_WITHIN, "{code:?} after {longest:?}");
    Ok(longest)
}

/// Fails unless both calls that need Redis name what a person must mend. On a busy machine a first reading may take too
/// long, which is another error; a number is none. Gives the longer of both calls.
async fn until_refused(keda: &Keda, object: &ScaledObject, named: &[&str]) -> Result<Duration> {
    let read = eventually("a reading", PATIENCE, async || match keda.is_active(object).await {
        Err(status) if status.code() == Code::Unavailable => None,
        answer => Some(answer),
    })
    .await?;
    let message = read.err().context("active")?.message().to_owned();
    ensure!(named.iter().all(|part| message.contains(part)), "{message}");
    expect_error(keda, object, Code::FailedPrecondition).await
}

/// Test figures go to stderr, where the test runner shows them with `--nocapture`.
fn figure(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}
