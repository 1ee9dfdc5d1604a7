//! What the documents say about the code is true, and the code keeps the rules of the project.

mod graph;
mod layers;
mod map;
mod pages;
mod promises;
mod sizes;
mod third_party;
mod words;

use std::path::{Path, PathBuf};

/// The top of the checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("this package is in it")
}

/// A file of the checkout.
fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// One of our Rust sources.
struct Source {
    /// From the top of the checkout: `host/src/view.rs`.
    path: String,
    text: String,
}

impl Source {
    /// Its lines, without the tests at its end.
    fn lines_before_tests(&self) -> Vec<&str> {
        let lines: Vec<&str> = self.text.lines().collect();
        let tests = lines.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod tests"));
        lines[..tests.unwrap_or(lines.len())].to_vec()
    }
}

/// All our sources in these folders, except the mistakes in the tests of diagnostics.
fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        visit(&root().join(folder), &mut |path| {
            let name = path.strip_prefix(root()).expect("it is below the top").display().to_string();
            if name.ends_with(".rs") && !name.starts_with("plugin-api/tests/diagnostics/") {
                let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
                found.push(Source { path: name, text });
            }
        });
    }
    found
}

/// Visits all files in a folder, except build output and the old sources in `compat`.
fn visit(folder: &Path, each: &mut impl FnMut(&Path)) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if !path.is_dir() {
            each(&path);
        } else if ["target", ".git", ".rosey", "compat"].iter().all(|skipped| name != *skipped) {
            visit(&path, each);
        }
    }
}

/// Every folder with our sources.
const ALL: [&str; 7] = ["benches", "examples", "host", "plugin-api", "plugins", "shim", "tests"];

/// The words in code spans of a line of Markdown.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
