//! A scaler that answers what a test tells it to.

use std::pin::Pin;
use std::time::Duration;

use anyhow::Result;
use futures_util::{Stream, StreamExt as _, stream};
use keda_proto::externalscaler::external_scaler_server::{ExternalScaler, ExternalScalerServer};
use keda_proto::externalscaler::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
};
use line_tests::ports::free_port;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

type Words<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What the scaler answers.
#[expect(clippy::struct_excessive_bools, reason = "one for each fault")]
#[derive(Debug, Clone)]
pub(crate) struct Fake {
    pub(crate) specs: Vec<MetricSpec>,
    /// Of every second `GetMetricSpec`, in place of the others.
    pub(crate) other_specs: Option<Vec<MetricSpec>>,
    pub(crate) values: Vec<MetricValue>,
    pub(crate) active: bool,
    /// An unknown metric gets the values too.
    pub(crate) takes_any_name: bool,
    /// Metadata with the key `unreadable` gets these in place of an error.
    pub(crate) blind_values: Option<Vec<MetricValue>>,
    /// Metadata with the key `unreadable` fails `GetMetricSpec` too.
    pub(crate) blind_specs: bool,
    /// The one key that is known, besides `unreadable`.
    pub(crate) refuses_strangers: bool,
    /// What is said to the key `bad`; nothing: it is taken.
    pub(crate) complaint: Option<Status>,
    pub(crate) delay: Duration,
    /// What `StreamIsActive` tells; it stays open after the last word unless it ends.
    pub(crate) words: Vec<bool>,
    /// Words follow each other so.
    pub(crate) pace: Duration,
    pub(crate) end: Option<Status>,
    pub(crate) streamed_specs: Option<Vec<MetricSpec>>,
}

pub(crate) fn spec(name: &str, whole: i64, float: f64) -> MetricSpec {
    MetricSpec { metric_name: name.into(), target_size: whole, target_size_float: float }
}

pub(crate) fn value(name: &str, whole: i64, float: f64) -> MetricValue {
    MetricValue { metric_name: name.into(), metric_value: whole, metric_value_float: float }
}

impl Fake {
    /// A scaler without faults, with work to do.
    pub(crate) fn right() -> Self {
        Self {
            specs: vec![spec("queue", 7, 6.111)],
            other_specs: None,
            values: vec![value("queue", 23, 22.222)],
            active: true,
            takes_any_name: false,
            blind_values: None,
            blind_specs: false,
            refuses_strangers: false,
            complaint: Some(Status::invalid_argument("bad: not a number")),
            delay: Duration::ZERO,
            words: vec![true],
            pace: Duration::ZERO,
            end: None,
            streamed_specs: None,
        }
    }

    /// Serves on a free port until the handle is dropped.
    pub(crate) fn serve(self) -> Result<(String, AbortOnDropHandle<()>)> {
        self.serve_at_most(10_000)
    }

    /// The same, with so many calls at a time on each connection.
    pub(crate) fn serve_at_most(self, streams: u32) -> Result<(String, AbortOnDropHandle<()>)> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let serving =
            Server::builder().max_concurrent_streams(streams).add_service(ExternalScalerServer::new(Scaler {
                fake: self,
                calls: std::sync::atomic::AtomicUsize::new(0),
            }));
        let bound = address.parse()?;
        let task = tokio::spawn(async move {
            // A port that was taken meanwhile shows as a scaler that cannot be reached.
            serving.serve(bound).await.ok();
        });
        Ok((address, AbortOnDropHandle::new(task)))
    }

    fn checked(&self, object: &ScaledObjectRef) -> Result<(), Status> {
        let keys = &object.scaler_metadata;
        if let Some(complaint) = self.complaint.as_ref().filter(|_| keys.contains_key("bad")) {
            return Err(complaint.clone());
        }
        let stranger = keys.keys().any(|key| !["unreadable", "bad"].contains(&key.as_str()));
        if self.refuses_strangers && stranger { Err(Status::invalid_argument("unknown key")) } else { Ok(()) }
    }
}

struct Scaler {
    fake: Fake,
    calls: std::sync::atomic::AtomicUsize,
}

fn is_blind(object: &ScaledObjectRef) -> bool {
    object.scaler_metadata.contains_key("unreadable")
}

#[tonic::async_trait]
impl ExternalScaler for Scaler {
    type StreamIsActiveStream = Words<IsActiveResponse>;
    type StreamMetricSpecStream = Words<GetMetricSpecResponse>;

    async fn is_active(&self, request: Request<ScaledObjectRef>) -> Result<Response<IsActiveResponse>, Status> {
        tokio::time::sleep(self.fake.delay).await;
        let object = request.into_inner();
        self.fake.checked(&object)?;
        if is_blind(&object) && self.fake.blind_values.is_none() {
            return Err(Status::unavailable("no source"));
        }
        Ok(Response::new(IsActiveResponse { result: self.fake.active && !is_blind(&object) }))
    }

    async fn stream_is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        self.fake.checked(request.get_ref())?;
        if self.fake.words.is_empty() && self.fake.end.as_ref().is_some_and(|end| end.code() == Code::Unimplemented) {
            return Err(Status::unimplemented("not here"));
        }
        let pace = self.fake.pace;
        let words = stream::iter(self.fake.words.clone()).enumerate().then(move |(index, result)| async move {
            if index > 0 {
                tokio::time::sleep(pace).await;
            }
            Ok(IsActiveResponse { result })
        });
        Ok(Response::new(match self.fake.end.clone() {
            Some(end) => Box::pin(words.chain(stream::once(async move {
                tokio::time::sleep(pace).await;
                Err(end)
            }))),
            None => Box::pin(words.chain(stream::pending())),
        }))
    }

    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        let object = request.into_inner();
        self.fake.checked(&object)?;
        if is_blind(&object) && self.fake.blind_specs {
            return Err(Status::unavailable("no source"));
        }
        let call = self.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let specs = match &self.fake.other_specs {
            Some(other) if call % 2 == 1 => other,
            _ => &self.fake.specs,
        };
        Ok(Response::new(GetMetricSpecResponse { metric_specs: specs.clone() }))
    }

    async fn get_metrics(&self, request: Request<GetMetricsRequest>) -> Result<Response<GetMetricsResponse>, Status> {
        tokio::time::sleep(self.fake.delay).await;
        let request = request.into_inner();
        let object = request.scaled_object_ref.unwrap_or_default();
        self.fake.checked(&object)?;
        if is_blind(&object) {
            let blind = self.fake.blind_values.clone().ok_or_else(|| Status::unavailable("no source"))?;
            return Ok(Response::new(GetMetricsResponse { metric_values: blind }));
        }
        let known = self.fake.specs.iter().any(|spec| spec.metric_name == request.metric_name);
        if !known && !self.fake.takes_any_name {
            return Err(Status::invalid_argument("no such metric"));
        }
        Ok(Response::new(GetMetricsResponse { metric_values: self.fake.values.clone() }))
    }

    async fn stream_metric_spec(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamMetricSpecStream>, Status> {
        let specs = self.fake.streamed_specs.clone().ok_or_else(|| Status::unimplemented("not here"))?;
        let first = stream::iter([Ok(GetMetricSpecResponse { metric_specs: specs })]);
        Ok(Response::new(Box::pin(first.chain(stream::pending()))))
    }
}
