//! The points in a line: `bob++`, `Mondays--`, `(green tea)++`.

/// Things that one line can give points to.
const MOST: usize = 5;

/// The shortest name of a thing, so that the `i++` and `C++` of programmers are no points.
const SHORTEST: usize = 2;

/// The longest name of a thing, in characters.
const LONGEST: usize = 50;

/// Each thing that a line gives a point to or takes one from, in lower case, once.
pub fn points(line: &str) -> Vec<(String, i64)> {
    let mut found: Vec<(String, i64)> = Vec::new();
    let mut at = 0;
    while let Some(start) = line[at..].find(['+', '-']).map(|offset| at + offset) {
        let signs = line[start..].bytes().take_while(|byte| b"+-".contains(byte)).count();
        at = start + signs;
        let by = match &line[start..at] {
            "++" => 1,
            "--" => -1,
            _ => continue,
        };
        // `foo--bar` is a word, and `--help` has no thing before it.
        if line[at..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let Some(name) = thing(&line[..start]) else { continue };
        if found.len() < MOST && !found.iter().any(|(known, _)| *known == name) {
            found.push((name, by));
        }
    }
    found
}

/// A thing as it is kept: in lower case, with single spaces. `None` when it is too short or too long, or has no letter.
pub fn folded(name: &str) -> Option<String> {
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let length = name.chars().count();
    ((SHORTEST..=LONGEST).contains(&length) && name.chars().any(char::is_alphabetic)).then_some(name)
}

/// The thing at the end of a text: what is in parentheses there, or else the last word.
fn thing(text: &str) -> Option<String> {
    if let Some(inside) = text.strip_suffix(')') {
        return folded(&inside[inside.rfind('(')? + 1..]);
    }
    let is_part = |c: char| c.is_alphanumeric() || "_.'-[]\\`^{}|".contains(c);
    let start = text.char_indices().rev().take_while(|(_, c)| is_part(*c)).last()?.0;
    // After anything else it is a part of something longer, such as an address.
    let begins = text[..start].chars().next_back().is_none_or(|c| c.is_whitespace() || "@(,;:\"“".contains(c));
    if begins { folded(&text[start..]) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn points_are_read_as_people_write_them() {
        for (line, meant) in [
            ("bob++", vec![("bob", 1)]),
            ("thanks, @Bob++!", vec![("bob", 1)]),
            ("Mondays-- and (green  Tea)++ :)", vec![("mondays", -1), ("green tea", 1)]),
            ("bob++ bob++ Bob--", vec![("bob", 1)]),
            ("well-known++", vec![("well-known", 1)]),
            ("a1++ b2++ c3++ d4++ e5++ f6++", vec![("a1", 1), ("b2", 1), ("c3", 1), ("d4", 1), ("e5", 1)]),
        ] {
            let found = points(line);
            let found: Vec<_> = found.iter().map(|(name, by)| (name.as_str(), *by)).collect();
            assert_eq!(found, meant, "{line}");
        }
    }

    #[test]
    fn what_is_no_point_is_left_alone() {
        for line in [
            "i++",
            "C++ is a language",
            "ls --help",
            "foo--bar",
            "foo---",
            "a+++b",
            "++",
            "42++",
            "()++",
            "see https://example.org/path++",
            "x > y++z",
            ")++",
        ] {
            assert_eq!(points(line), [], "{line}");
        }
        assert_eq!(points(&format!("{}++", "long".repeat(20))), []);
    }

    proptest! {
        #[test]
        fn no_line_is_a_panic(line in "\\PC{0,60}") {
            prop_assert!(points(&line).len() <= MOST);
        }

        #[test]
        fn signs_anywhere_are_no_panic(line in "[a-cé() +-]{0,30}") {
            for (name, by) in points(&line) {
                prop_assert!(by.abs() == 1 && folded(&name).as_deref() == Some(name.as_str()));
            }
        }

        #[test]
        fn a_named_thing_gets_its_point(name in "[a-z]{2,20}( [a-z]{2,20})?") {
            prop_assert_eq!(points(&format!("so ({name})++ it is")), vec![(name, 1)]);
        }
    }
}
