//! RELIABILITY.md names tests that exist.

use crate::{Source, read, sources, spans};

/// The names of the tests in a source.
fn tests_of(source: &Source) -> Vec<&str> {
    let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
    let mut names = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let name = line.trim_start_matches("async ").strip_prefix("fn ").and_then(|rest| rest.split('(').next());
        let above = &lines[at.saturating_sub(3)..at];
        if above.iter().any(|above| above.starts_with("#[") && above.contains("test]")) {
            names.extend(name);
        }
    }
    names
}

#[test]
fn every_promise_names_tests_that_exist() {
    let sources = sources(&["host", "tests/tests"]);
    let page = read("docs/RELIABILITY.md");
    let table = page.lines().filter(|line| line.starts_with("| ") && line.contains(".rs`: "));
    let (mut file, mut named) = ("", 0);
    for row in table {
        let proofs = row.trim_end_matches(" |").rsplit(" | ").next().expect("the last column");
        for word in spans(proofs) {
            if word.ends_with(".rs") {
                file = word;
            } else {
                let mut of_file = sources.iter().filter(|source| source.path.ends_with(&format!("/{file}")));
                assert!(of_file.any(|source| tests_of(source).contains(&word)), "there is no test {word} in {file}");
                named += 1;
            }
        }
    }
    assert!(named > 30, "the table was not understood: {named}");
}
