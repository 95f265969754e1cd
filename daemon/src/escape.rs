//! Foreign text made safe for a terminal (pure). Others decide what stands in Redis or in a file: it must neither move
//! the cursor nor change its own reading order.

use std::fmt::Write as _;

use serde_json::Value;

/// One line: control, formatting and bidirectional characters as `\n`, `\u{1b}` and the like.
pub fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        push(&mut out, c);
    }
    out
}

/// Like [`line()`]; bytes that are not UTF-8 as `\xff`.
pub fn bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push(&mut out, c));
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}").ok();
        }
    }
    out
}

/// One line of JSON. Outside of ASCII, JSON lets everything stand as it is; here the same characters
/// are escaped as in [`line()`], in JSON's own way.
pub fn json(value: &Value) -> String {
    let plain = value.to_string();
    let mut out = String::with_capacity(plain.len());
    for c in plain.chars() {
        if is_unsafe(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").ok();
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn push(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if is_unsafe(c) => {
            write!(out, "{}", c.escape_unicode()).ok();
        }
        c => out.push(c),
    }
}

/// C0, C1 and DEL; and what is invisible or reorders its neighbours
/// (<https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>).
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        let rows = [
            ("plain ümlaut 日本", "plain ümlaut 日本"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("abc\u{202e}fed\u{2066}", "abc\\u{202e}fed\\u{2066}"),
            ("\u{e0041}\u{feff}", "\\u{e0041}\\u{feff}"),
        ];
        for (text, shown) in rows {
            assert_eq!(line(text), shown);
        }
        assert_eq!(bytes(b"a\xff\x1b"), "a\\xff\\u{1b}");
    }

    proptest! {
        #[test]
        fn nothing_unsafe_is_left(text: String) {
            prop_assert!(!line(&text).chars().any(is_unsafe));
        }

        #[test]
        fn json_reads_back_as_it_was(text in "[\u{0}-\u{10ffff}]{0,40}\u{202e}\u{e0001}") {
            let value = Value::String(text);
            let written = json(&value);
            prop_assert!(!written.chars().any(is_unsafe));
            prop_assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value);
        }
    }
}
