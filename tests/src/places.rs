//! Where the workspace, its tools and its programs are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The workspace folder.
pub(crate) fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// A file that `make tools` provides, e.g. `bin/redis-server`.
pub(crate) fn tool(path: &str) -> Result<PathBuf> {
    let tool = workspace().join("target/tools").join(path);
    if !tool.exists() {
        bail!("{} is missing: run `make tools`", tool.display());
    }
    Ok(tool)
}

/// A program of this workspace, built with the profile of the program that runs now.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("where is the running program")?;
    let mut folder = own.parent().context("the running program has no folder")?;
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder = folder.parent().context("the target folder has no parent")?;
    }
    let program = folder.join(name);
    if !program.exists() {
        bail!("{} is missing: run `make build`", program.display());
    }
    Ok(program)
}
