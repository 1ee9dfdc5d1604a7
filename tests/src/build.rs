//! The executables and libraries that the tests run, built once by each test process.

use rosey::quick_start::cargo;
use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The packages to build. (`cargo test` itself builds no cdylib.)
const PARTS: [&str; 19] = [
    "rosey",
    "rosey-shim",
    "dice-roller",
    "eight-ball",
    "countdown",
    "echo",
    "karma",
    "misbehave",
    "links",
    "poll",
    "quotes",
    "remind",
    "seen",
    "trivia",
    "tally",
    "books-1",
    "books-2",
    "keeper-1",
    "keeper-2",
];

/// Marks the name of the variant in the library of `misbehave`.
const MARK: &[u8] = b"ROSEY-TEST-VARIANT=";

/// Bytes for the name of a variant.
const VARIANT_BYTES: usize = 48 - MARK.len();

/// The folder of the build.
///
/// # Panics
/// When cargo cannot build the parts.
pub fn target() -> &'static Path {
    static TARGET: OnceLock<PathBuf> = OnceLock::new();
    TARGET.get_or_init(|| {
        let me = std::env::current_exe().expect("this executable has a path");
        let is_profile = |folder: &&Path| folder.ends_with("debug") || folder.ends_with("release");
        let target = me.ancestors().find(is_profile).expect("it is in target/debug or target/release").to_owned();
        let mut build = cargo();
        build.arg("build").arg("--quiet").current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        if target.ends_with("release") {
            // As `dist`, which has a folder of its own: what is measured is what packages have.
            build.args(["--profile", "bench"]);
        }
        for part in PARTS {
            build.args(["-p", part]);
        }
        assert!(build.status().is_ok_and(|status| status.success()), "cargo could not build the parts");
        target
    })
}

/// The host.
pub fn rosey() -> PathBuf {
    target().join("rosey")
}

/// The executable that loads a plugin.
pub fn shim() -> PathBuf {
    target().join("rosey-shim")
}

/// A plugin's library.
pub fn library(plugin: &str) -> PathBuf {
    target().join(format!("lib{}.so", plugin.replace('-', "_")))
}

/// Makes the library of the misbehaving plugin at `to` with another variant, so that it is another build: see its
/// `VARIANT`.
///
/// # Panics
/// When the library has no mark.
pub fn variant(to: &Path, name: &str) {
    assert!(name.len() <= VARIANT_BYTES, "{name} is too long");
    let mut bytes = std::fs::read(library("misbehave")).expect("it is built");
    let found: Vec<usize> =
        bytes.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK).map(|(at, _)| at).collect();
    let [at] = found[..] else { panic!("the mark is there {} times", found.len()) };
    let room = &mut bytes[at + MARK.len()..][..VARIANT_BYTES];
    room.fill(b' ');
    room[..name.len()].copy_from_slice(name.as_bytes());
    // Like a linker: another file takes the name.
    let beside = to.with_extension("new");
    std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, to)).expect("our directory");
}
