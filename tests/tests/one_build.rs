//! One source gives one library, however it was built. Otherwise a bot says that another build lies in the plugin folder, although
//! nothing was changed.

use rosey::quick_start::{PARTS, cargo};
use rosey_tests::build;
use std::{collections::BTreeMap, path::Path};

#[test]
fn the_library_of_a_plugin_has_the_same_bytes_however_it_is_built() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let library = build::target().with_file_name("debug").join("libdice_roller.so");
    let quick_start: Vec<_> = PARTS.iter().flat_map(|package| ["-p", package]).collect();
    let ways: [(&str, &[&str]); 4] = [
        ("cargo run", &quick_start),
        ("cargo build -p dice-roller", &["-p", "dice-roller"]),
        ("cargo build --workspace", &["--workspace"]),
        ("rosey dev plugins/dice-roller", &["--lib", "--manifest-path", "plugins/dice-roller/Cargo.toml"]),
    ];
    let built: BTreeMap<_, _> = ways
        .into_iter()
        .map(|(way, arguments)| {
            // So that cargo puts it there again.
            let _ = std::fs::remove_file(&library);
            let status = cargo().args(["build", "--quiet", "--offline"]).args(arguments).current_dir(&root).status();
            assert!(status.is_ok_and(|status| status.success()), "{way} fails");
            (way, rosey::artifact::hash_of(&library).expect("just built"))
        })
        .collect();
    let first = built["cargo run"];
    assert!(built.values().all(|hash| *hash == first), "{built:?}");
}
