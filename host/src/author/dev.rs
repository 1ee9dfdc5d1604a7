//! `rosey dev`: a bot on this terminal whose plugins are built and reloaded whenever their source is saved.

use super::{package::Package, watch::Watch};
use crate::{
    config::{Config, Plugin},
    plugins::{PluginError, Plugins},
    report,
};
use rosey_core::{limits::Value, state::ChangeError};
use std::{
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::Handle;

/// The packages that are being worked on.
#[derive(Debug)]
pub struct Workshop {
    packages: Vec<Package>,
    watch: Watch,
}

impl Workshop {
    /// Finds the packages in these folders, and builds them: again after each save until the compiler takes them.
    ///
    /// # Errors
    /// A folder without the package of a plugin, or one that cannot be watched.
    pub fn open(folders: &[PathBuf]) -> Result<Self, String> {
        let packages = folders.iter().map(|folder| Package::find(folder)).collect::<Result<Vec<_>, _>>()?;
        if let Some(twice) =
            packages.iter().enumerate().find(|(at, one)| packages[..*at].iter().any(|it| it.name == one.name))
        {
            return Err(format!("there are two plugins {}; give each a name of its own", twice.1.name));
        }
        let watch = Watch::start(&packages)?;
        let workshop = Self { packages, watch };
        for package in &workshop.packages {
            eprintln!("Building {} …", package.name);
            while !package.build(true) {
                eprintln!("{} does not build. Save a change to try again, or end this with Ctrl-C.", package.name);
                if workshop.watch.next().is_none() {
                    return Err("files are no longer watched".to_owned());
                }
            }
        }
        Ok(workshop)
    }

    /// Changes a configuration into that of a bot that runs the packages and nothing else.
    pub fn config(&self, mut config: Config) -> Config {
        let plugin = |package: &Package| Plugin { library: Some(package.library.clone()), ..Plugin::default() };
        config.plugins = self.packages.iter().map(|package| (package.name.clone(), plugin(package))).collect();
        // The author judges each build, not the traffic.
        config.limits.set("bake", Value::Time(Duration::ZERO));
        config
    }

    /// Builds and reloads from now on, on a thread of its own that ends with the process. Call this on a runtime.
    pub fn follow(self, plugins: &Arc<Plugins>) {
        let names: Vec<_> = self.packages.iter().map(|package| package.name.as_str()).collect();
        eprintln!("Watching {}: save a file, and the new build answers.", names.join(", "));
        let (plugins, runtime) = (Arc::clone(plugins), Handle::current());
        let work = thread::Builder::new().name("rosey-dev".to_owned()).spawn(move || {
            while let Some((saved, at)) = self.watch.next() {
                for package in saved.into_iter().filter_map(|at| self.packages.get(at)) {
                    eprintln!("{}", renew(package, &plugins, &runtime, at));
                }
            }
        });
        if let Err(error) = work {
            eprintln!("rosey: the packages cannot be watched: {error}");
        }
    }
}

/// Builds a package and reloads its plugin. Returns what came of it.
fn renew(package: &Package, plugins: &Plugins, runtime: &Handle, saved: Instant) -> String {
    let name = &package.name;
    let began = Instant::now();
    if !package.build(false) {
        return format!("{name} does not build; the build before goes on.");
    }
    let compiled = began.elapsed();
    let reloaded = runtime.block_on(async {
        let candidate = plugins.inspect(name).await?;
        let view = plugins.view(name).await?;
        if view.active().is_some_and(|active| active.artifact == candidate.artifact) {
            return Ok(None);
        }
        plugins.reload(name, candidate.artifact, true).await?;
        Ok::<_, PluginError>(Some(candidate.manifest.version.clone()))
    });
    match reloaded {
        Ok(Some(version)) => {
            let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
            format!(
                "{name} {version} answers, {} after the save ({} of it cargo).",
                seconds(saved.elapsed()),
                seconds(compiled)
            )
        }
        Ok(None) | Err(PluginError::Change(ChangeError::Already(_))) => format!("{name} is the same build as before."),
        Err(error) => format!("{name} is not reloaded: {}. The build before goes on.", report::chain(&error)),
    }
}
