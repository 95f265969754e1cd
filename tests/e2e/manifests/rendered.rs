//! The rendered manifests, and what they make of each program.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use line_tests::Program;
use serde::Deserialize as _;
use serde_json::Value;
use tempfile::TempDir;

use super::PATIENCE;

/// The rendered objects.
pub(super) struct Manifests(Vec<Value>);

/// A `Deployment` or `StatefulSet` with its only container.
pub(super) struct Workload<'a> {
    pub(super) object: &'a Value,
    pub(super) pod: &'a Value,
    pub(super) container: &'a Value,
    /// The program's name and its arguments.
    pub(super) program: &'a str,
    pub(super) arguments: Vec<&'a str>,
    pub(super) environment: BTreeMap<String, String>,
    /// Files that `ConfigMaps` bring, by their paths in the container.
    pub(super) files: BTreeMap<String, String>,
}

/// Settings of a program by the names of their variables, with their defaults, as `--help` shows them.
pub(super) type Known = BTreeMap<String, Option<String>>;

pub(super) fn at<'a>(value: &'a Value, pointer: &str) -> Result<&'a Value> {
    value.pointer(pointer).with_context(|| format!("no {pointer} in {value}"))
}

/// What stands at `pointer`, or null.
pub(super) fn look<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    at(value, pointer)?.as_str().with_context(|| format!("{pointer} is no text in {value}"))
}

/// The list at `pointer`; an absent one is empty.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn port(value: &Value) -> Result<u16> {
    Ok(u16::try_from(value.as_u64().with_context(|| format!("{value} is no port"))?)?)
}

impl Manifests {
    pub(super) fn render() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let kubectl = root.join("target/tools/bin/kubectl");
        ensure!(kubectl.exists(), "{} is missing: run `make tools`", kubectl.display());
        let output = Command::new(kubectl).arg("kustomize").arg(root.join("deploy/kustomize/base")).output()?;
        ensure!(output.status.success(), "kubectl kustomize: {}", String::from_utf8_lossy(&output.stderr));
        let documents = yaml_serde::Deserializer::from_slice(&output.stdout).map(Value::deserialize);
        Ok(Self(documents.collect::<Result<_, _>>()?))
    }

    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |object| *look(object, "/kind") == kind)
    }

    pub(super) fn workloads(&self) -> Result<Vec<Workload<'_>>> {
        let objects = self.of_kind("Deployment").chain(self.of_kind("StatefulSet"));
        let workloads: Vec<_> = objects.map(|object| self.workload(object)).collect::<Result<_>>()?;
        ensure!(workloads.len() == 3, "expected scaler, hook and worker");
        Ok(workloads)
    }

    pub(super) fn workload<'a>(&'a self, object: &'a Value) -> Result<Workload<'a>> {
        let pod = at(object, "/spec/template/spec")?;
        let [container] = list(pod, "/containers") else { bail!("expected one container in {pod}") };
        let program = text(container, "/command/0")?.strip_prefix('/').context("the command is no path")?;
        let arguments = list(container, "/args").iter().filter_map(Value::as_str).collect();
        let (environment, files) = (self.environment(container)?, self.files(pod, container)?);
        Ok(Workload { object, pod, container, program, arguments, environment, files })
    }

    /// What the container's environment will be: the config maps, then its own variables.
    pub(super) fn environment(&self, container: &Value) -> Result<BTreeMap<String, String>> {
        let mut environment = BTreeMap::new();
        for source in list(container, "/envFrom") {
            let name = text(source, "/configMapRef/name")?;
            environment.extend(self.config_map(name)?);
        }
        for variable in list(container, "/env") {
            environment.insert(text(variable, "/name")?.to_owned(), text(variable, "/value")?.to_owned());
        }
        Ok(environment)
    }

    pub(super) fn config_map(&self, name: &str) -> Result<BTreeMap<String, String>> {
        let map = self.of_kind("ConfigMap").find(|map| *look(map, "/metadata/name") == name);
        let map = map.with_context(|| format!("no ConfigMap {name}"))?;
        let pair = |(key, value): (&String, &Value)| {
            Ok((key.clone(), value.as_str().context("a value that is no text")?.to_owned()))
        };
        at(map, "/data")?.as_object().context("data is no map")?.iter().map(pair).collect()
    }

    /// What the `ConfigMaps` that are mounted into the container hold.
    pub(super) fn files(&self, pod: &Value, container: &Value) -> Result<BTreeMap<String, String>> {
        let mut files = BTreeMap::new();
        for volume in list(pod, "/volumes").iter().filter(|volume| volume.get("configMap").is_some()) {
            let mounts = list(container, "/volumeMounts");
            let mount = mounts.iter().find(|mount| *look(mount, "/name") == *look(volume, "/name"));
            let folder = text(mount.with_context(|| format!("{volume} is not mounted"))?, "/mountPath")?;
            for (name, content) in self.config_map(text(volume, "/configMap/name")?)? {
                files.insert(format!("{folder}/{name}"), content);
            }
        }
        Ok(files)
    }

    /// The only workload whose pods have these labels.
    pub(super) fn selected(&self, labels: &Value) -> Result<Workload<'_>> {
        let labels = labels.as_object().context("a selector that is no map")?;
        let mut selected = self.workloads()?;
        selected.retain(|workload| {
            let own = look(workload.object, "/spec/template/metadata/labels");
            !labels.is_empty() && labels.iter().all(|(label, value)| own[label] == *value)
        });
        ensure!(selected.len() == 1, "{} workloads have {labels:?}", selected.len());
        selected.pop().context("none")
    }

    pub(super) fn scaled_object(&self) -> Result<(&Value, &Value)> {
        let scaled: Vec<_> = self.of_kind("ScaledObject").collect();
        let [scaled] = scaled.as_slice() else { bail!("expected one ScaledObject") };
        let [trigger] = list(scaled, "/spec/triggers") else { bail!("expected one trigger") };
        Ok((scaled, trigger))
    }
}

impl Workload<'_> {
    pub(super) async fn known(&self) -> Result<Known> {
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
    pub(super) async fn listeners(&self) -> Result<BTreeMap<String, u16>> {
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
    pub(super) fn resolve(&self, wanted: &Value) -> Result<u16> {
        let ports = list(self.container, "/ports");
        let found =
            ports.iter().find(|port| *look(port, "/name") == *wanted || *look(port, "/containerPort") == *wanted);
        let found = found.with_context(|| format!("the container of {} has no port {wanted}", self.program))?;
        port(look(found, "/containerPort"))
    }

    pub(super) fn probes(&self) -> Result<Vec<(&str, u16)>> {
        let probes = ["/livenessProbe/httpGet", "/readinessProbe/httpGet"];
        let probe = |pointer| {
            let probe = at(self.container, pointer)?;
            Ok((text(probe, "/path")?, self.resolve(at(probe, "/port")?)?))
        };
        probes.into_iter().map(probe).collect()
    }

    /// The environment with the files of the `ConfigMaps` laid out here, for as long as the folder is kept.
    pub(super) fn environment_here(&self) -> Result<(BTreeMap<String, String>, TempDir)> {
        let (mut environment, folder) = (self.environment.clone(), tempfile::tempdir()?);
        for (number, (path, content)) in self.files.iter().enumerate() {
            let file = folder.path().join(number.to_string());
            std::fs::write(&file, content)?;
            for value in environment.values_mut().filter(|value| *value == path) {
                file.to_str().context("an odd path")?.clone_into(value);
            }
        }
        for claim in list(self.object, "/spec/volumeClaimTemplates") {
            let mounts = list(self.container, "/volumeMounts");
            let mount = mounts.iter().find(|mount| *look(mount, "/name") == *look(claim, "/metadata/name"));
            let there = text(mount.with_context(|| format!("{claim} is not mounted"))?, "/mountPath")?;
            let here = folder.path().to_str().context("an odd path")?;
            for value in environment.values_mut().filter(|value| value.starts_with(there)) {
                *value = value.replacen(there, here, 1);
            }
        }
        Ok((environment, folder))
    }

    pub(super) fn time_to_end(&self) -> Result<Duration> {
        let seconds = at(self.pod, "/terminationGracePeriodSeconds")?.as_u64();
        Ok(Duration::from_secs(seconds.context("terminationGracePeriodSeconds is no number")?))
    }
}
