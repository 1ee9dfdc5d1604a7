//! Landlock: the files that the plugin may use, the ports that it may connect to, and whom it may signal.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};
use rosey_wire::sandbox::{Network, Profile, SandboxPolicy};
use rustix::io::Errno;
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// What programs read to load libraries, to know the time, to resolve names and to verify certificates. Nothing here is
/// secret. `/etc` as a whole is not here, because the configuration of Rosey may be in it.
const READABLE: [&str; 40] = [
    "/usr",
    "/lib",
    "/lib64",
    "/lib32",
    "/bin",
    "/sbin",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/ld-musl-x86_64.path",
    "/etc/ld-musl-aarch64.path",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/alternatives",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates",
    // A resolver replaces these files while the plugin runs, so their folders are here.
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/kernel/mm/transparent_hugepage",
    "/dev/random",
    "/dev/urandom",
];

/// Devices that every program may write to.
const DEVICES: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];

/// What landlock does for this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Landlock {
    /// The version in force; 0 where the kernel has none, or where the policy asks for nothing.
    pub version: u8,
    /// Whether it restricts files.
    pub files: bool,
    /// Whether it restricts TCP connections, as the policy asks for it.
    pub ports: bool,
    /// Whether it keeps signals inside of this plugin.
    pub signals: bool,
}

/// The parts of landlock that this policy needs and a kernel with this version has.
pub fn plan(policy: &SandboxPolicy, version: u8) -> Landlock {
    let confines = policy.profile != Profile::Open;
    Landlock {
        version,
        files: confines && version >= 1,
        ports: confines && version >= 4 && policy.network != Network::All,
        signals: version >= 6,
    }
}

/// Restricts this process as far as the kernel can.
///
/// # Errors
/// A text for the operator, when a file that the plugin may use cannot be opened for want of something. The plugin would
/// miss it.
pub fn restrict(policy: &SandboxPolicy, own: &Path, library: &str) -> Result<Landlock, String> {
    // An older kernel takes part of it, and says which version it has.
    match apply(policy, own, library) {
        Ok(LandlockStatus::Available { effective_abi, .. }) => {
            Ok(plan(policy, (effective_abi as u8).min(policy.landlock)))
        }
        Ok(_) | Err(Unrestricted::Kernel) => Ok(plan(policy, 0)),
        Err(Unrestricted::Path(path, error)) => {
            Err(format!("{}, which the plugin may use, cannot be opened: {error}", path.display()))
        }
    }
}

/// Why a process is not restricted.
#[derive(Debug)]
enum Unrestricted {
    /// The kernel takes no such rules.
    Kernel,
    Path(PathBuf, io::Error),
}

impl From<RulesetError> for Unrestricted {
    fn from(_: RulesetError) -> Self {
        Self::Kernel
    }
}

fn apply(policy: &SandboxPolicy, own: &Path, library: &str) -> Result<LandlockStatus, Unrestricted> {
    let abi = ABI::from(i32::from(policy.landlock));
    let wanted = plan(policy, policy.landlock);
    let mut rules = Ruleset::default();
    if wanted.files {
        rules = rules.handle_access(AccessFs::from_all(abi))?;
    }
    if wanted.ports {
        rules = rules.handle_access(AccessNet::ConnectTcp)?.handle_access(AccessNet::BindTcp)?;
    }
    if wanted.signals {
        rules = rules.scope(Scope::Signal)?;
        // Sockets of this kind have no file, and a plugin with the profile `open` may need them.
        rules = if wanted.files { rules.scope(Scope::AbstractUnixSocket)? } else { rules };
    }
    if !wanted.files && !wanted.signals {
        return Ok(LandlockStatus::NotEnabled);
    }
    let mut rules = rules.create()?;
    if wanted.files {
        rules = allow(rules, readable(policy, library), read(policy, abi), abi)?;
        let devices = DEVICES.map(PathBuf::from).to_vec();
        rules = allow(rules, devices, AccessFs::ReadFile | AccessFs::WriteFile, abi)?;
        let writable = policy.writable.iter().map(PathBuf::from).chain([own.to_owned()]).collect();
        rules = allow(rules, writable, write(policy, abi), abi)?;
    }
    if wanted.ports
        && let Network::Ports(ports) = &policy.network
    {
        rules = rules
            .add_rules(ports.iter().map(|port| Ok::<_, RulesetError>(NetPort::new(*port, AccessNet::ConnectTcp))))?;
    }
    Ok(rules.restrict_self()?.landlock)
}

/// Allows this access to these paths, and to what is below them.
fn allow(
    mut rules: RulesetCreated,
    paths: Vec<PathBuf>,
    access: BitFlags<AccessFs>,
    abi: ABI,
) -> Result<RulesetCreated, Unrestricted> {
    for path in paths {
        let opened = open(&path).map_err(|error| Unrestricted::Path(path, error))?;
        if let Some((file, is_folder)) = opened {
            let access = if is_folder { access } else { access & AccessFs::from_file(abi) };
            rules = rules.add_rule(PathBeneath::new(file, access))?;
        }
    }
    Ok(rules)
}

/// The path, and whether it is a folder. `None` when there is nothing that a plugin could use.
fn open(path: &Path) -> io::Result<Option<(File, bool)>> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_CLOEXEC).open(path);
    let opened = opened.and_then(|file| Ok((file.metadata()?.is_dir(), file)));
    match opened {
        Ok((is_folder, file)) => Ok(Some((file, is_folder))),
        Err(error) if is_lack(&error) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Whether something lacked to open a path, and not the path itself.
fn is_lack(error: &io::Error) -> bool {
    let lacks = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR, Errno::IO];
    lacks.iter().any(|lack| error.raw_os_error() == Some(lack.raw_os_error()))
}

fn readable(policy: &SandboxPolicy, library: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = READABLE.iter().map(PathBuf::from).collect();
    paths.push(library.into());
    // Backtraces name the functions of both.
    paths.extend(std::env::current_exe());
    paths.extend(policy.files.iter().map(PathBuf::from));
    paths
}

/// What the plugin may do with files that are not its own.
fn read(policy: &SandboxPolicy, abi: ABI) -> BitFlags<AccessFs> {
    let read = AccessFs::from_read(abi);
    if policy.processes { read } else { read & !BitFlags::from(AccessFs::Execute) }
}

/// What the plugin may do with its own files.
fn write(policy: &SandboxPolicy, abi: ABI) -> BitFlags<AccessFs> {
    let never = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock;
    let never = if policy.processes { never } else { never | AccessFs::MakeFifo };
    AccessFs::from_all(abi)
        & !(never | AccessFs::Execute | (AccessFs::from_all(ABI::V5) & !AccessFs::from_all(ABI::V4)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rosey_wire::sandbox::NEWEST_LANDLOCK;

    fn policy(profile: Profile, network: Network) -> SandboxPolicy {
        SandboxPolicy {
            profile,
            network,
            files: vec![],
            writable: vec![],
            processes: false,
            data_bytes: 0,
            require: vec![],
            landlock: NEWEST_LANDLOCK,
        }
    }

    #[test]
    fn each_version_of_landlock_brings_its_part() {
        let standard = policy(Profile::Standard, Network::Ports(vec![443]));
        let parts = |version| {
            let Landlock { files, ports, signals, .. } = plan(&standard, version);
            (files, ports, signals)
        };
        assert_eq!(parts(0), (false, false, false));
        for version in 1..=3 {
            assert_eq!(parts(version), (true, false, false), "{version}");
        }
        for version in 4..=5 {
            assert_eq!(parts(version), (true, true, false), "{version}");
        }
        for version in 6..=NEWEST_LANDLOCK {
            assert_eq!(parts(version), (true, true, true), "{version}");
        }
    }

    #[test]
    fn a_path_that_is_not_there_is_passed_over_and_one_that_cannot_be_opened_for_want_of_something_is_not() {
        assert!(open(Path::new("/usr")).expect("it opens").expect("it is there").1);
        assert!(!open(Path::new("/dev/null")).expect("it opens").expect("it is there").1);
        assert!(open(Path::new("/nowhere/at/all")).expect("nothing lacks").is_none());
        for lack in [Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
            assert!(is_lack(&lack.into()), "{lack}");
        }
        assert!(!is_lack(&Errno::ACCESS.into()) && !is_lack(&Errno::LOOP.into()));
    }

    #[test]
    fn the_profile_open_restricts_only_signals() {
        let landlock = plan(&policy(Profile::Open, Network::None), NEWEST_LANDLOCK);
        assert_eq!((landlock.files, landlock.ports, landlock.signals), (false, false, true));
    }

    #[test]
    fn a_plugin_never_runs_its_own_files_and_makes_no_devices() {
        let policy = policy(Profile::Standard, Network::None);
        for version in 1..=NEWEST_LANDLOCK {
            let own = write(&policy, ABI::from(i32::from(version)));
            assert!(own.contains(AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::ReadDir));
            for never in
                [AccessFs::Execute, AccessFs::MakeChar, AccessFs::MakeBlock, AccessFs::MakeSock, AccessFs::IoctlDev]
            {
                assert!(!own.contains(never), "{version} {never:?}");
            }
            assert!(!read(&policy, ABI::from(i32::from(version))).contains(AccessFs::Execute));
        }
    }
}
