//! `rosey config init`: five questions, and a configuration with comments from the answers.

use super::{fail, say};
use crate::{
    cli::exit,
    config::{Config, ConfigFile},
    settings::unreadable,
};
use serde_json::{Value, json};
use std::{
    fs::OpenOptions,
    io::{self, BufRead, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// What the person has answered.
struct Answers {
    owner: String,
    network: Option<Network>,
    port: u16,
}

/// An IRC network.
struct Network {
    server: String,
    nick: String,
    channels: Vec<String>,
}

/// Asks on standard error, reads the answers from standard input, and writes the file.
pub fn init(path: &Path) -> u8 {
    let shown = path.display();
    if path.symlink_metadata().is_ok() {
        return fail(exit::FAILED, &format!("{shown} exists; name another file, or move that one away"));
    }
    let answers = match ask(&mut io::stdin().lock()) {
        Ok(Some(answers)) => answers,
        Ok(None) => return fail(exit::UNCONFIRMED, "the input ended before the last question; nothing was written"),
        Err(error) => return fail(exit::FAILED, &format!("the answers cannot be read: {}", unreadable(&error))),
    };
    let mut options = OpenOptions::new();
    // It may get a secret later.
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    if let Err(error) = file.and_then(|mut file| file.write_all(text(&answers).as_bytes())) {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "its folder does not exist".to_owned(),
            _ => unreadable(&error),
        };
        return fail(exit::FAILED, &format!("{shown} cannot be written: {why}"));
    }
    match Config::load(path) {
        Ok(_) => say(&format!("{shown} is written. Next: rosey check --config {shown}\n")),
        Err(error) => fail(exit::CONFIG, &error.to_string()),
    }
}

/// `None` when the input ends too early.
fn ask(input: &mut impl BufRead) -> io::Result<Option<Answers>> {
    let user = std::env::var("USER").ok().filter(|user| problem(&json!({ "owner": user })).is_none());
    let user = user.unwrap_or_else(|| "you".to_owned());
    let owner = |text: &str| problem(&json!({ "owner": text }));
    let Some(owner) = question(input, "Your name, as the owner who may do everything", &user, owner)? else {
        return Ok(None);
    };
    let irc = |name: &str, value: Value| {
        let mut irc = json!({ "server": "irc.example", "nick": "rosey" });
        irc[name] = value;
        problem(&json!({ "connect": { "irc": irc } }))
    };
    let is_server = |text: &str| if text.is_empty() { None } else { irc("server", text.into()) };
    let about = "IRC server, such as irc.libera.chat; empty for a bot on this terminal alone";
    let Some(server) = question(input, about, "", is_server)? else { return Ok(None) };
    let mut network = None;
    if !server.is_empty() {
        let nick = question(input, "The bot's nick", "rosey", |text| irc("nick", text.into()))?;
        let Some(nick) = nick else { return Ok(None) };
        let about = "Its channels, with commas between them";
        let channels = question(input, about, "#rosey", |text| irc("channels", list(text).into()))?;
        let Some(channels) = channels.map(|text| list(&text)) else { return Ok(None) };
        network = Some(Network { server, nick, channels });
    }
    let port = |text: &str| {
        let port = text.parse::<u64>().map_or_else(|_| text.into(), Value::from);
        problem(&json!({ "dashboard": { "port": port } }))
    };
    let about = "Port of the dashboard, for this machine alone; 0 for no dashboard";
    let port = question(input, about, "8080", port)?.and_then(|text| text.parse().ok());
    Ok(port.map(|port| Answers { owner, network, port }))
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(|name| name.trim().to_owned()).collect()
}

/// What is wrong with these settings.
fn problem(settings: &Value) -> Option<String> {
    ConfigFile::of_json(settings).problems.into_iter().next().map(|problem| problem.text)
}

/// Asks until the answer is right. `None` at the end of the input.
fn question(
    input: &mut impl BufRead,
    text: &str,
    default: &str,
    problem: impl Fn(&str) -> Option<String>,
) -> io::Result<Option<String>> {
    let shown = if default.is_empty() { String::new() } else { format!(" [{default}]") };
    loop {
        eprint!("{text}{shown}: ");
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            eprintln!();
            return Ok(None);
        }
        let answer = Some(line.trim()).filter(|answer| !answer.is_empty()).unwrap_or(default);
        match problem(answer) {
            None => return Ok(Some(answer.to_owned())),
            Some(why) => eprintln!("This {why}."),
        }
    }
}

fn text(answers: &Answers) -> String {
    let Answers { owner, network, port } = answers;
    let quoted = |text: &str| Value::from(text).to_string();
    let (owner, plugins) = (quoted(owner), quoted(&Config::default().plugin_dir.display().to_string()));
    let connect = match network {
        None => format!("# The chat: this terminal.\n[connect.console]\nuser = {owner}\n"),
        Some(Network { server, nick, channels }) => {
            let channels: Vec<_> = channels.iter().map(|name| quoted(name)).collect();
            format!(
                "# The chat: an IRC network, with TLS on port 6697.\n[connect.irc]\nserver = {}\nnick = {}\nchannels = [{}]\n\
                 # account = \"rosey\"                       # the bot's services account, and a file with its password\n\
                 # account_password_file = \"irc.password\"\n",
                quoted(server),
                quoted(nick),
                channels.join(", ")
            )
        }
    };
    let (enabled, port) = (*port != 0, if *port == 0 { 8080 } else { *port });
    format!(
        "# The configuration of Rosey. docs/CONFIG.md explains all settings, and `rosey check` names each mistake.\n\n\
         # Who may do everything. On IRC this is the name of a services account.\nowner = {owner}\n# admins = [\"bob\"]\n\n\
         # Where the libraries of plugins are, and where Rosey keeps its state.\nplugin_dir = {plugins}\nstate_dir = \".rosey\"\n\n\
         {connect}\n\
         # The dashboard, for this machine alone. Its buttons need a token: a file with 16 characters or more.\n[dashboard]\n\
         enabled = {enabled}\nport = {port}\n# token_file = \"dashboard.token\"\n\n\
         # The plugins, a table each. `rosey config plan` says what a change of this file would do in a running bot.\n\
         [plugins.dice-roller]\n\n[plugins.eight-ball]\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(input: &str) -> Option<String> {
        ask(&mut input.as_bytes()).expect("readable").map(|answers| text(&answers))
    }

    #[test]
    fn the_answers_make_a_configuration_without_a_mistake() {
        let folder = tempfile::tempdir().expect("a directory");
        for (at, (input, connector, port)) in [
            ("alice\n\n0\n", "console", None),
            ("alice\nirc.example\nbot\n#a, #b\n9000\n", "irc", Some(9000)),
            ("a b\nalice\nhttps://x\nirc.example\n9lives\n\nrosey\n#rosey\nmany\n70000\n80\n", "irc", Some(80)),
        ]
        .into_iter()
        .enumerate()
        {
            let path = folder.path().join(format!("{at}.toml"));
            std::fs::write(&path, file(input).expect("all answers")).expect("ours");
            let config = Config::load(&path).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(config.owner.as_deref(), Some("alice"));
            assert_eq!(config.connect.names().collect::<Vec<_>>(), [connector]);
            assert_eq!(config.dashboard.enabled.then_some(config.dashboard.port), port);
        }
        assert_eq!(file("alice\n\n"), None, "the input ends");
    }
}
