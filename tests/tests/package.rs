//! The crates that authors of plugins need are ready for a registry.

use std::{path::Path, process::Command};

#[test]
fn the_crates_for_authors_can_be_packaged() {
    let target = tempfile::tempdir().expect("a directory");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["package", "--offline", "--no-verify", "--allow-dirty"]);
    cargo.args(["-p", "rosey-wire", "-p", "plugin-api-macros", "-p", "plugin-api", "--target-dir"]).arg(target.path());
    let output = cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).output().expect("it is there");
    let said = String::from_utf8_lossy(&output.stderr);
    // A warning names what a registry would miss, such as a licence or a description.
    assert!(output.status.success() && !said.contains("warning"), "{said}");
    for package in ["rosey-wire-", "plugin-api-macros-", "plugin-api-1"] {
        let is_it = |name: &str| name.starts_with(package) && name.ends_with(".crate");
        let made = std::fs::read_dir(target.path().join("package")).expect("made").flatten();
        assert!(made.into_iter().any(|file| is_it(&file.file_name().to_string_lossy())), "{package}: {said}");
    }
}
