//! KEDA's side of `externalscaler.ExternalScaler`.
//!
//! The messages are written by hand here, apart from the product's contract: if its field numbers
//! were wrong, both sides would not be wrong together.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

mod addresses;
pub mod answer;
pub mod conformance;
mod extras;
pub mod jobs;
mod messages;
pub mod operator;
mod reconnect;
mod version;
pub mod workload;

use messages::{GetMetrics, MetricValues};
pub use messages::{IsActive, MetricSpec, MetricSpecs, MetricValue, ScaledObject};
pub use operator::{Operator, Plan, Trigger};
pub use reconnect::Reconnect;
pub use version::Version;
pub use workload::{Limits, Workload};

/// What a connection with TLS needs, as PEM text.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// The authority that signed the scaler's certificate.
    pub ca: String,
    /// Certificate and key of this client, for mutual TLS.
    pub identity: Option<(String, String)>,
}

/// A connection to a scaler.
#[derive(Debug, Clone)]
pub struct Keda {
    channel: Channel,
}

impl Keda {
    /// Connects to `host:port` without TLS.
    pub async fn connect(address: &str) -> Result<Self> {
        Self::connect_with(address, None).await
    }

    /// Connects to `host:port`. With TLS the certificate has to name the host, as KEDA demands it.
    pub async fn connect_with(address: &str, tls: Option<&Tls>) -> Result<Self> {
        let channel = endpoint(address, tls)?
            .connect()
            .await
            .with_context(|| format!("cannot connect to the scaler on {address}"))?;
        Ok(Self { channel })
    }

    /// Calls over a connection that the test has made, with TLS for instance.
    pub fn over(channel: Channel) -> Self {
        Self { channel }
    }

    /// Connects when it is first used, and again whenever it has to.
    pub fn lazy(address: &str) -> Result<Self> {
        Ok(Self { channel: endpoint(address, None)?.connect_lazy() })
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
        self.stream("/externalscaler.ExternalScaler/StreamIsActive", object).await
    }

    /// `StreamMetricSpec`: read it with `message().await`.
    pub async fn stream_metric_spec(&self, object: &ScaledObject) -> Result<Streaming<MetricSpecs>, Status> {
        self.stream("/externalscaler.ExternalScaler/StreamMetricSpec", object).await
    }

    async fn stream<A>(&self, path: &'static str, object: &ScaledObject) -> Result<Streaming<A>, Status>
    where
        A: Message + Default + Send + Sync + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone());
        ready(&mut grpc).await?;
        let codec = ProstCodec::<ScaledObject, A>::default();
        let path = PathAndQuery::from_static(path);
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
    grpc.ready().await.map_err(|error| {
        let mut status = Status::unavailable(error.to_string());
        status.set_source(Arc::new(error));
        status
    })
}

fn endpoint(address: &str, tls: Option<&Tls>) -> Result<Endpoint> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))?
        .connect_timeout(Duration::from_secs(2))
        .timeout(Duration::from_secs(10));
    let Some(tls) = tls else { return Ok(endpoint) };
    let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&tls.ca));
    if let Some((certificate, key)) = &tls.identity {
        config = config.identity(Identity::from_pem(certificate, key));
    }
    Ok(endpoint.tls_config(config)?)
}
