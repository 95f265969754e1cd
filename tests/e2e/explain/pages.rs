//! The manifests and pages of the repository.

use anyhow::{Result, ensure};
use line_tests::Program;

use super::{PATIENCE, explain, file, root};

/// Command lines of a page, each with the output below it.
fn calls(page: &str) -> Vec<(String, String)> {
    let blocks = page.split("```").skip(1).step_by(2);
    let texts = blocks.filter_map(|block| block.strip_prefix("text\n$ stream-scaler explain "));
    texts.filter_map(|text| text.split_once('\n')).map(|(line, out)| (line.to_owned(), out.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_is_said() -> Result<()> {
    let page = std::fs::read_to_string(root().join("docs/explain.md"))?;
    let calls = calls(&page);
    ensure!(calls.len() >= 2, "the page has {} examples", calls.len());
    for (line, shown) in calls {
        let folder = root();
        let command = format!("cd '{}' && exec \"$PROGRAM\" explain {line}", folder.display());
        let mut program = Program::shell("stream-scaler", &command, &[])?;
        let code = program.exit_code(PATIENCE).await?;
        ensure!(code == 0 || code == 1, "{line}: {code} {}", program.tail());
        let said = program.output();
        ensure!(said == shown, "docs/explain.md shows something else for {line}; it is:\n{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifests_of_the_repository_are_in_order() -> Result<()> {
    let path = root().join("deploy/kustomize/base/scaledobject.yaml").display().to_string();
    let said = explain(&[&path, "--sample", "pending=3,lag=9"], &[]).await?;
    super::expect(&said, 0, &["errors=0 warnings=0 notes=0", "unread=0"])?;

    let page = std::fs::read_to_string(root().join("docs/migrate.md"))?;
    let mut seen = 0;
    for block in page.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("yaml\n")) {
        let triggers = format!("  {}\n", block.trim_end().replace('\n', "\n  "));
        let text = format!(
            "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: worker}}\nspec:\n  \
             scaleTargetRef: {{name: worker}}\n  \
             fallback: {{failureThreshold: 4, replicas: 1, behavior: currentReplicasIfHigher}}\n{triggers}"
        );
        let (_kept, path) = file(&text)?;
        let said = explain(&[&path, "--sample", "lag=1"], &[]).await?;
        super::expect(&said, 0, &["errors=0 warnings=0 notes=0", "triggers=1"])?;
        seen += 1;
    }
    ensure!(seen > 0, "docs/migrate.md has no manifest");
    Ok(())
}
