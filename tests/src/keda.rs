//! KEDA's side of `externalscaler.ExternalScaler`.
//!
//! The messages are written by hand here, apart from the product's contract: if its field numbers
//! were wrong, both sides would not be wrong together.

use std::time::Duration;

use anyhow::{Context, Result};
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

mod messages;

use messages::{GetMetrics, MetricSpecs, MetricValues};
pub use messages::{IsActive, MetricSpec, MetricValue, ScaledObject};

/// A connection to a scaler.
#[derive(Debug, Clone)]
pub struct Keda {
    channel: Channel,
}

impl Keda {
    /// Connects to `host:port` without TLS.
    pub async fn connect(address: &str) -> Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{address}"))?
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(10))
            .connect()
            .await
            .with_context(|| format!("cannot connect to the scaler on {address}"))?;
        Ok(Self { channel })
    }

    /// Calls over a connection that the test has made, with TLS for instance.
    pub fn over(channel: Channel) -> Self {
        Self { channel }
    }

    /// `IsActive`.
    pub async fn is_active(&self, object: &ScaledObject) -> Result<bool, Status> {
        let path = "/externalscaler.ExternalScaler/IsActive";
        let answer: IsActive = self.call(path, object.clone()).await?;
        Ok(answer.result)
    }

    /// `GetMetricSpec`.
    pub async fn metric_specs(&self, object: &ScaledObject) -> Result<Vec<MetricSpec>, Status> {
        let path = "/externalscaler.ExternalScaler/GetMetricSpec";
        let answer: MetricSpecs = self.call(path, object.clone()).await?;
        Ok(answer.metric_specs)
    }

    /// `GetMetrics`.
    pub async fn metrics(&self, object: &ScaledObject, metric_name: &str) -> Result<Vec<MetricValue>, Status> {
        let path = "/externalscaler.ExternalScaler/GetMetrics";
        let request = GetMetrics { scaled_object: Some(object.clone()), metric_name: metric_name.into() };
        let answer: MetricValues = self.call(path, request).await?;
        Ok(answer.metric_values)
    }

    /// `StreamIsActive`: read it with `message().await`.
    pub async fn stream_is_active(&self, object: &ScaledObject) -> Result<Streaming<IsActive>, Status> {
        let path = PathAndQuery::from_static("/externalscaler.ExternalScaler/StreamIsActive");
        let mut grpc = Grpc::new(self.channel.clone());
        ready(&mut grpc).await?;
        let codec = ProstCodec::<ScaledObject, IsActive>::default();
        let answer = grpc.server_streaming(Request::new(object.clone()), path, codec).await?;
        Ok(answer.into_inner())
    }

    async fn call<Q, A>(&self, path: &'static str, request: Q) -> Result<A, Status>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone());
        ready(&mut grpc).await?;
        let codec = ProstCodec::<Q, A>::default();
        let path = PathAndQuery::from_static(path);
        let answer = grpc.unary(Request::new(request), path, codec).await?;
        Ok(answer.into_inner())
    }
}

async fn ready(grpc: &mut Grpc<Channel>) -> Result<(), Status> {
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))
}
