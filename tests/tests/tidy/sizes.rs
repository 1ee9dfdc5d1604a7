//! Files and functions are small enough to read in one go.

use crate::{ALL, sources};

/// Lines of a file without the tests at its end. Files with only tests may be longer.
const FILE: usize = 500;

/// Lines of a function, from its `fn` to its last brace.
const FUNCTION: usize = 70;

/// Files that may be longer, each with the reason.
const LONGER: [(&str, &str); 1] =
    [("host/src/slot/actor.rs", "a turn of the slot: what is polled in it shares the fields and their order")];

#[test]
fn files_and_functions_are_small() {
    let mut problems = Vec::new();
    for source in sources(&ALL) {
        let lines = source.lines_before_tests();
        let is_tests = source.path.ends_with("/tests.rs");
        let may_be_longer = is_tests || LONGER.iter().any(|(path, _)| *path == source.path);
        if lines.len() <= FILE && may_be_longer && !is_tests {
            problems.push(format!("{} is within the limit and needs no exception", source.path));
        } else if lines.len() > FILE && !may_be_longer {
            problems.push(format!("{} has {} lines; {FILE} are the limit", source.path, lines.len()));
        }
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| starts_function(line)) {
            let length = function(&lines[at..]);
            if length > FUNCTION {
                let name = line.trim();
                problems.push(format!("{}: {length} lines, {FUNCTION} are the limit: {name}", source.path));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn starts_function(line: &str) -> bool {
    let mut words = line.split_whitespace().skip_while(|word| {
        ["pub", "async", "const", "unsafe", "extern", "\"C\""].contains(word) || word.starts_with("pub(")
    });
    words.next() == Some("fn")
}

/// The lines of the function that begins here. The code is formatted, so it ends at the next line with its indentation.
fn function(lines: &[&str]) -> usize {
    let indentation = lines[0].len() - lines[0].trim_start().len();
    let ends = |line: &&str| {
        line.len() - line.trim_start().len() == indentation && (line.trim() == "}" || line.ends_with(';'))
    };
    match lines[0].ends_with(['}', ';']) {
        true => 1,
        false => lines.iter().position(ends).map_or(lines.len(), |last| last + 1),
    }
}

#[test]
fn a_function_is_measured_from_its_name_to_its_brace() {
    let lines =
        ["    pub(crate) async fn a(", "        b: u8,", "    ) {", "        if b {", "        }", "    }", "}"];
    assert!(starts_function(lines[0]) && !starts_function(lines[1]));
    assert_eq!(function(&lines), 6);
    assert_eq!(function(&["fn a() {}", "}"]), 1);
}
