use std::time::Duration;

use secrecy::ExposeSecret;

use super::parse::{bytes, duration, text};
use super::{Mistake, Mistakes, Secret};

#[test]
fn what_is_given_wins_and_blank_means_not_given() {
    let mut mistakes = Mistakes::new();
    let default = Duration::from_secs(25);
    for (raw, expected) in [(Some(" 3s "), 3), (Some("  "), 25), (Some(""), 25), (None, 25)] {
        let taken = mistakes.take("SHUTDOWN_GRACE", raw, default, duration);
        assert_eq!(taken, Duration::from_secs(expected), "{raw:?}");
    }
    assert_eq!(mistakes.take_optional("STREAM_NAME", None, text), None);
    assert_eq!(mistakes.finish(), Ok(()));
}

#[test]
fn all_mistakes_are_told_at_once_with_their_flags() {
    let mut mistakes = Mistakes::new();
    let day = Duration::from_secs(86_400);
    let wait = mistakes.take("GIVE_UP_AFTER", Some("30"), day, duration);
    assert_eq!(wait, day, "the default stands in, so that reading goes on");
    mistakes.take("WEBHOOK_MAX_BODY", Some("lots"), 0, bytes);
    mistakes.take_required("REDIS_SENTINELS", Some(" "), text);
    let mut file = Mistakes::new();
    file.add("routes[2].agent", "is not a DNS label");
    mistakes.extend(file);

    let told = mistakes.finish().unwrap_err();
    let expected = [
        "GIVE_UP_AFTER (--give-up-after): \"30\" has no unit; accepted: a number with a unit, such as 500ms, 30s, 20m, 24h or 7d",
        "WEBHOOK_MAX_BODY (--webhook-max-body): \"lots\" is not a size; accepted: a whole number, alone or with B, kB, MB, GB, KiB, MiB or GiB",
        "REDIS_SENTINELS (--redis-sentinels): must be given",
        "routes[2].agent: is not a DNS label",
    ];
    assert_eq!(told.to_string(), expected.join("\n"));
    let last = told.iter().last().unwrap();
    let Mistake { setting, problem } = last;
    assert_eq!((setting.as_str(), problem.as_str()), ("routes[2].agent", "is not a DNS label"));
}

#[test]
fn a_secret_is_given_in_one_way_only() {
    let mut mistakes = Mistakes::new();
    assert!(mistakes.take_secret("REDIS_PASSWORD", None, Some("")).is_none());
    let inline = mistakes.take_secret("REDIS_PASSWORD", Some(" hunter2 "), None);
    let inline = inline.unwrap().read().unwrap();
    assert_eq!(inline.expose_secret(), " hunter2 ", "blanks may be part of a password");
    assert!(mistakes.is_empty());

    let both = mistakes.take_secret("REDIS_PASSWORD", Some("hunter2"), Some("/run/secret"));
    assert!(both.is_none());
    let gone = mistakes.take_secret("BOARD_TOKEN", None, Some("/nowhere/token"));
    assert!(gone.is_none());
    let told = mistakes.to_string();
    let expected = [
        "REDIS_PASSWORD (--redis-password): is given together with REDIS_PASSWORD_FILE; give one of them",
        "BOARD_TOKEN_FILE (--board-token-file): \"/nowhere/token\" cannot be read: No such file or directory (os error 2)",
    ];
    assert_eq!(told, expected.join("\n"));
}

#[test]
fn a_secret_file_that_can_be_read_is_taken() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "token\n").unwrap();
    let mut mistakes = Mistakes::new();
    let secret = mistakes.take_secret("BOARD_TOKEN", None, file.path().to_str());
    assert!(matches!(secret, Some(Secret::File(path)) if path == file.path()));
    assert_eq!(mistakes.finish(), Ok(()));
}
