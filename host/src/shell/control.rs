//! `rosey admin`, and the parts of `rosey store` that change something: sends one request to the running bot, over its
//! control socket.

use super::{fail, forgotten, say};
use crate::{
    admin::socket::{self, RefusalKind, Request, Response},
    app::state::{Host, Life},
    cli::{AdminArgs, Cli, exit},
    config::Config,
    settings::unreadable,
};
use clap::CommandFactory;
use interprocess::local_socket::{GenericFilePath, Stream, prelude::*};
use std::{
    io::{self, BufRead, BufReader, IsTerminal, Write},
    path::Path,
};

/// How the shell answers questions and prints results.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Answers the question with yes.
    pub yes: bool,
    /// Prints JSON.
    pub json: bool,
}

/// Sends the command, answers its question, and shows the result.
pub fn admin(config: &Config, config_given: bool, arguments: &AdminArgs) -> u8 {
    // The usage needs no bot.
    if arguments.command.is_help() && !arguments.json && connect(&config.state_dir).is_err() {
        return usage();
    }
    let manner = Manner { yes: arguments.yes, json: arguments.json };
    let request =
        Request::Command { line: arguments.command.line().to_owned(), wait: arguments.wait, follow: arguments.follow };
    ask(config, config_given, &request, None, manner)
}

/// Sends a request to the bot, answers its question, and shows the result. `lines` follow when the bot asks for them.
pub(super) fn ask(
    config: &Config,
    config_given: bool,
    request: &Request,
    lines: Option<&mut dyn BufRead>,
    manner: Manner,
) -> u8 {
    let stream = match connect(&config.state_dir) {
        Ok(stream) => stream,
        Err(error) => {
            let (code, kind, text) = absent(config, config_given, &error);
            return refused(manner, code, kind, &text);
        }
    };
    match talk(stream, request, lines, manner) {
        Ok(code) => code,
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            let who = host(&config.state_dir).map(|host| format!(" (process {})", host.pid)).unwrap_or_default();
            let seconds = socket::SILENCE.as_secs();
            let text = format!(
                "the bot{who} has not answered for {seconds} s: it was suspended, or the machine is overloaded. It may \
                 still carry the command out; look with: rosey audit list"
            );
            refused(manner, exit::FAILED, "failed", &text)
        }
        Err(error) => refused(manner, exit::FAILED, "failed", &format!("the bot ended during the request: {error}")),
    }
}

/// The process at the other end of the control socket is not the bot.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} listens at its control socket and is not that bot, so nothing was sent. End that process, and find out who started it"
)]
struct NotTheHost(String);

/// Why the shell reaches no bot: the exit code, the kind of refusal, and the text.
fn absent(config: &Config, config_given: bool, error: &io::Error) -> (u8, &'static str, String) {
    let state = config.state_dir.display();
    if error.kind() == io::ErrorKind::PermissionDenied {
        return (exit::DENIED, "denied", format!("the bot in {state} belongs to another user: {error}"));
    }
    if error.get_ref().is_some_and(|error| error.is::<NotTheHost>()) {
        return (exit::DENIED, "denied", format!("the bot in {state}: {error}"));
    }
    let text = match host(&config.state_dir) {
        Some(Host { life: Life::Stopping, pid, .. }) => {
            format!("the rosey of {state} is stopping (process {pid})")
        }
        Some(Host { life: Life::Starting, pid, .. }) => {
            format!("the rosey of {state} is starting (process {pid}); try again in a moment")
        }
        Some(Host { pid, run_dir, .. }) => {
            let socket = run_dir.join(socket::FILE);
            format!(
                "the rosey of {state} runs (process {pid}), but its control socket {} does not answer: {}. If something \
                 removed it, that rosey makes it again within seconds; try again",
                socket.display(),
                unreadable(error)
            )
        }
        None => {
            let hint = forgotten(config_given);
            format!("no rosey is running with the state directory {state}; start it with: rosey run{hint}")
        }
    };
    (exit::NOT_RUNNING, "not_running", text)
}

fn connect(directory: &Path) -> io::Result<Stream> {
    let host = Host::of(directory)?;
    let path = host.run_dir.join(socket::FILE);
    let stream = Stream::connect(path.to_fs_name::<GenericFilePath>()?)?;
    let peer = stream.peer_creds()?;
    let is_host = peer.pid().and_then(|pid| u32::try_from(pid).ok()).is_some_and(|pid| host.is_process(pid, directory));
    if !is_host {
        let who = peer.pid().map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
        return Err(io::Error::other(NotTheHost(who)));
    }
    stream.set_recv_timeout(Some(socket::SILENCE))?;
    stream.set_send_timeout(Some(socket::SILENCE))?;
    Ok(stream)
}

/// The host that uses the state directory, if there is one.
pub(super) fn host(directory: &Path) -> Option<Host> {
    Host::of(directory).ok().filter(|_| Host::lives(directory))
}

fn usage() -> u8 {
    let mut command = super::completion::visible(Cli::command());
    command.build();
    let help = command.find_subcommand_mut("admin").map(|admin| admin.render_long_help().to_string());
    say(&help.unwrap_or_default())
}

/// Reports a refusal: on standard error, and as JSON if the user asked for that.
fn refused(manner: Manner, code: u8, kind: &str, text: &str) -> u8 {
    if manner.json {
        say(&format!("{}\n", serde_json::json!({ "refused": { "text": text, "kind": kind } })));
    }
    fail(code, text)
}

fn talk(stream: Stream, request: &Request, mut lines: Option<&mut dyn BufRead>, manner: Manner) -> io::Result<u8> {
    let mut stream = BufReader::new(stream);
    // A host that refuses before it reads has closed the connection. Its answer can still be read.
    match send(&mut stream, request) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
        _ => {}
    }
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match serde_json::from_str(&line)? {
            Response::Question(question) => match confirm(manner.yes, &question)? {
                Ok(()) => {
                    // Fails when the answer took too long; the host has said so already.
                    let _ = send(&mut stream, &Request::Answer("yes".to_owned()));
                }
                Err(text) => {
                    // For the audit. It does not matter whether the host still listens.
                    let _ = send(&mut stream, &Request::Answer("no".to_owned()));
                    return Ok(refused(manner, exit::UNCONFIRMED, "unconfirmed", &text));
                }
            },
            Response::Progress(text) => eprintln!("{text}"),
            Response::Lines(text) => {
                // A log may be silent for hours.
                stream.get_ref().set_recv_timeout(None)?;
                if say(&format!("{text}\n")) != exit::OK {
                    return Ok(exit::FAILED);
                }
            }
            Response::Send => {
                if let Some(Err(error)) = lines.take().map(|lines| send_lines(&mut stream, lines)) {
                    return match error {
                        Unsent::File(error) => Ok(fail(exit::FAILED, &format!("the file cannot be read: {error}"))),
                        Unsent::Bot(error) => Err(error),
                    };
                }
            }
            Response::Done { data, .. } if manner.json => {
                return Ok(say(&format!("{}\n", serde_json::to_string_pretty(&data)?)));
            }
            Response::Done { text, .. } => return Ok(say(&format!("{text}\n"))),
            Response::Refused { text, kind } => {
                if manner.json {
                    say(&line);
                }
                return Ok(fail(code(kind), &text));
            }
        }
    }
}

fn send(stream: &mut BufReader<Stream>, ask: &Request) -> io::Result<()> {
    let mut line = serde_json::to_vec(ask)?;
    line.push(b'\n');
    stream.get_mut().write_all(&line)
}

/// Why the shell could not send lines.
enum Unsent {
    /// The file cannot be read.
    File(io::Error),
    /// The bot does not read further.
    Bot(io::Error),
}

/// Sends lines, and an empty one after the last.
fn send_lines(stream: &mut BufReader<Stream>, lines: &mut dyn BufRead) -> Result<(), Unsent> {
    let mut output = io::BufWriter::new(stream.get_mut());
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).map_err(Unsent::File)? == 0 {
            break;
        }
        // To the bot an empty line means the end.
        let text = line.trim_ascii_end();
        if !text.is_empty() {
            output.write_all(text).and_then(|()| output.write_all(b"\n")).map_err(Unsent::Bot)?;
        }
    }
    output.write_all(b"\n").and_then(|()| output.flush()).map_err(Unsent::Bot)
}

/// Asks the person at the terminal, unless `--yes` was given. Returns the reason when the answer is not yes.
fn confirm(yes: bool, question: &str) -> io::Result<Result<(), String>> {
    if yes {
        return Ok(Ok(()));
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(Err(format!("{question} There is no terminal to ask on: add --yes. Nothing was done.")));
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    let yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    Ok(if yes { Ok(()) } else { Err("Nothing was done.".to_owned()) })
}

fn code(kind: RefusalKind) -> u8 {
    match kind {
        RefusalKind::Unclear => exit::USAGE,
        RefusalKind::Denied => exit::DENIED,
        RefusalKind::Later => exit::LATER,
        RefusalKind::Unconfirmed => exit::UNCONFIRMED,
        RefusalKind::Failed => exit::FAILED,
    }
}
