//! From documents to all that is said of them (pure): first what the manifests say, then what the numbers make of it.

use std::collections::HashMap;

use serde::Serialize;

use super::finding::{Finding, Findings, Level};
use super::lint;
use super::manifest::{self, Object, Spec};
use super::migrate::{self, Migrated};
use super::outlook::{self, Judged, Look, Outlook, Present};
use super::sample::{NoSample, Sample};
use super::triggers::{self, Whose};
use super::yaml::Node;
use crate::reading::Counts;
use crate::trigger::{Own, Source, Trigger};

/// Where a migrated trigger would find the scaler of the manifests in `deploy/`.
const ADDRESS: &str = "stream-scaler.stream-dispatcher:6000";

/// Everything that is said.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) objects: Vec<Explained>,
    /// Documents that KEDA does not scale by.
    pub(super) passed_over: Vec<String>,
}

/// All that is said of one object.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) findings: Vec<Finding>,
    pub(super) triggers: Vec<Told>,
    /// `None` where no trigger could be judged.
    pub(super) outlook: Option<Outlook>,
}

/// All that is said of one trigger.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    pub(super) index: usize,
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Which stream it looks at; `None` for somebody else's trigger and for a wrong one.
    #[serde(rename = "where")]
    pub(super) whereabouts: Option<String>,
    /// KEDA's own trigger as one of this scaler.
    pub(super) migrated: Option<Rewritten>,
    pub(super) judged: Option<Judged>,
    /// Why there are no numbers.
    pub(super) trouble: Option<String>,
    #[serde(skip)]
    refused: bool,
}

/// A trigger that is written anew.
#[derive(Debug, Serialize)]
pub(super) struct Rewritten {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) differences: Vec<String>,
}

impl From<Migrated> for Rewritten {
    fn from(Migrated { kind, metadata, differences }: Migrated) -> Self {
        Self { kind, metadata, differences }
    }
}

/// An object before there are numbers.
pub(super) struct Examined {
    object: Object,
    findings: Findings,
    triggers: Vec<(Told, Option<Look>)>,
}

/// The scaler's settings, and whether they were given at all.
pub(super) struct Known<'a> {
    pub(super) own: &'a Own,
    /// `false`: a trigger may name any Sentinel, since it is not known which are allowed.
    pub(super) given: bool,
}

/// Reads the manifests; gives also the names of the documents that are none.
pub(super) fn examine(documents: &[Node], known: &Known<'_>, present: Present) -> (Vec<Examined>, Vec<String>) {
    let (mut examined, mut passed_over) = (Vec::new(), Vec::new());
    for document in manifest::flat(documents) {
        let mut findings = Findings::default();
        match manifest::read(document, &mut findings) {
            None => passed_over.push(manifest::title(document)),
            Some(object) => {
                lint::object(&object, present.replicas, &mut findings);
                let triggers: Vec<_> =
                    object.triggers.iter().map(|spec| trigger(&object, spec, known, &mut findings)).collect();
                let ours: Vec<(usize, &Trigger)> = triggers
                    .iter()
                    .filter_map(|(told, look)| look.as_ref().map(|look| (told.index, &look.trigger)))
                    .collect();
                triggers::together(&ours, &mut findings);
                examined.push(Examined { object, findings, triggers });
            }
        }
    }
    (examined, passed_over)
}

fn trigger(object: &Object, spec: &Spec, known: &Known<'_>, findings: &mut Findings) -> (Told, Option<Look>) {
    let own = if known.given { known.own.clone() } else { triggers::lenient(known.own, spec) };
    let (mut push, mut migrated) = (false, None);
    let trigger = match triggers::whose(spec) {
        Whose::Ours { push: pushed } => {
            push = pushed && !object.kind.is_job();
            triggers::ours(object, spec, &own, findings)
        }
        Whose::BuiltIn => {
            push = !object.kind.is_job();
            let new = migrate::migrate(object.kind, spec, ADDRESS);
            let trigger = Trigger::parse(&triggers::readable(new.map()), &own).map_err(|bad| {
                for problem in bad.problems {
                    let text = format!("as a trigger of this scaler it would be refused: {}", problem.problem);
                    findings.warning(spec.key(&problem.key), text);
                }
            });
            migrated = Some(new.into());
            trigger.ok().inspect(|trigger| triggers::strategy(object, spec, trigger, findings))
        }
        Whose::Other => {
            let text = "another scaler's, and not looked at here: of several triggers, the largest number counts";
            findings.note(spec.field("type"), text);
            None
        }
    };
    let told = Told {
        index: spec.index,
        kind: spec.kind.clone(),
        whereabouts: trigger.as_ref().map(outlook::whereabouts),
        migrated,
        judged: None,
        trouble: None,
        refused: false,
    };
    let empty = Sample::from(Counts::default());
    let look =
        trigger.map(|trigger| Look { index: spec.index, push, metric_type: spec.metric_type, trigger, sample: empty });
    (told, look)
}

/// What has to be read, each once.
pub(super) fn sources(examined: &[Examined]) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for (_, look) in examined.iter().flat_map(|examined| &examined.triggers) {
        if let Some(look) = look.as_ref().filter(|look| !sources.contains(&look.trigger.source)) {
            sources.push(look.trigger.source.clone());
        }
    }
    sources
}

/// Brings the numbers to the manifests.
pub(super) fn complete(
    examined: Vec<Examined>,
    passed_over: Vec<String>,
    samples: &HashMap<Source, Result<Sample, NoSample>>,
    present: Present,
) -> Report {
    let objects = examined.into_iter().map(|examined| explained(examined, samples, present)).collect();
    Report { objects, passed_over }
}

fn explained(examined: Examined, samples: &HashMap<Source, Result<Sample, NoSample>>, present: Present) -> Explained {
    let Examined { object, findings, triggers } = examined;
    let (mut told, mut looks, mut judged) = (Vec::new(), Vec::new(), Vec::new());
    for (mut one, look) in triggers {
        match look.map(|look| (samples.get(&look.trigger.source), look)) {
            Some((Some(Ok(sample)), look)) => {
                let look = Look { sample: sample.clone(), ..look };
                let verdict = outlook::judge(&object, &look, present);
                one.judged = Some(verdict.clone());
                looks.push(look);
                judged.push(verdict);
            }
            Some((Some(Err(trouble)), _)) => {
                one.trouble = Some(trouble.text.clone());
                one.refused = trouble.refused;
            }
            Some((None, _)) | None => {}
        }
        told.push(one);
    }
    let others: Vec<usize> = told.iter().filter(|told| told.judged.is_none()).map(|told| told.index).collect();
    let outlook = (!judged.is_empty()).then(|| outlook::outlook(&object, &looks, &judged, &others, present));
    Explained {
        kind: object.kind.as_str(),
        name: object.name,
        namespace: object.namespace,
        findings: findings.0,
        triggers: told,
        outlook,
    }
}

impl Report {
    pub(super) fn count(&self, level: Level) -> usize {
        self.objects.iter().flat_map(|object| &object.findings).filter(|finding| finding.level == level).count()
    }

    /// How many triggers were judged, and how many have no numbers.
    pub(super) fn triggers(&self) -> (usize, usize) {
        let all = || self.objects.iter().flat_map(|object| &object.triggers);
        let judged = all().filter(|told| told.judged.is_some()).count();
        (judged, all().filter(|told| told.trouble.is_some()).count())
    }

    /// Whether something is refused: by Kubernetes, by KEDA, by the scaler, by Redis.
    pub(super) fn is_refused(&self) -> bool {
        self.count(Level::Error) > 0 || self.objects.iter().flat_map(|object| &object.triggers).any(|told| told.refused)
    }
}

#[cfg(test)]
mod tests;
