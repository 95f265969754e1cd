//! Making foreign text fit for logs, terminals and pages.

/// Characters that change how the rest of a line is shown: controls, line separators, bidirectional marks.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with unsafe characters escaped, at most `max` bytes; a cut is marked with `...`.
pub(crate) fn clean(text: &str, max: usize) -> String {
    let mut out = String::new();
    let mut kept = 0;
    for c in text.trim().chars() {
        if is_unsafe(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        if out.len() > max {
            out.truncate(kept);
            out.push_str("...");
            break;
        }
        if out.len() + 3 <= max {
            kept = out.len();
        }
    }
    out
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !out.contains(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
        source = cause.source();
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::clean;

    #[test]
    fn escapes_what_a_terminal_would_obey() {
        assert_eq!(clean("a\u{1b}[31mb\nc\u{202e}d", 100), "a\\u{1b}[31mb\\nc\\u{202e}d");
    }

    #[test]
    fn marks_a_cut() {
        assert_eq!(clean("abcdefgh", 8), "abcdefgh");
        assert_eq!(clean("abcdefghi", 8), "abcde...");
    }

    proptest! {
        #[test]
        fn is_bounded_and_safe(text in any::<String>(), max in 8_usize..64) {
            let out = clean(&text, max);
            prop_assert!(out.len() <= max);
            prop_assert!(!out.chars().any(super::is_unsafe));
        }
    }
}
