//! Programs that some tests run beside the product, where they are installed.

use crate::{bot::wait_until, rig::PATIENCE};
use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Instant,
};

/// Whether a program is there. If it is not, says so: the test skips itself. `.ci/run` installs all of them.
pub fn is_there(program: &str, package: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Servers lie where the path of others than root does not lead.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let found = folders.into_iter().any(|folder| folder.join(program).is_file());
    if !found {
        eprintln!("SKIPPED: {program} is not installed (Debian: apt-get install {package})");
    }
    found
}

/// Whether this user may make namespaces of these kinds, as root may. If not, says so: the test skips itself.
pub fn may_unshare(kinds: &[&str]) -> bool {
    let tried = Command::new("unshare").args(kinds).arg("true").stderr(Stdio::null()).status();
    let may = tried.is_ok_and(|status| status.success());
    if !may {
        eprintln!("SKIPPED: no namespace can be made with: unshare {} (run the tests as root)", kinds.join(" "));
    }
    may
}

/// Runs a program on this input; its exit code, and all that it says.
///
/// # Panics
/// When it cannot be started.
pub fn run(program: &str, arguments: &[&str], directory: &Path, input: &[u8]) -> (Option<i32>, String) {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is installed");
    // One that does not read its input closes it.
    let _ = std::io::Write::write_all(&mut child.stdin.take().expect("piped"), input);
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// A server that runs for as long as this lives.
pub struct Server {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Server {
    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("it is installed");
        let (said, lines) = mpsc::channel();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
        for output in outputs {
            let said = said.clone();
            thread::spawn(move || {
                let mut lines = BufReader::new(output).lines().map_while(Result::ok);
                // Read to the end even when nobody listens any more: a full pipe would stop it.
                lines.by_ref().for_each(|line| drop(said.send(line)));
            });
        }
        Self { child, lines }
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        // It has ended already, or now it does.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What follows `before` up to a space or quote in the first line that has it: mostly the port it has got.
    ///
    /// # Panics
    /// When no line has it in time.
    pub fn told(&self, before: &str) -> String {
        let began = Instant::now();
        let mut said = Vec::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE.saturating_sub(began.elapsed())) else {
                panic!("it never said {before:?}:\n{}", said.join("\n"));
            };
            if let Some((_, rest)) = line.split_once(before) {
                return rest.trim_end_matches('.').split([' ', '"']).next().unwrap_or_default().to_owned();
            }
            said.push(line);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Asked first: one that has children of its own takes them along.
        if let Some(pid) = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap_or_default()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if !thread::panicking() {
            wait_until("a server ends", || self.child.try_wait().is_ok_and(|status| status.is_some()));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
