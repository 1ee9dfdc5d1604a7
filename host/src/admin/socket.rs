//! The control socket: the admin for the shell, on the same path as chat. One JSON line for each request and answer.
//!
//! Only processes of the host's own system user get in: the socket lies in a private directory with mode 0600, and the
//! kernel says who is at the other end.

use super::{Actor, Admin, Refusal, grammar, grammar::Request};
use crate::{
    event::{Identity, User},
    plugin::slot::message::View,
};
use interprocess::{
    local_socket::{GenericFilePath, ListenerOptions, prelude::*, tokio::Listener, tokio::Stream, tokio::prelude::*},
    os::unix::local_socket::ListenerOptionsExt,
};
use serde::{Deserialize, Serialize};
use std::{io, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    sync::Semaphore,
};

/// The socket's name in the run directory.
pub const FILE: &str = "control.sock";

/// Connections at a time: operators and their scripts.
const CONNECTIONS: usize = 32;

/// The longest request, in bytes.
const MAX_REQUEST: u64 = 4096;

/// How long a client may take for a request, or for the answer to a question.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at an action under way, for those who wait for it.
const LOOK: Duration = Duration::from_millis(250);

/// What a client sends: one command, and after a question `{"answer":"yes"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// A command as in chat, without `!admin`.
    Command {
        /// It.
        line: String,
        /// Whether to answer only when the plugin has settled: it is up, and the old process has drained.
        #[serde(default)]
        wait: bool,
    },
    /// To a question.
    Answer(String),
}

/// What the host answers. The last one is `Done` or `Refused`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tell {
    /// What a yes would do.
    Question(String),
    /// What is going on.
    Progress(String),
    /// It was done.
    Done {
        /// For people.
        text: String,
        /// For programs.
        data: serde_json::Value,
    },
    /// It was not.
    Refused {
        /// Why, and what to do.
        text: String,
        /// What kind of refusal it is.
        kind: RefusalKind,
    },
}

/// Kinds of refusals, for exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// The request makes no sense.
    Unclear,
    /// They may not.
    Denied,
    /// Not now; a moment later perhaps.
    Later,
    /// The answer to the question was not yes.
    Unconfirmed,
    /// Anything else.
    Failed,
}

impl From<&Refusal> for Tell {
    fn from(refusal: &Refusal) -> Self {
        let kind = match refusal {
            Refusal::Denied { .. } => RefusalKind::Denied,
            Refusal::Unclear(_) => RefusalKind::Unclear,
            refusal if refusal.is_temporary() => RefusalKind::Later,
            _ => RefusalKind::Failed,
        };
        Self::Refused { text: refusal.to_string(), kind }
    }
}

/// Makes the socket.
///
/// # Errors
/// When it cannot be made.
pub fn listen(run_dir: &Path) -> io::Result<Listener> {
    let name = run_dir.join(FILE).to_fs_name::<GenericFilePath>()?;
    ListenerOptions::new().name(name).mode(0o600).create_tokio()
}

/// Serves clients for ever.
pub async fn serve(admin: Arc<Admin>, listener: Listener) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let permit = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
        match listener.accept().await {
            Ok(stream) => {
                let admin = Arc::clone(&admin);
                tokio::spawn(async move {
                    if let Err(error) = client(&admin, stream).await {
                        tracing::debug!("a client of the control socket: {error}");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!("the control socket: {error}");
                // Out of file descriptors, most likely; that passes.
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

async fn client(admin: &Arc<Admin>, stream: Stream) -> io::Result<()> {
    let peer = stream.peer_creds()?;
    let mut client = Client { stream: BufReader::new(stream) };
    let me = rustix::process::geteuid().as_raw();
    let Some(uid) = peer.euid().filter(|uid| *uid == me) else {
        let text = format!("this bot belongs to {}; run rosey as that user.", user_name(me));
        return client.tell(&Tell::Refused { text, kind: RefusalKind::Denied }).await;
    };
    let name = user_name(uid);
    let user = User { name: name.clone(), identity: Identity::System(name) };
    let place = format!("control.sock, pid {}", peer.pid().unwrap_or_default());
    let actor = Actor { user: user.into(), via: "shell", place };
    let Some(Ask::Command { line, wait }) = client.ask().await? else {
        let text = "a request is one JSON line: {\"command\":{\"line\":\"list\"}}".to_owned();
        return client.tell(&Tell::Refused { text, kind: RefusalKind::Unclear }).await;
    };
    let last = match client.command(admin, &actor, &line, wait).await? {
        Ok(done) => done,
        Err(refusal) => Tell::from(&refusal),
    };
    client.tell(&last).await
}

struct Client {
    stream: BufReader<Stream>,
}

impl Client {
    async fn tell(&mut self, what: &Tell) -> io::Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).await
    }

    /// The next line; nothing when it makes no sense.
    async fn ask(&mut self) -> io::Result<Option<Ask>> {
        let mut line = Vec::new();
        let mut request = (&mut self.stream).take(MAX_REQUEST);
        tokio::time::timeout(PATIENCE, request.read_until(b'\n', &mut line)).await??;
        Ok(serde_json::from_slice(&line).ok())
    }

    async fn command(
        &mut self,
        admin: &Arc<Admin>,
        actor: &Actor,
        line: &str,
        wait: bool,
    ) -> io::Result<Result<Tell, Refusal>> {
        let (action, plugin) = match grammar::command(line) {
            Request::Query(query) => {
                let answer = admin.query(actor, &query).await;
                return Ok(answer.map(|answer| Tell::Done { text: answer.text, data: answer.data }));
            }
            Request::Change(action, plugin) => (action, plugin),
            Request::Unclear(text) => return Ok(Err(admin.unclear(actor, text).await)),
            // Not from `command`.
            Request::Yes | Request::No => return Ok(Err(Refusal::Unclear("There is no question.".to_owned()))),
        };
        let proposal = match admin.propose(actor, action, &plugin).await {
            Ok(proposal) => proposal,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.tell(&Tell::Question(proposal.question.clone())).await?;
        let answer = self.ask().await;
        if !matches!(&answer, Ok(Some(Ask::Answer(text))) if grammar::parse(text) == Request::Yes) {
            let late = if answer.is_err() { " no answer in time," } else { "" };
            let text = format!("{} {plugin}:{late} left as it is.", action.word());
            return Ok(Ok(Tell::Refused { text, kind: RefusalKind::Unconfirmed }));
        }
        self.tell(&Tell::Progress(proposal.progress())).await?;
        let (from, to) = (proposal.from.clone(), proposal.to.clone());
        let result = {
            let carrying_out = admin.carry_out(actor, proposal);
            tokio::pin!(carrying_out);
            let mut said = None;
            loop {
                tokio::select! {
                    result = &mut carrying_out => break result,
                    () = tokio::time::sleep(LOOK) => {}
                }
                self.progress(admin, &plugin, &mut said).await?;
            }
        };
        let completed = match result {
            Ok(completed) => completed,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if wait {
            let mut said = None;
            while self.progress(admin, &plugin, &mut said).await? {
                tokio::time::sleep(LOOK).await;
            }
        }
        let data = serde_json::json!({
            "action": action.word(), "plugin": plugin, "from": from, "to": to, "text": completed.text,
        });
        Ok(Ok(Tell::Done { text: completed.text, data }))
    }

    /// Says what a plugin is doing, if that is not what was said last. False when it has settled.
    async fn progress(&mut self, admin: &Admin, plugin: &str, said: &mut Option<String>) -> io::Result<bool> {
        let Ok(view) = admin.look(plugin).await else { return Ok(false) };
        let doing = doing(&view);
        if doing.is_some() && doing != *said {
            self.tell(&Tell::Progress(doing.clone().unwrap_or_default())).await?;
            said.clone_from(&doing);
        }
        Ok(doing.is_some())
    }
}

/// What a plugin is doing; nothing when it has settled.
fn doing(view: &View) -> Option<String> {
    let leaving = view.generations.iter().find(|old| matches!(old.role, "draining" | "retiring"));
    match (view.state, leaving) {
        ("reloading" | "starting" | "crashed" | "draining", None) => {
            let explanation = view.explanation.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
            Some(format!("{} is {}{explanation}", view.plugin, view.state))
        }
        (_, Some(old)) => {
            Some(format!("generation {} of {} has {} events to finish", old.number, view.plugin, old.in_flight))
        }
        _ => None,
    }
}

/// The name of a system user, from the password file; a user who is not there is called by number.
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
        let json = |ask: &Ask| serde_json::to_string(ask).expect("JSON");
        let command = Ask::Command { line: "reload x force".into(), wait: true };
        assert_eq!(json(&command), r#"{"command":{"line":"reload x force","wait":true}}"#);
        assert_eq!(json(&Ask::Answer("yes".into())), r#"{"answer":"yes"}"#);
        let short: Ask = serde_json::from_str(r#"{"command":{"line":"list"}}"#).expect("wait may be left out");
        assert_eq!(short, Ask::Command { line: "list".into(), wait: false });
        let refused = Tell::Refused { text: "no.".into(), kind: RefusalKind::Later };
        assert_eq!(serde_json::to_string(&refused).expect("JSON"), r#"{"refused":{"text":"no.","kind":"later"}}"#);
    }

    #[test]
    fn the_first_user_has_a_name_and_an_unknown_one_a_number() {
        assert_eq!(user_name(0), "root");
        assert_eq!(user_name(4_000_000_000), "4000000000");
    }
}
