//! The connection to the host. It is opened once and read by the main thread; any thread may write to it.

use rosey_wire::{
    MIN_VERSION, VERSION,
    frame::{FrameError, Reader, decode, encode},
    hello::{Answer, Hello, MAGIC},
    message::ToHost,
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};
use std::{
    cell::Cell,
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, RawFd},
        unix::net::UnixStream,
    },
    sync::{Mutex, MutexGuard, OnceLock},
};

/// Bytes of replies that a batch may collect before they are written. A batch of small replies takes one write, and the
/// host does not wait for the end of a batch with large ones.
const WRITE_AT: usize = 64 << 10;

static STREAM: OnceLock<UnixStream> = OnceLock::new();
static OUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

thread_local! {
    /// The main thread flushes at the end of each batch; every other thread flushes each message at once.
    static FLUSHES_LATER: Cell<bool> = const { Cell::new(false) };
}

/// Connects, proves that this is the process that the host spawned, and agrees on a protocol version.
///
/// # Errors
/// A text for the operator.
pub fn open(socket: &str, token: &str) -> Result<(), String> {
    let stream = UnixStream::connect(socket).map_err(|error| format!("connecting to {socket}: {error}"))?;
    let hello = Hello {
        magic: MAGIC,
        min_version: MIN_VERSION,
        max_version: VERSION,
        token,
        shim_version: env!("CARGO_PKG_VERSION"),
    };
    let mut bytes = Vec::new();
    encode(&hello, &mut bytes).map_err(|error| error.to_string())?;
    (&stream).write_all(&bytes).map_err(|error| format!("saying hello: {error}"))?;
    let answer = read_frame(&stream)?;
    match decode(&answer).map_err(|error| format!("the host's answer: {error}"))? {
        Answer::Welcome { version } if (MIN_VERSION..=VERSION).contains(&version) => {}
        Answer::Welcome { version } => {
            return Err(format!("the host chose protocol {version}, which this shim does not speak"));
        }
        Answer::Refused { reason } => return Err(format!("the host refused: {reason}")),
    }
    FLUSHES_LATER.set(true);
    STREAM.set(stream).map_err(|_| "opened twice".to_owned())
}

/// The descriptor of the connection.
pub fn descriptor() -> Option<RawFd> {
    STREAM.get().map(AsRawFd::as_raw_fd)
}

/// Reads exactly the one frame of the host's answer, so that the frames behind it stay for the reader.
fn read_frame(mut stream: &UnixStream) -> Result<Vec<u8>, String> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).map_err(|error| format!("waiting for the host's answer: {error}"))?;
    let length = u32::from_le_bytes(header) as usize;
    if length > 4096 {
        return Err(FrameError::TooLarge(length).to_string());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).map_err(|error| format!("reading the host's answer: {error}"))?;
    Ok(body)
}

/// Waits until there is something to read, and reads it. Returns false at the end of the stream, or when the host is
/// gone.
pub fn read(reader: &mut Reader) -> bool {
    let Some(mut stream) = STREAM.get() else { return false };
    loop {
        // Waits in `poll`, which wakes only for something to read. A blocking read would also wake, for nothing, each
        // time the host has read an answer and made room to write; a wake-up costs more than a system call.
        match poll(&mut [PollFd::new(stream, PollFlags::IN)], None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return false,
        }
        match stream.read(reader.space()) {
            Ok(0) => return false,
            Ok(bytes) => {
                reader.filled(bytes);
                return true;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

/// Sends a message to the host: at once, or on the main thread at the next [`flush`].
pub fn send(message: &ToHost<'_>) {
    let mut out = lock();
    // The message is over the size limit: the host gets a failure instead.
    if let Err(error) = encode(message, &mut out) {
        let text = error.to_string();
        let instead = match message {
            ToHost::Reply { event, .. } | ToHost::ReplyWith { event, .. } => ToHost::Reply {
                event: *event,
                answer: rosey_wire::message::Answer::Failed { text: "That answer was too long.", detail: &text },
            },
            ToHost::State { .. } => ToHost::StateFailed { message: &text },
            _ => ToHost::Log { level: 1, target: "rosey_shim", message: &text },
        };
        let _ = encode(&instead, &mut out);
    }
    if !FLUSHES_LATER.get() || out.len() >= WRITE_AT {
        write(&mut out);
    }
}

/// Writes the messages that [`send`] has collected.
pub fn flush() {
    let mut out = lock();
    if !out.is_empty() {
        write(&mut out);
    }
}

fn lock() -> MutexGuard<'static, Vec<u8>> {
    // A panic while the lock is held leaves at worst half a frame, and the host then ends this shim.
    OUT.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write(out: &mut Vec<u8>) {
    if let Some(mut stream) = STREAM.get()
        && stream.write_all(out).is_err()
    {
        #[expect(clippy::disallowed_methods, reason = "the host is gone, and this may be any thread of the plugin")]
        std::process::exit(i32::from(crate::exit::DONE));
    }
    out.clear();
    if out.capacity() > 4 * WRITE_AT {
        *out = Vec::new();
    }
}
