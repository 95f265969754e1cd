use std::time::Duration;

use proptest::prelude::*;

use super::{
    boolean, bytes, dns_label, duration, duration_or_off, host_port, host_ports, millis, number, one_of,
    positive_duration, socket_addr,
};

#[test]
fn durations_need_a_unit() {
    for (raw, expected) in [
        ("500ms", Duration::from_millis(500)),
        ("30s", Duration::from_secs(30)),
        ("20m", Duration::from_secs(1200)),
        ("24h", Duration::from_secs(86_400)),
        ("7d", Duration::from_secs(604_800)),
        ("1h 30m", Duration::from_secs(5400)),
        ("1h30m", Duration::from_secs(5400)),
        ("1.5s", Duration::from_millis(1500)),
        ("PT30S", Duration::from_secs(30)),
        ("0s", Duration::ZERO),
        ("10us", Duration::from_micros(10)),
    ] {
        assert_eq!(duration(raw), Ok(expected), "{raw}");
    }
    for wrong in
        ["", "30", "0", "-30s", "1.5", "s", "30x", "1 month", "1y", "11 years", "4000d", "30s x", "999999999999h"]
    {
        let problem = duration(wrong);
        assert!(problem.is_err(), "{wrong:?}: {problem:?}");
    }
    assert!(duration("30").is_err_and(|problem| problem.contains("has no unit")));
    assert!(duration("-30s").is_err_and(|problem| problem.contains("below zero")));
}

#[test]
fn some_durations_must_be_above_zero_or_can_be_off() {
    assert!(positive_duration("0s").is_err());
    assert_eq!(positive_duration("1ms"), Ok(Duration::from_millis(1)));
    assert_eq!(duration_or_off("off"), Ok(None));
    assert_eq!(duration_or_off("6h"), Ok(Some(Duration::from_secs(21_600))));
    assert!(duration_or_off("never").is_err_and(|problem| problem.ends_with(", or off")));
}

#[test]
fn milliseconds_have_no_unit() {
    assert_eq!(millis("30000"), Ok(Duration::from_secs(30)));
    for wrong in ["", "0", "-1", "1.5", "30s", "99999999999999999999"] {
        assert!(millis(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn sizes_are_whole_numbers_with_or_without_a_unit() {
    for (raw, expected) in [
        ("1048576", 1 << 20),
        ("0", 0),
        ("16MiB", 16 << 20),
        ("16 mib", 16 << 20),
        ("16Mi", 16 << 20),
        ("1kB", 1000),
        ("2GB", 2_000_000_000),
        ("3GiB", 3 << 30),
        ("5B", 5),
    ] {
        assert_eq!(bytes(raw), Ok(expected), "{raw}");
    }
    for wrong in
        ["", "MiB", "-1", "1.5MiB", "16M", "16 MiB x", "99999999999999999999", "18446744073709551615kB", "١MiB"]
    {
        assert!(bytes(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn yes_and_no_have_four_spellings() {
    for yes in ["true", "1", "yes", "on", "TRUE", "Yes"] {
        assert_eq!(boolean(yes), Ok(true));
    }
    for no in ["false", "0", "no", "off", "False"] {
        assert_eq!(boolean(no), Ok(false));
    }
    for wrong in ["", "2", "y", "enabled"] {
        assert!(boolean(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn numbers_and_words_say_what_is_accepted() {
    let workers = number(1_u16..=1000);
    assert_eq!(workers("10"), Ok(10));
    for wrong in ["0", "1001", "ten", "", "1.0", "70000"] {
        let accepted = "accepted: a whole number from 1 to 1000";
        assert!(workers(wrong).is_err_and(|problem| problem.ends_with(accepted)));
    }
    let words = one_of(&[("resend", 1), ("park", 2)]);
    assert_eq!(words("park"), Ok(2));
    let problem = "\"drop\" is not accepted; accepted: resend, park".to_owned();
    assert_eq!(words("drop"), Err(problem));
}

#[test]
fn listening_addresses_may_leave_out_the_host() {
    for (raw, expected) in [(":8080", "0.0.0.0:8080"), ("127.0.0.1:0", "127.0.0.1:0"), ("[::]:9090", "[::]:9090")] {
        assert_eq!(socket_addr(raw).map(|addr| addr.to_string()), Ok(expected.to_owned()));
    }
    for wrong in ["", ":", "8080", ":80800", "localhost:8080", "0.0.0.0", "::1:8080", ":8080 "] {
        assert!(socket_addr(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn peers_have_a_host_and_a_port() {
    for (raw, host, port) in [
        ("redis-sentinel.redis.svc:26379", "redis-sentinel.redis.svc", 26379),
        ("10.0.0.1:6379", "10.0.0.1", 6379),
        ("[::1]:26379", "::1", 26379),
        ("my_host.:1", "my_host.", 1),
    ] {
        assert_eq!(host_port(raw), Ok((host.to_owned(), port)), "{raw}");
    }
    for wrong in [
        "",
        "redis",
        "redis:",
        ":6379",
        "redis:0",
        "redis:65536",
        "redis:+x",
        "redis://h:1",
        "u@h:1",
        "::1:6379",
        "[redis]:1",
        "a..b:1",
        "h/p:1",
        "a b:1",
        "ü:1",
    ] {
        assert!(host_port(wrong).is_err(), "{wrong:?}");
    }
    let two = vec![("a".to_owned(), 1), ("b".to_owned(), 2)];
    assert_eq!(host_ports("a:1, b:2"), Ok(two));
    assert!(host_ports("a:1,,b:2").is_err());
    assert!(host_ports("").is_err());
}

#[test]
fn labels_are_those_of_kubernetes() {
    let longest = "a".repeat(63);
    for right in ["a", "triage-agent", "0", "a-0", &longest] {
        assert_eq!(dns_label(right), Ok(right.to_owned()));
    }
    for wrong in ["", "-a", "a-", "A", "a.b", "a_b", "a/b", "..", "ä", &"a".repeat(64)] {
        assert!(dns_label(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_message_repeats_a_wrong_value_short_and_escaped() {
    let wrong = format!("\u{1b}[31m{}", "x".repeat(500));
    let problem = dns_label(&wrong).err().unwrap_or_default();
    assert!(problem.starts_with(r#""\u{1b}[31mxxx"#), "{problem}");
    assert!(problem.len() < 200 && problem.contains("x\"... is not"), "{problem}");
}

proptest! {
    #[test]
    fn a_wrong_value_never_reaches_a_terminal_as_it_is(raw in ".*") {
        let problems = [
            duration(&raw).err(), duration_or_off(&raw).err(), millis(&raw).err(), bytes(&raw).err(),
            boolean(&raw).err(), socket_addr(&raw).err(), host_port(&raw).err(), dns_label(&raw).err(),
        ];
        for problem in problems.into_iter().flatten() {
            prop_assert!(!problem.contains(char::is_control), "{:?}", problem);
            prop_assert!(problem.contains("accepted: ") || problem.contains(" is "), "{:?}", problem);
        }
    }

    #[test]
    fn every_unit_of_time_counts_as_it_should(count in 0_u32..80_000) {
        for (unit, millis) in [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)] {
            let expected = Duration::from_millis(u64::from(count) * millis);
            prop_assert_eq!(duration(&format!("{count}{unit}")), Ok(expected));
        }
    }

    #[test]
    fn a_plain_number_is_never_a_duration(count in any::<f64>()) {
        prop_assert!(duration(&count.to_string()).is_err());
    }

    #[test]
    fn every_count_of_bytes_is_itself(count in any::<u64>()) {
        prop_assert_eq!(bytes(&count.to_string()), Ok(count));
        prop_assert_eq!(bytes(&format!("{count}KiB")).ok(), count.checked_mul(1024));
    }

    #[test]
    fn every_peer_is_read_back(host in "[a-z0-9]{1,10}(\\.[a-z0-9-]{1,10}){0,3}", port in 1_u16..) {
        prop_assert_eq!(host_port(&format!("{host}:{port}")), Ok((host, port)));
    }

    #[test]
    fn a_label_is_taken_exactly_when_kubernetes_would(raw in "[a-z0-9A-Z._-]{0,70}") {
        let inner = raw.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let ends = raw.starts_with('-') || raw.ends_with('-');
        let right = inner && !ends && !raw.is_empty() && raw.len() <= 63;
        prop_assert_eq!(dns_label(&raw).is_ok(), right);
    }
}
