//! Acts that the sandbox must stop: each harms the host, another plugin or the machine, or would be a step on the way.
//! Each is harmless by itself when it succeeds.
//!
//! `tests/src/acts.rs` has what must happen to each.

use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{self, Error},
    mem::zeroed,
    net::{TcpListener, TcpStream, UdpSocket},
    os::{
        fd::AsRawFd,
        unix::{
            fs::{FileExt, symlink},
            net::{UnixDatagram, UnixStream},
        },
    },
    path::PathBuf,
    ptr::{null, null_mut},
};

type Done = io::Result<()>;

/// Does one. Its working folder is `STATE/data/NAME`, and beside it is the folder of another plugin, `neighbour`.
pub fn act(name: &str) -> Option<Done> {
    files(name).or_else(|| network(name)).or_else(|| processes(name)).or_else(|| calls(name)).or_else(|| limits(name))
}

/// The name of an error, as manuals have it.
pub fn error_name(error: &Error) -> String {
    const NAMES: [(i32, &str); 9] = [
        (libc::EPERM, "EPERM"),
        (libc::EACCES, "EACCES"),
        (libc::ENOSYS, "ENOSYS"),
        (libc::EXDEV, "EXDEV"),
        (libc::EMFILE, "EMFILE"),
        (libc::EFBIG, "EFBIG"),
        (libc::ENOMEM, "ENOMEM"),
        (libc::ENODATA, "ENODATA"),
        (libc::EINVAL, "EINVAL"),
    ];
    let name = NAMES.iter().find(|(number, _)| error.raw_os_error() == Some(*number));
    name.map_or_else(|| error.to_string(), |(_, name)| (*name).to_owned())
}

fn host() -> libc::pid_t {
    // SAFETY: has no conditions.
    unsafe { libc::getppid() }
}

fn of_host(file: &str) -> PathBuf {
    format!("/proc/{}/{file}", host()).into()
}

fn read(path: impl Into<PathBuf>) -> Done {
    fs::read(path.into()).map(drop)
}

fn write(path: &str) -> Done {
    OpenOptions::new().append(true).create(true).open(path).map(drop)
}

fn text(path: &str) -> CString {
    CString::new(path).expect("our own text")
}

/// The result of a call that returns -1 for an error.
fn checked(result: impl Into<i64>) -> Done {
    if result.into() < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// A system call with up to four arguments.
fn call(number: libc::c_long, arguments: [i64; 4]) -> Done {
    let [a, b, c, d] = arguments;
    // SAFETY: all callers pass numbers and null pointers, of which the kernel writes to none.
    checked(unsafe { libc::syscall(number, a, b, c, d, 0i64, 0i64) })
}

fn files(name: &str) -> Option<Done> {
    Some(match name {
        "read-database" => read("../../rosey.db"),
        "write-database" => write("../../rosey.db"),
        // SAFETY: a path of our own.
        "change-length" => checked(unsafe { libc::truncate(text("../../neighbour-file").as_ptr(), 6) }),
        "empty-on-open" => {
            let flags = libc::O_RDONLY | libc::O_TRUNC;
            // SAFETY: a path of our own. The descriptor stays open, which does no harm.
            checked(unsafe { libc::open(text("../../neighbour-file").as_ptr(), flags) })
        }
        "list-state" => fs::read_dir("../..").map(drop),
        "read-neighbour" => read("../neighbour/secret"),
        "write-neighbour" => write("../neighbour/planted"),
        "list-plugins" => fs::read_dir("..").map(drop),
        "write-artifact" => write("../../artifacts/planted.so"),
        "list-artifacts" => fs::read_dir("../../artifacts").map(drop),
        "make-folder-in-state" => fs::create_dir("../../planted"),
        "follow-link" => {
            let _ = symlink("../../rosey.db", "link");
            read("link")
        }
        "hard-link" => fs::hard_link("../../rosey.db", "hard"),
        "move-own-folder" => fs::rename(std::env::current_dir().expect("it is there"), "../moved"),
        "read-host-environment" => read(of_host("environ")),
        "read-host-memory" => File::open(of_host("mem")).and_then(|file| file.read_at(&mut [0; 8], 0)).map(drop),
        "list-host-descriptors" => fs::read_dir(of_host("fd")).map(drop),
        "read-passwords" => read("/etc/shadow"),
        "read-home" => fs::read_dir("/root").map(drop),
        "write-temporary" => {
            let name = format!("/tmp/rosey-planted-{}", std::process::id());
            write(&name).and_then(|()| fs::remove_file(name))
        }
        // SAFETY: a path of our own.
        "make-device" => checked(unsafe { libc::mknod(text("device").as_ptr(), libc::S_IFCHR | 0o600, 0x103) }),
        // SAFETY: a path of our own.
        "make-socket" => checked(unsafe { libc::mknod(text("socket").as_ptr(), libc::S_IFSOCK | 0o600, 0) }),
        _ => return None,
    })
}

fn socket(family: i32, kind: i32, protocol: i32) -> Done {
    // SAFETY: has no conditions. The descriptor stays open, which does no harm.
    checked(unsafe { libc::socket(family, kind, protocol) })
}

fn network(name: &str) -> Option<Done> {
    Some(match name {
        "connect" => match TcpStream::connect("127.0.0.1:9") {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            other => other.map(drop),
        },
        "listen" => TcpListener::bind("127.0.0.1:0").map(drop),
        "send-datagram" => {
            UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"secret", "127.0.0.1:9")).map(drop)
        }
        "raw-socket" => socket(libc::AF_INET, libc::SOCK_RAW, 1),
        "packet-socket" => socket(libc::AF_PACKET, libc::SOCK_RAW, 0),
        "control-socket" => UnixStream::connect("../../control").map(drop),
        "unix-datagram" => UnixDatagram::unbound().map(drop),
        "unix-packet-pair" => {
            let mut pair = [0; 2];
            // SAFETY: the array has room for both. The descriptors stay open, which does no harm.
            checked(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0, pair.as_mut_ptr()) })
        }
        "unix-datagram-pair" => UnixDatagram::pair().map(drop),
        "netlink-audit" => socket(libc::AF_NETLINK, libc::SOCK_RAW, 9),
        _ => return None,
    })
}

fn processes(name: &str) -> Option<Done> {
    let host = i64::from(host());
    Some(match name {
        "signal-host" => call(libc::SYS_kill, [host, libc::SIGCONT.into(), 0, 0]),
        "signal-all" => call(libc::SYS_kill, [-1, 0, 0, 0]),
        "signal-thread" => call(libc::SYS_tgkill, [host, host, libc::SIGCONT.into(), 0]),
        "signal-by-thread-id" => call(libc::SYS_tkill, [host, libc::SIGCONT.into(), 0, 0]),
        "signal-by-descriptor" => call(libc::SYS_pidfd_open, [host, 0, 0, 0]),
        "signal-by-ownership" => {
            let (ours, _theirs) = UnixStream::pair().expect("a pair is allowed");
            call(libc::SYS_fcntl, [ours.as_raw_fd().into(), libc::F_SETOWN.into(), host, 0])
        }
        "outlive-host" => call(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG.into(), 0, 0, 0]),
        "new-session" => call(libc::SYS_setsid, [0; 4]),
        // SAFETY: the child does nothing but end.
        "fork" => match unsafe { libc::fork() } {
            // SAFETY: ends the child, without what the parent would do at its own end.
            0 => unsafe { libc::_exit(0) },
            result => checked(result),
        },
        "run-program" => std::process::Command::new("/bin/true").status().map(drop),
        "replace-program" => {
            let nothing = text("/nonexistent");
            // SAFETY: no such program exists, so this always returns.
            let result = unsafe { libc::execve(nothing.as_ptr(), [null()].as_ptr(), [null()].as_ptr()) };
            match checked(result) {
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
                other => other,
            }
        }
        "clone3" => call(libc::SYS_clone3, [0; 4]),
        _ => return None,
    })
}

fn calls(name: &str) -> Option<Done> {
    let host = i64::from(host());
    Some(match name {
        "trace-host" => call(libc::SYS_ptrace, [libc::PTRACE_SEIZE.into(), host, 0, 0]),
        "read-memory-of-host" => call(libc::SYS_process_vm_readv, [host, 0, 0, 0]),
        "take-descriptor" => call(libc::SYS_pidfd_getfd, [0; 4]),
        "bound-host" => {
            // SAFETY: a plain structure that the kernel fills.
            let mut old: libc::rlimit = unsafe { zeroed() };
            // SAFETY: both pointers are valid, and no new limit is set.
            checked(unsafe { libc::prlimit(host as i32, libc::RLIMIT_NOFILE, null(), &raw mut old) })
        }
        // SAFETY: has no conditions.
        "slow-host" => checked(unsafe { libc::setpriority(libc::PRIO_PROCESS, host as u32, 0) }),
        "pin-host" => call(libc::SYS_sched_setaffinity, [host, 0, 0, 0]),
        // SAFETY: null pointers, which the kernel refuses where it allows the call.
        "mount" => checked(unsafe { libc::mount(null(), null(), null(), 0, null()) }),
        "new-namespace" => call(libc::SYS_unshare, [0; 4]),
        "join-namespace" => call(libc::SYS_setns, [0; 4]),
        "change-root" => call(libc::SYS_chroot, [0; 4]),
        "bpf" => call(libc::SYS_bpf, [0; 4]),
        "perf" => call(libc::SYS_perf_event_open, [0; 4]),
        "userfaultfd" => call(libc::SYS_userfaultfd, [1, 0, 0, 0]),
        "io-uring" => call(libc::SYS_io_uring_setup, [0; 4]),
        "keyring" => call(libc::SYS_keyctl, [0; 4]),
        "add-key" => call(libc::SYS_add_key, [0; 4]),
        "kexec" => call(libc::SYS_kexec_load, [0; 4]),
        "load-module" => call(libc::SYS_init_module, [0; 4]),
        "reboot" => call(libc::SYS_reboot, [0; 4]),
        "open-by-handle" => call(libc::SYS_open_by_handle_at, [0; 4]),
        "kernel-log" => call(libc::SYS_syslog, [10, 0, 0, 0]),
        "set-clock" => call(libc::SYS_clock_settime, [0; 4]),
        "shared-memory" => call(libc::SYS_shmget, [0, 4096, 0, 0]),
        "old-personality" => call(libc::SYS_personality, [0; 4]),
        "filter-with-listener" => call(libc::SYS_seccomp, [0; 4]),
        "unknown-call" => call(9999, [0; 4]),
        "become-another-user" => call(libc::SYS_setuid, [12_345, 0, 0, 0]),
        "take-capabilities" => call(libc::SYS_capset, [0; 4]),
        // TIOCSTI, which types into a terminal.
        "type-into-terminal" => call(libc::SYS_ioctl, [1, 0x5412, 0, 0]),
        _ => return None,
    })
}

fn limits(name: &str) -> Option<Done> {
    Some(match name {
        "many-descriptors" => {
            let mut open = Vec::new();
            (0..20_000).try_for_each(|_| File::open("/dev/null").map(|file| open.push(file)))
        }
        "huge-file" => File::create("huge").and_then(|file| file.set_len(2 << 30)),
        "much-memory" => {
            let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            // SAFETY: a new mapping, which nothing uses.
            let mapped = unsafe { libc::mmap(null_mut(), 64 << 30, access, kind, -1, 0) };
            if mapped == libc::MAP_FAILED { Err(Error::last_os_error()) } else { Ok(()) }
        }
        "raise-limit" => {
            let more = libc::rlimit { rlim_cur: 20_000, rlim_max: 20_000 };
            // SAFETY: the pointer is valid.
            checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const more) })
        }
        "dump-core" => {
            let some = libc::rlimit { rlim_cur: 1 << 20, rlim_max: 1 << 20 };
            // SAFETY: the pointer is valid.
            checked(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const some) })
        }
        "use-standard-input" => {
            let mut bytes = [0; 8];
            // SAFETY: the buffer has this size.
            match unsafe { libc::pread(0, bytes.as_mut_ptr().cast(), bytes.len(), 0) } {
                0 => Err(Error::from_raw_os_error(libc::ENODATA)),
                result => checked(result as i64),
            }
        }
        _ => return None,
    })
}
