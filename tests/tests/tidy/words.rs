//! Docs say something, and no file mentions the machine that it was written on.

use crate::{ALL, root, sources, visit};

/// Words without meaning of their own.
const EMPTY: [&str; 48] = [
    "the",
    "a",
    "an",
    "one",
    "it",
    "its",
    "this",
    "that",
    "of",
    "which",
    "what",
    "who",
    "whom",
    "whose",
    "where",
    "when",
    "why",
    "how",
    "not",
    "to",
    "so",
    "since",
    "then",
    "now",
    "exactly",
    "often",
    "many",
    "much",
    "long",
    "likewise",
    "see",
    "look",
    "done",
    "asks",
    "speaks",
    "happened",
    "nothing",
    "nobody",
    "everything",
    "everybody",
    "something",
    "else",
    "somebody",
    "shown",
    "is",
    "are",
    "for",
    "generation",
];

/// Whether a doc comment says nothing that the name does not: `Which.`, `Its name.` above `name`.
fn is_filler(doc: &str, item: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let split = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        split.map(str::to_lowercase).collect()
    };
    let mut spaced = String::new();
    for c in name(item).chars() {
        if c.is_uppercase() {
            spaced.push('_');
        }
        spaced.push(c);
    }
    let name = words(&spaced);
    let rest: Vec<String> = words(doc).into_iter().filter(|word| !name.contains(word)).collect();
    rest.len() <= 2 && rest.iter().all(|word| EMPTY.contains(&word.as_str()))
}

/// The name of an item, from its first line.
fn name(item: &str) -> &str {
    let keywords = ["pub", "async", "const", "unsafe", "static", "fn", "struct", "enum", "type", "trait", "mod"];
    let mut words = item.split_whitespace().skip_while(|word| keywords.contains(word) || word.starts_with("pub("));
    let word = words.next().unwrap_or_default().trim_start_matches("r#");
    word.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

#[test]
fn docs_say_what_names_do_not() {
    let mut problems = Vec::new();
    for source in sources(&ALL) {
        let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(doc) = line.strip_prefix("/// ") else { continue };
            let is_part = |at: Option<usize>| at.and_then(|at| lines.get(at)).is_some_and(|it| it.starts_with("///"));
            if is_part(at.checked_sub(1)) || is_part(Some(at + 1)) {
                continue;
            }
            let item = lines[at + 1..].iter().find(|line| !line.starts_with("#[")).copied().unwrap_or_default();
            if is_filler(doc, item) {
                problems.push(format!("{}:{}: {doc}", source.path, at + 1));
            }
        }
    }
    assert!(problems.is_empty(), "these docs say nothing that the name does not:\n{}", problems.join("\n"));
}

#[test]
fn a_filler_is_told_from_a_doc() {
    assert!(is_filler("Which.", "plugin: String,") && is_filler("Its name.", "pub name: String,"));
    assert!(is_filler("One dead letter.", "pub struct DeadLetter {") && is_filler("Since when.", "at: Instant,"));
    assert!(!is_filler("The plugin that was named.", "plugin: String,"));
    assert!(!is_filler("Bytes, without its header.", "pub length: usize,"));
}

#[test]
fn no_file_speaks_of_the_machine_it_was_written_on() {
    let home = std::env::var("HOME").ok().filter(|home| home.len() > 1).map(|home| format!("{home}/"));
    let refused: Vec<String> = home.into_iter().chain([root().display().to_string()]).collect();
    let mut problems = Vec::new();
    visit(&root(), &mut |path| {
        let Ok(text) = std::fs::read_to_string(path) else { return };
        let here = |line: &&str| refused.iter().any(|place| line.contains(place.as_str()));
        problems.extend(text.lines().find(here).map(|line| format!("{}: {line}", path.display())));
    });
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
