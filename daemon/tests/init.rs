//! Setting up telemetry for a whole process. It can be done once, so this binary has one test.

use daemon::{LogFormat, TelemetryError, TelemetrySettings};

fn settings(filter: &str) -> TelemetrySettings {
    TelemetrySettings {
        service_name: "under-test".to_owned(),
        log_format: LogFormat::Json,
        filter: filter.to_owned(),
        otlp_endpoint: None,
    }
}

#[tokio::test]
async fn telemetry_is_set_up_once_and_measures() {
    daemon::install_crypto_provider();
    daemon::install_crypto_provider();

    let wrong = daemon::init(settings("info,,=nonsense="));
    assert!(matches!(wrong, Err(TelemetryError::Filter(_))), "{wrong:?}");
    let telemetry = daemon::init(settings("info,daemon=debug")).unwrap();
    let again = daemon::init(settings("info"));
    assert!(matches!(again, Err(TelemetryError::AlreadySetUp(_))), "{again:?}");

    let handle = telemetry.metrics();
    telemetry.meter().u64_counter("alerts").build().add(0, &[]);
    let text = handle.render().unwrap();
    assert!(text.contains("\nalerts_total 0\n"), "{text}");
    assert!(text.contains("target_info"), "{text}");

    telemetry.shutdown().await;
    let text = handle.render().unwrap();
    assert!(text.contains("\nalerts_total 0\n"), "the handle outlives the rest: {text}");
}
