//! Texts within bounds.

/// The first bytes of a text, cut at a character.
pub(crate) fn head(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0);
    text.split_at(end).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_a_character() {
        assert_eq!((head("äöü", 3), head("äöü", 4), head("", 4), head("ä", 0)), ("ä", "äö", "", ""));
    }
}
