//! Splits a line into words. What stands between quotes is one word.

/// Opening quotes, and what may close each. Phones type the curly ones.
const QUOTES: [(char, &[char]); 4] = [('"', &['"']), ('“', &['”']), ('„', &['“', '”']), ('«', &['»'])];

/// The first word of a text without white space at its start, without quotes, and the text after it.
pub(super) fn next(text: &str) -> (&str, &str) {
    quoted(text).unwrap_or_else(|| first_word(text))
}

/// The text up to the first white space, and the text after it. Quotes mean nothing.
pub(crate) fn first_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

/// The text without quotes, if they surround all of it.
pub(super) fn unquoted(text: &str) -> &str {
    quoted(text).filter(|(_, rest)| rest.is_empty()).map_or(text, |(inner, _)| inner)
}

/// What stands between quotes at the start of a text, and the text after them. A closing quote ends a word, so that the
/// `"` in `5"-disk` is none.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let open = text.chars().next()?;
    let (_, closing) = QUOTES.iter().find(|(quote, _)| *quote == open)?;
    let inside = &text[open.len_utf8()..];
    inside.char_indices().filter(|(_, c)| closing.contains(c)).find_map(|(at, close)| {
        let rest = &inside[at + close.len_utf8()..];
        (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| (&inside[..at], rest.trim_start()))
    })
}
