//! Texts of plugins, users and operators: bounded, cleaned, and compared. Knows nothing of where they come from.

/// The name that was probably meant: at most two letters off, or one that begins like it.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    names
        .filter_map(|candidate| {
            let distance = distance(name, candidate);
            (distance <= 2 || (name.len() >= 3 && candidate.contains(name))).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// Levenshtein's, in letters, of the first 64 of each.
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

/// Text of a plugin or a user in one line without control characters, at most `limit` bytes.
pub fn clean(text: &str, limit: usize) -> String {
    let text = bounded(text, limit);
    if text.chars().any(char::is_control) {
        return text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    }
    text
}

/// Text cut to `limit` bytes, with a mark where it was cut.
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
