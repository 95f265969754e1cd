//! The manifests under `deploy/kustomize/base`, held against the programs that they start.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use jiff::SignedDuration;
use line_tests::keda::ScaledObject;
use line_tests::process::Signal;
use line_tests::{Keda, Program, alerts, eventually_ok, ports};
use serde_json::{Value, json};

#[path = "manifests/rendered.rs"]
mod rendered;

use rendered::{Manifests, Workload, at, list, look, port, text};

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
        let (mut environment, _files) = workload.environment_here()?;
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

#[test]
fn hook_and_workers_have_one_settings_file() -> Result<()> {
    let manifests = Manifests::render()?;
    let mut files = BTreeSet::new();
    for workload in manifests.workloads()?.into_iter().filter(|workload| workload.program == "stream-dispatcher") {
        let path = workload.environment.get("CONFIG").context("no CONFIG")?;
        let content = workload.files.get(path).with_context(|| format!("no ConfigMap brings {path}"))?;
        ensure!(workload.files.len() == 1, "{:?} is not read", workload.files);
        files.insert((path.clone(), content.clone()));
        let mounts = list(workload.container, "/volumeMounts").iter();
        let mount = mounts.filter(|mount| mount["mountPath"].as_str().is_some_and(|folder| path.starts_with(folder)));
        ensure!(mount.map(|mount| look(mount, "/readOnly")).eq([&json!(true)]), "{path} can be written");
    }
    ensure!(files.len() == 1, "hook and worker differ: {files:?}");
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
