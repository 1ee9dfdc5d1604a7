//! Starts a shim and checks its token. The shim has no plugin yet.

use crate::process::{page::Page, start::StartError};
use crate::{
    process::{
        link::{Link, LinkError},
        spawn::{Exit, Process, SpawnError, SpawnRequest, Spawner},
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
};

/// Before it serves, a shim prints at most one line.
const LAST_WORDS: usize = 1024;

/// Starts shims.
#[derive(Debug)]
pub struct Launcher {
    spawner: Spawner,
    run_dir: PathBuf,
    data_dir: PathBuf,
    program: PathBuf,
}

/// A shim that has proved itself and waits for a library. Dropping it ends the process.
#[derive(Debug)]
pub struct Shim {
    /// The process, which ends when it is dropped.
    pub process: Process,
    /// The connection to the shim.
    pub link: Link,
    /// The page in which the shim records the events that it executes.
    pub page: Page,
}

impl Launcher {
    /// Starts `program` as a shim in `data_dir`, with sockets in `run_dir`, which only the host's user may read.
    pub fn new(spawner: Spawner, run_dir: PathBuf, data_dir: PathBuf, program: PathBuf) -> Self {
        Self { spawner, run_dir, data_dir, program }
    }

    /// Creates the working directory of a plugin. A shim changes to it when it loads that plugin.
    ///
    /// # Errors
    /// [`StartError::Prepare`].
    pub fn make_working_directory(&self, plugin: &str) -> Result<(), StartError> {
        make_private(&self.data_dir.join(plugin))
    }

    /// Starts a shim. Takes as long as the shim does, so the caller sets a limit. Cancellation ends the shim and leaves
    /// nothing behind.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left behind then.
    pub async fn launch(&self) -> Result<Shim, StartError> {
        make_private(&self.data_dir)?;
        // Another program may have removed it.
        make_private(&self.run_dir)?;
        // A name that no program can take before.
        let name = new_token()?;
        let socket = self.run_dir.join(format!("{}.sock", &name[..16]));
        let listener = listen(&socket)?;
        let token = new_token()?;
        let page = Page::create(&token)?;
        let input = page.as_input().map_err(|source| SpawnError::Os { program: self.program.clone(), source })?;
        let request = SpawnRequest {
            program: self.program.clone(),
            args: vec![super::start::text(&socket)?.to_owned(), std::process::id().to_string()],
            directory: self.data_dir.clone(),
            input,
        };
        let mut process = self.spawner.spawn(request).await?;
        let pid = process.pid();
        let greeted = tokio::select! {
            // The end of the process first, because it explains more than the broken connection that comes with it.
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

/// Creates a directory that only this user may read, unless it exists.
fn make_private(path: &Path) -> Result<(), StartError> {
    let problem = |why| StartError::Prepare(path.to_owned(), why);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => problem("it is no folder; move it away".to_owned()),
        _ => problem(report::os(&error)),
    })
}

/// Only our own code has run in this process, so its whole output is in the pipe.
fn died(exit: Exit, mut process: Process) -> StartError {
    let mut output = [0; LAST_WORDS];
    let bytes = process.take_output().and_then(|(_, stderr)| File::from(stderr).read(&mut output).ok()).unwrap_or(0);
    let text = String::from_utf8_lossy(&output[..bytes]);
    let last = text.lines().last().map(|line| format!("; it printed: {}", clean(line, LAST_WORDS))).unwrap_or_default();
    StartError::Exited { exit, last }
}

/// A socket for exactly one shim. Its file is removed with the listener.
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
