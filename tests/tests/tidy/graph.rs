//! One build graph. A crate that has other features when a plugin is built alone than when it is built with the host is another
//! crate: it is built twice, and the plugin's library is another one, of which a bot says that another build lies in the folder.

use crate::root;
use rosey::quick_start::PARTS;
use std::{collections::BTreeSet, process::Command};

/// The crates that cargo would build for these packages, each with its features.
fn crates(packages: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "tree",
        "--offline",
        "--edges",
        "normal,build",
        "--no-dedupe",
        "--prefix",
        "none",
        "--format",
        "{p} [{f}]",
    ]);
    let output = cargo.args(packages).current_dir(root()).output().expect("cargo is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

#[test]
fn a_crate_has_the_same_features_whatever_is_built_with_it() {
    let all = crates(&["--workspace"]);
    let parts: Vec<_> = PARTS.iter().flat_map(|package| ["-p", package]).collect();
    let plugins = std::fs::read_dir(root().join("plugins")).expect("there").flatten();
    let plugins: Vec<_> =
        plugins.filter(|it| it.path().is_dir()).map(|it| it.file_name().to_string_lossy().into_owned()).collect();
    let alone = plugins.iter().map(|plugin| vec!["-p", plugin.as_str()]);
    for packages in alone.chain([parts, vec!["-p", "rosey"]]) {
        let built = crates(&packages);
        let other: Vec<_> = built.difference(&all).collect();
        assert!(
            other.is_empty(),
            "with {} these have other features than in the whole workspace; add what lacks to one-build in plugin-api/Cargo.toml, \
             or to [workspace.dependencies]: {other:#?}",
            packages.join(" ")
        );
    }
}
