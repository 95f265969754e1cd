//! What cannot be explained, and text that would steer a terminal.

use anyhow::{Result, ensure};
use line_tests::Program;

use super::{PATIENCE, expect, explain, file, manifest};

#[tokio::test(flavor = "multi_thread")]
async fn usage_and_files() -> Result<()> {
    let sample = ["--sample", "lag=1"];
    let rows = [
        ("a: [", "cannot be understood"),
        ("a: 1\na: 2\n", "twice"),
        ("kind: Service\n", "neither a ScaledObject nor a ScaledJob"),
        (&"#".repeat(1024 * 1024 + 1), "larger than 1 MiB"),
        (&format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(300), "*a, ".repeat(300)), "perhaps by aliases"),
    ];
    for (text, words) in rows {
        let (_kept, path) = file(text)?;
        let said = explain(&[&path, sample[0], sample[1]], &[]).await?;
        expect(&said, 64, &[words])?;
        ensure!(said.out.is_empty(), "{said:?}");
    }
    expect(&explain(&["/does/not/exist", sample[0], sample[1]], &[]).await?, 64, &["cannot be read"])?;
    expect(&explain(&[], &[]).await?, 64, &["FILE"])?;
    let (_kept, path) = file(&manifest("metric: backlog"))?;
    expect(&explain(&[&path, "--sample", "much"], &[]).await?, 64, &["expected numbers"])?;
    expect(&explain(&[&path], &[]).await?, 64, &["REDIS_SENTINEL_HOST", "--sample"])?;
    let wrong = [("REDIS_DB", "four"), ("SCALER_ALLOWED_SENTINELS", "a")];
    expect(&explain(&[&path, sample[0], sample[1]], &wrong).await?, 64, &["REDIS_DB", "SCALER_ALLOWED_SENTINELS"])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_a_failure() -> Result<()> {
    let (_kept, path) = file(&format!("\u{feff}{}", manifest("metric: backlog")))?;
    for arguments in ["explain \"$MANIFESTS\" --sample lag=12", "explain \"$MANIFESTS\" --sample lag=12 -o json"] {
        let command = format!("\"$PROGRAM\" {arguments} > /dev/full");
        let mut program = Program::shell("stream-scaler", &command, &[("MANIFESTS", &path)])?;
        let code = program.exit_code(PATIENCE).await?;
        ensure!(code == 1, "{command}: {code}: {}", program.tail());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn several_documents_from_standard_input() -> Result<()> {
    let text =
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\n---\n{}---\n{}", manifest("metric: lag"), {
            manifest("metric: pending").replace("name: worker", "name: other")
        });
    let (_kept, path) = file(&text)?;
    let command = "\"$PROGRAM\" explain - --sample lag=12 < \"$MANIFESTS\"";
    let mut program = Program::shell("stream-scaler", command, &[("MANIFESTS", &path)])?;
    ensure!(program.exit_code(PATIENCE).await? == 0, "{}", program.tail());
    let out = program.output();
    for words in ["passed over: Secret s", "ScaledObject worker in", "ScaledObject other in", "objects=2 triggers=2"] {
        ensure!(out.contains(words), "{words}: {out}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_text_does_not_steer_the_terminal() -> Result<()> {
    let text = manifest("\"k\\e[2J\\u202E\": x\n        stream: \"s\\e]0;title\\a\"")
        .replace("name: worker, ", "name: \"w\\e[31m\\nexplain: forged\", ");
    let (_kept, path) = file(&text)?;
    for format in ["table", "json"] {
        let said = explain(&[&path, "--sample", "lag=1", "-o", format], &[]).await?;
        ensure!(said.code == 0 && !said.out.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{said:?}");
        ensure!(said.out.lines().filter(|line| line.starts_with("explain:")).count() <= 1, "{said:?}");
    }
    let said = explain(&[&path, "--sample", "lag=1"], &[]).await?;
    expect(&said, 0, &["w\\u{1b}[31m\\nexplain: forged", "metadata.k\\u{1b}[2J\\u{202e}", "has no effect"])
}
