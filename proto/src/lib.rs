//! KEDA's external scaler contract: messages, server trait and client of `externalscaler.ExternalScaler`.
//!
//! The code below `src/gen` is generated from `proto/externalscaler.proto` and committed, so that building needs
//! no code generator. `cargo run -p keda-proto --example generate` rewrites it; a test fails when it is out of date.

/// Package `externalscaler`: generated messages, `external_scaler_server` and `external_scaler_client`.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code follows its generator's style"
)]
pub mod externalscaler {
    include!("gen/externalscaler.rs");
}

/// The encoded `FileDescriptorSet` of the contract, for gRPC server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("gen/descriptor.bin");

/// Full name of the service, as gRPC health checks and reflection use it.
pub const SERVICE_NAME: &str = "externalscaler.ExternalScaler";
