//! From a document to a `ScaledObject` or `ScaledJob`: what KEDA reads of it, with its defaults (pure).

use std::collections::HashMap;

use super::finding::Findings;
use super::keda::{Behavior, Calculation, MetricType, Strategy};
use super::pause::{self, Pause};
use super::yaml::Node;

/// Defaults of KEDA.
pub(super) const POLLING_INTERVAL: u64 = 30;
const COOLDOWN: u64 = 300;
const MAX_REPLICAS: u64 = 100;

/// Numbers beyond this are mistakes.
const LARGEST: f64 = 1e9;

/// An object that KEDA scales by.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) polling: u64,
    pub(super) cooldown: u64,
    pub(super) min: u64,
    pub(super) max: u64,
    pub(super) idle: Option<u64>,
    pub(super) fallback: Option<Fallback>,
    /// A formula over all metrics.
    pub(super) formula: bool,
    pub(super) pause: Pause,
    pub(super) triggers: Vec<Spec>,
}

impl Object {
    /// Whether there may be none: otherwise activity does not count.
    pub(super) fn goes_to_zero(&self) -> bool {
        self.min == 0 || self.idle.is_some()
    }
}

/// Which of the two, with what only it has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    ScaledObject,
    ScaledJob(Strategy, Calculation),
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::ScaledObject => "ScaledObject",
            Self::ScaledJob(..) => "ScaledJob",
        }
    }

    pub(super) fn is_job(self) -> bool {
        self != Self::ScaledObject
    }
}

/// `spec.fallback`
#[derive(Debug, Clone, Copy)]
pub(super) struct Fallback {
    pub(super) threshold: u64,
    pub(super) replicas: u64,
    pub(super) behavior: Behavior,
}

/// One of `spec.triggers`, of any type.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) index: usize,
    pub(super) kind: String,
    pub(super) metric_type: MetricType,
    pub(super) cached: bool,
    pub(super) authentication: bool,
    pub(super) metadata: HashMap<String, String>,
}

impl Spec {
    pub(super) fn field(&self, rest: &str) -> String {
        format!("spec.triggers[{}].{rest}", self.index)
    }

    pub(super) fn key(&self, key: &str) -> String {
        self.field(&format!("metadata.{key}"))
    }

    /// The value of a key; blank means absent.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

/// Whether a document is one of KEDA's, and what stands in it. What does not is noted, and the default taken.
pub(super) fn read(document: &Node, findings: &mut Findings) -> Option<Object> {
    let version = document.get("apiVersion").and_then(Node::text)?;
    let kind = document.get("kind").and_then(Node::text)?;
    let job = match kind {
        "ScaledObject" => false,
        "ScaledJob" => true,
        _ => return None,
    };
    if version.split('/').next() != Some("keda.sh") {
        return None;
    }
    let mut reader = Reader { findings };
    if version != "keda.sh/v1alpha1" {
        reader.findings.error("apiVersion", "KEDA knows keda.sh/v1alpha1 only");
    }
    Some(reader.object(document, job))
}

/// The documents, those in lists (as `kubectl get -o yaml` gives them) by themselves.
pub(super) fn flat(documents: &[Node]) -> Vec<&Node> {
    let items = |document: &Node| document.get("kind").and_then(Node::text) == Some("List");
    let flat = documents.iter().flat_map(|document| match document.get("items").filter(|_| items(document)) {
        Some(list) => list.items().iter().collect(),
        None => vec![document],
    });
    flat.filter(|document| **document != Node::Null).collect()
}

/// How a document is called where it is passed over.
pub(super) fn title(document: &Node) -> String {
    let text = |node: &Node, key| node.get(key).and_then(Node::text).map(str::to_owned);
    let name = document.get("metadata").and_then(|metadata| text(metadata, "name")).unwrap_or_default();
    format!("{} {name}", text(document, "kind").unwrap_or_else(|| "document".to_owned())).trim_end().to_owned()
}

struct Reader<'a> {
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn object(&mut self, document: &Node, job: bool) -> Object {
        let nothing = Node::Null;
        let metadata = document.get("metadata").unwrap_or(&nothing);
        let spec = document.get("spec").unwrap_or(&nothing);
        let name = metadata.get("name").and_then(Node::text).unwrap_or_default().to_owned();
        if name.is_empty() {
            self.findings.error("metadata.name", "is missing");
        }
        let kind = if job { self.job(spec) } else { Kind::ScaledObject };
        self.target(spec, job);
        let annotations = metadata.get("annotations").unwrap_or(&nothing);
        let object = Object {
            kind,
            name,
            namespace: metadata.get("namespace").and_then(Node::text).map(str::to_owned),
            polling: self.number(spec, "spec", "pollingInterval", 1).unwrap_or(POLLING_INTERVAL),
            cooldown: self.number(spec, "spec", "cooldownPeriod", 0).unwrap_or(COOLDOWN),
            min: self.number(spec, "spec", "minReplicaCount", 0).unwrap_or(0),
            max: self.number(spec, "spec", "maxReplicaCount", 1).unwrap_or(MAX_REPLICAS),
            idle: self.number(spec, "spec", "idleReplicaCount", 0),
            fallback: spec.get("fallback").and_then(|fallback| self.fallback(fallback)),
            formula: spec.get("advanced").and_then(|advanced| advanced.get("scalingModifiers")).is_some(),
            pause: pause::read(annotations, job, self.findings),
            triggers: self.triggers(spec),
        };
        if object.triggers.is_empty() {
            self.findings.error("spec.triggers", "there is none");
        }
        object
    }

    fn target(&mut self, spec: &Node, job: bool) {
        if job {
            if spec.get("jobTargetRef").is_none() {
                self.findings.error("spec.jobTargetRef", "is missing: what a job runs");
            }
        } else if spec.get("scaleTargetRef").and_then(|target| target.get("name")).and_then(Node::text).is_none() {
            self.findings.error("spec.scaleTargetRef.name", "is missing: what is scaled");
        }
    }

    fn triggers(&mut self, spec: &Node) -> Vec<Spec> {
        let triggers = spec.get("triggers").map(Node::items).unwrap_or_default();
        triggers.iter().enumerate().map(|(index, node)| self.trigger(index, node)).collect()
    }

    fn trigger(&mut self, index: usize, node: &Node) -> Spec {
        let at = format!("spec.triggers[{index}]");
        let kind = node.get("type").and_then(Node::text).unwrap_or_default().to_owned();
        if kind.is_empty() {
            self.findings.error(format!("{at}.type"), "is missing");
        }
        let metric_type = match node.get("metricType").and_then(Node::text) {
            None | Some("AverageValue") => MetricType::AverageValue,
            Some("Value") => MetricType::Value,
            Some(_) => {
                let text = "KEDA takes AverageValue and Value here; Utilization is for cpu and memory";
                self.findings.error(format!("{at}.metricType"), text);
                MetricType::AverageValue
            }
        };
        let mut metadata = HashMap::new();
        let entries = node.get("metadata").map(Node::entries).unwrap_or_default();
        for (key, value) in entries {
            match value {
                Node::Text(text) => {
                    metadata.insert(key.clone(), text.clone());
                }
                // Kubernetes drops a null.
                Node::Null => {}
                Node::Bool(_) | Node::Number(_) => {
                    let text = "must be a text: put it into quotation marks";
                    self.findings.error(format!("{at}.metadata.{key}"), text);
                    metadata.extend(value.written().map(|text| (key.clone(), text)));
                }
                Node::List(_) | Node::Map(_) => {
                    self.findings.error(format!("{at}.metadata.{key}"), "must be a text, not a list or a map");
                }
            }
        }
        let cached = node.get("useCachedMetrics") == Some(&Node::Bool(true));
        let authentication = node.get("authenticationRef").is_some();
        Spec { index, kind, metric_type, cached, authentication, metadata }
    }

    fn fallback(&mut self, node: &Node) -> Option<Fallback> {
        let at = "spec.fallback";
        let mut required = |key| {
            if node.get(key).is_none() {
                self.findings.error(format!("{at}.{key}"), "is missing");
            }
            self.number(node, at, key, 0)
        };
        let (threshold, replicas) = (required("failureThreshold"), required("replicas"));
        let behavior = match node.get("behavior").and_then(Node::text) {
            None | Some("static") => Behavior::Static,
            Some("currentReplicas") => Behavior::Current,
            Some("currentReplicasIfHigher") => Behavior::CurrentIfHigher,
            Some("currentReplicasIfLower") => Behavior::CurrentIfLower,
            // Depends on a formula that is not computed here.
            Some("scalingModifiers") => return None,
            Some(_) => {
                let text = "expected one of: static, currentReplicas, currentReplicasIfHigher, \
                            currentReplicasIfLower, scalingModifiers";
                self.findings.error(format!("{at}.behavior"), text);
                return None;
            }
        };
        Some(Fallback { threshold: threshold?, replicas: replicas?, behavior })
    }

    fn job(&mut self, spec: &Node) -> Kind {
        let nothing = Node::Null;
        let node = spec.get("scalingStrategy").unwrap_or(&nothing);
        Kind::ScaledJob(self.strategy(node), self.calculation(node))
    }

    fn strategy(&mut self, node: &Node) -> Strategy {
        match node.get("strategy").and_then(Node::text) {
            None | Some("default" | "") => Strategy::Default,
            Some("accurate") => Strategy::Accurate,
            Some("eager") => Strategy::Eager,
            Some("custom") => self.custom(node),
            Some(_) => {
                let text = "KEDA takes default, custom, accurate and eager; anything else is default";
                self.findings.warning("spec.scalingStrategy.strategy", text);
                Strategy::Default
            }
        }
    }

    /// Without a number to multiply by, KEDA takes its default strategy.
    fn custom(&mut self, node: &Node) -> Strategy {
        let at = "spec.scalingStrategy";
        let key = "customScalingRunningJobPercentage";
        let deduction = self.number(node, at, "customScalingQueueLengthDeduction", 0).unwrap_or(0);
        let fraction = node.get(key).and_then(Node::text).and_then(|text| text.parse().ok());
        if let Some(fraction) = fraction.filter(|fraction: &f64| fraction.is_finite()) {
            return Strategy::Custom { deduction, fraction };
        }
        let text = "is no number as a text, such as \"0.5\": KEDA takes the strategy default instead of custom";
        self.findings.warning(format!("{at}.{key}"), text);
        Strategy::Default
    }

    fn calculation(&mut self, node: &Node) -> Calculation {
        let key = "multipleScalersCalculation";
        match node.get(key).map(|word| word.text().unwrap_or_default()) {
            None | Some("max") => Calculation::Max,
            Some("min") => Calculation::Min,
            Some("avg") => Calculation::Average,
            Some("sum") => Calculation::Sum,
            Some(_) => {
                self.findings.error(format!("spec.scalingStrategy.{key}"), "expected one of: min, avg, sum, max");
                Calculation::Max
            }
        }
    }

    /// A whole number of at least `least`; `None` when it is absent or wrong, which is noted.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range just checked")]
    fn number(&mut self, node: &Node, at: &str, key: &str, least: u32) -> Option<u64> {
        match node.get(key)? {
            Node::Number(number) if number.fract() == 0.0 && (f64::from(least)..=LARGEST).contains(number) => {
                Some(*number as u64)
            }
            _ => {
                self.findings.error(format!("{at}.{key}"), format!("expected a whole number, at least {least}"));
                None
            }
        }
    }
}
