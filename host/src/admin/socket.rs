//! The control socket: the admin for the shell, with the same checks as chat. Each request and each answer is one JSON
//! line.
//!
//! Only processes of the host's own system user get in: the socket is in a private directory with mode 0600, and the
//! kernel names the user at the other end. Processes of plugins do not get in, whatever their sandbox allows.

mod each;
mod follow;
mod lasts;
mod store;

use super::{
    Action, Actor, Admin, Completed, Refusal, Via,
    confirm::{Asked, Question},
    grammar,
    grammar::{ParsedLine, Surface},
    show::counted,
};
use crate::{
    event::{Identity, User},
    process::orphans,
    slot::{handle::Handle, lifecycle::LifecycleEvent},
};
use interprocess::{
    local_socket::{GenericFilePath, ListenerOptions, prelude::*, tokio::Listener, tokio::Stream, tokio::prelude::*},
    os::unix::local_socket::ListenerOptionsExt,
};
use rosey_core::state::{PluginState, Role};
use serde::{Deserialize, Serialize};
use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    sync::{Semaphore, broadcast::Receiver},
};

/// The name of the socket in the run directory.
pub const FILE: &str = "control.sock";

/// Connections at a time, for operators and their scripts.
const CONNECTIONS: usize = 32;

/// The longest request, in bytes.
const MAX_REQUEST: u64 = 4096;

/// Time that a client may take for a request.
const PATIENCE: Duration = Duration::from_secs(30);

/// Pause before the next try to accept a client, when the system has no more file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(250);

/// Interval at which the host looks whether its socket is still there.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Pause between two lines of progress: as fast as people read.
const PROGRESS: Duration = Duration::from_secs(1);

/// A client gets a sign of life at least this often. Much shorter than [`SILENCE`].
const ALIVE: Duration = Duration::from_secs(5);

/// A host that is silent for so long does not run: it is suspended, or the machine is overloaded.
pub const SILENCE: Duration = Duration::from_secs(15);

/// A request of a client: one command, and after a question `{"answer":"yes"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// A command as in chat, without `!admin`.
    Command {
        /// `reload dice-roller`
        line: String,
        /// Whether to answer only when the plugin is at rest: it is up, and the old process has drained.
        #[serde(default)]
        wait: bool,
        /// Whether to go on with further lines, for `logs`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        follow: bool,
    },
    /// The answer to a question.
    Answer(String),
    /// A change of the data of a plugin.
    Store {
        /// The plugin whose data changes.
        plugin: String,
        /// An import, or a deletion by prefix.
        change: StoreRequest,
    },
}

/// A change of the data of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreRequest {
    /// Replaces all data with the lines of an export, which follow after [`Response::Send`].
    Import,
    /// Deletes keys.
    Delete {
        /// The prefix of the keys; empty for all keys.
        prefix: String,
    },
}

/// A response of the host. The last one is `Done` or `Refused`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// The question, which says what a yes will do.
    Question(String),
    /// What the host does at the moment.
    Progress(String),
    /// Lines of a log that is followed; more may come.
    Lines(String),
    /// The bot reads the lines now, and an empty one after the last.
    Send,
    /// The command was carried out.
    Done {
        /// The text for people.
        text: String,
        /// The data for programs.
        data: serde_json::Value,
    },
    /// The command was refused.
    Refused {
        /// The reason, and what to do.
        text: String,
        /// The kind of refusal.
        kind: RefusalKind,
    },
}

/// Kinds of refusals, for exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// The request is not understood.
    Unclear,
    /// The user may not do that.
    Denied,
    /// Not now; a moment later it may succeed.
    Later,
    /// The answer to the question was not yes.
    Unconfirmed,
    /// Anything else.
    Failed,
}

impl From<&Refusal> for Response {
    fn from(refusal: &Refusal) -> Self {
        let kind = match refusal {
            Refusal::Denied { .. } => RefusalKind::Denied,
            Refusal::Unclear(_) => RefusalKind::Unclear,
            Refusal::SecondPerson { .. } => RefusalKind::Unconfirmed,
            refusal if refusal.is_temporary() => RefusalKind::Later,
            _ => RefusalKind::Failed,
        };
        Self::Refused { text: refusal.text(Surface::Shell), kind }
    }
}

/// Creates the socket.
///
/// # Errors
/// When the socket cannot be created.
pub fn listen(run_dir: &Path) -> io::Result<Listener> {
    let name = run_dir.join(FILE).to_fs_name::<GenericFilePath>()?;
    // A listener whose file another program has removed would otherwise remove that of its successor.
    ListenerOptions::new().name(name).mode(0o600).reclaim_name(false).create_tokio()
}

/// Serves clients for ever, and makes the socket in `run_dir` again when another program has removed or replaced it.
pub async fn serve(admin: Arc<Admin>, mut listener: Listener, run_dir: PathBuf) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let (path, mut looks) = (run_dir.join(FILE), tokio::time::interval(LOOK_EVERY));
    let mut file = inode(&path);
    for number in 1_u64.. {
        let permit = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
        let accepted = loop {
            tokio::select! {
                accepted = listener.accept() => break accepted,
                _ = looks.tick() => if inode(&path) != file && !admin.is_stopping() {
                    // Fails while the directory is gone, too, which the host makes again.
                    let _ = std::fs::remove_file(&path);
                    if let Ok(made) = listen(&run_dir) {
                        tracing::warn!("{} was removed or replaced; it is made again", path.display());
                        (listener, file) = (made, inode(&path));
                    }
                },
            }
        };
        match accepted {
            Ok(stream) => {
                let admin = Arc::clone(&admin);
                tokio::spawn(async move {
                    if let Err(error) = client(&admin, stream, number).await {
                        tracing::debug!("a client of the control socket: {error}");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!("the control socket: {error}");
                // Most likely out of file descriptors, which passes.
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::symlink_metadata(path).ok().map(|meta| meta.ino())
}

async fn client(admin: &Arc<Admin>, stream: Stream, number: u64) -> io::Result<()> {
    let peer = stream.peer_creds()?;
    let mut client = Client { stream: BufReader::new(stream), last_progress: None, progress_at: None, number };
    let me = rustix::process::geteuid().as_raw();
    let place = format!("control.sock, pid {}", peer.pid().unwrap_or_default());
    let name = peer.euid().map_or_else(|| "unknown".to_owned(), user_name);
    let user = User { name: name.clone(), identity: Identity::System(name) };
    let actor = Actor { user: user.into(), via: Via::Shell, place };
    // Reads in any case: the kernel resets a connection that is closed with unread bytes, and the answer is lost.
    let asked = tokio::time::timeout(PATIENCE, client.request()).await.unwrap_or_else(|late| Err(late.into()));
    if peer.euid() != Some(me) {
        let text = format!("this bot belongs to {}; run rosey as that user.", user_name(me));
        admin.deny(&actor, "connect", None, &text).await;
        return client.tell(&Response::Refused { text, kind: RefusalKind::Denied }).await;
    }
    if peer.pid().and_then(|pid| u32::try_from(pid).ok()).is_none_or(orphans::is_of_a_plugin) {
        let text = "plugins may not use the control socket.".to_owned();
        admin.deny(&actor, "connect", None, &text).await;
        return client.tell(&Response::Refused { text, kind: RefusalKind::Denied }).await;
    }
    let last = match asked? {
        Some(Request::Command { line, follow: true, .. }) => client.follow(admin, &actor, &line).await?,
        Some(Request::Command { line, wait, follow: false }) => client.command(admin, &actor, &line, wait).await?,
        Some(Request::Store { plugin, change }) => client.store(admin, &actor, &plugin, change).await?,
        Some(Request::Answer(_)) | None => {
            let text = "a request is one JSON line: {\"command\":{\"line\":\"list\"}}".to_owned();
            Ok(Response::Refused { text, kind: RefusalKind::Unclear })
        }
    };
    let last = last.unwrap_or_else(|refusal| Response::from(&refusal));
    client.tell(&last).await
}

struct Client {
    stream: BufReader<Stream>,
    /// Counts all clients.
    number: u64,
    /// The last line of progress, and its time.
    last_progress: Option<String>,
    progress_at: Option<Instant>,
}

impl Client {
    async fn tell(&mut self, what: &Response) -> io::Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).await
    }

    /// The next request; `None` when it cannot be read.
    async fn request(&mut self) -> io::Result<Option<Request>> {
        let mut line = Vec::new();
        (&mut self.stream).take(MAX_REQUEST).read_until(b'\n', &mut line).await?;
        Ok(serde_json::from_slice(&line).ok())
    }

    async fn command(
        &mut self,
        admin: &Arc<Admin>,
        actor: &Actor,
        line: &str,
        wait: bool,
    ) -> io::Result<Result<Response, Refusal>> {
        match grammar::command(line, Surface::Shell) {
            ParsedLine::Query(query, plugin) => {
                let answer = admin.query(actor, query, plugin.as_deref()).await;
                Ok(answer.map(|answer| Response::Done { text: answer.text, data: answer.data }))
            }
            ParsedLine::Change(action, plugin) => self.change(admin, actor, (action, &plugin, None), wait).await,
            ParsedLine::Each(series) => self.each(admin, actor, series).await,
            ParsedLine::LoadFrom(plugin, library) => {
                self.change(admin, actor, (Action::LoadFrom, &plugin, Some(library)), wait).await
            }
            ParsedLine::Unclear(text) => Ok(Err(admin.unclear(actor, text).await)),
            // `command` returns neither of these.
            ParsedLine::Yes | ParsedLine::No => Ok(Err(Refusal::Unclear("There is no question.".to_owned()))),
        }
    }

    async fn change(
        &mut self,
        admin: &Arc<Admin>,
        actor: &Actor,
        (action, plugin, library): (Action, &str, Option<PathBuf>),
        wait: bool,
    ) -> io::Result<Result<Response, Refusal>> {
        // An inspection that takes long is announced.
        self.progress_at = Some(Instant::now());
        let looking = action.inspects().then(|| format!("Inspecting the new build of {plugin} …"));
        let proposing = admin.propose_with(actor, action, plugin, library);
        let proposal = match self.during(proposing, admin, plugin, looking.as_deref()).await? {
            Ok(proposal) => proposal,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let left = format!("{} {plugin}", action.word());
        let proposal = match self.confirmed(admin, actor, Question::Change(Box::new(proposal)), &left).await? {
            Ok(Question::Change(proposal)) => *proposal,
            Ok(_) => unreachable!("a client is asked one question at a time"),
            Err(response) => return Ok(Ok(response)),
        };
        self.tell(&Response::Progress(proposal.progress())).await?;
        self.progress_at = None;
        let followed = admin.plugins.follow();
        let completed = match self.during(admin.carry_out(actor, proposal), admin, plugin, None).await? {
            Ok(completed) => completed,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if wait
            && action != Action::Unload
            && let Err(refusal) = self.until_at_rest(admin, action, plugin, &completed, followed).await?
        {
            return Ok(Err(refusal));
        }
        let data = data(action, plugin, &completed);
        Ok(Ok(Response::Done { text: completed.text, data }))
    }

    /// Asks, and returns the question if the answer is yes, else the response: nothing was done about `what`.
    async fn confirmed(
        &mut self,
        admin: &Admin,
        actor: &Actor,
        question: Question,
        what: &str,
    ) -> io::Result<Result<Question, Response>> {
        let asked = Asked { who: format!("client {}", self.number), place: String::new() };
        let text = Response::Question(question.text().to_owned());
        let expired = match admin.ask(actor, asked.clone(), question).await {
            Ok(expired) => expired,
            Err(refusal) => return Ok(Err(Response::from(&refusal))),
        };
        let answer = async {
            self.tell(&text).await?;
            self.request().await
        };
        let (late, why) = tokio::select! {
            answer = answer => match answer {
                Ok(Some(Request::Answer(text))) if grammar::parse(&text) == ParsedLine::Yes => ("", None),
                Ok(Some(Request::Answer(_))) => ("", Some("answered no")),
                _ => ("", Some("the shell disconnected without an answer")),
            },
            Ok(()) = expired => (" no answer in time,", None),
        };
        match why {
            Some(why) => drop(admin.decline(actor, &asked, why).await),
            None => match admin.confirm(&asked) {
                Ok(question) => return Ok(Ok(question)),
                Err(_over) => {}
            },
        }
        let text = format!("{what}:{late} nothing was done.");
        Ok(Err(Response::Refused { text, kind: RefusalKind::Unconfirmed }))
    }

    /// Waits for something, and meanwhile sends progress: the given text, or what the plugin does.
    async fn during<T>(
        &mut self,
        what: impl Future<Output = T>,
        admin: &Admin,
        plugin: &str,
        given: Option<&str>,
    ) -> io::Result<T> {
        let mut what = pin!(what);
        loop {
            tokio::select! {
                result = &mut what => return Ok(result),
                () = tokio::time::sleep(PROGRESS) => {}
            }
            let doing = if given.is_none() { doing(admin, plugin).await } else { None };
            self.progress(given.or(doing.as_deref()).unwrap_or("Still working …")).await?;
        }
    }

    /// Waits until the plugin is at rest: it is up, and the old process has drained. Refuses if the change has not
    /// lasted until then.
    async fn until_at_rest(
        &mut self,
        admin: &Admin,
        action: Action,
        plugin: &str,
        completed: &Completed,
        followed: Receiver<LifecycleEvent>,
    ) -> io::Result<Result<(), Refusal>> {
        let mut changes = admin.plugins.handle(plugin).ok().as_ref().map(Handle::changes);
        while let Some(doing) = doing(admin, plugin).await {
            self.progress(&doing).await?;
            let changed = async {
                match &mut changes {
                    Some(changes) => changes.changed().await.is_ok(),
                    None => false,
                }
            };
            // Progress that only goes on is sent as fast as people read.
            if tokio::time::timeout(PROGRESS, changed).await == Ok(false) {
                break;
            }
        }
        let view = match admin.view_of(plugin).await {
            Ok(view) => view,
            Err(refusal) => return Ok(Err(refusal)),
        };
        Ok(match lasts::lasts(action, completed, &view, followed) {
            Ok(()) => Ok(()),
            Err(why) => Err(Refusal::DidNotLast { plugin: plugin.to_owned(), why }),
        })
    }

    /// Sends progress when it is due: when the text has changed, and now and then as a sign of life.
    async fn progress(&mut self, doing: &str) -> io::Result<()> {
        let silent = self.progress_at.map_or(ALIVE, |at| at.elapsed());
        let is_new = self.last_progress.as_deref() != Some(doing);
        if silent >= ALIVE || is_new && silent >= PROGRESS { self.say(doing.to_owned()).await } else { Ok(()) }
    }

    async fn say(&mut self, doing: String) -> io::Result<()> {
        self.progress_at = Some(Instant::now());
        self.last_progress = Some(doing.clone());
        self.tell(&Response::Progress(doing)).await
    }
}

/// The result of an action, for programs.
fn data(action: Action, plugin: &str, completed: &Completed) -> serde_json::Value {
    let (from, to) = (&completed.builds.from, &completed.builds.to);
    let steps: Vec<_> = completed
        .steps
        .iter()
        .map(|(step, took)| serde_json::json!({ "step": step, "seconds": took.as_secs_f64() }))
        .collect();
    serde_json::json!({
        "action": action.word(),
        "plugin": plugin,
        "from": from.as_ref().map(|build| &build.version),
        "to": to.as_ref().map(|build| &build.version),
        "from_artifact": from.as_ref().map(|build| build.artifact.to_string()),
        "to_artifact": to.as_ref().map(|build| build.artifact.to_string()),
        "generation": completed.generation,
        "steps": steps,
        "seconds": completed.took.as_secs_f64(),
        "text": completed.text,
    })
}

/// What a plugin does at the moment; `None` when it is at rest.
async fn doing(admin: &Admin, plugin: &str) -> Option<String> {
    let view = admin.view_of(plugin).await.ok()?;
    let leaving = view.generations.iter().find(|old| matches!(old.role, Role::Draining | Role::Retiring));
    match (view.state, leaving) {
        (PluginState::Reloading | PluginState::Starting | PluginState::Crashed | PluginState::Draining, None) => {
            let explanation = view.explanation.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
            Some(format!("{} is {}{explanation}", view.plugin, view.state))
        }
        (_, Some(old)) => {
            let events = counted(old.in_flight as u64, "event");
            Some(format!("generation {} of {} has {events} to finish", old.number, view.plugin))
        }
        _ => None,
    }
}

/// The name of a system user from the password file, or the number if the file does not have it.
pub fn user_name(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        (id.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| uid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_on_the_socket_stay_what_they_are() {
        let json = |ask: &Request| serde_json::to_string(ask).expect("JSON");
        let command = Request::Command { line: "reload x force".into(), wait: true, follow: false };
        assert_eq!(json(&command), r#"{"command":{"line":"reload x force","wait":true}}"#);
        assert_eq!(json(&Request::Answer("yes".into())), r#"{"answer":"yes"}"#);
        let delete = StoreRequest::Delete { prefix: "q:".into() };
        let delete = Request::Store { plugin: "x".into(), change: delete };
        assert_eq!(json(&delete), r#"{"store":{"plugin":"x","change":{"delete":{"prefix":"q:"}}}}"#);
        assert_eq!(serde_json::to_string(&Response::Send).expect("JSON"), r#""send""#);
        let short: Request = serde_json::from_str(r#"{"command":{"line":"list"}}"#).expect("wait may be left out");
        assert_eq!(short, Request::Command { line: "list".into(), wait: false, follow: false });
        let refused = Response::Refused { text: "no.".into(), kind: RefusalKind::Later };
        assert_eq!(serde_json::to_string(&refused).expect("JSON"), r#"{"refused":{"text":"no.","kind":"later"}}"#);
    }

    #[test]
    fn the_first_user_has_a_name_and_an_unknown_one_a_number() {
        assert_eq!(user_name(0), "root");
        assert_eq!(user_name(4_000_000_000), "4000000000");
    }
}
