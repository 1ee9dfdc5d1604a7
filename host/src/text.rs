//! Texts of plugins, users and operators: bounded, cleaned, and compared. Knows nothing about their sources.

use regex::{Regex, RegexBuilder};
use std::borrow::Cow;

/// The name that was probably meant: at most two letters different, or one with the same beginning.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    names
        .filter_map(|candidate| {
            let distance = distance(name, candidate);
            (distance <= 2 || (name.len() >= 3 && candidate.contains(name))).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// Levenshtein distance in letters, of the first 64 of each.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// A text of a plugin or a user as one line of at most about `limit` bytes. Control characters become spaces, and other
/// invisible characters are written out.
pub fn clean(text: &str, limit: usize) -> String {
    let text = bounded(text, limit).replace(char::is_control, " ");
    visible(&text).into_owned()
}

/// A text cut to `limit` bytes, with a mark at the cut.
pub fn bounded(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// A text in which every character is visible. Characters without a shape, and those that change the direction of text
/// or control a terminal, are written as `\u{202e}`. Two texts that look the same afterwards differ at most in letters.
///
/// Characters that join or select emoji and letters of many scripts (U+200D, U+FE0F) stay behind a character that is
/// not ASCII.
pub fn visible(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find(is_hidden) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len() + 8);
    out.push_str(&text[..first]);
    for c in text[first..].chars() {
        let joins =
            matches!(c, '\u{200d}' | '\u{fe0f}') && out.chars().next_back().is_some_and(|last| !last.is_ascii());
        if is_hidden(c) && !joins {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Whether a character has no shape, or changes how others are shown.
pub fn is_hidden(c: char) -> bool {
    // Nearly all text is ASCII.
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Largest compiled expression, in bytes.
const MAX_COMPILED: usize = 1 << 20;

/// Compiles a regular expression of a plugin, in bounded memory: one MiB, and one for the table built while lines are
/// matched.
///
/// # Errors
/// The text is no expression, or takes too much memory.
pub fn expression(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_nearest_name_is_suggested() {
        let names = ["dice-roller", "eight-ball"];
        assert_eq!(nearest("dice-rollr", names.into_iter()).as_deref(), Some("dice-roller"));
        assert_eq!(nearest("dice", names.into_iter()).as_deref(), Some("dice-roller"));
        assert_eq!(nearest("weather", names.into_iter()), None);
        assert_eq!(nearest("", names.into_iter()), None);
    }

    #[test]
    fn text_is_cut_at_a_character() {
        assert_eq!(bounded("äöü", 6), "äöü");
        assert_eq!(bounded("äöüä", 6), "ä…");
        assert_eq!(clean("a\nb\u{1b}", 10), "a b ");
    }

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        assert_eq!(visible("echo\u{200b}"), r"echo\u{200b}");
        assert_eq!(visible("1.0.0 \u{202e}DELIAF"), r"1.0.0 \u{202e}DELIAF");
        assert_eq!(visible("a\u{1b}[31m\tb"), r"a\u{1b}[31m\u{9}b");
        assert_eq!(visible("echo\u{fe0f}"), r"echo\u{fe0f}");
        for plain in ["", "würfle", "Привет, 你好", "❤\u{fe0f} 👩\u{200d}🚀", "e\u{301}"] {
            assert_eq!(visible(plain), plain);
        }
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left_behind_ascii(text in "\\PC{0,20}[\u{0}-\u{20}\u{200b}-\u{2070}]{0,4}[a-z]{0,3}") {
            let shown = visible(&text);
            let left = |c: char| is_hidden(c) && !['\u{200d}', '\u{fe0f}'].contains(&c);
            prop_assert!(!shown.chars().any(left), "{shown:?}");
            prop_assert_eq!(visible(&shown), shown.clone(), "it stays as it is when it is shown again");
        }
    }
}
