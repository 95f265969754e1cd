//! The calls of `externalscaler.ExternalScaler`, answered from what the samplers have read. No call touches Redis.
//!
//! An error makes KEDA hold the replicas and use the trigger's fallback; a zero scales the workers away. So what is
//! not known is an error, never a number. `GetMetricSpec` depends on the metadata alone: KEDA does not count its
//! failures towards the fallback (kedacore/keda#8056).

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream;
use keda_proto::externalscaler::external_scaler_server::ExternalScaler;
use keda_proto::externalscaler::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};

use crate::feed::Readings;
use crate::metrics::{Metrics, Rpc};
use crate::push::Push;
use crate::reading::Trouble;
use crate::trigger::{BadMetadata, Own, Trigger};

/// `StreamIsActive` calls that may be open at a time.
const MOST_STREAMS: usize = 10_000;

/// The service, over any source of readings.
#[derive(Debug)]
pub struct Service<R> {
    own: Own,
    readings: R,
    metrics: Metrics,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
}

impl<R: Readings> Service<R> {
    /// A service whose triggers default to `own`; its streams end when `stop` is cancelled.
    pub fn new(own: Own, readings: R, metrics: Metrics, stop: CancellationToken) -> Self {
        Self { own, readings, metrics, streams: Arc::new(Semaphore::new(MOST_STREAMS)), stop }
    }

    fn trigger(&self, metadata: &HashMap<String, String>) -> Result<Trigger, Status> {
        Ok(Trigger::parse(metadata, &self.own)?)
    }

    async fn activity(&self, object: ScaledObjectRef) -> Result<IsActiveResponse, Status> {
        let trigger = self.trigger(&object.scaler_metadata)?;
        let counts = self.readings.feed(&trigger.source)?.same_counts().await?;
        Ok(IsActiveResponse { result: counts.active(&trigger) })
    }

    fn spec(&self, object: &ScaledObjectRef) -> Result<GetMetricSpecResponse, Status> {
        let trigger = self.trigger(&object.scaler_metadata)?;
        let spec = MetricSpec {
            metric_name: trigger.metric_name(),
            target_size: whole(trigger.target),
            target_size_float: trigger.target,
        };
        Ok(GetMetricSpecResponse { metric_specs: vec![spec] })
    }

    async fn value(&self, request: GetMetricsRequest) -> Result<GetMetricsResponse, Status> {
        let object = request.scaled_object_ref.unwrap_or_default();
        let trigger = self.trigger(&object.scaler_metadata)?;
        let metric_name = trigger.metric_name();
        if request.metric_name != metric_name {
            return Err(Status::invalid_argument(format!("metricName: this trigger has one metric, {metric_name}")));
        }
        let value = self.readings.feed(&trigger.source)?.counts().await?.value(&trigger);
        let value = MetricValue { metric_name, metric_value: whole(value), metric_value_float: value };
        Ok(GetMetricsResponse { metric_values: vec![value] })
    }

    fn stream(&self, object: &ScaledObjectRef) -> Result<Activities, Status> {
        let trigger = self.trigger(&object.scaler_metadata)?;
        let permit = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "{MOST_STREAMS} StreamIsActive calls are open; add replicas of the scaler"
            ))
        })?;
        let feed = self.readings.prompt_feed(&trigger.source)?;
        let push = Push::new(feed, trigger, self.stop.clone());
        let open = (permit, self.metrics.stream());
        Ok(Box::pin(stream::unfold((push, open), async |(mut push, open)| {
            let result = push.next().await?;
            Some((Ok(IsActiveResponse { result }), (push, open)))
        })))
    }

    fn answer<T>(&self, rpc: Rpc, outcome: Result<T, Status>) -> Result<Response<T>, Status> {
        self.metrics.rpc(rpc, outcome.as_ref().map_or_else(Status::code, |_| Code::Ok));
        outcome.map(Response::new)
    }
}

type Activities = Pin<Box<dyn Stream<Item = Result<IsActiveResponse, Status>> + Send>>;

/// At least as large, so that integer readers never see a zero that is none.
#[expect(clippy::cast_possible_truncation, reason = "what is too large becomes the largest number")]
fn whole(number: f64) -> i64 {
    number.ceil() as i64
}

#[tonic::async_trait]
impl<R: Readings> ExternalScaler for Service<R> {
    type StreamIsActiveStream = Activities;
    type StreamMetricSpecStream = stream::Empty<Result<GetMetricSpecResponse, Status>>;

    async fn is_active(&self, request: Request<ScaledObjectRef>) -> Result<Response<IsActiveResponse>, Status> {
        let outcome = self.activity(request.into_inner()).await;
        self.answer(Rpc::IsActive, outcome)
    }

    async fn stream_is_active(&self, request: Request<ScaledObjectRef>) -> Result<Response<Activities>, Status> {
        let outcome = self.stream(request.get_ref());
        self.answer(Rpc::StreamIsActive, outcome)
    }

    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        let outcome = self.spec(request.get_ref());
        self.answer(Rpc::GetMetricSpec, outcome)
    }

    async fn get_metrics(&self, request: Request<GetMetricsRequest>) -> Result<Response<GetMetricsResponse>, Status> {
        let outcome = self.value(request.into_inner()).await;
        self.answer(Rpc::GetMetrics, outcome)
    }

    async fn stream_metric_spec(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamMetricSpecStream>, Status> {
        let advice = "targets change only with the metadata: GetMetricSpec has them";
        self.answer(Rpc::StreamMetricSpec, Err(Status::unimplemented(advice)))
    }
}

impl From<BadMetadata> for Status {
    fn from(error: BadMetadata) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

impl From<Trouble> for Status {
    fn from(trouble: Trouble) -> Self {
        let text = trouble.to_string();
        match trouble {
            Trouble::Unavailable(_) => Self::unavailable(text),
            Trouble::Configuration(_) => Self::failed_precondition(text),
            Trouble::TooMany(_) => Self::resource_exhausted(text),
        }
    }
}

#[cfg(test)]
mod tests;
