//! The rooms of the host import only what the table of ARCHITECTURE.md allows.

use crate::{Source, read, sources, spans};
use std::collections::{BTreeMap, BTreeSet};

/// A room, with the rooms that it may import.
type Table = BTreeMap<String, BTreeSet<String>>;

/// The table of the rooms. A room is below those that may import it.
fn table() -> Table {
    let page = read("docs/ARCHITECTURE.md");
    let (_, after) = page.split_once("| level | room | may import |").expect("the table of the rooms is there");
    let rows = after.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut table = Table::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, _, rooms, imports, _] = cells[..] else { panic!("{row}") };
        let lower: BTreeSet<String> = table.keys().cloned().collect();
        let named: BTreeSet<String> = spans(imports).map(str::to_owned).collect();
        assert!(named.is_subset(&lower), "{rooms} imports what stands beside or above it: {named:?}");
        let imports = if imports.starts_with("all") { lower } else { named };
        for room in spans(rooms) {
            assert!(table.insert(room.to_owned(), imports.clone()).is_none(), "{room} stands there twice");
        }
    }
    table
}

/// The rooms that a source imports: the names behind `crate::`, and our two packages below the host.
fn imports(source: &Source) -> BTreeSet<String> {
    let lines = source.lines_before_tests();
    let code = lines.iter().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut found: BTreeSet<String> = code.split("crate::").skip(1).flat_map(first_segments).collect();
    found
        .extend(["rosey_core", "rosey_wire"].into_iter().filter(|it| code.contains(it)).map(|it| it.replace('_', "-")));
    found
}

/// The first segments of a path: `a` of `a::b`, `a` and `c` of `{a::{x, y}, c}`.
fn first_segments(path: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(list) = path.strip_prefix('{') else { return vec![word(path)] };
    let (mut depth, mut at_start, mut found) = (1, true, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => at_start = true,
            c if at_start && c.is_alphabetic() => {
                found.push(word(&list[at..]));
                at_start = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found
}

#[test]
fn rooms_import_what_the_map_lets_them() {
    let table = table();
    for source in sources(&["host/src"]) {
        let path = source.path.trim_start_matches("host/src/");
        let room = path.split('/').next().expect("a path").trim_end_matches(".rs");
        // `lib` and `main` assemble the rooms, and tests may import everything.
        if ["lib", "main"].contains(&room) || path.ends_with("tests.rs") || path.contains("/tests/") {
            continue;
        }
        let allowed = table.get(room).unwrap_or_else(|| panic!("docs/ARCHITECTURE.md has no row for the room {room}"));
        for import in imports(&source).into_iter().filter(|import| import != room) {
            let what = format!("{} imports `{import}`", source.path);
            assert!(allowed.contains(&import), "{what}, which docs/ARCHITECTURE.md does not let `{room}` do");
        }
    }
}

#[test]
fn the_core_knows_no_runtime_no_clock_and_no_host() {
    let is_tests = |source: &Source| source.path.ends_with("/tests.rs");
    for source in sources(&["host/core/src"]).into_iter().filter(|source| !is_tests(source)) {
        for line in source.lines_before_tests() {
            let code = line.split("//").next().unwrap_or_default();
            for outside in
                ["tokio", "Instant::now", "SystemTime::now", "std::fs", "std::net", "std::process", "rosey::"]
            {
                assert!(!code.contains(outside), "{}: {outside} in the core: {line}", source.path);
            }
        }
    }
}

#[test]
fn a_list_of_imports_is_taken_apart() {
    assert_eq!(first_segments("event::{Event, Place};"), ["event"]);
    assert_eq!(first_segments("{\n    admin::{a, b::{c, d}},\n    time::Time,\n};\nuse x::{y, z};"), ["admin", "time"]);
}
