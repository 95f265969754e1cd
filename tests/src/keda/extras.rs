//! What a gRPC server offers besides: health and reflection.

use std::time::Duration;

use futures_util::stream;
use prost::Message;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::{Keda, ready};

/// The first answer of reflection.
const LISTED_WITHIN: Duration = Duration::from_secs(5);

/// `grpc.health.v1.HealthCheckRequest`
#[derive(Clone, PartialEq, Message)]
struct HealthRequest {
    #[prost(string, tag = "1")]
    service: String,
}

/// `grpc.health.v1.HealthCheckResponse`; 1 is SERVING.
#[derive(Clone, PartialEq, Message)]
struct HealthAnswer {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `ServerReflectionRequest` with `list_services`.
#[derive(Clone, PartialEq, Message)]
struct ListServices {
    #[prost(string, tag = "7")]
    list_services: String,
}

/// `ServerReflectionResponse`
#[derive(Clone, PartialEq, Message)]
struct Services {
    #[prost(message, optional, tag = "6")]
    list: Option<ServiceList>,
}

#[derive(Clone, PartialEq, Message)]
struct ServiceList {
    #[prost(message, repeated, tag = "1")]
    service: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
}

impl Keda {
    /// Whether `grpc.health.v1` says SERVING for a service; `""` is the server as a whole.
    pub async fn is_serving(&self, service: &str) -> Result<bool, Status> {
        let request = HealthRequest { service: service.to_owned() };
        let answer: HealthAnswer = self.call("/grpc.health.v1.Health/Check", request).await?;
        Ok(answer.status == 1)
    }

    /// The services that reflection lists, `version` being `v1` or `v1alpha`.
    pub async fn services(&self, version: &str) -> Result<Vec<String>, Status> {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let path = path.parse().map_err(|_| Status::internal("no such path"))?;
        let codec = ProstCodec::<ListServices, Services>::default();
        let asked = stream::iter([ListServices { list_services: "*".into() }]);
        let mut grpc = Grpc::new(self.channel.clone());
        ready(&mut grpc).await?;
        let mut answers = grpc.streaming(Request::new(asked), path, codec).await?.into_inner();
        let first = timeout(LISTED_WITHIN, answers.message())
            .await
            .map_err(|_| Status::deadline_exceeded("reflection answered nothing"))??;
        let list = first.and_then(|answer| answer.list).ok_or_else(|| Status::data_loss("no list of services"))?;
        Ok(list.service.into_iter().map(|service| service.name).collect())
    }
}
