//! Starts a shim and lets it prove itself. It knows no plugin yet.

use crate::process::{page::Page, start::StartError};
use crate::{
    process::{
        link::{Link, LinkError},
        spawn::{Exit, Process, SpawnRequest, Spawner},
    },
    report,
    text::clean,
};
use interprocess::{
    local_socket::{GenericFilePath, ListenerOptions, prelude::*, tokio::Listener, tokio::prelude::*},
    os::unix::local_socket::ListenerOptionsExt,
};
use rosey_wire::{
    MIN_VERSION, VERSION,
    frame::{decode, encode},
    hello::{self, Answer, Hello},
};
use std::{
    fs::{DirBuilder, File},
    io::{self, Read},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// What a shim says before it serves is one line of its own.
const LAST_WORDS: usize = 1024;

/// Starts shims.
#[derive(Debug)]
pub struct Launcher {
    spawner: Spawner,
    run_dir: PathBuf,
    data_dir: PathBuf,
    program: PathBuf,
    files: AtomicU64,
}

/// A shim that has proved itself, and waits for a library. Dropped, it is ended.
#[derive(Debug)]
pub struct Shim {
    /// The handle that ends it when it is dropped.
    pub process: Process,
    /// The connection to it.
    pub link: Link,
    /// Where it will say what it executes.
    pub page: Page,
}

impl Launcher {
    /// Starts `program` as a shim in `data_dir`, with sockets in `run_dir`, where only this host's user may look inside.
    pub fn new(spawner: Spawner, run_dir: PathBuf, data_dir: PathBuf, program: PathBuf) -> Self {
        Self { spawner, run_dir, data_dir, program, files: AtomicU64::new(0) }
    }

    /// Makes the working directory of a plugin, which a shim goes to when it loads that plugin.
    ///
    /// # Errors
    /// [`StartError::Prepare`].
    pub fn make_working_directory(&self, plugin: &str) -> Result<(), StartError> {
        make_private(&self.data_dir.join(plugin))
    }

    /// A path in the run directory that is not used twice.
    pub fn file(&self, extension: &str) -> PathBuf {
        self.run_dir.join(format!("{}.{extension}", self.files.fetch_add(1, Ordering::Relaxed)))
    }

    /// Starts a shim. Takes as long as the shim does: whoever calls sets a limit. Cancelled, it is ended and leaves nothing.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left behind then.
    pub async fn launch(&self) -> Result<Shim, StartError> {
        make_private(&self.data_dir)?;
        let socket = self.file("sock");
        let listener = listen(&socket)?;
        let token = new_token()?;
        let request = SpawnRequest {
            program: self.program.clone(),
            args: vec![super::start::text(&socket)?.to_owned(), std::process::id().to_string()],
            directory: self.data_dir.clone(),
            token: token.clone(),
        };
        let mut process = self.spawner.spawn(request).await?;
        let pid = process.pid();
        // Made while the shim comes up, and long before a spare is needed.
        let page = Page::create(self.file("page"))?;
        let greeted = tokio::select! {
            // Its end first: that says more than the broken connection that comes with it.
            biased;
            exit = process.exited() => return Err(died(exit, process)),
            greeted = greet(&listener, &socket, pid, &token) => greeted,
        };
        match greeted {
            Err(StartError::Link(_)) => {
                // The connection ends a moment before the process does.
                let exit = process.exited().await;
                Err(died(exit, process))
            }
            greeted => Ok(Shim { link: greeted?, process, page }),
        }
    }
}

/// Makes a directory that only this user may look into, unless it is there.
fn make_private(path: &Path) -> Result<(), StartError> {
    let problem = |why| StartError::Prepare(path.to_owned(), why);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => problem("it is no folder; move it away".to_owned()),
        _ => problem(report::os(&error)),
    })
}

/// Nothing but our own code has run in it, so what it said is in the pipe, whole.
fn died(exit: Exit, mut process: Process) -> StartError {
    let mut said = [0; LAST_WORDS];
    let bytes = process.take_output().and_then(|(_, stderr)| File::from(stderr).read(&mut said).ok()).unwrap_or(0);
    let text = String::from_utf8_lossy(&said[..bytes]);
    let last = text.lines().last().map(|line| format!("; it said: {}", clean(line, LAST_WORDS))).unwrap_or_default();
    StartError::Exited { exit, last }
}

/// A socket that exactly one shim will connect to; its file goes when the listener does.
fn listen(path: &Path) -> Result<Listener, StartError> {
    let problem = |error: io::Error| StartError::Prepare(path.to_owned(), report::os(&error));
    let name = path.to_fs_name::<GenericFilePath>().map_err(problem)?;
    ListenerOptions::new().name(name).mode(0o600).create_tokio().map_err(problem)
}

async fn greet(listener: &Listener, socket: &Path, pid: u32, token: &str) -> Result<Link, StartError> {
    // Fails where this host has no descriptor left. The shim waits on, and would be blamed for it.
    let accepted = listener.accept().await;
    let stream = accepted.map_err(|error| StartError::Prepare(socket.to_owned(), report::os(&error)))?;
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
            version: clean(hello.shim_version, 32),
            min: hello.min_version,
            max: hello.max_version,
        }),
    }
}

/// 128 random bits from the kernel, in hex.
fn new_token() -> Result<String, StartError> {
    let mut bytes = [0u8; 16];
    let source = Path::new("/dev/urandom");
    std::fs::File::open(source)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes))
        .map_err(|error| StartError::Prepare(source.to_owned(), report::os(&error)))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
