//! What must happen to each act of `tests/misbehave/src/acts.rs`. SECURITY.md has the same table.

use rosey_wire::sandbox::Rule;

/// One act of a hostile plugin.
pub struct Act {
    /// By which the plugin knows it.
    pub name: &'static str,
    /// What it tries, for people.
    pub what: &'static str,
    /// The rule that stops it.
    pub rule: Rule,
    /// The error that the plugin gets.
    pub error: &'static str,
    /// Whether it succeeds under the profile `open`. Then the rule stops it, and nothing else.
    pub succeeds_when_open: bool,
}

/// A stopped act that would succeed without its rule.
const fn act(name: &'static str, what: &'static str, rule: Rule, error: &'static str) -> Act {
    Act { name, what, rule, error, succeeds_when_open: true }
}

/// One that is stopped under every profile, or that the rights of users stop as well.
const fn never(name: &'static str, what: &'static str, rule: Rule, error: &'static str) -> Act {
    Act { succeeds_when_open: false, ..act(name, what, rule, error) }
}

/// All acts, by rule.
pub const ACTS: &[Act] = &[
    act("read-database", "read `rosey.db`", Rule::Files, "EACCES"),
    act("write-database", "write to `rosey.db`", Rule::Files, "EACCES"),
    act("change-length", "change the length of a file", Rule::Files, "EACCES"),
    act("empty-on-open", "empty a file by opening it to read", Rule::Files, "EACCES"),
    act("list-state", "list the state directory", Rule::Files, "EACCES"),
    act("read-neighbour", "read a file of another plugin", Rule::Files, "EACCES"),
    act("write-neighbour", "leave a file with another plugin", Rule::Files, "EACCES"),
    act("list-plugins", "list the folders of all plugins", Rule::Files, "EACCES"),
    act("write-artifact", "put a library into the store of artifacts", Rule::Files, "EACCES"),
    act("list-artifacts", "list the store of artifacts", Rule::Files, "EACCES"),
    act("make-folder-in-state", "make a folder in the state directory", Rule::Files, "EACCES"),
    act("follow-link", "read `rosey.db` by a link in its own folder", Rule::Files, "EACCES"),
    act("hard-link", "link `rosey.db` into its own folder", Rule::Files, "EXDEV"),
    act("move-own-folder", "rename its own folder", Rule::Files, "EACCES"),
    never("read-host-environment", "read the environment of Rosey", Rule::Files, "EACCES"),
    never("read-host-memory", "open the memory of Rosey", Rule::Files, "EACCES"),
    act("list-host-descriptors", "list the descriptors of Rosey", Rule::Files, "EACCES"),
    act("read-passwords", "read `/etc/shadow`", Rule::Files, "EACCES"),
    act("read-home", "list a home directory", Rule::Files, "EACCES"),
    act("write-temporary", "leave a file in `/tmp`", Rule::Files, "EACCES"),
    never("make-device", "make a device", Rule::Files, "EACCES"),
    act("make-socket", "make a socket file", Rule::Files, "EACCES"),
    act("connect", "connect by TCP", Rule::Network, "EPERM"),
    act("listen", "accept connections", Rule::Network, "EPERM"),
    act("send-datagram", "send UDP", Rule::Network, "EPERM"),
    never("raw-socket", "forge packets", Rule::Network, "EPERM"),
    never("packet-socket", "read all packets of the machine", Rule::Network, "EPERM"),
    act("netlink-audit", "reach the kernel's audit", Rule::Network, "EPERM"),
    act("control-socket", "connect to the control socket", Rule::Sockets, "EPERM"),
    act("unix-datagram", "make a Unix socket", Rule::Sockets, "EPERM"),
    act("unix-datagram-pair", "make a pair of Unix sockets that can reach others", Rule::Sockets, "EPERM"),
    act("unix-packet-pair", "make another pair of Unix sockets", Rule::Sockets, "EPERM"),
    never("signal-host", "signal Rosey", Rule::Signals, "EPERM"),
    act("signal-all", "signal every process", Rule::Signals, "EPERM"),
    never("signal-thread", "signal a thread of Rosey", Rule::Signals, "EPERM"),
    never("signal-by-thread-id", "signal Rosey by the id of its thread", Rule::Signals, "EPERM"),
    act("signal-by-descriptor", "get a handle to signal Rosey", Rule::Signals, "EPERM"),
    never("signal-by-ownership", "let the kernel signal Rosey for it", Rule::Signals, "EPERM"),
    act("fork", "start a process", Rule::Processes, "EPERM"),
    act("run-program", "run a program", Rule::Processes, "EPERM"),
    act("replace-program", "become another program", Rule::Processes, "EPERM"),
    never("clone3", "start a process by a call whose flags cannot be checked", Rule::Processes, "ENOSYS"),
    never("new-session", "leave the session that ends with the plugin", Rule::Processes, "EPERM"),
    act("outlive-host", "live on when Rosey is killed", Rule::Processes, "EPERM"),
    never("trace-host", "trace Rosey", Rule::Calls, "EPERM"),
    never("read-memory-of-host", "read the memory of Rosey", Rule::Calls, "EPERM"),
    never("take-descriptor", "take a descriptor of another process", Rule::Calls, "EPERM"),
    never("bound-host", "change the limits of Rosey", Rule::Calls, "EPERM"),
    never("slow-host", "change the priority of Rosey", Rule::Calls, "EPERM"),
    never("pin-host", "change the processors of Rosey", Rule::Calls, "EPERM"),
    never("mount", "mount a file system", Rule::Calls, "EPERM"),
    never("new-namespace", "make namespaces", Rule::Calls, "EPERM"),
    never("join-namespace", "join namespaces", Rule::Calls, "EPERM"),
    never("change-root", "change the root directory", Rule::Calls, "EPERM"),
    never("bpf", "load BPF programs", Rule::Calls, "EPERM"),
    never("perf", "measure other processes", Rule::Calls, "EPERM"),
    never("userfaultfd", "handle page faults itself", Rule::Calls, "EPERM"),
    never("io-uring", "make system calls by io_uring, past the filters", Rule::Calls, "ENOSYS"),
    never("keyring", "use the keys of its user", Rule::Calls, "EPERM"),
    never("add-key", "add keys", Rule::Calls, "EPERM"),
    never("kexec", "start another kernel", Rule::Calls, "EPERM"),
    never("load-module", "load a kernel module", Rule::Calls, "EPERM"),
    never("reboot", "restart the machine", Rule::Calls, "EPERM"),
    never("open-by-handle", "open files past their folders", Rule::Calls, "EPERM"),
    never("kernel-log", "read the log of the kernel", Rule::Calls, "EPERM"),
    never("set-clock", "set the clock", Rule::Calls, "EPERM"),
    never("shared-memory", "share memory with other processes of its user", Rule::Calls, "EPERM"),
    never("old-personality", "turn off protections of its memory", Rule::Calls, "EPERM"),
    never("filter-with-listener", "answer system calls of its own children", Rule::Calls, "EPERM"),
    never("type-into-terminal", "type into a terminal", Rule::Calls, "EPERM"),
    never("unknown-call", "make a system call that Rosey does not know", Rule::Calls, "ENOSYS"),
    never("become-another-user", "become another user", Rule::Privileges, "EPERM"),
    never("take-capabilities", "take back rights of root", Rule::Privileges, "EPERM"),
    never("many-descriptors", "open 20,000 descriptors", Rule::Limits, "EMFILE"),
    never("huge-file", "make a file of 2 GiB", Rule::Limits, "EFBIG"),
    never("much-memory", "reserve 64 GiB of memory", Rule::Limits, "ENOMEM"),
    never("raise-limit", "raise its own limits", Rule::Limits, "EPERM"),
    never("dump-core", "dump its memory into a file", Rule::Limits, "EPERM"),
    never("use-standard-input", "read what its standard input was", Rule::Descriptors, "ENODATA"),
];

/// The table as SECURITY.md has it.
pub fn table() -> String {
    let head = "| act | what the plugin tries | rule | it gets |\n| --- | --- | --- | --- |\n".to_owned();
    ACTS.iter().fold(head, |table, act| {
        table + &format!("| `{}` | {} | `{}` | {} |\n", act.name, act.what, act.rule, act.error)
    })
}
