//! The unit file that the package ships: the bot starts with its very command and environment, and tells systemd how it is.

use rosey_tests::{
    bot::{Bot, Folder},
    build, tool,
};
use rustix::process::Signal;
use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// The settings of the unit, each with its last value.
fn unit() -> BTreeMap<String, String> {
    let text = fs::read_to_string(file()).expect("it is shipped");
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/package/rosey.service")
}

/// The command of the unit, with the paths of this folder.
fn command(unit: &BTreeMap<String, String>, folder: &Folder) -> Command {
    let config = folder.path().join("rosey.toml");
    let words: Vec<_> = unit["ExecStart"].split(' ').collect();
    assert_eq!(words, ["/usr/bin/rosey", "run", "--config", "/etc/rosey/rosey.toml"]);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/package/rosey.toml");
    let text = fs::read_to_string(shipped).expect("it is shipped");
    let shim = build::shim();
    let text = text
        .replace("/usr/lib/rosey/plugins", folder.path().join("plugins").to_str().expect("plain"))
        .replace("/var/lib/rosey", folder.path().join("state").to_str().expect("plain"))
        .replace("[dashboard]\n", &format!("shim = {shim:?}\n[dashboard]\nport = 0\n"));
    fs::write(&config, text).expect("our directory");
    let mut command = if rustix::process::geteuid().is_root() {
        // As systemd does it: an ordinary user, who owns the folder of its state.
        let state = folder.path().join("state");
        fs::create_dir(&state).expect("a new folder");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("ours");
        assert!(Command::new("chown").arg("nobody").arg(&state).status().is_ok_and(|status| status.success()));
        let mut command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--clear-groups", "--no-new-privs"]).arg(build::rosey());
        command
    } else {
        Command::new(build::rosey())
    };
    command.args(&words[1..3]).arg(config).current_dir("/");
    command
}

/// The next message for the supervisor.
fn told(socket: &UnixDatagram) -> String {
    let mut message = [0; 4096];
    let length = socket.recv(&mut message).expect("it comes in time");
    String::from_utf8_lossy(&message[..length]).into_owned()
}

#[test]
fn with_the_unit_that_is_shipped_the_bot_says_that_it_is_ready_and_alive() {
    let unit = unit();
    assert_eq!((unit["Type"].as_str(), unit["KillMode"].as_str()), ("notify", "mixed"));
    let watchdog: u64 = unit["WatchdogSec"].parse().expect("seconds");
    assert!(watchdog >= 10);
    let folder = Folder::new(&["dice-roller", "eight-ball"]);
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("our directory");
    fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("ours");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a time");
    let mut command = command(&unit, &folder);
    // A shorter time than that of the unit, so that this test is short.
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    let mut bot = Bot::spawn(command);
    // Alive from the first moment on, so that a slow start is no hang.
    let first = told(&socket);
    assert_eq!(first, "WATCHDOG=1", "{}", bot.log());
    while told(&socket) != "READY=1" {}
    bot.until_logged("ready");
    for _ in 0..3 {
        assert_eq!(told(&socket), "WATCHDOG=1");
    }
    // A host that does not run gives no sign of life.
    bot.signal(Signal::STOP);
    socket.set_nonblocking(true).expect("ours");
    while socket.recv(&mut [0; 64]).is_ok() {}
    socket.set_nonblocking(false).expect("ours");
    socket.set_read_timeout(Some(Duration::from_millis(800))).expect("a time");
    assert!(socket.recv(&mut [0; 64]).is_err());
    bot.signal(Signal::CONT);
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a time");
    bot.signal(Signal::TERM);
    while told(&socket) != "STOPPING=1" {}
    assert!(bot.exit().success());
}

#[test]
fn systemd_understands_the_unit() {
    if !tool::is_there("systemd-analyze", "systemd") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let copy = folder.path().join("rosey.service");
    // The program and the page are not installed here.
    let text = fs::read_to_string(file()).expect("it is shipped");
    let text = text.replace("/usr/bin/rosey", "/bin/true").replace("man:rosey(1) ", "");
    fs::write(&copy, text).expect("our directory");
    let verified = Command::new("systemd-analyze").arg("verify").arg(&copy).output().expect("it is installed");
    let said = String::from_utf8_lossy(&verified.stderr);
    let about_it: Vec<_> = said.lines().filter(|line| line.contains("rosey.service")).collect();
    assert!(verified.status.success() && about_it.is_empty(), "{said}");
    let security =
        Command::new("systemd-analyze").args(["security", "--offline=true", "--threshold=25"]).arg(&copy).output();
    let security = security.expect("it is installed");
    assert!(security.status.success(), "{}", String::from_utf8_lossy(&security.stdout));
}

#[test]
fn an_upgrade_is_a_stop_and_a_start_after_which_everything_is_there() {
    let folder = Folder::new(&["quotes"]);
    let mut old = folder.start("[plugins.quotes]\n");
    assert_eq!(old.ask("!addquote one"), "That is quote 1.");
    let began = Instant::now();
    old.signal(Signal::TERM);
    assert!(old.exit().success());
    // Here the package manager replaces the programs.
    let stopped = began.elapsed();
    let mut new = folder.start("[plugins.quotes]\n");
    assert_eq!(new.ask("!quote 1"), "one (kept by alice)");
    // The figure for OPERATIONS.md; no test depends on a time.
    eprintln!("stop {stopped:?}, until the first answer {:?}", began.elapsed());
    assert!(new.end().success());
}
