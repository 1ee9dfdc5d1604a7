//! What the documents say about the code is so.

use std::path::Path;

/// All tests of the sources under `folder`, each behind its file: `tests/tests/crash.rs a_panic_costs_…`.
fn tests_under(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("it is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            tests_under(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("it is text");
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            for (at, line) in lines.iter().enumerate() {
                let name =
                    line.trim_start_matches("async ").strip_prefix("fn ").and_then(|rest| rest.split('(').next());
                let is_test = lines[at.saturating_sub(3)..at]
                    .iter()
                    .any(|above| above.starts_with("#[") && above.contains("test]"));
                if let (Some(name), true) = (name, is_test) {
                    found.push((path.display().to_string(), name.to_owned()));
                }
            }
        }
    }
}

#[test]
fn every_promise_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut tests = Vec::new();
    tests_under(&root.join("tests/tests"), &mut tests);
    tests_under(&root.join("host/src"), &mut tests);
    tests_under(&root.join("host/core/src"), &mut tests);
    let page = std::fs::read_to_string(root.join("docs/RELIABILITY.md")).expect("it is there");
    let table = page.lines().filter(|line| line.starts_with("| ") && line.contains(".rs`: "));
    let (mut file, mut named) = ("", 0);
    for row in table {
        let proofs = row.trim_end_matches(" |").rsplit(" | ").next().expect("the last column");
        for word in proofs.split('`').skip(1).step_by(2) {
            if word.ends_with(".rs") {
                file = word;
            } else {
                let exists = tests.iter().any(|(path, name)| path.ends_with(&format!("/{file}")) && name == word);
                assert!(exists, "there is no test {word} in {file}");
                named += 1;
            }
        }
    }
    assert!(named > 30, "the table was not understood: {named}");
}
