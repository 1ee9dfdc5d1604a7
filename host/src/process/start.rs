//! Brings one generation to life: spawn, connect, prove, load. What comes out is ready for its first event.

use crate::process::{
    launch::{Launcher, Shim},
    page::Page,
    spare::{Spare, StartGuard},
};
use crate::text::clean;
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
};
use rustix::fs::StatVfsMountFlags;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// How shims are started.
#[derive(Debug)]
pub struct Shims {
    /// Starts processes.
    pub spawner: Spawner,
    /// The shim's executable.
    pub program: PathBuf,
    /// Where sockets and pages lie; only this host's user may look inside.
    pub run_dir: PathBuf,
    /// Where each plugin has its working directory, by its name.
    pub data_dir: PathBuf,
    /// Whether one waits warm for the next start.
    pub spare: bool,
}

/// What all generations of all plugins share.
#[derive(Debug)]
pub struct Starter {
    launcher: Arc<Launcher>,
    spare: Option<Spare>,
    /// Where the libraries lie.
    pub store: Store,
    /// The runtime on which the output of plugins is read, away from their events.
    output_runtime: tokio::runtime::Handle,
    /// The last lines about each plugin.
    pub journal: Journal,
}

impl Starter {
    /// Makes generations of what is in `store`. On the runtime on which they will be started.
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

/// What a plugin itself is configured with.
#[derive(Debug)]
pub struct OwnSettings {
    /// A JSON object.
    pub json: String,
    /// The file that they come from, if they come from one: there an operator corrects them.
    pub file: Option<PathBuf>,
}

/// All that a generation needs to come up.
#[derive(Debug, Clone)]
pub struct StartSpec {
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// The new generation's number.
    pub generation: GenerationId,
    /// What it runs.
    pub artifact: Hash,
    /// The plugin's own settings.
    pub config: Arc<OwnSettings>,
    /// Only find out what the artifact is and whether it takes its settings; the generation cannot serve.
    pub inspect: bool,
    /// State to give it before its first event.
    pub restore: Option<Arc<Snapshot>>,
    /// From the spawn to a plugin that stands.
    pub timeout: Duration,
    /// Lines of output a second that reach the log.
    pub log_lines: u32,
}

/// A generation that stands.
#[derive(Debug)]
pub struct StartedGeneration {
    /// The handle that ends it when it is dropped.
    pub process: Process,
    /// The connection to it.
    pub link: Link,
    /// What the plugin says of itself, checked.
    pub manifest: Arc<Manifest>,
    /// The end of its output, for crash reports.
    pub tail: Tail,
    /// What it logs.
    pub records: Records,
    /// The ids of the events that it is executing.
    pub page: Page,
    /// How long all of this took.
    pub took: Duration,
    /// No new spare is made before this is dropped: it would take a processor from a generation that is to prove itself.
    pub start: Option<StartGuard>,
}

/// Why a generation did not come up. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The artifact is gone or changed.
    #[error(transparent)]
    Artifact(#[from] VerifyError),
    /// Nothing can be executed where the artifacts lie.
    #[error(
        "{path} lies on a file system that is mounted noexec, so no library can be loaded from it; mount it without noexec, or \
         set another state_dir", path = .0.display()
    )]
    NoExec(PathBuf),
    /// A file in the run directory could not be made.
    #[error("cannot prepare {path}: {why}", path = .0.display(), why = .1)]
    Prepare(PathBuf, String),
    /// The shim could not be started.
    #[error("cannot start the shim: {0}")]
    Spawn(#[from] SpawnError),
    /// The shim ended.
    #[error("it ended while starting: {exit}{last}")]
    Exited {
        /// How its process ended.
        exit: Exit,
        /// Its last words, or nothing.
        last: String,
    },
    /// The shim is not the one we started.
    #[error("a stranger (pid {0:?}) connected in place of the shim")]
    Stranger(Option<i32>),
    /// The shim speaks another protocol.
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
        /// At which step.
        step: LoadStep,
        /// The shim's words, for the operator.
        message: String,
    },
    /// Its settings were refused: only an operator can correct them.
    #[error(
        "its setting {setting} is refused: {why}. Correct it{}, and restart Rosey, which reads its configuration only when it \
         starts", in_file(.file.as_deref())
    )]
    Settings {
        /// Which, as the operator writes it: `plugins.weather.config.city`.
        setting: String,
        /// What it needs.
        why: String,
        /// Where it stands, if it stands in a file.
        file: Option<PathBuf>,
    },
    /// What the plugin says of itself is not acceptable.
    #[error("its manifest is not acceptable: {0}; correct it and build again")]
    Manifest(String),
    /// The state it was to take over.
    #[error("it could not take over its state: {0}")]
    Restore(String),
    /// The connection broke.
    #[error("{}", crate::report::chain(.0))]
    Link(#[from] LinkError),
    /// It takes too long.
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
            format!("the library was built against another plugin-api: {message}; build it against this host's")
        }
        LoadStep::Manifest => format!("the library does not say what it is: {message}"),
        LoadStep::Create => format!("the plugin refused to start: {message}"),
        LoadStep::Settings => format!("the plugin refused its settings: {message}"),
    }
}

/// Whether the file system of a path is mounted so that nothing on it can be executed.
fn is_noexec(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::NOEXEC))
}

fn in_file(file: Option<&Path>) -> String {
    file.map(|file| format!(" in {}", file.display())).unwrap_or_default()
}

/// A refusal of settings, as plugin-api words it: the setting, a colon, and what it needs.
fn refused_settings(order: &StartSpec, message: &str) -> StartError {
    let message = clean(message, 500);
    let table = format!("plugins.{}.config", order.plugin);
    let (setting, why) = match message.split_once(": ") {
        Some((name, why)) if !name.contains(' ') => (format!("{table}.{name}"), why.to_owned()),
        _ => (table, message),
    };
    StartError::Settings { setting, why, file: order.config.file.clone() }
}

impl StartError {
    /// For the state machine.
    pub fn problem(&self) -> StartProblem {
        let fault = match self {
            Self::Settings { .. } => Fault::Settings,
            Self::Artifact(error) if !error.is_lost() => Fault::Host,
            Self::Artifact(_) | Self::Version { .. } | Self::Manifest(_) => Fault::Artifact,
            // A plugin may refuse to start because of something outside of it.
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

/// Starts a generation. Dropping the future ends whatever has been started and removes its files.
///
/// # Errors
/// [`StartError`]; nothing is left behind then.
pub async fn start(starter: Arc<Starter>, order: StartSpec) -> Result<StartedGeneration, StartError> {
    let limit = order.timeout;
    match tokio::time::timeout(limit, bring_up(&starter, &order)).await {
        Ok(result) => result,
        Err(_) => Err(StartError::TooSlow(limit)),
    }
}

async fn bring_up(starter: &Arc<Starter>, order: &StartSpec) -> Result<StartedGeneration, StartError> {
    let began = Instant::now();
    let start = starter.spare.as_ref().map(Spare::start);
    // Hashing takes about as long as the spawn, so they run side by side; a look at the inode needs no other thread.
    let artifact = starter.store.unchanged(&order.artifact).ok_or_else(|| {
        let (starter, hash) = (Arc::clone(starter), order.artifact);
        tokio::task::spawn_blocking(move || starter.store.verify(&hash))
    });
    starter.launcher.make_working_directory(&order.plugin)?;
    let Shim { mut process, mut link, page } = starter.shim().await?;
    let output = Output {
        plugin: Arc::clone(&order.plugin),
        generation: order.generation,
        lines_per_second: order.log_lines,
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
        let manifest = load(&mut link, order, &artifact, &page, &mut records).await?;
        if let Some(snapshot) = &order.restore {
            restore(&mut link, snapshot).await?;
        }
        Ok::<_, StartError>(manifest)
    };
    let manifest = tokio::select! {
        // Its end first: that says more than the broken connection that comes with it.
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
    Ok(StartedGeneration {
        process,
        link,
        manifest: Arc::new(manifest),
        tail,
        records,
        page,
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
    order: &StartSpec,
    artifact: &Artifact,
    page: &Page,
    records: &mut Records,
) -> Result<Manifest, StartError> {
    let load = Load {
        plugin: &order.plugin,
        generation: order.generation,
        library: text(&artifact.path)?,
        page: text(page.path())?,
        config: &order.config.json,
        inspect: order.inspect,
    };
    link.push(&ToShim::Load(load)).map_err(LinkError::from)?;
    link.flush().await?;
    loop {
        let frame = link.frame().await?;
        match decode::<ToHost<'_>>(&frame).map_err(LinkError::from)? {
            ToHost::Loaded(manifest) => {
                return super::manifest::check((*manifest).into()).map_err(StartError::Manifest);
            }
            ToHost::Described(json) => return super::manifest::read(json).map_err(StartError::Manifest),
            ToHost::LoadFailed { step: LoadStep::Settings, message } => return Err(refused_settings(order, message)),
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

pub(super) fn text(path: &Path) -> Result<&str, StartError> {
    path.to_str().ok_or_else(|| StartError::Prepare(path.to_owned(), "its path is not UTF-8".to_owned()))
}
