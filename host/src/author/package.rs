//! The crate of a plugin: what cargo says of it, and building it.

use crate::quick_start::cargo;
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

/// A package with the library of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The name, of the package and of the plugin.
    pub name: String,
    /// Its `Cargo.toml`.
    pub manifest: PathBuf,
    /// Where the build puts the library.
    pub library: PathBuf,
    /// The folders whose files it is built from: its own, and those of its dependencies by path.
    pub sources: Vec<PathBuf>,
    /// Where cargo builds, within which nothing is watched.
    pub target: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Described>,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Described {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

#[derive(Deserialize)]
struct Dependency {
    path: Option<PathBuf>,
}

impl Package {
    /// The package in a folder.
    ///
    /// # Errors
    /// What is missing there, with what cargo says.
    pub fn find(folder: &Path) -> Result<Self, String> {
        let manifest = folder.join("Cargo.toml");
        let manifest = fs::canonicalize(&manifest).map_err(|_| {
            format!("there is no {}; to make the crate of a plugin: rosey new NAME", manifest.display())
        })?;
        let mut command = cargo();
        command.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(&manifest);
        let output = command.stderr(Stdio::inherit()).output();
        let output =
            output.map_err(|error| format!("cargo cannot be started: {error}; install Rust from rustup.rs"))?;
        if !output.status.success() {
            return Err(format!("cargo cannot read {}; it says above why", manifest.display()));
        }
        Self::read(&output.stdout, &manifest)
    }

    fn read(metadata: &[u8], manifest: &Path) -> Result<Self, String> {
        let metadata: Metadata = serde_json::from_slice(metadata)
            .map_err(|error| format!("cargo describes the package in another way: {error}"))?;
        let package = metadata.packages.into_iter().find(|package| package.manifest_path == manifest);
        let package = package.ok_or_else(|| format!("{} has no package", manifest.display()))?;
        let is_plugin = |target: &&Target| target.crate_types.iter().any(|kind| kind == "cdylib");
        let Some(target) = package.targets.iter().find(is_plugin) else {
            return Err(format!(
                "{} is no plugin; add [lib] crate-type = [\"cdylib\"] to its Cargo.toml",
                package.name
            ));
        };
        let library = format!("lib{}.so", target.name.replace('-', "_"));
        let own = manifest.parent().map(Path::to_owned);
        Ok(Self {
            library: metadata.target_directory.join("debug").join(library),
            sources: own.into_iter().chain(package.dependencies.into_iter().filter_map(|it| it.path)).collect(),
            manifest: manifest.to_owned(),
            target: metadata.target_directory,
            name: package.name,
        })
    }

    /// Builds the library. Cargo writes what it has to say, errors of the compiler too, to standard error. True when it
    /// is built. `shows_progress` is for a build that takes long.
    pub fn build(&self, shows_progress: bool) -> bool {
        let mut command = cargo();
        command.args(["build", "--lib", "--manifest-path"]).arg(&self.manifest);
        command.args((!shows_progress).then_some("--quiet")).stdin(Stdio::null());
        match command.stdout(Stdio::null()).status() {
            Ok(status) => status.success(),
            Err(error) => {
                eprintln!("cargo cannot be started: {error}");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str) -> Result<Package, String> {
        let metadata = serde_json::json!({
            "target_directory": "/t",
            "packages": [
                { "name": "other", "manifest_path": "/o/Cargo.toml", "targets": [], "dependencies": [] },
                { "name": "tea-time", "manifest_path": "/p/Cargo.toml",
                  "targets": [{ "name": "tea_time", "crate_types": [kind] }],
                  "dependencies": [{ "path": null }, { "path": "/api" }] },
            ],
        });
        Package::read(metadata.to_string().as_bytes(), Path::new("/p/Cargo.toml"))
    }

    #[test]
    fn a_plugin_is_known_by_its_library() {
        let package = read("cdylib").expect("it has one");
        assert_eq!((package.name.as_str(), package.library), ("tea-time", "/t/debug/libtea_time.so".into()));
        assert_eq!(package.sources, ["/p", "/api"].map(PathBuf::from));
        let error = read("lib").expect_err("it has none");
        assert!(error.contains("add [lib] crate-type = [\"cdylib\"]"), "{error}");
        let error = Package::find(Path::new("/nowhere")).expect_err("there is none");
        assert!(error.contains("rosey new NAME"), "{error}");
    }
}
