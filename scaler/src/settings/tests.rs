use clap::Parser;
use redis_stream::endpoint::Locator;

use super::*;

#[derive(Debug, Parser)]
#[command(name = "stream-scaler")]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn settings(flags: &[&str]) -> Result<Settings, Mistakes> {
    Settings::new(Cli::try_parse_from(std::iter::once(&"stream-scaler").chain(flags)).unwrap().args)
}

fn wrong(flags: &[&str]) -> Vec<String> {
    settings(flags).unwrap_err().iter().map(|mistake| mistake.setting.clone()).collect()
}

#[test]
fn defaults() {
    let settings = settings(&["--redis-sentinel-host", "redis"]).unwrap();
    assert_eq!(settings.scaler_addr.to_string(), "0.0.0.0:6000");
    assert_eq!(settings.admin_addr.to_string(), "0.0.0.0:9090");
    assert_eq!((settings.own.stream.as_str(), settings.own.group.as_str()), ("incident:events", "dispatch-group"));
    assert_eq!((settings.own.db, settings.grace), (4, Duration::from_secs(25)));
    let locator = Locator::Sentinel { sentinels: vec!["redis:26379".parse().unwrap()], master: "mymaster".to_owned() };
    assert_eq!(settings.own.locator, locator);
    assert!(settings.own.allowed.is_empty());
}

#[test]
fn a_scaler_needs_a_redis() {
    assert_eq!(wrong(&[]), ["REDIS_SENTINEL_HOST"]);
    assert_eq!(wrong(&["--redis-sentinel-host", ""]), ["REDIS_SENTINEL_HOST"]);
}

#[test]
fn all_mistakes_at_once_and_no_secret() {
    let flags = [
        ("--scaler-addr", "6000"),
        ("--admin-addr", "nowhere"),
        ("--shutdown-grace", "25"),
        ("--log-format", "xml"),
        ("--scaler-allowed-sentinels", "a:1,b"),
        ("--redis-url", "http://u:hunter2@h"),
        ("--redis-db", "four"),
        ("--redis-password", "hunter2"),
        ("--redis-password-file", "/nonexistent"),
    ];
    let flags: Vec<&str> = flags.iter().flat_map(|(flag, value)| [*flag, *value]).collect();
    let mut names = wrong(&flags);
    names.sort();
    let expected = [
        "ADMIN_ADDR",
        "LOG_FORMAT",
        "REDIS_DB",
        "REDIS_PASSWORD",
        "REDIS_URL",
        "SCALER_ADDR",
        "SCALER_ALLOWED_SENTINELS",
        "SHUTDOWN_GRACE",
    ];
    assert_eq!(names, expected);
    assert!(!settings(&flags).unwrap_err().to_string().contains("hunter2"));
}

#[test]
fn every_setting_has_a_variable_of_the_same_name() {
    use clap::CommandFactory as _;
    for arg in Cli::command().get_arguments().filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version")) {
        let flag = arg.get_long().unwrap();
        let variable = arg.get_env().unwrap().to_str().unwrap();
        assert_eq!(variable, flag.to_ascii_uppercase().replace('-', "_"));
        assert!(arg.is_hide_env_values_set(), "{flag}");
    }
}
