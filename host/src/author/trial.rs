//! `rosey test-plugin`: what an operator wants to know of a library before trusting it, tried in real processes.

use crate::{
    app, artifact,
    event::{Event, Identity, Outgoing, Place, ReplyTo, User},
    journal::Journal,
    plugins::{self, Candidate, PluginConfig, Plugins, wishes},
    process::{
        memory::resident_bytes,
        sandbox,
        spawn::Spawner,
        start::{Shims, Starter},
    },
    report,
    router::{self, Router},
    slot::view::View,
    speech::Speech,
    store::Database,
    text::clean,
};
use rosey_core::{limits::Limits, outcome::OUTCOMES};
use rosey_wire::manifest::Command;
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, sync::mpsc, time::timeout};

/// Events of the load that wait for their answer at a time.
const WINDOW: usize = 256;

/// Time for one step. A plugin that needs longer is not ready for chat.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longest answer that is shown, in characters.
const SHOWN: usize = 100;

/// The results, in the order in which they were tried.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// Whether nothing failed.
    pub passed: bool,
    /// Each thing that was tried.
    pub steps: Vec<Step>,
}

/// One thing that was tried.
#[derive(Debug, Serialize)]
pub struct Step {
    /// Its name, such as `load`, or a command line.
    pub name: String,
    /// Whether it went well.
    pub passed: bool,
    /// What came of it.
    pub result: String,
}

impl Verdict {
    /// A line for each step, aligned.
    pub fn table(&self) -> String {
        let width = self.steps.iter().map(|step| step.name.chars().count()).max().unwrap_or_default();
        let line = |step: &Step| {
            let mark = if step.passed { "ok  " } else { "FAIL" };
            format!("{mark}  {:width$}  {}\n", step.name, step.result)
        };
        let failed = self.steps.iter().filter(|step| !step.passed).count();
        let last =
            if self.passed { "All is well.".to_owned() } else { format!("{failed} of {} failed.", self.steps.len()) };
        self.steps.iter().map(line).collect::<String>() + &last + "\n"
    }

    fn add(&mut self, name: impl Into<String>, result: Result<String, String>) -> bool {
        let (passed, result) = match result {
            Ok(result) => (true, result),
            Err(result) => (false, result),
        };
        self.passed &= passed;
        self.steps.push(Step { name: clean(&name.into(), SHOWN), passed, result });
        passed
    }
}

/// Tries a library, in a bot of its own whose state is in a temporary folder. The load has this many events.
///
/// # Errors
/// Why it cannot be tried at all.
pub fn try_library(library: &Path, shim: &Path, events: usize) -> Result<Verdict, String> {
    if !shim.is_file() {
        return Err(format!("there is no rosey-shim at {}; {}", shim.display(), artifact::make("rosey-shim", shim)));
    }
    let folder = Folder::new()?;
    let (ops, end_of_ops) = app::start_ops().map_err(|error| format!("cannot start: {error}"))?;
    let data = plugins::runtime().map_err(|error| format!("cannot start: {error}"))?;
    let verdict = data.block_on(async {
        let trial = Trial::start(&folder.0, library, shim, ops).await?;
        let verdict = trial.run(events).await;
        trial.plugins.stop_all().await;
        Ok(verdict)
    });
    data.shutdown_background();
    drop(end_of_ops);
    verdict
}

/// A temporary folder, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("rosey-test-plugin-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("{} cannot be created: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It is in the system's temporary folder, which is cleared anyway.
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Trial {
    plugins: Arc<Plugins>,
    router: Arc<Router>,
    name: String,
    /// The copy that is tried.
    library: PathBuf,
    user: Arc<User>,
    place: Arc<Place>,
}

impl Trial {
    async fn start(folder: &Path, library: &Path, shim: &Path, ops: Handle) -> Result<Self, String> {
        let file = library.file_name().ok_or_else(|| format!("{} is no file", library.display()))?;
        let copy = folder.join(file);
        fs::copy(library, &copy).map_err(|error| format!("{} cannot be read: {error}", library.display()))?;
        let stem = library.file_stem().unwrap_or(file).to_string_lossy();
        let name = stem.strip_prefix("lib").unwrap_or(&stem).replace('_', "-");
        let run_dir = folder.join("run");
        fs::create_dir(&run_dir).map_err(|error| error.to_string())?;
        let shims = Shims {
            spawner: Spawner::start().map_err(|error| error.to_string())?,
            program: shim.to_owned(),
            run_dir,
            data_dir: folder.join("data"),
            spare: false,
        };
        let store = artifact::Store::open(folder.join("artifacts")).map_err(|error| error.to_string())?;
        let starter = Arc::new(Starter::new(shims, store, ops, Journal::default()));
        let schema: Vec<_> = plugins::SCHEMA.into_iter().chain([router::SCHEMA]).collect();
        let database = Database::open(&folder.join(app::DATABASE), &schema).map_err(|error| error.to_string())?;
        let router = Arc::new(Router::default());
        let speech = Speech::new(database.clone(), starter.journal.clone(), Default::default(), true);
        let config = PluginConfig {
            name: name.clone(),
            library: copy.clone(),
            limits: Limits { bake: Duration::ZERO, ..Limits::default() },
            ..PluginConfig::default()
        };
        let plugins = app::assemble(vec![config], starter, &database, &router, &speech, |_| {}).await;
        let plugins = plugins.map_err(|error| error.to_string())?;
        let user = User { name: "tester".to_owned(), identity: Identity::Console }.into();
        Ok(Self { plugins, router, name, library: copy, user, place: Place::new("test", "trial").into() })
    }

    async fn run(&self, events: usize) -> Verdict {
        let mut verdict = Verdict { passed: true, steps: Vec::new() };
        let candidate = match self.plugins.inspect(&self.name).await {
            Ok(candidate) => candidate,
            Err(error) => {
                verdict.add("load", Err(report::chain(&error)));
                return verdict;
            }
        };
        verdict.add("load", Ok(describe(&candidate)));
        let rules = &candidate.sandbox;
        verdict.add("sandbox", Ok(format!("{} rules: {}", rules.len(), sandbox::text(rules))));
        let wishes = wishes::text(&candidate.manifest.wishes);
        if !wishes.is_empty() {
            verdict.add("wishes", Ok(format!("{wishes}; here none of it is granted")));
        }
        let probe = candidate.manifest.probe.as_ref();
        let started = self.plugins.start(&self.name).await;
        let result =
            started.map(|_| "serves with its default settings".to_owned()).map_err(|error| report::chain(&error));
        if !verdict.add("start", result) {
            return verdict;
        }
        let lines: Vec<String> = candidate.manifest.commands.iter().flat_map(examples).collect();
        for line in &lines {
            verdict.add(line, self.command(line).await);
        }
        verdict.add("reload", self.reload().await);
        verdict.add("crash", self.crash().await);
        let load = probe.map(|probe| format!("!{probe}")).or_else(|| lines.first().cloned());
        if let Some(line) = load {
            verdict.add(format!("{events} times {line}"), self.load(&line, events).await);
        }
        verdict
    }

    async fn view(&self) -> Result<View, String> {
        Ok(*self.plugins.view(&self.name).await.map_err(|error| error.to_string())?)
    }

    /// Says a line as a person in chat, and returns the answer.
    async fn command(&self, line: &str) -> Result<String, String> {
        let before = self.view().await?;
        let (outgoing, mut answers) = mpsc::channel::<Outgoing>(1);
        self.router.route(line, &self.user, &self.place, &outgoing).await;
        let answer = timeout(PATIENCE, answers.recv()).await.map_err(|_| "it gives no answer".to_owned())?;
        let text = answer.and_then(|answer| answer.text).map_or("(no text)".to_owned(), |text| clean(&text, SHOWN));
        let after = self.view().await?;
        if after.account.crash_count > before.account.crash_count {
            return Err(format!("it crashed; the user reads: {text}"));
        }
        let grew = |name: &str| {
            let at = OUTCOMES.iter().position(|outcome| *outcome == name).unwrap_or_default();
            after.ledger.outcomes[at] > before.ledger.outcomes[at]
        };
        // An error with words of its own is an answer, such as that there is no quote 3.
        if grew("timed_out") || (grew("failed") && text.starts_with("Sorry")) {
            return Err(format!("it fails; the user reads: {text}"));
        }
        Ok(text)
    }

    /// Reloads the plugin to the same library with a byte more at its end, which nothing reads.
    async fn reload(&self) -> Result<String, String> {
        let began = Instant::now();
        let changed = fs::read(&self.library).and_then(|mut bytes| {
            bytes.push(0);
            let beside = self.library.with_extension("new");
            fs::write(&beside, bytes)?;
            fs::rename(beside, &self.library)
        });
        changed.map_err(|error| error.to_string())?;
        let candidate = self.plugins.inspect(&self.name).await.map_err(|error| report::chain(&error))?;
        let done = self.plugins.reload(&self.name, candidate.artifact, false).await;
        let done = done.map_err(|error| report::chain(&error))?;
        let steps: Vec<_> = done.steps.iter().map(|(step, _)| *step).collect();
        Ok(format!("onto itself in {:.0} ms: {}", began.elapsed().as_secs_f64() * 1e3, steps.join(", ")))
    }

    async fn crash(&self) -> Result<String, String> {
        let pid = self.view().await?.active().map(|active| active.pid).ok_or("no process runs")?;
        let (mut active, began) = (self.plugins.follow(), Instant::now());
        let process = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("its process is gone")?;
        kill_process(process, Signal::KILL).map_err(|error| error.to_string())?;
        let serves_again = async {
            while self.view().await?.active().is_none_or(|active| active.pid == pid) {
                // Fails when events were missed; the view has what they said.
                let _ = active.recv().await;
            }
            Ok(format!("serves again {:.0} ms after SIGKILL", began.elapsed().as_secs_f64() * 1e3))
        };
        timeout(PATIENCE, serves_again)
            .await
            .unwrap_or_else(|_| Err("it does not serve again after SIGKILL".to_owned()))
    }

    async fn load(&self, line: &str, events: usize) -> Result<String, String> {
        let pid = self.view().await?.active().map(|active| active.pid).ok_or("no process runs")?;
        let memory = || resident_bytes(pid).unwrap_or_default() as f64 / 1e6;
        let (before, began) = (memory(), Instant::now());
        let (outgoing, mut answers) = mpsc::channel::<Outgoing>(WINDOW);
        let handle = self.plugins.handle(&self.name).map_err(|error| error.to_string())?;
        let speak = async {
            for _ in 0..events {
                let Ok(permit) = outgoing.clone().reserve_owned().await else { return };
                let (user, place) = (Arc::clone(&self.user), Arc::clone(&self.place));
                handle.deliver(Event::new(line, user, place, ReplyTo::Connector(permit))).await;
            }
        };
        let hear = async {
            let mut batch = Vec::with_capacity(WINDOW);
            let mut heard = 0;
            while heard < events {
                heard += timeout(PATIENCE, answers.recv_many(&mut batch, WINDOW)).await.ok()?;
                batch.clear();
            }
            Some(())
        };
        let ((), heard) = tokio::join!(speak, hear);
        heard.ok_or("not every event has an answer")?;
        let took = began.elapsed().as_secs_f64();
        let alive = self.view().await?.active().is_some_and(|active| active.pid == pid);
        let text = format!("{:.0} events/s, memory {before:.1} → {:.1} MB", events as f64 / took, memory());
        if alive { Ok(text) } else { Err(format!("its process did not survive; {text}")) }
    }
}

fn describe(candidate: &Candidate) -> String {
    let manifest = &candidate.manifest;
    let mut parts = vec![format!("{} {}", manifest.name, manifest.version), format!("plugin-api {}", manifest.api)];
    let commands: Vec<_> = manifest.commands.iter().map(|command| format!("!{}", command.name)).collect();
    if !commands.is_empty() {
        parts.push(commands.join(" "));
    }
    let mut kinds: Vec<_> = manifest.subscriptions.iter().map(|it| it.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if !kinds.is_empty() {
        parts.push(format!("hears {}", kinds.join(", ")));
    }
    parts.push(manifest.probe.as_ref().map_or("no probe".to_owned(), |probe| format!("probe {probe}")));
    parts.push(format!("artifact {}", candidate.artifact.short()));
    parts.join(" · ")
}

/// The usage examples of a command and of its subcommands, each once; its name if there is none.
fn examples(command: &Command) -> Vec<String> {
    let own = command.usage.split(", ").map(|line| line.trim().trim_matches('`')).filter(|line| line.starts_with('!'));
    let mut lines: Vec<String> = own.map(str::to_owned).collect();
    if lines.is_empty() && command.subcommands.is_empty() {
        lines.push(format!("!{}", command.name));
    }
    // A role is what a person needs, and the host keeps it.
    for line in command.subcommands.iter().flat_map(examples) {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_says_what_failed() {
        let mut verdict = Verdict { passed: true, steps: Vec::new() };
        verdict.add("load", Ok("quotes 1.0.0".to_owned()));
        assert!(verdict.table().ends_with("All is well.\n"));
        verdict.add("!quote 3", Err("it fails".to_owned()));
        assert_eq!(verdict.table(), "ok    load      quotes 1.0.0\nFAIL  !quote 3  it fails\n1 of 2 failed.\n");
    }

    #[test]
    fn a_command_is_tried_as_its_help_shows_it() {
        let command = |usage: &str| Command { name: "roll".to_owned(), usage: usage.to_owned(), ..Command::default() };
        assert_eq!(examples(&command("!roll 2d6, !roll")), ["!roll 2d6", "!roll"]);
        assert_eq!(examples(&command("")), ["!roll"]);
        let with = Command { subcommands: vec![command("!quotes search tea")], ..command("") };
        assert_eq!(examples(&with), ["!quotes search tea"]);
        let both = Command { usage: "!quotes, !quotes search tea".to_owned(), ..with };
        assert_eq!(examples(&both), ["!quotes", "!quotes search tea"]);
    }
}
