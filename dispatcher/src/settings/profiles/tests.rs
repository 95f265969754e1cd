use std::io::Write as _;
use std::time::Duration;

use a2a::Wire;

use super::*;

fn general() -> Profile {
    Profile {
        template: "http://gateway/{namespace}/{agent}/".parse().unwrap(),
        version: Version::Auto,
        mode: Mode::NonBlocking,
        recovery: Recovery::Auto,
        context: ContextPolicy::PerIncident,
        on_uncertain: OnUncertain::Resend,
        user_id: "stream-dispatcher".into(),
        bearer: None,
        send_timeout: Duration::from_secs(30),
        run_deadline: Duration::from_secs(1200),
        limits: Limits::DEFAULT,
    }
}

fn agent(name: &str) -> AgentName {
    AgentName::parse(name, "kagent").unwrap()
}

fn parsed(text: &str) -> (Profiles, Vec<String>) {
    let mut mistakes = Mistakes::new();
    let profiles = of_table(&text.parse().unwrap(), general(), "kagent", &mut mistakes);
    (profiles, mistakes.iter().map(ToString::to_string).collect())
}

#[test]
fn an_agent_has_its_own_values_over_the_defaults_over_the_variables() {
    let (profiles, mistakes) = parsed(
        r#"
        [defaults]
        max_runs = 20
        run_deadline = "5m"

        [agents.triage-agent]
        url = "http://elsewhere/{agent}"
        version = "1.0"
        mode = "blocking"
        recovery = "message-id"
        context = "server"
        on_uncertain = "park"
        user_id = "me"
        send_timeout = "3s"
        max_runs = 2
        max_runs_per_hour = 100
        "#,
    );
    assert_eq!(mistakes, [] as [&str; 0]);
    let own = profiles.of(&agent("kagent/triage-agent"));
    assert_eq!(own.template.url(&agent("triage-agent")), "http://elsewhere/triage-agent");
    assert_eq!((own.version, own.mode), (Version::Fixed(Wire::V10), Mode::Blocking));
    assert_eq!((own.recovery, own.context), (Recovery::MessageId, ContextPolicy::Server));
    assert_eq!((own.on_uncertain, own.user_id.as_str()), (OnUncertain::Park, "me"));
    assert_eq!((own.send_timeout, own.run_deadline), (Duration::from_secs(3), Duration::from_secs(300)));
    assert_eq!(own.limits, Limits { runs: 2, runs_per_hour: Some(100) });

    let other = profiles.of(&agent("ops/triage-agent"));
    assert_eq!((other.limits.runs, other.run_deadline), (20, Duration::from_secs(300)));
    assert_eq!((other.user_id.as_str(), other.mode), ("stream-dispatcher", Mode::NonBlocking));
}

#[test]
fn the_address_of_one_agent_is_taken_as_it_is_written() {
    let (profiles, mistakes) =
        parsed("[defaults]\nurl = \"http://gateway\"\n[agents.own]\nurl = \"http://own.kagent:8080/\"");
    assert_eq!(mistakes, [] as [&str; 0]);
    let url = |name| profiles.of(&agent(name)).template.url(&agent(name));
    assert_eq!(
        (url("own").as_str(), url("other").as_str()),
        ("http://own.kagent:8080/", "http://gateway/agents/other/")
    );
}

#[test]
fn without_a_file_the_variables_hold() {
    let mut mistakes = Mistakes::new();
    let profiles = profiles(None, general(), "kagent", &mut mistakes);
    assert!(mistakes.is_empty());
    assert_eq!(profiles.of(&agent("any")).limits, Limits { runs: 10, runs_per_hour: None });
}

#[test]
fn all_mistakes_are_named_with_their_place() {
    let (_, mistakes) = parsed(
        r#"
        routes = 1

        [defaults]
        max_runs = 0
        mode = "stream"
        colour = "red"

        [agents."Not An Agent"]
        [agents."triage"]
        recovery = "list"
        context = "server"
        token_file = "/nowhere/at/all"
        url = "ftp://x/{agent}"
        user_id = "a\nb"
        version = ["1.0"]
        [agents."kagent/triage"]
        "#,
    );
    for place in [
        "routes: unknown section",
        "defaults.max_runs: ",
        "defaults.mode: ",
        "defaults.colour: unknown",
        "agents.\"Not An Agent\": ",
        "agents.\"triage\".recovery: ",
        "agents.\"triage\".token_file: \"/nowhere/at/all\" cannot be read",
        "agents.\"triage\".url: ",
        "agents.\"triage\".user_id: ",
        "agents.\"triage\".version: expected a text in quotes or a whole number",
    ] {
        assert!(mistakes.iter().any(|mistake| mistake.starts_with(place)), "{place}: {mistakes:#?}");
    }
    assert!(mistakes.iter().any(|mistake| mistake.contains("kagent/triage has two sections")), "{mistakes:#?}");
    assert_eq!(mistakes.len(), 11, "{mistakes:#?}");
}

#[test]
fn a_file_that_is_not_toml_or_not_there_is_one_mistake() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "[defaults\nmax_runs").unwrap();
    for path in [file.path().to_str().unwrap(), "/nowhere/at/all.toml"] {
        let mut mistakes = Mistakes::new();
        profiles(Some(path), general(), "kagent", &mut mistakes);
        assert_eq!(mistakes.iter().count(), 1);
        assert!(mistakes.to_string().starts_with("CONFIG (--config): "), "{mistakes}");
    }
}
