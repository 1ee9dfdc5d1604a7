//! A terminal with a shell in it, in which a test types as a person does. `script`, of util-linux, makes the terminal.

use rosey::quick_start::leave_package;
use std::{
    io::{Read, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

/// What the shell shows before each line that it reads.
pub const PROMPT: &str = "ready> ";

/// Longest wait for a text. Some wait for a compiler, on a machine that compiles something else too.
const PATIENCE: Duration = Duration::from_secs(600);

/// A terminal. What runs in it ends with it.
pub struct Terminal {
    script: Child,
    input: ChildStdin,
    output: Receiver<String>,
    screen: String,
    /// Where the text after the last one that was waited for begins.
    read: usize,
}

impl Terminal {
    /// Opens a terminal in a folder. `prepare` sets variables of the environment.
    ///
    /// # Panics
    /// When there is no `script`.
    pub fn open(folder: &Path, prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new("script");
        command.args(["--quiet", "--flush", "--command", "sh", "/dev/null"]).current_dir(folder);
        leave_package(&mut command);
        command.env_remove("ENV").env_remove("ROSEY_LOG");
        prepare(&mut command);
        let mut script =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("`script` of util-linux is there");
        let (input, mut shown) = (script.stdin.take().expect("piped"), script.stdout.take().expect("piped"));
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(bytes @ 1..) = shown.read(&mut chunk) {
                if sender.send(String::from_utf8_lossy(&chunk[..bytes]).into_owned()).is_err() {
                    return;
                }
            }
        });
        let mut terminal = Self { script, input, output, screen: String::new(), read: 0 };
        // Some shells take no prompt from the environment.
        let (begin, end) = PROMPT.split_at(1);
        terminal.line(&format!("PS1='{begin}''{end}'"));
        terminal.until(PROMPT);
        terminal
    }

    /// Types keys.
    ///
    /// # Panics
    /// When the terminal has closed.
    pub fn keys(&mut self, keys: &str) {
        self.input.write_all(keys.as_bytes()).and_then(|()| self.input.flush()).expect("the terminal is open");
    }

    /// Types a line, and waits until the terminal has shown all of it.
    ///
    /// # Panics
    /// When the terminal has closed.
    pub fn line(&mut self, line: &str) {
        self.keys(&format!("{line}\n"));
        self.until(line);
    }

    /// Waits until the terminal shows a text, after the one that was waited for last.
    ///
    /// # Panics
    /// When it does not, with the whole screen.
    pub fn until(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.screen[self.read..].find(text) {
                self.read += at + text.len();
                return;
            }
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(more) => self.screen += &more,
                Err(error) => panic!("{text:?} is not shown ({error}):\n{}", self.screen),
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The terminal closes, which ends the shell and what runs in it.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
