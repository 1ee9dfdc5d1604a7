//! The best that the machine can do: the same system calls without Rosey. The other side of each is this executable,
//! started again with [`ROLE`] set.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rosey_tests::build;
use std::{
    io::{Read, Write},
    net::SocketAddr,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Tells a second instance of this executable what to do; see [`play_role`].
pub const ROLE: &str = "ROSEY_BENCH_ROLE";

/// Plays the role for which a bench started this process. Returns false in the bench itself.
///
/// # Panics
/// When the bench that started it is gone.
pub fn play_role() -> bool {
    let Ok(role) = std::env::var(ROLE) else { return false };
    let (role, argument) = role.split_once(' ').expect("a role has an argument");
    match role {
        "tokio-echo" => runtime().block_on(async {
            let mut stream = tokio::net::UnixStream::connect(argument).await.expect("the bench listens");
            let mut chunk = vec![0; 64 << 10];
            while let Ok(bytes @ 1..) = stream.read(&mut chunk).await {
                stream.write_all(&chunk[..bytes]).await.expect("the bench reads");
            }
        }),
        "std-echo" => {
            let mut stream = UnixStream::connect(argument).expect("the bench listens");
            let mut chunk = vec![0; 64 << 10];
            while let Ok(bytes @ 1..) = stream.read(&mut chunk) {
                stream.write_all(&chunk[..bytes]).expect("the bench reads");
            }
        }
        "load" => {
            let library = std::env::var("ROSEY_BENCH_LIBRARY").expect("the bench sets it");
            let flags = libloading::os::unix::RTLD_NOW | libloading::os::unix::RTLD_LOCAL;
            // SAFETY: the echo plugin, built from this repository; its constructors are std's.
            let library = unsafe { libloading::os::unix::Library::open(Some(library), flags) }.expect("it is built");
            let mut stream = UnixStream::connect(argument).expect("the bench listens");
            stream.write_all(&[1]).expect("the bench reads");
            // Until the bench closes the connection.
            let _ = stream.read(&mut [0]);
            std::mem::forget(library);
        }
        "http-load" => {
            let path = std::env::var("ROSEY_BENCH_LIBRARY").expect("the bench sets it");
            let (address, millis) = argument.split_once(' ').expect("an address and a time");
            let lasts = Duration::from_millis(millis.parse().expect("a number"));
            println!("{}", runtime().block_on(ask_over_and_over(address.to_owned(), path, lasts)));
        }
        other => panic!("no such role: {other}"),
    }
    true
}

/// A runtime with one thread.
///
/// # Panics
/// When the system has no more threads or descriptors.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn second_instance(role: &str, socket: &Path, library: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this executable has a path"))
        .env(ROLE, format!("{role} {}", socket.display()))
        .env("ROSEY_BENCH_LIBRARY", library)
        .stdin(Stdio::null())
        .spawn()
        .expect("this executable can be started")
}

/// One message of this size there and back between two processes on tokio, one at a time: `rounds` times.
///
/// # Panics
/// When the sockets do not work.
pub fn ping_pong(size: usize, rounds: usize) -> Vec<Duration> {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("s");
    runtime().block_on(async {
        let listener = tokio::net::UnixListener::bind(&socket).expect("a socket");
        let mut child = second_instance("tokio-echo", &socket, Path::new(""));
        let (mut stream, _) = listener.accept().await.expect("the child connects");
        let (message, mut answer) = (vec![7; size], vec![0; size]);
        let mut times = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let began = Instant::now();
            stream.write_all(&message).await.expect("the child reads");
            stream.read_exact(&mut answer).await.expect("the child answers");
            times.push(began.elapsed());
        }
        drop(stream);
        child.wait().expect("it ends");
        times
    })
}

/// Messages a second through sockets and back. So many processes send back whatever they read, and a window of messages
/// is spread over them. Each process goes on with the messages that came back to it, in one write.
///
/// # Panics
/// When the sockets do not work.
pub fn pipelined(processes: usize, size: usize, window: usize, total: usize) -> f64 {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("s");
    runtime().block_on(async {
        let listener = tokio::net::UnixListener::bind(&socket).expect("a socket");
        let (mut children, mut streams) = (Vec::new(), Vec::new());
        for _ in 0..processes {
            children.push(second_instance("std-echo", &socket, Path::new("")));
            streams.push(listener.accept().await.expect("the child connects").0);
        }
        let began = Instant::now();
        let mut echoes: tokio::task::JoinSet<_> = streams
            .into_iter()
            .map(|stream| echo(stream, size * window / processes, size * total / processes))
            .collect();
        while let Some(one) = echoes.join_next().await {
            one.expect("it does not panic");
        }
        let rate = total as f64 / began.elapsed().as_secs_f64();
        for mut child in children {
            child.wait().expect("it ends");
        }
        rate
    })
}

/// Sends this many bytes that come back, with a window of them in flight.
async fn echo(mut stream: tokio::net::UnixStream, window: usize, total: usize) {
    let mut chunk = vec![7; 64 << 10];
    let (mut sent, mut back) = (0, 0);
    let mut next = window.min(chunk.len());
    while back < total {
        stream.write_all(&chunk[..next]).await.expect("the child reads");
        sent += next;
        if sent < window {
            next = (window - sent).min(chunk.len());
            continue;
        }
        let bytes = stream.read(&mut chunk).await.expect("the child answers");
        back += bytes;
        next = bytes.min(total.saturating_sub(sent));
    }
}

/// Spawn, open the library, connect, one byte: the least that a reload needs. `rounds` times, with a pause before each.
///
/// # Panics
/// When the processes cannot be started.
pub fn cold_start(rounds: usize, pause: Duration) -> Vec<Duration> {
    let library = build::library("echo");
    let directory = tempfile::tempdir().expect("a directory");
    let mut times = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let socket = directory.path().join(round.to_string());
        std::thread::sleep(pause);
        let began = Instant::now();
        let listener = UnixListener::bind(&socket).expect("a socket");
        let mut child = second_instance("load", &socket, &library);
        let (mut stream, _) = listener.accept().expect("the child connects");
        stream.read_exact(&mut [0]).expect("the child says so");
        times.push(began.elapsed());
        drop(stream);
        child.wait().expect("it ends");
    }
    times
}

/// Keeps this process and all that it starts from now on on one processor, or lets them use all.
///
/// # Panics
/// When the kernel refuses.
pub fn pin(one: bool) {
    let mut set = rustix::thread::CpuSet::new();
    let count = std::thread::available_parallelism().map_or(1, usize::from).max(2);
    for cpu in 0..if one { 1 } else { count } {
        set.set(cpu);
    }
    rustix::thread::sched_setaffinity(None, &set).expect("processor 0 is there");
}

/// Requests a second that a server answers to another process over 100 connections. Blocks.
///
/// # Panics
/// When the other process fails.
pub fn http_load(address: SocketAddr, path: &str, lasts: Duration) -> f64 {
    let output = Command::new(std::env::current_exe().expect("this executable has a path"))
        .env(ROLE, format!("http-load {address} {}", lasts.as_millis()))
        .env("ROSEY_BENCH_LIBRARY", path)
        .stdin(Stdio::null())
        .output()
        .expect("this executable can be started");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("it says a number")
}

async fn ask_over_and_over(address: String, path: String, lasts: Duration) -> f64 {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let began = Instant::now();
    let mut connections = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (request, address) = (request.clone(), address.clone());
        connections.spawn(async move {
            let mut stream = tokio::net::TcpStream::connect(address).await.expect("the bench listens");
            stream.set_nodelay(true).expect("a socket");
            let (mut answered, mut buffer) = (0u64, Vec::with_capacity(1 << 20));
            while began.elapsed() < lasts {
                stream.write_all(request.as_bytes()).await.expect("the bench reads");
                buffer.clear();
                let total = loop {
                    stream.read_buf(&mut buffer).await.expect("the bench answers");
                    if let Some(total) = whole(&buffer) {
                        break total;
                    }
                };
                while buffer.len() < total {
                    stream.read_buf(&mut buffer).await.expect("the bench answers");
                }
                answered += 1;
            }
            answered
        });
    }
    let mut answered = 0;
    while let Some(one) = connections.join_next().await {
        answered += one.expect("it does not panic");
    }
    answered as f64 / began.elapsed().as_secs_f64()
}

/// The length of head and body, once the head is there.
fn whole(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).expect("a head is text");
    let length =
        text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    Some(head + length.expect("it says how long it is").trim().parse::<usize>().expect("a number"))
}

/// A hyper server that only answers with so many bytes.
///
/// # Panics
/// When no port is free.
pub async fn bare_hyper(size: usize, ops: &tokio::runtime::Handle) -> SocketAddr {
    let body = Bytes::from(vec![b'x'; size]);
    let listening = ops.spawn(async { tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free") });
    let listener = listening.await.expect("it does not panic");
    let address = listener.local_addr().expect("it listens");
    ops.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let body = body.clone();
            let service = hyper::service::service_fn(move |_| {
                let answer = hyper::Response::new(Full::new(body.clone()));
                async move { Ok::<_, std::convert::Infallible>(answer) }
            });
            stream.set_nodelay(true).expect("a socket");
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}
