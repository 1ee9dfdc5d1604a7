//! What a plugin may do, as the host tells it to the shim, and what the shim found to be in force. Since 3.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The newest version of landlock that this build makes use of.
pub const NEWEST_LANDLOCK: u8 = 9;

/// The rules for one plugin. The shim applies them before it opens the library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxPolicy {
    /// How strict the rules are.
    pub profile: Profile,
    /// The connections that the plugin may open.
    pub network: Network,
    /// Absolute paths that it may read, with all below them, besides its own folder and the system's libraries.
    pub files: Vec<String>,
    /// Absolute paths that it may read and change, with all below them, besides its own folder.
    pub writable: Vec<String>,
    /// Whether it may start processes.
    pub processes: bool,
    /// The most memory in bytes that it can allocate in one process, whatever the host has time to measure.
    pub data_bytes: u64,
    /// The rules without which the shim does not open the library.
    pub require: Vec<Rule>,
    /// The newest version of landlock to use; tests act an older kernel with it. Usually [`NEWEST_LANDLOCK`].
    pub landlock: u8,
}

/// How strict the rules are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Profile {
    /// The rules of `Standard`, a shorter list of system calls, and no grants.
    Strict,
    /// Its own folder, the system's libraries, the system calls of ordinary programs, and what is granted.
    #[default]
    Standard,
    /// Only the calls that harm other processes or the machine are refused.
    Open,
}

impl Profile {
    /// All of them, the strictest first.
    pub const ALL: [Self; 3] = [Self::Strict, Self::Standard, Self::Open];

    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Standard => "standard",
            Self::Open => "open",
        }
    }
}

/// The connections that a plugin may open.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Network {
    /// None, and no sockets.
    #[default]
    None,
    /// TCP connections to these ports, and UDP for name resolution.
    Ports(Vec<u16>),
    /// To everywhere, with every kind of internet socket.
    All,
}

/// The port of a target such as `api.example.org:443`, `*:443` or `*`: `None` when it is no target, `Some(None)` for every
/// port.
pub fn port(target: &str) -> Option<Option<u16>> {
    if target == ALL {
        return Some(None);
    }
    let (host, port) = target.rsplit_once(':')?;
    if host.is_empty() || host.contains(char::is_whitespace) {
        return None;
    }
    if port == ALL {
        return Some(None);
    }
    port.parse().ok().filter(|port| *port > 0).map(Some)
}

/// Stands for every port, and for every host.
const ALL: &str = "*";

/// One rule of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rule {
    /// It cannot gain rights, and has no rights of root.
    Privileges,
    /// Bounds on open files, on the size of a file, and on memory; no core dumps.
    Limits,
    /// Nothing is open but its connection to the host and its output.
    Descriptors,
    /// It reads and changes only what belongs to it or is granted.
    Files,
    /// It connects only where that is granted.
    Network,
    /// It cannot connect to Unix sockets, such as the control socket.
    Sockets,
    /// It sends no signals to processes of others.
    Signals,
    /// It starts no processes.
    Processes,
    /// It makes none of the system calls that harm others.
    Calls,
}

impl Rule {
    /// All of them, in the order in which people see them.
    pub const ALL: [Self; 9] = [
        Self::Privileges,
        Self::Limits,
        Self::Descriptors,
        Self::Files,
        Self::Network,
        Self::Sockets,
        Self::Signals,
        Self::Processes,
        Self::Calls,
    ];

    /// The name in configuration, metrics and texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Privileges => "privileges",
            Self::Limits => "limits",
            Self::Descriptors => "descriptors",
            Self::Files => "files",
            Self::Network => "network",
            Self::Sockets => "sockets",
            Self::Signals => "signals",
            Self::Processes => "processes",
            Self::Calls => "calls",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Whether a rule holds, as tried from inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuleState {
    /// What it forbids was tried, and failed.
    Enforced,
    /// What it forbids was tried, and succeeded: this machine cannot enforce it.
    Unavailable,
    /// The profile or a grant turns it off.
    Off,
}

impl RuleState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Enforced, Self::Unavailable, Self::Off];

    /// The name in metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Unavailable => "unavailable",
            Self::Off => "off",
        }
    }

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Unavailable => "not available here",
            Self::Off => "off",
        }
    }
}

/// What the shim found out about one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding<'a> {
    /// What was tried.
    pub rule: Rule,
    /// Whether it holds.
    pub state: RuleState,
    /// More for the operator; may be empty.
    pub detail: &'a str,
}
