use redis_stream::error::Error;
use redis_stream::sentinel::Report;

use super::*;
use crate::check::finding::Level;

fn view() -> View {
    View { down: false, sentinels: 3, down_after_ms: 5_000, failover_timeout_ms: 60_000 }
}

fn word(master: Option<&str>, view: View) -> Word {
    let report = Report { master: master.map(|text| text.parse().unwrap()), epoch: 1, failing_over: false };
    let quorum = Some(Ok("OK 3 usable Sentinels. Quorum and failover authorization can be reached".to_owned()));
    Word { report, view: master.map(|_| view), names: Vec::new(), quorum }
}

fn sight(port: u16, word: Result<Word, Error>) -> Sight {
    Sight { address: HostPort { host: "s".into(), port }, configured: true, word }
}

fn three(change: impl Fn(&mut View)) -> Vec<Sight> {
    (1..=3)
        .map(|port| {
            let mut view = view();
            change(&mut view);
            sight(port, Ok(word(Some("m:6379"), view)))
        })
        .collect()
}

fn level(sights: &[Sight], id: &str) -> Option<Level> {
    let findings = judge(sights, "mymaster", Some(Duration::from_secs(30)));
    findings.iter().filter(|finding| finding.id == id).map(|finding| finding.level).max_by_key(|level| *level as u8)
}

#[test]
fn three_that_agree_are_fine() {
    assert!(judge(&three(|_| {}), "mymaster", None).iter().all(|finding| finding.level == Level::Ok));
}

#[test]
fn one_away_is_degraded_and_all_away_is_unreachable() {
    let mut sights = three(|_| {});
    sights[0].word = Err(Error::unreachable("refused"));
    assert_eq!([level(&sights, "sentinel"), level(&sights, "count")], [Some(Level::Warning); 2]);
    for sight in &mut sights {
        sight.word = Err(Error::unreachable("refused"));
    }
    let findings = judge(&sights, "mymaster", None);
    assert!(findings.len() == 3 && findings.iter().all(|finding| finding.unreachable));
}

#[test]
fn settings_that_are_wrong_are_problems_but_no_silence() {
    let refused = sight(1, Err(Error::from_server("WRONGPASS", "no")));
    let unknown = sight(2, Ok(Word { names: vec!["other".into()], ..word(None, view()) }));
    for (sight, id) in [(refused, "sentinel"), (unknown, "master-name")] {
        let findings = judge(&[sight], "mymaster", None);
        assert_eq!((findings[0].level, findings[0].id, findings[0].unreachable), (Level::Problem, id, false));
    }
}

#[test]
fn timings_numbers_and_quorum() {
    for change in [
        |view: &mut View| view.down_after_ms = 30_000,
        |view: &mut View| view.down_after_ms = 100,
        |view: &mut View| view.failover_timeout_ms = 600_000,
    ] {
        assert_eq!(level(&three(change), "timing"), Some(Level::Warning));
    }
    let findings = judge(&three(|_| {}), "mymaster", Some(Duration::from_secs(5)));
    assert!(findings.iter().any(|finding| finding.text.contains("longer than a lease")), "{findings:?}");
    assert_eq!(level(&three(|view| view.sentinels = 2), "count"), Some(Level::Warning));
    assert_eq!(level(&three(|view| view.down = true), "master-down"), Some(Level::Problem));
    let mut sights = three(|_| {});
    sights[1].word.as_mut().unwrap().quorum = Some(Err("NOQUORUM 1 usable".into()));
    assert_eq!(level(&sights, "quorum"), Some(Level::Problem));
    for sight in &mut sights {
        sight.word.as_mut().unwrap().quorum = None;
    }
    assert_eq!(level(&sights, "quorum"), Some(Level::Skipped));
    sights[2].word.as_mut().unwrap().report.master = Some("other:6379".parse().unwrap());
    assert_eq!(level(&sights, "agreement"), Some(Level::Warning));
}
