//! `stream-scaler explain`: what is said of manifests, with numbers given by hand and out of a real Redis.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::Program;
use serde_json::Value;

#[path = "explain/pages.rs"]
mod pages;
#[path = "explain/reading.rs"]
mod reading;
#[path = "explain/refusing.rs"]
mod refusing;

const PATIENCE: Duration = Duration::from_secs(20);

/// A call that has ended.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.out).with_context(|| format!("{self:?}"))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

async fn explain(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Said> {
    let arguments: Vec<&str> = ["explain"].into_iter().chain(arguments.iter().copied()).collect();
    let mut program = Program::start("stream-scaler", &arguments, environment)?;
    let code = program.exit_code(PATIENCE).await?;
    Ok(Said { code, out: program.output(), err: program.log() })
}

/// A file with this text; it lives as long as what is returned.
fn file(text: &str) -> Result<(tempfile::NamedTempFile, String)> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), text)?;
    let path = file.path().display().to_string();
    Ok((file, path))
}

/// A `ScaledObject` without anything to complain about.
fn manifest(metadata: &str) -> String {
    format!(
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: worker, namespace: incidents}}\nspec:\n  \
         scaleTargetRef: {{name: worker}}\n  maxReplicaCount: 5\n  \
         fallback: {{failureThreshold: 4, replicas: 1, behavior: currentReplicasIfHigher}}\n  \
         triggers:\n    - type: external-push\n      metadata:\n        scalerAddress: stream-scaler.incidents:6000\n        \
         {metadata}\n"
    )
}

fn expect(said: &Said, code: i32, words: &[&str]) -> Result<()> {
    let all = format!("{}{}", said.out, said.err);
    ensure!(said.code == code, "{} instead of {code}: {all}", said.code);
    for word in words {
        ensure!(all.contains(word), "{word}: {all}");
    }
    ensure!(!all.contains("panicked"), "{all}");
    Ok(())
}
