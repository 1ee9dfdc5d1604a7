//! Brings one generation to life: spawn, connect, prove, load. What comes out is ready for its first event.

use super::{
    artifact::{Artifact, Hash, Store},
    journal::Journal,
    link::{Link, LinkError},
    output::{Output, Tail},
    process::{Exit, Process, SpawnError, SpawnRequest, Spawner},
    slot::state::{Generation, Snapshot, StartProblem},
};
use interprocess::{
    local_socket::{GenericFilePath, ListenerOptions, prelude::*, tokio::Listener, tokio::prelude::*},
    os::unix::local_socket::ListenerOptionsExt,
};
use rosey_wire::{
    MIN_VERSION, VERSION,
    frame::{decode, encode},
    hello::{self, Answer, Hello},
    manifest::Manifest,
    message::{Load, LoadStep, PAGE_BYTES, ToHost, ToShim},
};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What all generations of all plugins share.
#[derive(Debug)]
pub struct Forge {
    /// Starts processes.
    pub spawner: Spawner,
    /// Where the libraries lie.
    pub store: Store,
    /// Where sockets and pages lie; only this host's user may look inside.
    pub run_dir: PathBuf,
    /// The shim's executable.
    pub shim: PathBuf,
    /// The runtime on which the output of plugins is read, away from their events.
    pub output_runtime: tokio::runtime::Handle,
    /// The last lines about each plugin.
    pub journal: Journal,
    /// Makes file names that are not used twice.
    pub files: AtomicU64,
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Order {
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// The new generation's number.
    pub generation: Generation,
    /// What it runs.
    pub artifact: Hash,
    /// The plugin's configuration, a JSON object.
    pub config: Arc<str>,
    /// Only find out what the artifact is; the generation cannot serve.
    pub inspect: bool,
    /// State to give it before its first event.
    pub restore: Option<Arc<Snapshot>>,
    /// For everything.
    pub timeout: Duration,
    /// Lines of output a second that reach the log.
    pub log_lines: u32,
}

/// A generation that stands.
#[derive(Debug)]
pub struct Started {
    /// Its process.
    pub process: Process,
    /// The connection to it.
    pub link: Link,
    /// What the plugin says of itself, checked.
    pub manifest: Arc<Manifest>,
    /// The end of its output, for crash reports.
    pub tail: Tail,
    /// Its page.
    pub page: Page,
    /// How long all of this took.
    pub took: Duration,
}

/// Why a generation did not come up. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The artifact is gone or changed.
    #[error("{0}")]
    Artifact(String),
    /// A file in the run directory could not be made.
    #[error("cannot prepare {path}: {why}", path = .0.display(), why = .1)]
    Prepare(PathBuf, String),
    /// The shim could not be started.
    #[error("cannot start the shim: {0}")]
    Spawn(#[from] SpawnError),
    /// The shim ended.
    #[error("it ended while starting: {exit}{last}")]
    Exited {
        /// How.
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
        /// Why.
        message: String,
    },
    /// What the plugin says of itself is not acceptable.
    #[error("its manifest is not acceptable: {0}; correct it and build again")]
    Manifest(String),
    /// The state it was to take over.
    #[error("it could not take over its state: {0}")]
    Restore(String),
    /// The connection broke.
    #[error("{}", super::super::report::chain(.0))]
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
    }
}

impl StartError {
    /// For the state machine: whether another try with the same artifact is pointless.
    pub fn problem(&self) -> StartProblem {
        let permanent = match self {
            Self::Artifact(_) | Self::Version { .. } | Self::Manifest(_) => true,
            // A plugin may refuse to start because of something outside of it.
            Self::Load { step, .. } => *step != LoadStep::Create,
            _ => false,
        };
        StartProblem { why: self.to_string(), permanent }
    }
}

/// Starts a generation. Dropping the future ends whatever has been started and removes its files.
///
/// # Errors
/// [`StartError`]; nothing is left behind then.
pub async fn start(forge: Arc<Forge>, order: Order) -> Result<Started, StartError> {
    let limit = order.timeout;
    match tokio::time::timeout(limit, bring_up(&forge, &order)).await {
        Ok(result) => result,
        Err(_) => Err(StartError::TooSlow(limit)),
    }
}

async fn bring_up(forge: &Arc<Forge>, order: &Order) -> Result<Started, StartError> {
    let began = Instant::now();
    let number = forge.files.fetch_add(1, Ordering::Relaxed);
    // Hashing takes about as long as the spawn, so they run side by side.
    let checked = {
        let (forge, hash) = (Arc::clone(forge), order.artifact);
        tokio::task::spawn_blocking(move || {
            forge.store.verify(&hash).map_err(|error| StartError::Artifact(error.to_string()))
        })
    };
    let page = Page::create(forge.run_dir.join(format!("{number}.page")))?;
    let socket = forge.run_dir.join(format!("{number}.sock"));
    let listener = listen(&socket)?;
    let token = new_token()?;
    let request = SpawnRequest {
        program: forge.shim.clone(),
        args: vec![text(&socket)?.to_owned(), std::process::id().to_string()],
        directory: forge.run_dir.clone(),
        token: token.clone(),
    };
    let mut process = forge.spawner.spawn(request).await?;
    let output = Output {
        plugin: Arc::clone(&order.plugin),
        generation: order.generation,
        lines_per_second: order.log_lines,
        journal: forge.journal.clone(),
    };
    let tail = output.drain(&forge.output_runtime, &mut process);
    let pid = process.pid();
    let connected = async {
        let mut link = greet(&listener, pid, &token).await?;
        let artifact = checked.await.map_err(|error| StartError::Artifact(error.to_string()))??;
        let manifest = load(&mut link, order, &artifact, &page, &forge.journal).await?;
        if let Some(snapshot) = &order.restore {
            restore(&mut link, snapshot).await?;
        }
        Ok::<_, StartError>((link, manifest))
    };
    let (link, manifest) = tokio::select! {
        // Its end first: that says more than the broken connection that comes with it.
        biased;
        exit = process.exited() => return Err(died(exit, &tail).await),
        ready = connected => match ready {
            Err(StartError::Link(_)) => {
                // The connection ends a moment before the process does.
                let exit = process.exited().await;
                return Err(died(exit, &tail).await);
            }
            other => other?,
        },
    };
    Ok(Started { process, link, manifest: Arc::new(manifest), tail, page, took: began.elapsed() })
}

async fn died(exit: Exit, tail: &Tail) -> StartError {
    tail.ended().await;
    let last = tail.lines().last().map(|line| format!("; it said: {line}")).unwrap_or_default();
    StartError::Exited { exit, last }
}

/// A socket that exactly one shim will connect to; its file goes when the listener does.
fn listen(path: &Path) -> Result<Listener, StartError> {
    let problem = |error: std::io::Error| StartError::Prepare(path.to_owned(), error.to_string());
    let name = path.to_fs_name::<GenericFilePath>().map_err(problem)?;
    ListenerOptions::new().name(name).mode(0o600).create_tokio().map_err(problem)
}

async fn greet(listener: &Listener, pid: u32, token: &str) -> Result<Link, StartError> {
    let stream = listener.accept().await.map_err(LinkError::from)?;
    let peer = stream.peer_creds().map_err(LinkError::from)?.pid();
    if peer.and_then(|peer| u32::try_from(peer).ok()) != Some(pid) {
        return Err(StartError::Stranger(peer));
    }
    let mut link = Link::new(stream);
    let frame = link.frame().await?;
    let hello: Hello<'_> = decode(&frame).map_err(LinkError::from)?;
    if hello.magic != hello::MAGIC || hello.token != token {
        return Err(StartError::Stranger(peer));
    }
    let version = hello::negotiate((MIN_VERSION, VERSION), (hello.min_version, hello.max_version));
    let mut bytes = Vec::new();
    let answer = match version {
        Some(version) => Answer::Welcome { version },
        None => Answer::Refused { reason: "no protocol version in common; install host and shim of one release" },
    };
    encode(&answer, &mut bytes).map_err(LinkError::from)?;
    link.push_raw(&bytes);
    link.flush().await?;
    match version {
        Some(_) => Ok(link),
        None => Err(StartError::Version {
            version: super::clean(hello.shim_version, 32),
            min: hello.min_version,
            max: hello.max_version,
        }),
    }
}

async fn load(
    link: &mut Link,
    order: &Order,
    artifact: &Artifact,
    page: &Page,
    journal: &Journal,
) -> Result<Manifest, StartError> {
    let load = Load {
        plugin: &order.plugin,
        generation: order.generation,
        library: text(&artifact.path)?,
        page: text(&page.path)?,
        config: &order.config,
        inspect: order.inspect,
    };
    link.push(&ToShim::Load(load)).map_err(LinkError::from)?;
    link.flush().await?;
    loop {
        let frame = link.frame().await?;
        match decode::<ToHost<'_>>(&frame).map_err(LinkError::from)? {
            ToHost::Loaded(manifest) => return super::manifest::check(manifest).map_err(StartError::Manifest),
            ToHost::LoadFailed { step, message } => {
                return Err(StartError::Load { step, message: super::clean(message, 500) });
            }
            ToHost::Log { level, target, message } => {
                super::output::log_record(journal, &order.plugin, order.generation, level, target, message);
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
            ToHost::StateFailed { message } => return Err(StartError::Restore(super::clean(message, 500))),
            _ => {}
        }
    }
}

fn text(path: &Path) -> Result<&str, StartError> {
    path.to_str().ok_or_else(|| StartError::Prepare(path.to_owned(), "its path is not UTF-8".to_owned()))
}

/// 128 random bits from the kernel, in hex.
fn new_token() -> Result<String, StartError> {
    let mut bytes = [0u8; 16];
    let source = Path::new("/dev/urandom");
    std::fs::File::open(source)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes))
        .map_err(|error| StartError::Prepare(source.to_owned(), error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The file that names what a generation is executing. Removed when dropped.
#[derive(Debug)]
pub struct Page {
    path: PathBuf,
}

impl Page {
    fn create(path: PathBuf) -> Result<Self, StartError> {
        std::fs::write(&path, [0; PAGE_BYTES]).map_err(|error| StartError::Prepare(path.clone(), error.to_string()))?;
        Ok(Self { path })
    }

    /// The events being executed now, or when the process died. Empty when none, and when nobody can tell.
    pub fn executing(&self) -> Vec<u64> {
        let bytes = std::fs::read(&self.path).unwrap_or_default();
        let (lanes, _) = bytes.as_chunks::<8>();
        lanes.iter().map(|lane| u64::from_le_bytes(*lane)).filter(|id| *id != 0).collect()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // Left over only if the directory is gone; it is emptied at the next start in any case.
        let _ = std::fs::remove_file(&self.path);
    }
}
