//! The stream of activity, and what a gRPC server owes besides.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use line_tests::keda::{IsActive, ScaledObject};
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Streaming};
use tonic_prost::ProstCodec;

use super::{Desk, PATIENCE, figure, object};

async fn next<T>(stream: &mut Streaming<T>) -> Result<Option<T>> {
    Ok(timeout(PATIENCE, stream.message()).await.context("nothing came")??)
}

#[tokio::test(flavor = "multi_thread")]
async fn activity_is_told_at_once_and_as_it_changes_and_the_stream_ends_well() -> Result<()> {
    let mut desk = Desk::open().await?;
    let begin = Instant::now();
    let mut told = desk.keda.stream_is_active(&object(&[])).await?;
    ensure!(!next(&mut told).await?.context("ended")?.result, "an empty line is inactive");
    let first = begin.elapsed();
    desk.redis("XADD incident:events * f v").await?;
    let begin = Instant::now();
    ensure!(next(&mut told).await?.context("ended")?.result);
    figure(&format!("StreamIsActive: first word after {first:?}, true {:?} after XADD", begin.elapsed()));
    ensure!(first < Duration::from_millis(1500) && begin.elapsed() < Duration::from_millis(1500));

    let mut late = desk.keda.stream_is_active(&object(&[])).await?;
    ensure!(next(&mut late).await?.context("ended")?.result, "who comes later is told what is known");
    desk.redis("DEL incident:events").await?;
    ensure!(!next(&mut told).await?.context("ended")?.result);
    ensure!(!next(&mut late).await?.context("ended")?.result);

    let begin = Instant::now();
    let status = desk.scaler.program.terminate(PATIENCE).await?;
    ensure!(status.code() == Some(0), "{status}: {}", desk.scaler.program.tail());
    // The end is OK: with any other status KEDA would wait longer each time before it comes back.
    ensure!(next(&mut told).await?.is_none() && next(&mut late).await?.is_none());
    ensure!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_while_redis_is_away() -> Result<()> {
    let mut desk = Desk::open().await?;
    desk.redis("XADD incident:events * f v").await?;
    let mut told = desk.keda.stream_is_active(&object(&[])).await?;
    ensure!(next(&mut told).await?.context("ended")?.result);
    desk.redis.stop().await?;
    // Longer than a reading is believed: a scaler that took silence for an empty stream would say so by then.
    let silence = timeout(Duration::from_secs(3), told.message()).await;
    ensure!(silence.is_err(), "{silence:?}");
    desk.redis.restart().await?;
    ensure!(next(&mut told).await?.context("ended")?.result, "the stream goes on when Redis is back");
    Ok(())
}

/// A replica that cannot read lets its clients go to another one, after ten seconds each time.
#[tokio::test(flavor = "multi_thread")]
async fn a_blind_replica_ends_its_streams_with_ok() -> Result<()> {
    let mut desk = Desk::open().await?;
    let mut told = desk.keda.stream_is_active(&object(&[])).await?;
    ensure!(!next(&mut told).await?.context("ended")?.result);
    desk.redis.pause()?;
    let begin = Instant::now();
    ensure!(next(&mut told).await?.is_none(), "nothing is told before the end");
    let first = begin.elapsed();
    // Opened while blind: the answer comes at once, the end after as long.
    let begin = Instant::now();
    let mut again = desk.keda.stream_is_active(&object(&[])).await?;
    let opened = begin.elapsed();
    ensure!(next(&mut again).await?.is_none());
    figure(&format!("a blind replica: stream ended after {first:?}, the next after {:?}", begin.elapsed()));
    ensure!(opened < Duration::from_millis(1500), "{opened:?}");
    for took in [first, begin.elapsed()] {
        ensure!((9..14).contains(&took.as_secs()), "{took:?}");
    }
    desk.redis.resume()?;
    let mut back = desk.keda.stream_is_active(&object(&[])).await?;
    ensure!(!next(&mut back).await?.context("ended")?.result);
    Ok(())
}

/// A client may want its answer sooner than the scaler gives up.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_s_deadline_is_kept() -> Result<()> {
    let mut desk = Desk::open().await?;
    desk.redis.pause()?;
    let path = PathAndQuery::from_static("/externalscaler.ExternalScaler/IsActive");
    let codec = ProstCodec::<ScaledObject, IsActive>::default();
    let mut request = Request::new(object(&[]));
    request.metadata_mut().insert("grpc-timeout", "300m".parse()?);
    let channel = Endpoint::from_shared(format!("http://{}", desk.scaler.grpc))?.connect().await?;
    let mut grpc = Grpc::new(channel);
    grpc.ready().await?;
    let begin = Instant::now();
    let status = grpc.unary(request, path, codec).await.err().context("an answer from nobody")?;
    let took = begin.elapsed();
    ensure!([Code::DeadlineExceeded, Code::Cancelled].contains(&status.code()), "{status:?}");
    ensure!((200..900).contains(&took.as_millis()), "{took:?}: {status:?}");
    desk.redis.resume()
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_are_served() -> Result<()> {
    let desk = Desk::open().await?;
    for service in ["", "externalscaler.ExternalScaler"] {
        ensure!(desk.keda.is_serving(service).await?, "{service:?}");
    }
    let nobody = desk.keda.is_serving("nobody").await.map_err(|status| status.code());
    ensure!(nobody == Err(Code::NotFound), "{nobody:?}");
    for version in ["v1", "v1alpha"] {
        let names = desk.keda.services(version).await?;
        for service in ["externalscaler.ExternalScaler", "grpc.health.v1.Health"] {
            ensure!(names.iter().any(|name| name == service), "{version}: {names:?}");
        }
    }
    Ok(())
}
