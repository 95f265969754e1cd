//! How it is printed. Whatever comes out of a file or of Redis is escaped here.

use std::io::{self, Write};

use daemon::escape;
use serde_json::{Value, json};

use super::finding::Level;
use super::report::{Explained, Report, Told};

/// Version of the JSON document: a field that is taken away or changes its meaning is a new one.
const DOCUMENT: u32 = 1;

/// For people. The stream that it is written to takes the colours out where they do not belong.
pub(super) fn text(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    for name in &report.passed_over {
        writeln!(out, "passed over: {}", escape::line(name))?;
    }
    for object in &report.objects {
        self::object(out, object)?;
    }
    let count = |level| report.count(level);
    let (errors, warnings, notes) = (count(Level::Error), count(Level::Warning), count(Level::Note));
    let (judged, unread) = report.triggers();
    writeln!(
        out,
        "explain: objects={} triggers={judged} unread={unread} errors={errors} warnings={warnings} notes={notes}",
        report.objects.len()
    )
}

fn object(out: &mut dyn Write, object: &Explained) -> io::Result<()> {
    let place = object.namespace.as_ref().map_or(String::new(), |namespace| format!(" in {namespace}"));
    writeln!(out, "\u{1b}[1m{} {}\u{1b}[0m", object.kind, escape::line(&format!("{}{place}", object.name)))?;
    for finding in &object.findings {
        let color = match finding.level {
            Level::Note => "2",
            Level::Warning => "33",
            Level::Error => "31",
        };
        let (level, field, text) = (finding.level.as_str(), escape::line(&finding.field), escape::line(&finding.text));
        writeln!(out, "  \u{1b}[{color}m{level:<8}\u{1b}[0m {field}: {text}")?;
    }
    for told in &object.triggers {
        trigger(out, told)?;
    }
    if let Some(outlook) = &object.outlook {
        for (name, text) in [("now", &outlook.now), ("idle", &outlook.idle), ("on errors", &outlook.on_errors)] {
            writeln!(out, "  \u{1b}[1m{name:<10}\u{1b}[0m {}", escape::line(text))?;
        }
    }
    Ok(())
}

fn trigger(out: &mut dyn Write, told: &Told) -> io::Result<()> {
    let place = told.whereabouts.as_ref().map_or(String::new(), |place| format!(": {place}"));
    writeln!(out, "  trigger {} {}", told.index, escape::line(&format!("{}{place}", told.kind)))?;
    if let Some(new) = &told.migrated {
        writeln!(out, "    as a trigger of this scaler:")?;
        writeln!(out, "      - type: {}\n        metadata:", new.kind)?;
        for (key, value) in &new.metadata {
            // A text of JSON is one of YAML.
            writeln!(out, "          {}: {}", escape::line(key), escape::json(&Value::String(value.clone())))?;
        }
        for difference in &new.differences {
            writeln!(out, "      {}", escape::line(difference))?;
        }
    }
    for (name, text) in told.judged.iter().flat_map(|judged| &judged.lines) {
        writeln!(out, "    {name:<8} {}", escape::line(text))?;
    }
    match &told.trouble {
        Some(trouble) => writeln!(out, "    \u{1b}[31munread\u{1b}[0m   {}", escape::line(trouble)),
        None => Ok(()),
    }
}

/// One JSON document.
pub(super) fn json(out: &mut dyn Write, report: &Report, code: u8) -> io::Result<()> {
    let (judged, unread) = report.triggers();
    let document = json!({
        "version": DOCUMENT,
        "objects": report.objects,
        "passed_over": report.passed_over,
        "triggers": judged,
        "unread": unread,
        "errors": report.count(Level::Error),
        "warnings": report.count(Level::Warning),
        "notes": report.count(Level::Note),
        "exit_code": code,
    });
    writeln!(out, "{}", escape::json(&document))
}
