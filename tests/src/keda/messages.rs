use std::collections::HashMap;

use prost::Message;

/// `ScaledObjectRef`: who asks, and the trigger's metadata.
#[derive(Clone, PartialEq, Message)]
pub struct ScaledObject {
    /// The `ScaledObject`'s name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its namespace.
    #[prost(string, tag = "2")]
    pub namespace: String,
    /// The trigger's metadata.
    #[prost(map = "string, string", tag = "3")]
    pub metadata: HashMap<String, String>,
}

impl ScaledObject {
    /// A `ScaledObject` `test/workers` with this metadata.
    pub fn with_metadata(metadata: &[(&str, &str)]) -> Self {
        Self {
            name: "workers".into(),
            namespace: "test".into(),
            metadata: metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        }
    }
}

/// `IsActiveResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct IsActive {
    /// Whether the workload is to have at least one replica.
    #[prost(bool, tag = "1")]
    pub result: bool,
}

/// `GetMetricSpecResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct MetricSpecs {
    /// One for each metric.
    #[prost(message, repeated, tag = "1")]
    pub metric_specs: Vec<MetricSpec>,
}

/// `MetricSpec`.
#[derive(Clone, PartialEq, Message)]
pub struct MetricSpec {
    /// The metric's name.
    #[prost(string, tag = "1")]
    pub metric_name: String,
    /// The target per replica, for KEDA before 2.17.
    #[prost(int64, tag = "2")]
    pub target_size: i64,
    /// The target per replica.
    #[prost(double, tag = "3")]
    pub target_size_float: f64,
}

/// `GetMetricsRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct GetMetrics {
    #[prost(message, optional, tag = "1")]
    pub(super) scaled_object: Option<ScaledObject>,
    #[prost(string, tag = "2")]
    pub(super) metric_name: String,
}

/// `GetMetricsResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricValues {
    #[prost(message, repeated, tag = "1")]
    pub(super) metric_values: Vec<MetricValue>,
}

/// `MetricValue`.
#[derive(Clone, PartialEq, Message)]
pub struct MetricValue {
    /// The metric's name.
    #[prost(string, tag = "1")]
    pub metric_name: String,
    /// The value, for KEDA before 2.17.
    #[prost(int64, tag = "2")]
    pub metric_value: i64,
    /// The value.
    #[prost(double, tag = "3")]
    pub metric_value_float: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes follow from the protobuf encoding rules and KEDA's field numbers.
    #[test]
    fn a_request_for_metrics_has_keda_s_field_numbers() {
        let request =
            GetMetrics { scaled_object: Some(ScaledObject::with_metadata(&[("k", "v")])), metric_name: "m".into() };
        let expected = b"\x0a\x17\x0a\x07workers\x12\x04test\x1a\x06\x0a\x01k\x12\x01v\x12\x01m";
        assert_eq!(request.encode_to_vec(), expected);
    }

    #[test]
    fn a_value_is_read_from_keda_s_field_numbers() {
        let wire = b"\x0a\x0e\x0a\x01m\x10\x03\x19\0\0\0\0\0\0\x04\x40";
        let values = MetricValues::decode(wire.as_slice()).unwrap();
        let expected = MetricValue { metric_name: "m".into(), metric_value: 3, metric_value_float: 2.5 };
        assert_eq!(values.metric_values, [expected]);
    }
}
