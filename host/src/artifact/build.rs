//! The cargo command that makes a file.

use std::path::Path;

/// The options with which cargo builds into the folder of a file: none for `debug`, `--release` for `release`.
pub fn profile_options(file: &Path) -> Vec<&str> {
    let folder = file.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    match folder {
        None | Some("debug") => vec![],
        Some("release") => vec!["--release"],
        Some(profile) => vec!["--profile", profile],
    }
}

/// The command that builds a package into this file. `None` when cargo does not build there.
fn cargo_build(package: &str, file: &Path) -> Option<String> {
    let target = file.parent().and_then(Path::parent)?;
    let options = profile_options(file).into_iter().flat_map(|option| [" ", option]).collect::<String>();
    target.ends_with("target").then(|| format!("cargo build{options} -p {package}"))
}

/// What to do when the file of a package is missing.
pub fn make(package: &str, file: &Path) -> String {
    match cargo_build(package, file) {
        Some(command) => format!("build it with: {command}"),
        None => format!("build {package} and copy it there"),
    }
}

/// What to do when the file of a package is not what it should be.
pub(super) fn again(package: &str, file: &Path) -> String {
    cargo_build(package, file)
        .map_or_else(|| "build it again".to_owned(), |command| format!("build it again: {command}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_builds_with_the_profile_of_the_folder() {
        let command = |file: &str| cargo_build("tea-time", Path::new(file));
        assert_eq!(command("/r/target/debug/libtea_time.so").as_deref(), Some("cargo build -p tea-time"));
        assert_eq!(command("target/release/libtea_time.so").as_deref(), Some("cargo build --release -p tea-time"));
        assert_eq!(command("target/dist/libtea_time.so").as_deref(), Some("cargo build --profile dist -p tea-time"));
        for elsewhere in ["/usr/lib/rosey/plugins/libtea_time.so", "libtea_time.so", "target/libtea_time.so", "/"] {
            assert_eq!(command(elsewhere), None, "{elsewhere}");
        }
    }
}
