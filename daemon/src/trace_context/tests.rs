use std::collections::HashSet;

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::TraceContext;

/// The example of the recommendation.
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn the_example_of_the_recommendation_is_kept_as_it_is() {
    let state = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";
    let context = TraceContext::parse(PARENT, Some(state)).unwrap();
    assert_eq!(context.traceparent, PARENT);
    assert_eq!(context.tracestate.as_deref(), Some(state));
}

#[test]
fn what_is_not_a_traceparent_is_refused() {
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let zero = "0".repeat(32);
    for wrong in [
        String::new(),
        format!("00-{id}-00f067aa0ba902b7"),
        format!("00-{id}-00f067aa0ba902b7-01-more"),
        format!("00-{id}-00f067aa0ba902b7-01-"),
        format!("ff-{id}-00f067aa0ba902b7-01"),
        format!("00-{zero}-00f067aa0ba902b7-01"),
        format!("00-{id}-0000000000000000-01"),
        format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
        format!("00-{id}-00f067aa0ba902b-01"),
        format!("00-{id}0-00f067aa0ba902b7-01"),
        format!("0-{id}-00f067aa0ba902b7-01"),
        format!(" 00-{id}-00f067aa0ba902b7-01"),
        format!("00-{id}-00f067aa0ba902b7-01\n"),
        format!("00-{id}-00f067aa0ba902é7-01"),
        format!("00-{id}-00f067aa0ba902b7-+1"),
    ] {
        assert_eq!(TraceContext::parse(&wrong, None), None, "{wrong:?}");
    }
}

#[test]
fn a_later_version_is_written_down_as_ours() {
    let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-what-ever";
    let context = TraceContext::parse(later, None).unwrap();
    assert_eq!(context.traceparent, PARENT);
}

#[test]
fn a_wrong_tracestate_is_left_out() {
    let many: Vec<String> = (0..33).map(|n| format!("k{n}=v")).collect();
    for wrong in [
        "",
        " , ",
        "novalue",
        "UPPER=1",
        "a=1,a=2",
        "a=b=c",
        "a=",
        "0digit=1",
        "a=é",
        "a@=1",
        "@a=1",
        "a=1\n",
        &many.join(","),
        &format!("a={}", "x".repeat(257)),
        &format!("{}=1", "k".repeat(257)),
        &format!("a={0},b={0},c={0}", "x".repeat(200)),
    ] {
        let context = TraceContext::parse(PARENT, Some(wrong)).unwrap();
        assert_eq!(context.tracestate, None, "{wrong:?}");
    }
    let context = TraceContext::parse(PARENT, Some(" a=1 ,\t,0t@v= x y,")).unwrap();
    assert_eq!(context.tracestate.as_deref(), Some("a=1,0t@v= x y"));
}

#[test]
fn a_generated_context_is_valid_sampled_and_new() {
    let made: HashSet<String> = (0..1000)
        .map(|_| TraceContext::generate())
        .inspect(|made| assert_eq!(TraceContext::parse(&made.traceparent, None).as_ref(), Some(made)))
        .map(|made| made.traceparent)
        .collect();
    assert_eq!(made.len(), 1000);
    assert!(made.iter().all(|parent| parent.ends_with("-01")));
}

#[test]
fn a_child_stays_in_its_trace() {
    let parent = TraceContext::parse(PARENT, Some("a=1")).unwrap();
    let child = parent.child();
    assert_ne!(child, parent);
    assert_eq!(child.tracestate, parent.tracestate);
    let start = "00-4bf92f3577b34da6a3ce929d0e0e4736-";
    assert!(child.traceparent.starts_with(start) && child.traceparent.ends_with("-01"));
    assert!(TraceContext::parse(&child.traceparent, None).is_some());
    let broken = TraceContext { traceparent: "nonsense".to_owned(), tracestate: None };
    assert!(TraceContext::parse(&broken.child().traceparent, None).is_some());
}

#[test]
fn headers_are_written_over_and_read_back() {
    let mut headers = HeaderMap::new();
    headers.insert("tracestate", HeaderValue::from_static("stale=1"));
    let bare = TraceContext::parse(PARENT, None).unwrap();
    bare.inject(&mut headers);
    assert_eq!(headers.get("tracestate"), None);
    assert_eq!(TraceContext::extract(&headers), Some(bare));

    headers.append("tracestate", HeaderValue::from_static("a=1"));
    headers.append("tracestate", HeaderValue::from_static("b=2"));
    let both = TraceContext::parse(PARENT, Some("a=1,b=2"));
    assert_eq!(TraceContext::extract(&headers), both);

    headers.append("traceparent", HeaderValue::from_static(PARENT));
    assert_eq!(TraceContext::extract(&headers), None, "two parents are none");
    assert_eq!(TraceContext::extract(&HeaderMap::new()), None);
}

#[test]
fn there_is_no_current_context_without_export() {
    let span = tracing::info_span!("request");
    assert_eq!(span.in_scope(TraceContext::current), None);
    let context = TraceContext::generate();
    context.set_parent(&span);
    context.link_span(&span);
    assert_eq!(TraceContext::of(&span), None);
}

proptest! {
    #[test]
    fn reading_never_panics_and_is_stable(parent in "\\PC{0,70}", state in "\\PC{0,70}") {
        if let Some(read) = TraceContext::parse(&parent, Some(&state)) {
            let again = TraceContext::parse(&read.traceparent, read.tracestate.as_deref());
            prop_assert_eq!(again, Some(read));
        }
    }

    #[test]
    fn every_valid_parent_is_kept(trace in 1..=u128::MAX, span in 1..=u64::MAX, flags in any::<u8>()) {
        let parent = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
        let read = TraceContext::parse(&parent, None).unwrap();
        prop_assert_eq!(read.traceparent, parent);
    }

    #[test]
    fn every_valid_state_is_kept(key in "[a-z][a-z0-9_*/-]{0,20}(@[a-z][a-z0-9_*/-]{0,13})?", value in "[!-+\\--<>-~]{1,50}") {
        let state = format!("{key}={value}");
        let read = TraceContext::parse(PARENT, Some(&state)).unwrap();
        prop_assert_eq!(read.tracestate, Some(state));
    }
}
