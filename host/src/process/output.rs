//! The output and the log records of plugins, on their way to the host's log: with the plugin's name, bounded, and
//! without delaying events.

use crate::{
    journal::Journal,
    process::spawn::Process,
    text::{bounded, clean},
};
use rosey_core::state::GenerationId;
use rustix::fd::OwnedFd;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::unix::pipe,
    sync::watch,
};

/// Bytes of a line that are kept.
const MAX_LINE: usize = 4096;

/// Lines of standard error kept for a crash report: a panic message with a short backtrace.
const TAIL: usize = 20;

/// Lines and bytes of them in the reason for the end of a process: the place of the panic, its message, and a note.
const LAST_WORDS: (usize, usize) = (3, 400);

/// Time to read the last lines after the end of a process. They are already in the pipe.
const LAST_WORDS_WITHIN: Duration = Duration::from_millis(100);

/// The source of an output, and the number of lines that reach the log.
#[derive(Debug, Clone)]
pub struct Output {
    /// The plugin that prints.
    pub plugin: Arc<str>,
    /// The generation that prints.
    pub generation: GenerationId,
    /// Lines within a second that reach the log; further ones are counted.
    pub lines_per_second: u32,
    /// Keeps the lines that reach the log.
    pub journal: Journal,
}

/// The last lines of standard error of one process.
#[derive(Debug, Clone, Default)]
pub struct Tail(Arc<Lines>);

#[derive(Debug, Default)]
struct Lines {
    lines: Mutex<VecDeque<String>>,
    ended: watch::Sender<bool>,
}

impl Tail {
    /// The lines, the newest last.
    pub fn lines(&self) -> Vec<String> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Waits until the last line has been read, but not for long: a grandchild may hold the pipe open.
    pub async fn ended(&self) {
        let mut ended = self.0.ended.subscribe();
        // An error is the time limit, or a reader that is gone; no more lines come in both cases.
        let _ = tokio::time::timeout(LAST_WORDS_WITHIN, ended.wait_for(|ended| *ended)).await;
    }

    fn push(&self, line: String) {
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= TAIL {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

impl Output {
    /// Reads both outputs of a process until they end, on another runtime. A grandchild may keep them open, so do not
    /// wait for the end.
    pub fn drain(self, runtime: &tokio::runtime::Handle, process: &mut Process) -> Tail {
        let tail = Tail::default();
        if let Some((stdout, stderr)) = process.take_output() {
            runtime.spawn(self.clone().read(stdout, "stdout", None));
            let read = self.read(stderr, "stderr", Some(tail.clone()));
            let tail = tail.clone();
            runtime.spawn(async move {
                read.await;
                tail.0.ended.send_replace(true);
            });
        }
        tail
    }

    async fn read(self, pipe: OwnedFd, stream: &'static str, tail: Option<Tail>) {
        match pipe::Receiver::from_owned_fd(pipe) {
            Ok(pipe) => self.read_lines(pipe, stream, tail).await,
            Err(error) => tracing::warn!(plugin = %self.plugin, "the plugin's {stream} cannot be read: {error}"),
        }
    }

    async fn read_lines(self, mut pipe: impl AsyncRead + Unpin, stream: &'static str, tail: Option<Tail>) {
        let mut lines = LineSplitter::default();
        let mut budget = Budget::new(self.lines_per_second);
        let mut chunk = [0; 4096];
        let mut keep = |line: &str| {
            let line = clean(line, MAX_LINE);
            if let Some(dropped) = budget.take(Instant::now()) {
                if dropped > 0 {
                    tracing::warn!(plugin = %self.plugin, generation = self.generation, "{dropped} lines of the plugin's {stream} are left out");
                }
                tracing::info!(plugin = %self.plugin, generation = self.generation, stream, "{line}");
                self.journal.push(&self.plugin, &line);
            } else {
                self.journal.leave_out(&self.plugin);
            }
            if let Some(tail) = &tail {
                tail.push(line);
            }
        };
        while let Ok(bytes @ 1..) = pipe.read(&mut chunk).await {
            lines.push(&chunk[..bytes], &mut keep);
        }
        lines.end(&mut keep);
    }
}

/// The `tracing` records of one generation's plugin, bounded like its output.
#[derive(Debug)]
pub struct Records {
    plugin: Arc<str>,
    generation: GenerationId,
    journal: Journal,
    budget: Budget,
}

/// One record, as it came.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// 1 (error) to 5 (trace).
    pub level: u8,
    /// The module that made it.
    pub target: &'a str,
    /// The text.
    pub message: &'a str,
}

impl Records {
    /// No records yet.
    pub fn new(output: &Output) -> Self {
        let Output { plugin, generation, lines_per_second, journal } = output;
        let (plugin, journal) = (Arc::clone(plugin), journal.clone());
        Self { plugin, generation: *generation, journal, budget: Budget::new(*lines_per_second) }
    }

    /// Logs a record, or counts it in the journal when there are too many.
    pub fn log(&mut self, now: Instant, record: Record<'_>) {
        // Before anything is paid for it: a plugin sends its details whether anybody wants them or not.
        let is_wanted = match record.level {
            ..=3 => true,
            4 => tracing::enabled!(tracing::Level::DEBUG),
            _ => tracing::enabled!(tracing::Level::TRACE),
        };
        if !is_wanted {
            return;
        }
        let (plugin, generation) = (&*self.plugin, self.generation);
        let Some(dropped) = self.budget.take(now) else {
            self.journal.leave_out(plugin);
            return;
        };
        if dropped > 0 {
            tracing::warn!(plugin, generation, "{dropped} log records of the plugin are left out");
        }
        let (origin, message) = (clean(record.target, 128), clean(record.message, MAX_LINE));
        if record.level <= 3 {
            self.journal.push(plugin, &message);
        }
        match record.level {
            1 => tracing::error!(plugin, generation, origin, "{message}"),
            2 => tracing::warn!(plugin, generation, origin, "{message}"),
            3 => tracing::info!(plugin, generation, origin, "{message}"),
            4 => tracing::debug!(plugin, generation, origin, "{message}"),
            _ => tracing::trace!(plugin, generation, origin, "{message}"),
        }
    }
}

/// The end of a process's output, to append to the reason of its end: `; its last words: a | b`. Empty without output.
pub fn last_words(lines: &[String]) -> String {
    let words: Vec<_> = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    let last = words[words.len().saturating_sub(LAST_WORDS.0)..].join(" | ");
    if last.is_empty() { last } else { format!("; its last words: {}", last_bytes(&last, LAST_WORDS.1)) }
}

/// The end of a text, at most so many bytes. The last output explains best why a process ended.
fn last_bytes(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let least = text.len() - (most - '…'.len_utf8());
    let begin = (least..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    format!("…{}", &text[begin..])
}

/// The number of lines that may still be logged this second.
#[derive(Debug)]
struct Budget {
    per_second: u32,
    used: u32,
    since: Option<Instant>,
    dropped: u64,
}

impl Budget {
    fn new(per_second: u32) -> Self {
        Self { per_second, used: 0, since: None, dropped: 0 }
    }

    /// Whether a line may be logged. If so, returns how many lines before it were left out.
    fn take(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= Duration::from_secs(1)) {
            self.since = Some(now);
            self.used = 0;
        }
        if self.used >= self.per_second {
            self.dropped += 1;
            return None;
        }
        self.used += 1;
        Some(std::mem::take(&mut self.dropped))
    }
}

/// Splits chunks into lines. Keeps at most [`MAX_LINE`] bytes of each.
#[derive(Debug, Default)]
struct LineSplitter {
    line: Vec<u8>,
}

impl LineSplitter {
    fn push(&mut self, chunk: &[u8], mut done: impl FnMut(&str)) {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            let room = (MAX_LINE + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                self.finish(&mut done);
            }
        }
    }

    /// Hands out the last line, which may lack a line break: a process that dies has no time for one.
    fn end(&mut self, done: impl FnMut(&str)) {
        if !self.line.is_empty() {
            self.finish(done);
        }
    }

    fn finish(&mut self, mut done: impl FnMut(&str)) {
        done(&bounded(&String::from_utf8_lossy(&self.line), MAX_LINE));
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_they_arrive(lines in prop::collection::vec("[a-zä ]{0,40}", 0..20), step in 1usize..30) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let (mut splitter, mut got) = (LineSplitter::default(), Vec::new());
            for chunk in text.as_bytes().chunks(step) {
                splitter.push(chunk, |line| got.push(line.to_owned()));
            }
            prop_assert_eq!(&got, &lines);
            // A process that dies leaves its last line without a line break.
            let unfinished = text.trim_end_matches('\n');
            let (mut splitter, mut got) = (LineSplitter::default(), Vec::new());
            unfinished.as_bytes().chunks(step).for_each(|chunk| splitter.push(chunk, |line| got.push(line.to_owned())));
            splitter.end(|line| got.push(line.to_owned()));
            let expected: Vec<_> = unfinished.lines().collect();
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn last_words_are_the_newest() {
        let lines = ["old".to_owned(), "x".repeat(500), " ".to_owned(), "ä".repeat(150), "it was the moon".to_owned()];
        let words = last_words(&lines);
        assert!(words.starts_with("; its last words: …x") && words.ends_with("ä | it was the moon"), "{words}");
        assert!(words.len() <= 400 + "; its last words: ".len(), "{}", words.len());
        assert_eq!(last_words(&["a".to_owned(), "b".to_owned()]), "; its last words: a | b");
        assert_eq!(last_words(&[]), "");
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let (mut splitter, mut got) = (LineSplitter::default(), Vec::new());
        for _ in 0..100 {
            splitter.push(&[b'x'; 1000], |_| {});
        }
        assert!(splitter.line.len() <= MAX_LINE + 1);
        splitter.push(b"\nnext\n", |line| got.push(line.to_owned()));
        assert!(got[0].len() <= MAX_LINE && got[0].ends_with('…'));
        assert_eq!(got[1], "next");
    }

    #[test]
    fn a_flood_is_counted_and_not_logged() {
        let (mut budget, now) = (Budget::new(2), Instant::now());
        assert_eq!((budget.take(now), budget.take(now)), (Some(0), Some(0)));
        assert_eq!((budget.take(now), budget.take(now)), (None, None));
        assert_eq!(budget.take(now + Duration::from_secs(1)), Some(2));
    }
}
