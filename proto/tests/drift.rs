//! The committed code is what the generator makes of the `.proto`.

#[path = "../examples/generate/regenerate.rs"]
mod regenerate;

const ADVICE: &str = "out of date: run `cargo run -p keda-proto --example generate`";

#[test]
fn committed_code_is_current() -> anyhow::Result<()> {
    let committed = std::fs::read_to_string(regenerate::committed().join("externalscaler.rs"))?;
    assert!(committed == regenerate::regenerate()?.code, "{ADVICE}");
    Ok(())
}

#[test]
fn committed_descriptor_is_current() -> anyhow::Result<()> {
    assert!(keda_proto::FILE_DESCRIPTOR_SET == regenerate::regenerate()?.descriptor, "{ADVICE}");
    Ok(())
}
