//! RELIABILITY.md and PRD_COVERAGE.md name tests that exist.

use crate::{Source, read, sources};

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

/// The tests that a line of Markdown names, each with its file: `` `file.rs`: `one_test`, `another` ``.
fn named(line: &str) -> Vec<(&str, &str)> {
    let parts: Vec<&str> = line.split('`').collect();
    let (mut file, mut found) = (None, Vec::new());
    for at in (1..parts.len().saturating_sub(1)).step_by(2) {
        let (before, span, behind) = (parts[at - 1], parts[at], parts[at + 1]);
        if span.ends_with(".rs") && behind == ": " {
            file = Some(span);
        } else if let (Some(file), ": " | ", ") = (file, before) {
            found.push((file, span));
        } else {
            file = None;
        }
    }
    found
}

#[test]
fn every_promise_and_every_requirement_names_tests_that_exist() {
    let sources = sources(&["host", "tests/tests"]);
    for page in ["docs/RELIABILITY.md", "docs/PRD_COVERAGE.md"] {
        let text = read(page);
        let named: Vec<_> = text.lines().filter(|line| line.starts_with("| ")).flat_map(named).collect();
        for (file, test) in &named {
            let mut of_file = sources.iter().filter(|source| source.path.ends_with(&format!("/{file}")));
            assert!(of_file.any(|source| tests_of(source).contains(test)), "{page}: there is no test {test} in {file}");
        }
        assert!(named.len() > 30, "the table of {page} was not understood: {}", named.len());
    }
}
