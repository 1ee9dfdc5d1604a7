//! The pages have what people look up: settings, exit codes, and the commands of contributors.

use crate::{read, root, sources, spans};
use rosey::cli::exit;
use std::collections::BTreeSet;

#[test]
fn every_setting_is_in_the_page_of_the_configuration() {
    // The methods that read a setting: `section.or("port", …)`. Another test compares the whole table of limits.
    let reads =
        ["get", "or", "needed", "within", "get_within", "choice", "choices", "texts", "table", "tables", "foreign"];
    let page = read("docs/CONFIG.md");
    let mut settings = BTreeSet::new();
    for source in sources(&["host/src/config", "host/src/connect"]) {
        for line in source.lines_before_tests() {
            for read in reads {
                let name = line.split_once(&format!(".{read}(\"")).and_then(|(_, rest)| rest.split('"').next());
                settings.extend(name.map(str::to_owned));
            }
        }
    }
    assert!(settings.len() > 40, "the settings were not found: {settings:?}");
    let words: BTreeSet<&str> = page.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let missing: Vec<_> = settings.iter().filter(|setting| !words.contains(setting.as_str())).collect();
    assert!(missing.is_empty(), "docs/CONFIG.md does not have {missing:?}");
}

#[test]
fn every_exit_code_is_in_both_tables() {
    for page in ["docs/CONFIG.md", "docs/guides/ADMIN_COMMANDS.md"] {
        let text = read(page);
        for (code, meaning) in exit::MEANINGS {
            assert!(text.contains(&format!("\n| {code} | ")), "{page} does not have exit code {code}: {meaning}");
        }
    }
}

/// The recipes of the `justfile`: their names, with their commands.
fn recipes(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut recipes: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        match line.strip_prefix("    ") {
            Some(command) => recipes.last_mut().expect("a recipe begins with its name").1.push(command),
            None => recipes.push((line.split([' ', ':']).next().expect("a name"), Vec::new())),
        }
    }
    recipes
}

#[test]
fn every_recipe_is_explained_and_runs_what_is_there() {
    let (text, guide, lock) = (read("justfile"), read("CONTRIBUTING.md"), read("Cargo.lock"));
    let explained: BTreeSet<&str> =
        spans(&guide).filter_map(|span| span.strip_prefix("just ")?.split(' ').next()).collect();
    let recipes = recipes(&text);
    assert!(recipes.len() > 10, "the justfile was not understood");
    for (name, commands) in &recipes {
        assert!(*name == "default" || explained.contains(name), "CONTRIBUTING.md does not explain `just {name}`");
        let words: Vec<&str> = commands.iter().flat_map(|command| command.split_whitespace()).collect();
        for pair in words.windows(2).filter(|pair| !pair[1].starts_with("{{")) {
            let there = match pair[0] {
                "-p" => lock.contains(&format!("name = \"{}\"\n", pair[1])),
                "--bin" => root().join(format!("tests/src/bin/{}.rs", pair[1])).exists(),
                "bash" => root().join(pair[1]).exists(),
                _ => true,
            };
            assert!(there, "`just {name}` names {} {}, which is not there", pair[0], pair[1]);
        }
    }
    let unknown: Vec<_> = explained.iter().filter(|name| !recipes.iter().any(|(recipe, _)| recipe == *name)).collect();
    assert!(unknown.is_empty(), "CONTRIBUTING.md explains {unknown:?}, which the justfile does not have");
}

#[test]
fn every_file_that_a_contributor_is_sent_to_is_there() {
    for page in ["CONTRIBUTING.md", "docs/HOW_TO_ADD.md"] {
        let mut named = 0;
        for span in spans(&read(page)).filter(|span| span.contains('/') && !span.contains([' ', '<', '*', '!', ':'])) {
            assert!(root().join(span).exists(), "{page} names {span}, which is not there");
            named += 1;
        }
        assert!(named > 5, "{page} names {named} files");
    }
}

/// The targets of a page's links inside the checkout.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next());
    targets.filter(|target| !target.is_empty() && !target.contains("://"))
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut followed = 0;
    crate::visit(&root(), &mut |path| {
        if path.extension().is_none_or(|extension| extension != "md") {
            return;
        }
        let text = std::fs::read_to_string(path).expect("it was listed");
        for link in links(&text) {
            let target = path.parent().expect("a file is in a folder").join(link);
            assert!(target.exists(), "{} links to {link}, which is not there", path.display());
            followed += 1;
        }
    });
    assert!(followed > 30, "the links were not found: {followed}");
}
