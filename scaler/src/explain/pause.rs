//! Annotations that keep KEDA from scaling (pure).

use super::finding::Findings;
use super::yaml::Node;

/// The largest number that KEDA takes for replicas.
const MOST: u64 = i32::MAX as u64;

/// What the annotations of an object stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Pause {
    pub(super) all: Option<Held>,
    /// `paused-scale-in`
    pub(super) scale_in: bool,
    /// `paused-scale-out`
    pub(super) scale_out: bool,
}

/// Where an object is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// As many as there are (`paused`).
    AsItIs,
    /// At a number (`paused-replicas`), which KEDA scales to first.
    At(u64),
}

/// Reads the annotations and says what they do. A `ScaledJob` has `paused` only.
pub(super) fn read(annotations: &Node, job: bool, findings: &mut Findings) -> Pause {
    let text = |name: &str| annotations.get(&format!("autoscaling.keda.sh/{name}")).and_then(Node::written);
    let is_on = |name: &str| text(name).is_some_and(|word| boolean(&word).unwrap_or(true));
    let mut warning = |name: &str, text: &str| {
        findings.warning("metadata.annotations", format!("autoscaling.keda.sh/{name}: {text}"));
    };
    if let Some(number) = text("paused-replicas").filter(|_| !job) {
        let number = number.parse().ok().filter(|number| *number <= MOST);
        match number {
            Some(number) => {
                warning("paused-replicas", &format!("KEDA scales to {number}, and not at all while it is there"));
            }
            None => warning("paused-replicas", "is no whole number: KEDA does not scale, and fails to read it"),
        }
        return Pause { all: Some(number.map_or(Held::AsItIs, Held::At)), ..Pause::default() };
    }
    if is_on("paused") {
        warning("paused", "KEDA does not scale this object while it is there");
        return Pause { all: Some(Held::AsItIs), ..Pause::default() };
    }
    let pause =
        Pause { all: None, scale_in: !job && is_on("paused-scale-in"), scale_out: !job && is_on("paused-scale-out") };
    if pause.scale_in {
        warning(
            "paused-scale-in",
            "no replicas are taken away while it is there, neither by KEDA nor by the autoscaler",
        );
    }
    if pause.scale_out {
        warning("paused-scale-out", "no replicas are added while it is there, neither by KEDA nor by the autoscaler");
    }
    pause
}

impl Pause {
    /// Replicas where these are wanted. `None`: that depends on how many there are.
    pub(super) fn bounded(self, wanted: Option<u64>, current: Option<u64>) -> Option<u64> {
        let lowest = if self.scale_in { current? } else { 0 };
        let highest = if self.scale_out { current? } else { u64::MAX };
        wanted.map(|wanted| wanted.clamp(lowest, highest))
    }
}

/// A boolean as Go reads it.
pub(super) fn boolean(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    fn pause(annotation: &str, job: bool) -> (Pause, usize) {
        let documents = yaml::documents(&format!("autoscaling.keda.sh/{annotation}\n")).unwrap();
        let mut findings = Findings::default();
        (read(&documents[0], job, &mut findings), findings.0.len())
    }

    #[test]
    fn by_annotation() {
        let all = |held| Pause { all: Some(held), ..Pause::default() };
        let rows = [
            ("paused: 'true'", all(Held::AsItIs)),
            ("paused: 'yes'", all(Held::AsItIs)),
            ("paused: ''", all(Held::AsItIs)),
            ("paused: 'False'", Pause::default()),
            ("paused: '0'", Pause::default()),
            ("paused: false", Pause::default()),
            ("paused-replicas: '3'", all(Held::At(3))),
            ("paused-replicas: '0'", all(Held::At(0))),
            ("paused-replicas: many", all(Held::AsItIs)),
            ("paused-scale-in: 'true'", Pause { scale_in: true, ..Pause::default() }),
            ("paused-scale-out: 't'", Pause { scale_out: true, ..Pause::default() }),
            ("paused-scale-out: 'f'", Pause::default()),
        ];
        for (annotation, expected) in rows {
            let warnings = usize::from(expected != Pause::default());
            assert_eq!(pause(annotation, false), (expected, warnings), "{annotation}");
        }
        assert_eq!(pause("paused: 'true'", true), (all(Held::AsItIs), 1));
        for passed_over in ["paused-replicas: '3'", "paused-scale-in: 'true'"] {
            assert_eq!(pause(passed_over, true), (Pause::default(), 0), "{passed_over}");
        }
    }

    #[test]
    fn one_direction() {
        let scale_in = Pause { scale_in: true, ..Pause::default() };
        let scale_out = Pause { scale_out: true, ..Pause::default() };
        assert_eq!((scale_in.bounded(Some(1), Some(3)), scale_in.bounded(Some(5), Some(3))), (Some(3), Some(5)));
        assert_eq!((scale_out.bounded(Some(1), Some(3)), scale_out.bounded(Some(5), Some(3))), (Some(1), Some(3)));
        assert_eq!((scale_in.bounded(Some(1), None), Pause::default().bounded(Some(1), None)), (None, Some(1)));
    }
}
