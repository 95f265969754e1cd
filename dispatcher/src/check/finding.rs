//! What a check finds (pure).

use daemon::exit;
use serde::Serialize;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// Settings that contradict each other.
    Settings,
    /// The Sentinels.
    Sentinel,
    /// The master and its replicas.
    Redis,
    /// Stream, group, and what is kept beside them.
    Stream,
    /// The agents.
    Agents,
    /// The outbox file.
    Outbox,
}

impl Subject {
    /// Its name, as it is printed and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Sentinel => "sentinel",
            Self::Redis => "redis",
            Self::Stream => "stream",
            Self::Agents => "agents",
            Self::Outbox => "outbox",
        }
    }
}

/// How good or bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Could not be looked at. The programs do not need what is missing for the look.
    Skipped,
    /// Works, and will hurt some day.
    Warning,
    /// Does not work.
    Problem,
}

impl Level {
    /// Its name, as it is printed and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub subject: Subject,
    /// A fixed word for what was looked at; the same whatever the level.
    pub id: &'static str,
    /// How good or bad.
    pub level: Level,
    /// What was seen, with numbers; never a secret.
    pub text: String,
    /// What to do; for warnings and problems.
    pub fix: Option<String>,
    /// A server or agent did not answer, so that the exit code tells it from wrong settings.
    #[serde(skip)]
    pub unreachable: bool,
}

impl Finding {
    fn new(subject: Subject, id: &'static str, level: Level, text: String, fix: Option<String>) -> Self {
        Self { subject, id, level, text, fix, unreachable: false }
    }

    /// All right.
    pub fn ok(subject: Subject, id: &'static str, text: impl Into<String>) -> Self {
        Self::new(subject, id, Level::Ok, text.into(), None)
    }

    /// Not looked at; `text` says why.
    pub fn skipped(subject: Subject, id: &'static str, text: impl Into<String>) -> Self {
        Self::new(subject, id, Level::Skipped, text.into(), None)
    }

    /// Works, and will hurt some day.
    pub fn warning(subject: Subject, id: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(subject, id, Level::Warning, text.into(), Some(fix.into()))
    }

    /// Does not work.
    pub fn problem(subject: Subject, id: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(subject, id, Level::Problem, text.into(), Some(fix.into()))
    }

    /// Somebody did not answer.
    #[must_use]
    pub fn unreachable(mut self) -> Self {
        self.unreachable = true;
        self
    }
}

/// All findings, by subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report(Vec<Finding>);

impl Report {
    /// Sorts the findings by subject; within one they keep their order.
    pub fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.subject);
        Self(findings)
    }

    /// The findings.
    pub fn findings(&self) -> &[Finding] {
        &self.0
    }

    /// How many have this level.
    pub fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|finding| finding.level == level).count()
    }

    /// 0 all right, 1 problems (or warnings, where they count), 69 a problem is that somebody did not answer.
    pub fn code(&self, strict: bool) -> u8 {
        let problems = || self.0.iter().filter(|finding| finding.level == Level::Problem);
        if problems().any(|finding| finding.unreachable) {
            exit::UNAVAILABLE
        } else if problems().next().is_some() || strict && self.count(Level::Warning) > 0 {
            exit::FAILED
        } else {
            exit::DONE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_decides_the_code() {
        let ok = Finding::ok(Subject::Redis, "a", "fine");
        let skipped = Finding::skipped(Subject::Redis, "b", "not seen");
        let warning = Finding::warning(Subject::Stream, "c", "hm", "do");
        let problem = Finding::problem(Subject::Agents, "d", "no", "do");
        let away = problem.clone().unreachable();
        let code = |findings: &[&Finding], strict| {
            Report::new(findings.iter().map(|finding| (*finding).clone()).collect()).code(strict)
        };
        assert_eq!([code(&[], false), code(&[&ok, &skipped], true), code(&[&ok, &warning], false)], [exit::DONE; 3]);
        assert_eq!([code(&[&ok, &warning], true), code(&[&problem, &ok], false)], [exit::FAILED; 2]);
        assert_eq!(code(&[&problem, &away], false), exit::UNAVAILABLE);
        assert_eq!(code(&[&warning.unreachable()], false), exit::DONE);
    }

    #[test]
    fn findings_stand_by_subject() {
        let rows = [(Subject::Agents, "a"), (Subject::Settings, "b"), (Subject::Agents, "c")];
        let report = Report::new(rows.map(|(subject, id)| Finding::ok(subject, id, "")).to_vec());
        assert_eq!(report.findings().iter().map(|finding| finding.id).collect::<Vec<_>>(), ["b", "a", "c"]);
    }
}
