//! The template for plugins, copied out of the checkout as its README says: it builds, tests itself, and runs in a bot.

use rosey_tests::{bot::Folder, build};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The template in its own folder, with the right path of `plugin-api`.
fn copied(into: &Path) -> PathBuf {
    let root = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).expect("it is there");
    let (template, copy) = (root.join("examples/template"), into.join("my-plugin"));
    fs::create_dir_all(copy.join("src")).expect("our directory");
    fs::copy(template.join("src/lib.rs"), copy.join("src/lib.rs")).expect("it is there");
    // It needs no download: these versions are here.
    fs::copy(root.join("Cargo.lock"), copy.join("Cargo.lock")).expect("it is there");
    let manifest = fs::read_to_string(template.join("Cargo.toml")).expect("it is there");
    let api = root.join("plugin-api");
    let put_right = manifest.replace("\"../../plugin-api\"", &format!("{api:?}"));
    assert_ne!(manifest, put_right, "the README says to replace this path");
    fs::write(copy.join("Cargo.toml"), put_right).expect("our directory");
    copy
}

#[test]
fn the_template_builds_anywhere_tests_itself_and_greets_in_a_bot() {
    let (elsewhere, folder) = (tempfile::tempdir().expect("a temporary directory"), Folder::new(&[]));
    let copy = copied(elsewhere.path());
    // Its dependencies are built there already, or the next run finds them there.
    let target = build::target().parent().expect("target/<profile>").join("next");
    for command in ["test", "build"] {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([command, "--quiet", "--offline", "--config", "profile.dev.package.\"*\".debug=false"]);
        cargo.current_dir(&copy).arg("--target-dir").arg(&target).stdout(Stdio::null());
        assert!(cargo.status().is_ok_and(|status| status.success()), "cargo {command} fails in the copy");
    }
    fs::copy(target.join("debug/libmy_plugin.so"), folder.library("my-plugin")).expect("just built");
    let mut bot = folder.start("[plugins.my-plugin.config]\ngreeting = \"Salve\"\n");
    assert_eq!(bot.ask("!hello world"), "Salve, world!");
    assert_eq!(bot.ask("!hi"), "Salve, alice!");
}
