//! Cuts texts to their limits.

/// The longest beginning of `text` of at most `most` bytes that ends at a character's edge.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_never_within_a_character() {
        assert_eq!(cut("aéb", 9), "aéb");
        assert_eq!(cut("aéb", 2), "a");
        assert_eq!(cut("é", 0), "");
    }
}
