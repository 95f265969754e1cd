//! Rewrites `src/gen` from `proto/externalscaler.proto`.

mod regenerate;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let generated = regenerate::regenerate()?;
    let folder = regenerate::committed();
    std::fs::write(folder.join("externalscaler.rs"), generated.code).context("cannot write externalscaler.rs")?;
    std::fs::write(folder.join("descriptor.bin"), generated.descriptor).context("cannot write descriptor.bin")
}
