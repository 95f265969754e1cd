//! W3C Trace Context as it travels: in stream entries, in headers, and between spans.
//!
//! It passes through also when no span is exported; then [`TraceContext::generate`] and [`TraceContext::child`] stand in for the tracer.

mod syntax;

use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use syntax::Traceparent;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A position in a trace, in the two strings of the W3C recommendation "Trace Context".
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`.
    pub traceparent: String,
    /// Vendors' own data: `key=value,...`, at most 32 members and 512 characters.
    pub tracestate: Option<String>,
}

impl TraceContext {
    /// Reads the two strings as section 3 of the recommendation says.
    ///
    /// `None` if the traceparent is not valid. A tracestate that is not valid is left out, the rest stands.
    /// A version above 00 is written down as 00, with only the sampled flag kept.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let parent = Traceparent::parse(traceparent)?;
        let tracestate = tracestate.and_then(syntax::tracestate);
        Some(Self { traceparent: parent.to_string(), tracestate })
    }

    /// The position of the current `tracing` span, `None` outside of one or when spans are not exported.
    pub fn current() -> Option<Self> {
        Self::of(&tracing::Span::current())
    }

    /// The position of `span`, `None` if it is not one that is exported or passed on.
    pub fn of(span: &tracing::Span) -> Option<Self> {
        let context = span.context();
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return None;
        }
        let parent = Traceparent {
            trace_id: span.trace_id().to_bytes(),
            span_id: span.span_id().to_bytes(),
            flags: span.trace_flags().to_u8(),
        };
        let state = span.trace_state().header();
        Some(Self { traceparent: parent.to_string(), tracestate: syntax::tracestate(&state) })
    }

    /// A new trace with random ids, marked as sampled: whoever records further down shall record it.
    pub fn generate() -> Self {
        let ids = RandomIdGenerator::default();
        let parent = Traceparent {
            trace_id: ids.new_trace_id().to_bytes(),
            span_id: ids.new_span_id().to_bytes(),
            flags: TraceFlags::SAMPLED.to_u8(),
        };
        Self { traceparent: parent.to_string(), tracestate: None }
    }

    /// The same trace and tracestate with a new span id. A context whose traceparent was made invalid starts a new trace.
    #[must_use]
    pub fn child(&self) -> Self {
        let Some(parent) = Traceparent::parse(&self.traceparent) else {
            return Self::generate();
        };
        let span_id = RandomIdGenerator::default().new_span_id().to_bytes();
        Self { traceparent: Traceparent { span_id, ..parent }.to_string(), tracestate: self.tracestate.clone() }
    }

    /// Links `span` to this position: the producer's span, seen from a consumer that starts its own trace.
    pub fn link_span(&self, span: &tracing::Span) {
        if let Some(remote) = self.span_context() {
            span.add_link(remote);
        }
    }

    /// Makes this position the parent of `span`, which must not have been entered yet. Without export it does nothing.
    pub fn set_parent(&self, span: &tracing::Span) {
        if let Some(remote) = self.span_context() {
            let context = Context::new().with_remote_span_context(remote);
            if let Err(error) = span.set_parent(context) {
                tracing::debug!(%error, "a span keeps its own parent");
            }
        }
    }

    /// Writes the headers `traceparent` and `tracestate`, replacing what stands there.
    pub fn inject(&self, headers: &mut HeaderMap) {
        put(headers, TRACEPARENT, Some(&self.traceparent));
        put(headers, TRACESTATE, self.tracestate.as_ref());
    }

    /// Reads the headers of a request. Several tracestate headers count as one list, several traceparents as none.
    pub fn extract(headers: &HeaderMap) -> Option<Self> {
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let parent = parents.next()?.to_str().ok()?;
        if parents.next().is_some() {
            return None;
        }
        let states: Vec<&str> = headers.get_all(TRACESTATE).iter().filter_map(|value| value.to_str().ok()).collect();
        Self::parse(parent, Some(&states.join(",")))
    }

    fn span_context(&self) -> Option<SpanContext> {
        let parent = Traceparent::parse(&self.traceparent)?;
        let state = self.tracestate.as_deref().unwrap_or_default();
        Some(SpanContext::new(
            TraceId::from_bytes(parent.trace_id),
            SpanId::from_bytes(parent.span_id),
            TraceFlags::new(parent.flags),
            true,
            TraceState::from_str(state).unwrap_or_default(),
        ))
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<&String>) {
    match value.map(|value| HeaderValue::from_str(value)) {
        Some(Ok(value)) => {
            headers.insert(name, value);
        }
        // A stale value of another trace would be worse than none.
        Some(Err(_)) | None => {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests;
