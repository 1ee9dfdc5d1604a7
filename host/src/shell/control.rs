//! `rosey admin`: one command to the running bot, over its control socket.

use super::fail;
use crate::{
    admin::socket::{self, Ask, RefusalKind, Tell},
    app,
    cli::{AdminArgs, exit},
    config::Config,
};
use interprocess::local_socket::{GenericFilePath, Stream, prelude::*};
use std::{
    io::{self, BufRead, BufReader, IsTerminal, Write},
    path::Path,
};

/// Sends the command, answers its question, shows what comes of it.
pub fn admin(config: &Config, arguments: &AdminArgs) -> u8 {
    let stream = match connect(&config.state_dir) {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let text = format!("the bot in {} belongs to another user: {error}", config.state_dir.display());
            return fail(exit::DENIED, &text);
        }
        Err(_) => {
            let state = config.state_dir.display();
            let text = format!("no rosey is running with the state directory {state}; start it with: rosey run");
            return fail(exit::NOT_RUNNING, &text);
        }
    };
    match talk(stream, arguments) {
        Ok(code) => code,
        Err(error) => fail(exit::FAILED, &format!("the bot ended while it was asked: {error}")),
    }
}

fn connect(state: &Path) -> io::Result<Stream> {
    let path = app::run_dir(&state.canonicalize()?).join(socket::FILE);
    Stream::connect(path.to_fs_name::<GenericFilePath>()?)
}

fn talk(stream: Stream, arguments: &AdminArgs) -> io::Result<u8> {
    let mut stream = BufReader::new(stream);
    send(&mut stream, &Ask::Command { line: arguments.command.line(), wait: arguments.wait })?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match serde_json::from_str(&line)? {
            Tell::Question(question) => match confirm(arguments.yes, &question)? {
                true => {
                    // Fails when the answer took too long; the host has said so already.
                    let _ = send(&mut stream, &Ask::Answer("yes".to_owned()));
                }
                false => return Ok(exit::UNCONFIRMED),
            },
            Tell::Progress(text) => eprintln!("{text}"),
            Tell::Done { data, .. } if arguments.json => {
                println!("{}", serde_json::to_string_pretty(&data)?);
                return Ok(exit::OK);
            }
            Tell::Done { text, .. } => {
                println!("{text}");
                return Ok(exit::OK);
            }
            Tell::Refused { text, kind } => {
                if arguments.json {
                    println!("{}", line.trim_end());
                }
                return Ok(fail(code(kind), &text));
            }
        }
    }
}

fn send(stream: &mut BufReader<Stream>, ask: &Ask) -> io::Result<()> {
    let mut line = serde_json::to_vec(ask)?;
    line.push(b'\n');
    stream.get_mut().write_all(&line)
}

/// Asks the person at the terminal, unless they have said yes already.
fn confirm(yes: bool, question: &str) -> io::Result<bool> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        eprintln!("rosey: {question} There is no terminal to ask on: add --yes. Nothing was done.");
        return Ok(false);
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    let yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if !yes {
        eprintln!("Nothing was done.");
    }
    Ok(yes)
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
