//! Programs that some tests run beside the product, if they are installed.

use crate::{bot::wait_until, rig::PATIENCE};
use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Instant,
};

/// Whether a program is installed. If it is not, says so, and the test skips itself. `.ci/run` installs all of them.
pub fn is_there(program: &str, package: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Servers are in a folder that is only in the path of root.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let found = folders.into_iter().any(|folder| folder.join(program).is_file());
    if !found {
        eprintln!("SKIPPED: {program} is not installed (Debian: apt-get install {package})");
    }
    found
}

/// Whether this user may create namespaces of these kinds, as root may. If not, says so, and the test skips itself.
pub fn may_unshare(kinds: &[&str]) -> bool {
    let tried = Command::new("unshare").args(kinds).arg("true").stderr(Stdio::null()).status();
    let may = tried.is_ok_and(|status| status.success());
    if !may {
        eprintln!("SKIPPED: no namespace can be made with: unshare {} (run the tests as root)", kinds.join(" "));
    }
    may
}

/// Runs a program with this input, and returns its exit code and all of its output.
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
    // A program that does not read its input closes it.
    let _ = std::io::Write::write_all(&mut child.stdin.take().expect("piped"), input);
    let output = child.wait_with_output().expect("it ends");
    let all = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&all).into_owned())
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
        let (sender, lines) = mpsc::channel();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
        for output in outputs {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut lines = BufReader::new(output).lines().map_while(Result::ok);
                // Reads to the end even without a listener: a full pipe would stop the program.
                lines.by_ref().for_each(|line| drop(sender.send(line)));
            });
        }
        Self { child, lines }
    }

    /// Ends it like a power cut.
    pub fn kill(mut self) {
        // It has ended already, or ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The text after `before`, up to a space or quote, in the first line that has it: mostly the port.
    ///
    /// # Panics
    /// When no line has it in time.
    pub fn told(&self, before: &str) -> String {
        let began = Instant::now();
        let mut read = Vec::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE.saturating_sub(began.elapsed())) else {
                panic!("it never printed {before:?}:\n{}", read.join("\n"));
            };
            if let Some((_, rest)) = line.split_once(before) {
                return rest.trim_end_matches('.').split([' ', '"']).next().unwrap_or_default().to_owned();
            }
            read.push(line);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Asked to end first, so that it ends its own children.
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

/// The number behind `name` on the command line of this process.
pub fn argument(name: &str) -> Option<u64> {
    std::env::args().skip_while(|argument| argument != name).nth(1)?.parse().ok()
}
