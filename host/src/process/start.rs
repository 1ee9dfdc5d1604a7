//! Brings one generation up: take a shim, load the library, restore the state. The result is ready for its first event.

use crate::process::{
    launch::{Launcher, Shim},
    page::Page,
    sandbox::{self, RuleReport},
    spare::{Spare, StartGuard},
};
use crate::text::{clean, nearest};
use crate::{
    artifact::{Artifact, Store, VerifyError},
    journal::Journal,
    process::{
        link::{Link, LinkError},
        output::{Output, Record, Records, Tail, last_words},
        spawn::{Exit, Process, SpawnError, Spawner},
    },
};
use rosey_core::{
    hash::Hash,
    state::{Fault, GenerationId, Snapshot, StartProblem},
};
use rosey_wire::{
    MIN_VERSION, VERSION,
    frame::decode,
    manifest::Manifest,
    message::{Load, LoadStep, ToHost, ToShim},
    sandbox::{RuleState, SandboxPolicy},
};
use rustix::fs::StatVfsMountFlags;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// What is needed to start shims.
#[derive(Debug)]
pub struct Shims {
    /// Starts processes.
    pub spawner: Spawner,
    /// The shim's executable.
    pub program: PathBuf,
    /// The directory of sockets and pages, which only the host's user may read.
    pub run_dir: PathBuf,
    /// The folder with the working directories of the plugins.
    pub data_dir: PathBuf,
    /// Whether one shim waits for the next start.
    pub spare: bool,
}

/// Everything that all generations of all plugins share.
#[derive(Debug)]
pub struct Starter {
    launcher: Arc<Launcher>,
    spare: Option<Spare>,
    /// The store of artifacts.
    pub store: Store,
    /// The runtime that reads the output of plugins, apart from their events.
    output_runtime: tokio::runtime::Handle,
    /// The last lines about each plugin.
    pub journal: Journal,
}

impl Starter {
    /// A starter of generations from `store`. Call it on the runtime on which they will start.
    pub fn new(shims: Shims, store: Store, output_runtime: tokio::runtime::Handle, journal: Journal) -> Self {
        let launcher = Arc::new(Launcher::new(shims.spawner, shims.run_dir, shims.data_dir, shims.program));
        let spare = shims.spare.then(|| Spare::keep(Arc::clone(&launcher)));
        Self { launcher, spare, store, output_runtime, journal }
    }

    /// A shim without a plugin: the spare, or a new one.
    async fn shim(&self) -> Result<Shim, StartError> {
        let spare = match &self.spare {
            Some(spare) => spare.claim().await,
            None => None,
        };
        match spare {
            Some(shim) => Ok(shim),
            None => self.launcher.launch().await,
        }
    }
}

/// The plugin's own settings.
#[derive(Debug)]
pub struct OwnSettings {
    /// A JSON object.
    pub json: String,
    /// Where they come from, so that the operator knows where to correct them.
    pub places: SettingsPlaces,
}

/// The place of each setting, such as a file with a line, and under the empty name that of their table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsPlaces(pub BTreeMap<String, String>);

impl SettingsPlaces {
    /// The place of a setting such as `hours[1]`, or that of the table where the setting is missing.
    pub fn of(&self, setting: &str) -> Option<&str> {
        let name = setting.split(['.', '[']).next().unwrap_or_default();
        self.0.get(name).or_else(|| self.0.get("")).map(String::as_str)
    }
}

/// Everything that a generation needs to come up.
#[derive(Debug, Clone)]
pub struct StartSpec {
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// The new generation's number.
    pub generation: GenerationId,
    /// The artifact that it runs.
    pub artifact: Hash,
    /// The plugin's own settings.
    pub config: Arc<OwnSettings>,
    /// What the plugin may do.
    pub sandbox: Arc<SandboxPolicy>,
    /// Whether to read only the manifest and check the settings. Such a generation cannot serve.
    pub inspect: bool,
    /// State to restore before its first event.
    pub restore: Option<Arc<Snapshot>>,
    /// Time from the spawn until the plugin exists.
    pub timeout: Duration,
    /// Lines of output a second that reach the log.
    pub log_lines: u32,
}

/// A generation that is ready for its first event.
#[derive(Debug)]
pub struct StartedGeneration {
    /// The process, which ends when it is dropped.
    pub process: Process,
    /// The connection to it.
    pub link: Link,
    /// The plugin's manifest, checked.
    pub manifest: Arc<Manifest>,
    /// The end of its output, for crash reports.
    pub tail: Tail,
    /// Its log records.
    pub records: Records,
    /// The page with the ids of the events that it executes.
    pub page: Page,
    /// What its sandbox holds.
    pub sandbox: Arc<[RuleReport]>,
    /// The duration of the start.
    pub took: Duration,
    /// While this exists, the host makes no new spare, which would take a processor from a generation that must prove
    /// itself.
    pub start: Option<StartGuard>,
}

/// Why a generation did not come up. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The artifact is gone or changed.
    #[error(transparent)]
    Artifact(#[from] VerifyError),
    /// The artifacts are on a file system from which nothing can be executed.
    #[error(
        "{path} lies on a file system that is mounted noexec, so no library can be loaded from it; mount it without noexec, or \
         set another state_dir", path = .0.display()
    )]
    NoExec(PathBuf),
    /// A file in the run directory cannot be created.
    #[error("cannot prepare {path}: {why}", path = .0.display(), why = .1)]
    Prepare(PathBuf, String),
    /// The shim cannot be started.
    #[error("cannot start the shim: {0}")]
    Spawn(#[from] SpawnError),
    /// The shim ended before the generation was ready.
    #[error("it ended while starting: {exit}{last}")]
    Exited {
        /// How its process ended.
        exit: Exit,
        /// The end of its output; may be empty.
        last: String,
    },
    /// Another process than the shim connected.
    #[error("another process (pid {0:?}) connected in place of the shim")]
    Stranger(Option<i32>),
    /// Host and shim have no protocol version in common.
    #[error(
        "the shim {version} speaks protocol {min} to {max} and this host {MIN_VERSION} to {VERSION}; install host and \
         shim of one release"
    )]
    Version {
        /// The shim's own version.
        version: String,
        /// Its oldest protocol.
        min: u16,
        /// Its newest protocol.
        max: u16,
    },
    /// The library was refused.
    #[error("{}", explain(*.step, .message))]
    Load {
        /// The step that failed.
        step: LoadStep,
        /// The reason of the shim, for the operator.
        message: String,
    },
    /// The plugin refuses its settings. Only an operator can correct them.
    #[error(
        "its setting {setting} is refused: {why}. Correct it{}, and let Rosey read it again: !admin config reload",
        in_file(.place.as_deref())
    )]
    Settings {
        /// The setting, as the operator writes it: `plugins.weather.config.city`.
        setting: String,
        /// What the setting needs.
        why: String,
        /// The file that has it, with the line, if it comes from a file.
        place: Option<String>,
    },
    /// The shim says nothing about the sandbox, so it may have applied none.
    #[error("the shim did not say what its sandbox holds; install host and shim of one release")]
    Unconfined,
    /// The manifest is not acceptable.
    #[error("its manifest is not acceptable: {0}; correct it and build again")]
    Manifest(String),
    /// The plugin could not take over its state.
    #[error("it could not take over its state: {0}")]
    Restore(String),
    /// The connection broke.
    #[error("{}", crate::report::chain(.0))]
    Link(#[from] LinkError),
    /// The start took too long.
    #[error("it was not ready within {0:?}; see its log for what it waits for")]
    TooSlow(Duration),
}

fn explain(step: LoadStep, message: &str) -> String {
    match step {
        LoadStep::Open => format!("the library cannot be opened: {message}; build it again and retry"),
        LoadStep::FindModule => {
            format!(
                "the library is not a Rosey plugin: {message}; it needs #[plugin] of plugin-api, and crate-type cdylib"
            )
        }
        LoadStep::CheckAbi => {
            format!("the library was built with another plugin-api: {message}; build it with that of this host")
        }
        LoadStep::Manifest => format!("the library has no readable manifest: {message}"),
        LoadStep::Create => format!("the plugin refused to start: {message}"),
        LoadStep::Settings => format!("the plugin refused its settings: {message}"),
        LoadStep::Sandbox => format!("its sandbox does not hold: {message}"),
    }
}

/// Whether the file system of a path is mounted so that nothing on it can be executed.
fn is_noexec(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::NOEXEC))
}

fn in_file(place: Option<&str>) -> String {
    place.map(|place| format!(" in {place}")).unwrap_or_default()
}

/// A refusal of settings. plugin-api writes it as the setting, a colon, and what it needs.
fn refused_settings(spec: &StartSpec, message: &str) -> StartError {
    let message = clean(message, 500);
    let table = format!("plugins.{}.config", spec.plugin);
    let (name, why) = match message.split_once(": ") {
        Some((name, why)) if !name.contains(' ') => (name, why.to_owned()),
        _ => ("", message.clone()),
    };
    let why = with_nearest(name, why);
    let place = spec.config.places.of(name).map(str::to_owned);
    let setting = if name.is_empty() { table } else { format!("{table}.{name}") };
    StartError::Settings { setting, why, place }
}

/// Adds the name that was probably meant to the refusal of an unknown setting, which lists the names in backticks.
fn with_nearest(setting: &str, why: String) -> String {
    let Some(known) = why.strip_prefix("there is no such setting; ") else { return why };
    let name = setting.rsplit('.').next().unwrap_or_default();
    match nearest(name, known.split('`').skip(1).step_by(2)) {
        Some(meant) => {
            format!("there is no such setting; did you mean {meant}? {}{}", known[..1].to_uppercase(), &known[1..])
        }
        None => why,
    }
}

impl StartError {
    /// The problem in the form that the state machine takes.
    pub fn problem(&self) -> StartProblem {
        let fault = match self {
            Self::Settings { .. } => Fault::Settings,
            Self::Artifact(error) if !error.is_lost() => Fault::Host,
            Self::Artifact(_) | Self::Version { .. } | Self::Manifest(_) => Fault::Artifact,
            Self::Load { step: LoadStep::Sandbox, .. } | Self::Unconfined => Fault::Host,
            // A plugin may refuse to start because of something outside of it, which may pass.
            Self::Load { step: LoadStep::Create, .. } => Fault::Start,
            Self::Load { .. } => Fault::Artifact,
            Self::Prepare(..) | Self::Spawn(_) | Self::NoExec(_) => Fault::Host,
            Self::Exited { .. } | Self::Stranger(_) | Self::Restore(_) | Self::Link(_) | Self::TooSlow(_) => {
                Fault::Start
            }
        };
        StartProblem { why: self.to_string(), fault }
    }
}

/// Starts a generation, within the time of its spec. Dropping the future ends everything that has been started and
/// removes its files.
///
/// # Errors
/// [`StartError`]; nothing is left behind then.
pub async fn start(starter: Arc<Starter>, spec: StartSpec) -> Result<StartedGeneration, StartError> {
    let limit = spec.timeout;
    match tokio::time::timeout(limit, bring_up(&starter, &spec)).await {
        Ok(result) => result,
        Err(_) => Err(StartError::TooSlow(limit)),
    }
}

async fn bring_up(starter: &Arc<Starter>, spec: &StartSpec) -> Result<StartedGeneration, StartError> {
    let began = Instant::now();
    let start = starter.spare.as_ref().map(Spare::start);
    // Hashing takes about as long as the spawn, so they run side by side. An unchanged inode needs no other thread.
    let artifact = starter.store.unchanged(&spec.artifact).ok_or_else(|| {
        let (starter, hash) = (Arc::clone(starter), spec.artifact);
        tokio::task::spawn_blocking(move || starter.store.verify(&hash))
    });
    starter.launcher.make_working_directory(&spec.plugin)?;
    let Shim { mut process, mut link, page } = starter.shim().await?;
    let output = Output {
        plugin: Arc::clone(&spec.plugin),
        generation: spec.generation,
        lines_per_second: spec.log_lines,
        journal: starter.journal.clone(),
    };
    let mut records = Records::new(&output);
    let tail = output.drain(&starter.output_runtime, &mut process);
    let loaded = async {
        let artifact = match artifact {
            Ok(unchanged) => unchanged,
            Err(reading) => {
                let read = reading.await.expect("it does not panic, and the runtime waits for it");
                read.map_err(StartError::Artifact)?
            }
        };
        let loaded = load(&mut link, spec, &artifact, &mut records).await?;
        if let Some(snapshot) = &spec.restore {
            restore(&mut link, snapshot).await?;
        }
        Ok::<_, StartError>(loaded)
    };
    let (manifest, rules) = tokio::select! {
        // The end of the process first, because it explains more than the broken connection that comes with it.
        biased;
        exit = process.exited() => return Err(died(exit, &tail).await),
        loaded = loaded => match loaded {
            Err(StartError::Link(_)) => {
                // The connection ends a moment before the process does.
                let exit = process.exited().await;
                return Err(died(exit, &tail).await);
            }
            other => other?,
        },
    };
    let missing = rules.iter().filter(|report| report.state == RuleState::Unavailable).cloned().collect::<Vec<_>>();
    if !missing.is_empty() {
        tracing::warn!("{}: its sandbox is weaker than it should be: {}", spec.plugin, sandbox::text(&missing));
    }
    Ok(StartedGeneration {
        process,
        link,
        manifest: Arc::new(manifest),
        tail,
        records,
        page,
        sandbox: rules.into(),
        took: began.elapsed(),
        start,
    })
}

async fn died(exit: Exit, tail: &Tail) -> StartError {
    tail.ended().await;
    StartError::Exited { exit, last: last_words(&tail.lines()) }
}

async fn load(
    link: &mut Link,
    spec: &StartSpec,
    artifact: &Artifact,
    records: &mut Records,
) -> Result<(Manifest, Vec<RuleReport>), StartError> {
    let load = Load {
        plugin: &spec.plugin,
        generation: spec.generation,
        library: text(&artifact.path)?,
        page: "",
        config: &spec.config.json,
        inspect: spec.inspect,
    };
    link.push(&ToShim::Confine((*spec.sandbox).clone())).map_err(LinkError::from)?;
    link.push(&ToShim::Load(load)).map_err(LinkError::from)?;
    link.flush().await?;
    let frame = link.frame().await?;
    let sandbox = match decode::<ToHost<'_>>(&frame).map_err(LinkError::from)? {
        ToHost::Confined(findings) => RuleReport::all(&findings),
        ToHost::LoadFailed { step, message } => return Err(StartError::Load { step, message: clean(message, 500) }),
        // Nothing else can come before the library is open.
        _ => return Err(StartError::Unconfined),
    };
    let manifest = manifest(link, spec, artifact, records).await?;
    Ok((manifest, sandbox))
}

async fn manifest(
    link: &mut Link,
    spec: &StartSpec,
    artifact: &Artifact,
    records: &mut Records,
) -> Result<Manifest, StartError> {
    loop {
        let frame = link.frame().await?;
        match decode::<ToHost<'_>>(&frame).map_err(LinkError::from)? {
            ToHost::Loaded(manifest) => {
                return super::manifest::check((*manifest).into()).map_err(StartError::Manifest);
            }
            ToHost::Described(json) => return super::manifest::read(json).map_err(StartError::Manifest),
            ToHost::LoadFailed { step: LoadStep::Settings, message } => return Err(refused_settings(spec, message)),
            ToHost::LoadFailed { step: LoadStep::Open, .. } if is_noexec(&artifact.path) => {
                let store = artifact.path.parent().unwrap_or(&artifact.path);
                return Err(StartError::NoExec(store.to_owned()));
            }
            ToHost::LoadFailed { step, message } => {
                return Err(StartError::Load { step, message: clean(message, 500) });
            }
            ToHost::Log { level, target, message } => {
                records.log(Instant::now(), Record { level, target, message });
            }
            _ => {}
        }
    }
}

async fn restore(link: &mut Link, snapshot: &Snapshot) -> Result<(), StartError> {
    let message = ToShim::Restore { version: snapshot.version, state: &snapshot.bytes };
    link.push(&message).map_err(LinkError::from)?;
    link.flush().await?;
    loop {
        let frame = link.frame().await?;
        match decode::<ToHost<'_>>(&frame).map_err(LinkError::from)? {
            ToHost::Restored => return Ok(()),
            ToHost::StateFailed { message } => return Err(StartError::Restore(clean(message, 500))),
            _ => {}
        }
    }
}

/// The path as text, as the protocol carries it.
pub(super) fn text(path: &Path) -> Result<&str, StartError> {
    path.to_str().ok_or_else(|| StartError::Prepare(path.to_owned(), "its path is not UTF-8".to_owned()))
}
