//! Turns `proto/externalscaler.proto` into the two files of `src/gen`; shared by the example and the drift test.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use prost::Message as _;
use protox::Compiler;

/// The generated files, in memory.
pub(crate) struct Generated {
    /// Content of `externalscaler.rs`.
    pub(crate) code: String,
    /// Content of `descriptor.bin`, without comments and positions.
    pub(crate) descriptor: Vec<u8>,
}

/// Where the committed files are.
pub(crate) fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gen")
}

/// Generates both files from the `.proto`.
pub(crate) fn regenerate() -> anyhow::Result<Generated> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let mut compiler = Compiler::new([sources])?;
    compiler.include_source_info(true).open_file("externalscaler.proto")?;
    let mut files = compiler.file_descriptor_set();

    let out = tempfile::tempdir().context("cannot make a temporary directory")?;
    tonic_prost_build::configure().out_dir(out.path()).compile_fds(files.clone()).context("cannot generate code")?;
    let code = std::fs::read_to_string(out.path().join("externalscaler.rs"))
        .context("the generator wrote no externalscaler.rs")?;

    for file in &mut files.file {
        file.source_code_info = None;
    }
    Ok(Generated { code, descriptor: files.encode_to_vec() })
}
