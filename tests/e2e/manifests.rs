//! The manifests under `deploy/kustomize/base`, held against the programs that they start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use jiff::SignedDuration;
use line_tests::keda::ScaledObject;
use line_tests::process::Signal;
use line_tests::{Keda, Program, alerts, eventually_ok, ports};
use serde::Deserialize as _;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(15);
/// Read by the C library, not by the programs.
const NOT_OURS: &str = "MALLOC_ARENA_MAX";
/// What a trigger may say to the scaler (`deploy/README.md`), and `scalerAddress`, which is for KEDA.
const TRIGGER_KEYS: [&str; 16] = [
    "scalerAddress",
    "stream",
    "consumerGroup",
    "databaseIndex",
    "sentinelMaster",
    "addresses",
    "hosts",
    "ports",
    "metric",
    "target",
    "pendingEntriesCount",
    "lagCount",
    "streamLength",
    "activationTarget",
    "activationLagCount",
    "jobScalingStrategy",
];

/// The rendered objects.
struct Manifests(Vec<Value>);

/// A `Deployment` or `StatefulSet` with its only container.
struct Workload<'a> {
    object: &'a Value,
    pod: &'a Value,
    container: &'a Value,
    /// The program's name and its arguments.
    program: &'a str,
    arguments: Vec<&'a str>,
    environment: BTreeMap<String, String>,
}

/// Settings of a program by the names of their variables, with their defaults, as `--help` shows them.
type Known = BTreeMap<String, Option<String>>;

fn at<'a>(value: &'a Value, pointer: &str) -> Result<&'a Value> {
    value.pointer(pointer).with_context(|| format!("no {pointer} in {value}"))
}

/// What stands at `pointer`, or null.
fn look<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    at(value, pointer)?.as_str().with_context(|| format!("{pointer} is no text in {value}"))
}

/// The list at `pointer`; an absent one is empty.
fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn port(value: &Value) -> Result<u16> {
    Ok(u16::try_from(value.as_u64().with_context(|| format!("{value} is no port"))?)?)
}

impl Manifests {
    fn render() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let kubectl = root.join("target/tools/bin/kubectl");
        ensure!(kubectl.exists(), "{} is missing: run `make tools`", kubectl.display());
        let output = Command::new(kubectl).arg("kustomize").arg(root.join("deploy/kustomize/base")).output()?;
        ensure!(output.status.success(), "kubectl kustomize: {}", String::from_utf8_lossy(&output.stderr));
        let documents = yaml_serde::Deserializer::from_slice(&output.stdout).map(Value::deserialize);
        Ok(Self(documents.collect::<Result<_, _>>()?))
    }

    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |object| *look(object, "/kind") == kind)
    }

    fn workloads(&self) -> Result<Vec<Workload<'_>>> {
        let objects = self.of_kind("Deployment").chain(self.of_kind("StatefulSet"));
        let workloads: Vec<_> = objects.map(|object| self.workload(object)).collect::<Result<_>>()?;
        ensure!(workloads.len() == 3, "expected scaler, hook and worker");
        Ok(workloads)
    }

    fn workload<'a>(&'a self, object: &'a Value) -> Result<Workload<'a>> {
        let pod = at(object, "/spec/template/spec")?;
        let [container] = list(pod, "/containers") else { bail!("expected one container in {pod}") };
        let program = text(container, "/command/0")?.strip_prefix('/').context("the command is no path")?;
        let arguments = list(container, "/args").iter().filter_map(Value::as_str).collect();
        Ok(Workload { object, pod, container, program, arguments, environment: self.environment(container)? })
    }

    /// What the container's environment will be: the config maps, then its own variables.
    fn environment(&self, container: &Value) -> Result<BTreeMap<String, String>> {
        let mut environment = BTreeMap::new();
        for source in list(container, "/envFrom") {
            let name = text(source, "/configMapRef/name")?;
            let map = self.of_kind("ConfigMap").find(|map| *look(map, "/metadata/name") == name);
            let map = map.with_context(|| format!("no ConfigMap {name}"))?;
            for (variable, value) in at(map, "/data")?.as_object().context("data is no map")? {
                environment.insert(variable.clone(), value.as_str().context("a value that is no text")?.to_owned());
            }
        }
        for variable in list(container, "/env") {
            environment.insert(text(variable, "/name")?.to_owned(), text(variable, "/value")?.to_owned());
        }
        Ok(environment)
    }

    /// The only workload whose pods have these labels.
    fn selected(&self, labels: &Value) -> Result<Workload<'_>> {
        let labels = labels.as_object().context("a selector that is no map")?;
        let mut selected = self.workloads()?;
        selected.retain(|workload| {
            let own = look(workload.object, "/spec/template/metadata/labels");
            !labels.is_empty() && labels.iter().all(|(label, value)| own[label] == *value)
        });
        ensure!(selected.len() == 1, "{} workloads have {labels:?}", selected.len());
        selected.pop().context("none")
    }

    fn scaled_object(&self) -> Result<(&Value, &Value)> {
        let scaled: Vec<_> = self.of_kind("ScaledObject").collect();
        let [scaled] = scaled.as_slice() else { bail!("expected one ScaledObject") };
        let [trigger] = list(scaled, "/spec/triggers") else { bail!("expected one trigger") };
        Ok((scaled, trigger))
    }
}

impl Workload<'_> {
    async fn known(&self) -> Result<Known> {
        let arguments: Vec<&str> = self.arguments.iter().copied().chain(["--help"]).collect();
        let mut program = Program::start(self.program, &arguments, &[])?;
        let code = program.exit_code(PATIENCE).await?;
        ensure!(code == 0, "{} {arguments:?} ended with {code}: {}", self.program, program.tail());
        let help = program.output().split_whitespace().collect::<Vec<_>>().join(" ");
        let mut known = Known::new();
        let mut parts = help.split("[env: ");
        let mut before = parts.next().unwrap_or_default();
        for part in parts {
            let (variable, after) = part.split_once(']').context("an unfinished [env: ...]")?;
            let default = before.rsplit_once("[default: ").and_then(|(_, rest)| rest.split_once(']'));
            known.insert(variable.to_owned(), default.map(|(default, _)| default.to_owned()));
            before = after;
        }
        ensure!(known.len() > 10, "the help names too few variables: {known:?}");
        Ok(known)
    }

    /// Variables of the addresses that the program listens on, with the ports that result.
    async fn listeners(&self) -> Result<BTreeMap<String, u16>> {
        let mut listeners = BTreeMap::new();
        for (variable, default) in self.known().await? {
            if variable.ends_with("_ADDR") {
                let address = self.environment.get(&variable).cloned().or(default).context("no default address")?;
                let (_, port) = address.rsplit_once(':').context("an address without a port")?;
                listeners.insert(variable, port.parse()?);
            }
        }
        Ok(listeners)
    }

    /// A port of the container, by number or name.
    fn resolve(&self, wanted: &Value) -> Result<u16> {
        let ports = list(self.container, "/ports");
        let found =
            ports.iter().find(|port| *look(port, "/name") == *wanted || *look(port, "/containerPort") == *wanted);
        let found = found.with_context(|| format!("the container of {} has no port {wanted}", self.program))?;
        port(look(found, "/containerPort"))
    }

    fn probes(&self) -> Result<Vec<(&str, u16)>> {
        let probes = ["/livenessProbe/httpGet", "/readinessProbe/httpGet"];
        let probe = |pointer| {
            let probe = at(self.container, pointer)?;
            Ok((text(probe, "/path")?, self.resolve(at(probe, "/port")?)?))
        };
        probes.into_iter().map(probe).collect()
    }

    fn time_to_end(&self) -> Result<Duration> {
        let seconds = at(self.pod, "/terminationGracePeriodSeconds")?.as_u64();
        Ok(Duration::from_secs(seconds.context("terminationGracePeriodSeconds is no number")?))
    }
}

#[tokio::test]
async fn every_variable_is_one_that_the_program_reads() -> Result<()> {
    for workload in Manifests::render()?.workloads()? {
        let known = workload.known().await?;
        let strangers: Vec<_> =
            workload.environment.keys().filter(|name| *name != NOT_OURS && !known.contains_key(*name)).collect();
        ensure!(strangers.is_empty(), "{} {:?} does not read {strangers:?}", workload.program, workload.arguments);
    }
    Ok(())
}

#[tokio::test]
async fn every_port_is_one_that_the_program_listens_on() -> Result<()> {
    let manifests = Manifests::render()?;
    for workload in manifests.workloads()? {
        let listening: BTreeSet<u16> = workload.listeners().await?.into_values().collect();
        let declared = list(workload.container, "/ports").iter().map(|entry| port(look(entry, "/containerPort")));
        ensure!(declared.collect::<Result<BTreeSet<_>>>()? == listening, "{} has {listening:?}", workload.container);
        workload.probes()?;
    }
    for service in manifests.of_kind("Service") {
        let workload = manifests.selected(at(service, "/spec/selector")?)?;
        for entry in list(service, "/spec/ports") {
            let target = workload.resolve(at(entry, "/targetPort")?)?;
            ensure!(target == port(look(entry, "/port"))?, "{entry} does not lead to the same port");
        }
    }
    for policy in manifests.of_kind("NetworkPolicy") {
        let workload = manifests.selected(at(policy, "/spec/podSelector/matchLabels")?)?;
        let rules = list(policy, "/spec/ingress").iter();
        let admitted = rules.flat_map(|rule| list(rule, "/ports")).map(|entry| port(look(entry, "/port")));
        let listening: BTreeSet<u16> = workload.listeners().await?.into_values().collect();
        ensure!(admitted.collect::<Result<BTreeSet<_>>>()? == listening, "{policy} should admit {listening:?}");
    }
    Ok(())
}

/// Redis and the agents of the manifests do not exist here: no probe depends on them.
#[tokio::test]
async fn every_program_starts_with_its_environment_answers_its_probes_and_ends_in_time() -> Result<()> {
    let manifests = Manifests::render()?;
    for workload in manifests.workloads()? {
        let mut environment = workload.environment.clone();
        let mut here = BTreeMap::new();
        for (variable, port) in workload.listeners().await? {
            let free = ports::free_port()?;
            environment.insert(variable, format!("127.0.0.1:{free}"));
            here.insert(port, format!("127.0.0.1:{free}"));
        }
        let pairs: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut program = Program::start(workload.program, &workload.arguments, &pairs)?;
        for (path, port) in workload.probes()? {
            let url = format!("http://{}{path}", here.get(&port).context("a probe of a port without a listener")?);
            eventually_ok(&url, PATIENCE, async || {
                ensure!(program.is_running(), "it has ended: {}", program.tail());
                let (status, body) = alerts::get(&url).await?;
                ensure!(status == 200, "{status}: {body}");
                Ok(())
            })
            .await?;
        }
        if let Some(address) = here.get(&6000) {
            understands_the_trigger(address, manifests.scaled_object()?.1).await?;
        }
        program.signal(Signal::TERM)?;
        let code = program.exit_code(workload.time_to_end()?).await?;
        ensure!(code == 0, "{} ended with {code}: {}", workload.program, program.tail());
    }
    Ok(())
}

async fn understands_the_trigger(scaler: &str, trigger: &Value) -> Result<()> {
    let metadata = at(trigger, "/metadata")?.as_object().context("metadata is no map")?;
    let metadata: Vec<_> = metadata.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect();
    let specs = Keda::connect(scaler).await?.metric_specs(&ScaledObject::with_metadata(&metadata)).await?;
    let [spec] = specs.as_slice() else { bail!("expected one spec, got {specs:?}") };
    ensure!(spec.metric_name == "incident-events-dispatch-group-backlog", "{spec:?}");
    ensure!(spec.target_size == 10, "{spec:?}");
    Ok(())
}

#[tokio::test]
async fn every_program_is_given_more_time_than_it_takes_to_stop() -> Result<()> {
    for workload in Manifests::render()?.workloads()? {
        let default = workload.known().await?.remove("SHUTDOWN_GRACE").flatten();
        let grace = workload.environment.get("SHUTDOWN_GRACE").cloned().or(default).context("no grace")?;
        let grace = Duration::try_from(grace.parse::<SignedDuration>()?)?;
        ensure!(workload.time_to_end()? > grace, "{} needs more than {grace:?}", workload.program);
    }
    Ok(())
}

#[test]
fn keda_scales_the_workers_and_never_below_now_while_it_is_blind() -> Result<()> {
    let manifests = Manifests::render()?;
    let (scaled, trigger) = manifests.scaled_object()?;
    let worker = manifests.of_kind("Deployment").find(|object| {
        *look(object, "/metadata/name") == *look(scaled, "/spec/scaleTargetRef/name")
            && *look(object, "/kind") == "Deployment"
    });
    let worker = manifests.workload(worker.context("scaleTargetRef names no Deployment")?)?;
    ensure!(worker.program == "stream-dispatcher" && worker.arguments == ["work"]);
    ensure!(look(worker.object, "/spec").get("replicas").is_none(), "replicas are KEDA's");
    ensure!(!worker.environment.contains_key("CONSUMER_NAME"), "pods would share one name");

    ensure!(*look(trigger, "/type") == "external-push");
    let metadata = at(trigger, "/metadata")?.as_object().context("metadata is no map")?;
    for (key, value) in metadata {
        ensure!(TRIGGER_KEYS.contains(&key.as_str()) && value.is_string(), "{key}: {value}");
    }
    let service = manifests.of_kind("Service").find(|service| *look(service, "/spec/ports/0/name") == "grpc");
    let service = service.context("no Service with a port named grpc")?;
    let (name, namespace) = (text(service, "/metadata/name")?, text(service, "/metadata/namespace")?);
    let address = format!("{name}.{namespace}:{}", look(service, "/spec/ports/0/port"));
    ensure!(*look(trigger, "/metadata/scalerAddress") == address.as_str(), "expected {address}");

    ensure!(*look(scaled, "/spec/minReplicaCount") == 0 && look(scaled, "/spec/maxReplicaCount").as_u64() > Some(1));
    let fallback = json!({"failureThreshold": 4, "replicas": 1, "behavior": "currentReplicasIfHigher"});
    ensure!(*look(scaled, "/spec/fallback") == fallback, "{}", look(scaled, "/spec/fallback"));
    Ok(())
}

#[test]
fn every_pod_is_confined() -> Result<()> {
    let manifests = Manifests::render()?;
    for workload in manifests.workloads()? {
        let Workload { pod, container, .. } = workload;
        let expected = [
            (pod, "/securityContext/runAsNonRoot", json!(true)),
            (pod, "/securityContext/seccompProfile/type", json!("RuntimeDefault")),
            (pod, "/automountServiceAccountToken", json!(false)),
            (pod, "/enableServiceLinks", json!(false)),
            (container, "/securityContext/allowPrivilegeEscalation", json!(false)),
            (container, "/securityContext/readOnlyRootFilesystem", json!(true)),
            (container, "/securityContext/capabilities/drop", json!(["ALL"])),
        ];
        for (value, pointer, expected) in expected {
            ensure!(*at(value, pointer)? == expected, "{pointer} of {} is not {expected}", workload.program);
        }
        at(container, "/resources/requests/memory")?;
        at(container, "/resources/limits/memory")?;
        ensure!(text(container, "/image")?.starts_with("stream-dispatcher:"));
        let account = text(pod, "/serviceAccountName")?;
        ensure!(manifests.of_kind("ServiceAccount").any(|object| *look(object, "/metadata/name") == account));
        let labels = at(workload.object, "/spec/template/metadata/labels")?;
        let policy = |policy: &&Value| {
            *look(policy, "/spec/podSelector/matchLabels/app.kubernetes.io~1name")
                == *look(labels, "/app.kubernetes.io~1name")
        };
        let policy = manifests.of_kind("NetworkPolicy").find(policy).context("a pod without a NetworkPolicy")?;
        ensure!(*look(policy, "/spec/policyTypes") == json!(["Ingress", "Egress"]));
    }
    Ok(())
}

/// The Secret need not exist, and a program does not start when a file that a setting names is missing.
#[test]
fn nothing_waits_for_the_secret() -> Result<()> {
    for workload in Manifests::render()?.workloads()? {
        let mut secrets = list(workload.pod, "/volumes").iter().filter_map(|volume| volume.get("secret")).peekable();
        ensure!(secrets.peek().is_some(), "{} cannot be given a password", workload.program);
        ensure!(
            secrets.all(|secret| *look(secret, "/optional") == true),
            "a volume of {} is not optional",
            workload.program
        );
        let mut files = workload.environment.iter().filter(|(name, _)| name.ends_with("_FILE"));
        ensure!(files.all(|(_, path)| path.is_empty()), "a file is named in {:?}", workload.environment);
    }
    Ok(())
}
