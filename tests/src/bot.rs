//! The executable as a user has it: with a configuration file, lines in and out, a log, and signals.

use crate::{build, rig::PATIENCE};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

/// A running `rosey`.
pub struct Bot {
    child: Child,
    input: Option<ChildStdin>,
    answers: mpsc::Receiver<String>,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    text: Mutex<String>,
    changed: Condvar,
}

/// A folder for one bot: its plugins' libraries in `plugins`, its state in `state`, its configuration in `rosey.toml`.
pub struct Folder {
    directory: tempfile::TempDir,
}

impl Folder {
    /// A folder with copies of these plugins' libraries.
    ///
    /// # Panics
    /// When it cannot be created.
    pub fn new(plugins: &[&str]) -> Self {
        let folder = Self { directory: tempfile::tempdir().expect("a temporary directory") };
        std::fs::create_dir(folder.path().join("plugins")).expect("an empty directory");
        for plugin in plugins {
            std::fs::copy(build::library(plugin), folder.library(plugin)).expect("it is built");
        }
        folder
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The path of a plugin's library.
    pub fn library(&self, plugin: &str) -> PathBuf {
        self.path().join("plugins").join(format!("lib{}.so", plugin.replace('-', "_")))
    }

    /// Writes the configuration that most tests want, with `more` after it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn configure(&self, more: &str) -> PathBuf {
        self.configure_without_console(&format!("[connect.console]\nuser = \"alice\"\n{more}"))
    }

    /// The same for a bot without a console.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn configure_without_console(&self, more: &str) -> PathBuf {
        let shim = build::shim();
        let file = self.path().join("rosey.toml");
        let text =
            format!("owner = \"alice\"\nplugin_dir = \"plugins\"\nstate_dir = \"state\"\nshim = {shim:?}\n{more}");
        std::fs::write(&file, text).expect("our directory");
        file
    }

    /// Starts a bot with [`Folder::configure`].
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(&self, more: &str) -> Bot {
        self.run(&self.configure(more))
    }

    /// Starts a bot with [`Folder::configure_without_console`].
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_without_console(&self, more: &str) -> Bot {
        self.run(&self.configure_without_console(more))
    }

    fn run(&self, file: &Path) -> Bot {
        Bot::start(&["run", "--config", file.to_str().expect("a plain path")], self.path())
    }
}

impl Bot {
    /// Starts `rosey` with these arguments.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(arguments: &[&str], directory: &Path) -> Self {
        let mut command = Command::new(build::rosey());
        command.args(arguments).current_dir(directory);
        Self::spawn(command)
    }

    /// Starts a command that becomes `rosey`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .env_remove("ROSEY_LOG")
            // Cargo tells its tests where it builds them; this bot must run as if it were installed.
            .env_remove("CARGO_MANIFEST_DIR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it is built");
        let (sender, answers) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().expect("piped"));
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let log = Arc::<Log>::default();
        let (mut errors, grows) = (child.stderr.take().expect("piped"), Arc::clone(&log));
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(bytes @ 1..) = errors.read(&mut chunk) {
                let text = String::from_utf8_lossy(&chunk[..bytes]);
                grows.text.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
                grows.changed.notify_all();
            }
        });
        Self { input: child.stdin.take(), child, answers, log }
    }

    /// The process id of the bot.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process id of a plugin, according to the bot.
    ///
    /// # Panics
    /// When the plugin does not run.
    pub fn pid_of(&mut self, plugin: &str) -> u32 {
        let status = self.ask(&format!("!admin status {plugin}"));
        let pid = status.split("pid ").nth(1).and_then(|rest| rest.split([',', '.']).next());
        pid.and_then(|pid| pid.parse().ok()).unwrap_or_else(|| panic!("no process: {status}"))
    }

    /// Types a line.
    ///
    /// # Panics
    /// When the bot no longer reads.
    pub fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{line}").expect("it reads");
    }

    /// Types a line without its line break.
    ///
    /// # Panics
    /// When the bot no longer reads.
    pub fn say_unfinished(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is open");
        write!(input, "{line}").expect("it reads");
    }

    /// The next line of output.
    ///
    /// # Panics
    /// When none comes in time; shows the log.
    pub fn answer(&self) -> String {
        match self.answers.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(_) => panic!("it says nothing; its log:\n{}", self.log()),
        }
    }

    /// The lines that it says within this time, or all those that it has said when the first one comes.
    pub fn answer_within(&self, time: Duration) -> Vec<String> {
        let first = self.answers.recv_timeout(time).ok();
        first.into_iter().chain(self.answers.try_iter()).collect()
    }

    /// Types a line and returns the next line of output.
    pub fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.answer()
    }

    /// All lines until its output ends.
    pub fn rest(&self) -> Vec<String> {
        std::iter::from_fn(|| self.answers.recv_timeout(PATIENCE).ok()).collect()
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.log.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the log has this text.
    ///
    /// # Panics
    /// When it does not come in time.
    pub fn until_logged(&self, what: &str) {
        let text = self.log.text.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.log.changed.wait_timeout_while(text, PATIENCE, |text| !text.contains(what));
        let (text, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "it never logged {what:?}:\n{text}");
    }

    /// The address of the dashboard: `127.0.0.1:40123`.
    ///
    /// # Panics
    /// When there is none.
    pub fn dashboard(&self) -> String {
        const BEFORE: &str = "dashboard: http://";
        self.until_logged(BEFORE);
        let log = self.log();
        let address = log.split(BEFORE).nth(1).and_then(|rest| rest.split('/').next());
        address.expect("it has just logged that").to_owned()
    }

    /// Ends its input.
    pub fn end_input(&mut self) {
        self.input = None;
    }

    /// Ends its input and waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn end(&mut self) -> ExitStatus {
        self.end_input();
        self.exit()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the bot is gone.
    pub fn signal(&self, signal: Signal) {
        signal_process(self.pid(), signal);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn exit(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("rosey ends", || {
            status = self.child.try_wait().expect("it is ours");
            status.is_some()
        });
        status.expect("waited for")
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        // The bot has ended, or the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process that this test has started, directly or not.
///
/// # Panics
/// When it is gone.
pub fn signal_process(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("it is there");
}

/// The children of a process that still run.
pub fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// Whether a process still runs. One that only waits to be reaped does not.
pub fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Waits for a condition that no event reports, such as the end of another process.
///
/// # Panics
/// When it does not come true in time.
pub fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_true() {
        assert!(began.elapsed() < PATIENCE, "it never came true that {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}
