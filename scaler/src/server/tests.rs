use std::net::SocketAddr;

use keda_proto::externalscaler::ScaledObjectRef;
use keda_proto::externalscaler::external_scaler_client::ExternalScalerClient;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::*;
use crate::fixture::{Fake, counts, own};
use crate::metrics::Metrics;
use crate::service::Service;

const PATIENCE: Duration = Duration::from_secs(10);

struct Running {
    fake: Fake,
    life: Lifecycle,
    channel: Channel,
    served: JoinHandle<Result<(), ServeError>>,
}

async fn start() -> Running {
    let (fake, life) = (Fake::new(), Lifecycle::new(PATIENCE));
    let metrics = Metrics::new(&opentelemetry::global::meter("test"));
    let service = Service::new(own(), fake.clone(), metrics, life.soft().clone());
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let serving = life.clone();
    let served = tokio::spawn(async move { serve(listener, None, service, &serving).await });
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    Running { fake, life, channel, served }
}

async fn health(running: &Running, service: &str) -> i32 {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(running.channel.clone()).check(request).await.unwrap().into_inner().status
}

#[tokio::test]
async fn health_does_not_depend_on_readings() {
    let running = start().await;
    for name in ["", "externalscaler.ExternalScaler"] {
        assert_eq!(health(&running, name).await, ServingStatus::Serving as i32);
    }
}

#[tokio::test]
async fn reflection_lists_the_services() {
    let running = start().await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = ServerReflectionClient::new(running.channel.clone())
        .server_reflection_info(futures_util::stream::iter([request]))
        .await;
    let answer = answers.unwrap().into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in ["externalscaler.ExternalScaler", "grpc.health.v1.Health"] {
        assert!(names.iter().any(|listed| listed == name), "{names:?}");
    }
}

#[tokio::test]
async fn the_contract_over_the_wire() {
    let running = start().await;
    running.fake.read(counts(1, 1));
    let mut client = ExternalScalerClient::new(running.channel.clone());
    assert!(client.is_active(ScaledObjectRef::default()).await.unwrap().into_inner().result);
    let error = client.stream_metric_spec(ScaledObjectRef::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused() {
    let running = start().await;
    let mut client = ExternalScalerClient::new(running.channel.clone());
    let object = ScaledObjectRef { name: "n".repeat(MESSAGE_LIMIT + 1), ..ScaledObjectRef::default() };
    assert_eq!(client.get_metric_spec(object).await.unwrap_err().code(), Code::OutOfRange);
}

#[tokio::test]
async fn at_the_soft_stop_streams_end_with_ok_and_the_server_leaves() {
    let running = start().await;
    running.fake.read(counts(1, 0));
    let mut client = ExternalScalerClient::new(running.channel.clone());
    let mut stream = client.stream_is_active(ScaledObjectRef::default()).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().unwrap().result);
    running.life.request_stop();
    let end = timeout(PATIENCE, stream.message()).await.unwrap();
    assert_eq!(end.unwrap(), None);
    timeout(PATIENCE, running.served).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn whoever_stays_is_cut_off() {
    let running = start().await;
    let watching = HealthClient::new(running.channel.clone()).watch(HealthCheckRequest::default()).await;
    running.life.request_stop();
    timeout(PATIENCE, running.served).await.unwrap().unwrap().unwrap();
    drop(watching);
}
