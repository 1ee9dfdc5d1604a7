//! ARCHITECTURE.md names modules and crates that exist, and names all crates.

use crate::{read, root, spans, visit};
use std::collections::BTreeSet;

/// The rows of the table with this first line, as their cells.
fn rows<'a>(page: &'a str, head: &str) -> Vec<Vec<&'a str>> {
    let (_, after) = page.split_once(head).unwrap_or_else(|| panic!("there is no table {head}"));
    let rows = after.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn the_map_names_modules_that_are_there() {
    let page = read("docs/ARCHITECTURE.md");
    let (_, rooms) = page.split_once("What lives in them:").expect("the modules are there");
    let mut found = 0;
    for cells in rows(rooms, "| where | what |") {
        let [places, modules] = cells[..] else { panic!("{cells:?}") };
        let is_there = |path: &str| {
            spans(places).any(|place| {
                let below = root().join("host/src").join(place).join(path);
                below.with_extension("rs").exists() || below.is_dir() || root().join(path).is_dir()
            })
        };
        for place in spans(places) {
            let path = root().join("host/src").join(place);
            assert!(path.exists() || path.with_extension("rs").exists(), "there is no room {place}");
        }
        let is_module = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '/');
        for module in spans(modules).filter(is_module) {
            let module = spans(places).fold(module, |module, place| {
                module.strip_prefix(place).and_then(|rest| rest.strip_prefix('/')).unwrap_or(module)
            });
            assert!(is_there(module), "{places} has no module {module}");
            found += 1;
        }
    }
    assert!(found > 50, "the modules were not understood: {found}");
}

/// The external crates that a `Cargo.toml` names.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut depends = false;
    let mut found = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            depends = line.ends_with("dependencies]");
        } else if depends && !line.contains("path = ") {
            let name = line.split([' ', '.', '=']).next().unwrap_or_default();
            found.extend((!name.is_empty() && !name.starts_with('#')).then(|| name.to_owned()));
        }
    }
    found
}

#[test]
fn every_dependency_has_its_reason() {
    let page = read("docs/ARCHITECTURE.md");
    let rows = rows(&page, "| crate | where | why |");
    let explained: BTreeSet<String> = rows.iter().flat_map(|cells| cells[0].split(", ")).map(str::to_owned).collect();
    let workspace = read("Cargo.toml");
    let ours: BTreeSet<&str> =
        workspace.lines().filter(|line| line.contains("path = ")).filter_map(|line| line.split(' ').next()).collect();
    let mut named = BTreeSet::new();
    visit(&root(), &mut |path| {
        // The fuzz package is not part of the workspace.
        if path.ends_with("Cargo.toml") && !path.ends_with("fuzz/Cargo.toml") {
            named.extend(dependencies(&std::fs::read_to_string(path).expect("it was listed")));
        }
    });
    named.retain(|name| !ours.contains(name.as_str()));
    let missing: Vec<_> = named.difference(&explained).collect();
    assert!(missing.is_empty(), "docs/ARCHITECTURE.md does not say why there is {missing:?}");
    let gone: Vec<_> = explained.difference(&named).collect();
    assert!(gone.is_empty(), "docs/ARCHITECTURE.md gives a reason for {gone:?}, which nothing depends on");
}
