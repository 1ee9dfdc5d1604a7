//! `[connect.NAME]` of an IRC network: what is written, and what it comes to once it has been checked.

use super::{
    super::config::{KINDS, Kind},
    message::LINE,
    name::{is_channel, is_nick},
};
use crate::{
    event::ConnectorId,
    settings::{Problem, Section, host_problem, secret_in},
};
use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// Channels that the bot may be in: more than networks allow one client.
const MOST_CHANNELS: usize = 200;

/// Bytes of a password or an account's name: with what stands around them they fit into one line.
const LONGEST_SECRET: usize = 300;

/// `[connect.NAME]` as written.
#[derive(Debug, Clone)]
pub struct IrcConfig {
    /// `irc`; it may be left out where the network is named so.
    pub kind: Option<Kind>,
    /// The server's name or address.
    pub server: String,
    /// 6697 unless set.
    pub port: u16,
    /// Whether the connection is encrypted, and the server's certificate checked.
    pub tls: bool,
    /// PEM: who is trusted in place of the system's authorities; also the server's own certificate.
    pub ca_file: Option<PathBuf>,
    /// What the bot is called.
    pub nick: String,
    /// The user's name that servers show; the nick unless set.
    pub user: Option<String>,
    /// What `WHOIS` shows.
    pub realname: String,
    /// Where the bot is: `#name`, or `#name key`.
    pub channels: Vec<String>,
    /// The server's password.
    pub password: Option<Secret>,
    /// A file with the server's password.
    pub password_file: Option<PathBuf>,
    /// The bot's services account.
    pub account: Option<String>,
    /// What SASL shows for the account.
    pub account_password: Option<Secret>,
    /// A file with its password.
    pub account_password_file: Option<PathBuf>,
    /// Lines that may be sent at once.
    pub burst: u32,
    /// Between two lines after that, in seconds.
    pub line_interval: Duration,
    /// Lines of one answer; the rest is left out.
    pub max_lines: usize,
    /// Commands that one person may give within `user_window`.
    pub user_commands: u32,
    /// See `user_commands`, in seconds.
    pub user_window: Duration,
}

/// A password. It is not shown by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The password itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("(a secret)")
    }
}

/// A channel to be in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// With its `#`.
    pub name: String,
    /// What it takes to enter, where it takes something.
    pub key: Option<String>,
}

/// Everything that was checked: nothing in here can break a line of the protocol.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The connector's name.
    pub id: ConnectorId,
    /// The server's name or address.
    pub server: String,
    /// The port of the server.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Who is trusted in place of the system's authorities.
    pub ca_file: Option<PathBuf>,
    /// The nick that the bot wants.
    pub nick: String,
    /// The user's name.
    pub user: String,
    /// The real name.
    pub realname: String,
    /// Where to be.
    pub channels: Vec<Channel>,
    /// The server's password.
    pub password: Option<Secret>,
    /// The services account and its password.
    pub account: Option<(String, Secret)>,
    /// Lines that may be sent at once.
    pub burst: u32,
    /// Between two lines after that.
    pub line_interval: Duration,
    /// Lines of one answer.
    pub max_lines: usize,
    /// Commands of one person within [`Settings::user_window`].
    pub user_commands: u32,
    /// For [`Settings::user_commands`].
    pub user_window: Duration,
}

impl Settings {
    /// Whether what is said leaves this machine unencrypted: others can read it, and speak as an admin.
    pub fn is_exposed(&self) -> bool {
        let here = self.server == "localhost" || self.server.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        !self.tls && !here
    }
}

impl IrcConfig {
    /// Takes `[connect.irc]` from a file.
    pub fn read(section: &mut Section<'_>) -> Self {
        let (hour, tenth) = (Duration::from_secs(3600), Duration::from_millis(100));
        let mut secret = |name| section.get(name).map(Secret);
        let (password, account_password) = (secret("password"), secret("account_password"));
        Self {
            kind: section.choice("kind", &KINDS),
            server: section.needed("server", "\"irc.libera.chat\""),
            port: section.within("port", 6697, 1..=u16::MAX),
            tls: section.or("tls", true),
            ca_file: section.get("ca_file"),
            nick: section.needed("nick", "\"rosey\""),
            user: section.get("user"),
            realname: section.or("realname", "Rosey, a chat bot".to_owned()),
            channels: section.or("channels", Vec::new()),
            password,
            password_file: section.get("password_file"),
            account: section.get("account"),
            account_password,
            account_password_file: section.get("account_password_file"),
            burst: section.within("burst", 5, 1..=100),
            // Faster than ten lines a second no server reads.
            line_interval: section.within("line_interval", Duration::from_secs(1), tenth..=hour),
            max_lines: section.within("max_lines", 5, 1..=100),
            user_commands: section.within("user_commands", 20, 1..=10_000),
            user_window: section.within("user_window", Duration::from_secs(10), tenth..=hour),
        }
    }

    /// Makes relative paths count from `base`.
    pub fn resolve(&mut self, base: &Path) {
        for file in [&mut self.ca_file, &mut self.password_file, &mut self.account_password_file] {
            *file = file.take().map(|file| base.join(file));
        }
    }

    /// A line for `rosey check`.
    pub fn summary(&self) -> String {
        let tls = if self.tls { "TLS" } else { "not encrypted" };
        let account = self.account.as_ref().map(|account| format!(", account {account}")).unwrap_or_default();
        let names: Vec<_> = self.channels.iter().filter_map(|channel| channel.split(' ').next()).collect();
        let channels = if names.is_empty() { "no channel".to_owned() } else { names.join(" ") };
        format!("{} at {}:{} ({tls}{account}), {channels}", self.nick, self.server, self.port)
    }

    /// Checks everything, and reads the files of passwords. `name` is the NAME of `[connect.NAME]`.
    ///
    /// # Errors
    /// Each problem with its setting's name and what would be right.
    pub fn settings(&self, name: &str) -> Result<Settings, Vec<Problem>> {
        let mut problems = Vec::new();
        self.check_names(&mut problems);
        let channels =
            self.channels.iter().enumerate().filter_map(|(at, text)| channel(at, text, &mut problems)).collect();
        let password = secret("password", self.password.as_ref(), self.password_file.as_deref(), &mut problems);
        let file = self.account_password_file.as_deref();
        let account_password = secret("account_password", self.account_password.as_ref(), file, &mut problems);
        let account = match (&self.account, account_password) {
            (Some(account), Some(password)) => Some((account.clone(), password)),
            (None, None) => None,
            (Some(_), None) if self.account_password.is_none() && file.is_none() => {
                problems.push(problem("account", "needs account_password or account_password_file beside it"));
                None
            }
            (Some(_), None) => None,
            (None, Some(_)) => {
                problems.push(problem("account_password", "needs account beside it"));
                None
            }
        };
        if !problems.is_empty() {
            for problem in &mut problems {
                problem.setting = format!("connect.{name}.{}", problem.setting);
            }
            return Err(problems);
        }
        Ok(Settings {
            id: name.into(),
            server: self.server.clone(),
            port: self.port,
            tls: self.tls,
            ca_file: self.ca_file.clone(),
            nick: self.nick.clone(),
            user: self.user.clone().unwrap_or_else(|| self.nick.chars().filter(char::is_ascii_alphanumeric).collect()),
            realname: self.realname.clone(),
            channels,
            password,
            account,
            burst: self.burst,
            line_interval: self.line_interval,
            max_lines: self.max_lines,
            user_commands: self.user_commands,
            user_window: self.user_window,
        })
    }

    fn check_names(&self, problems: &mut Vec<Problem>) {
        let is_word = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        if let Some(what) = host_problem(&self.server, "set port for it: 6697 is usual with TLS, 6667 without") {
            problems.push(problem("server", &what));
        }
        if !is_nick(&self.nick) {
            let shape = "needs letters, digits and []\\`_^{|}-, and not a digit or - at its start";
            problems.push(problem("nick", shape));
        }
        if let Some(user) = &self.user
            && (!is_word(user) || user.len() > 32 || user.contains(['@', '!', ':']))
        {
            problems.push(problem("user", "needs 1 to 32 bytes without spaces, @, ! and :"));
        }
        if self.user.is_none() && is_nick(&self.nick) && !self.nick.contains(|c: char| c.is_ascii_alphanumeric()) {
            problems.push(problem(
                "user",
                "is needed beside this nick, which has no letter or digit to make a user's name of",
            ));
        }
        if self.realname.is_empty() || self.realname.len() > 200 || self.realname.contains(char::is_control) {
            problems.push(problem("realname", "needs 1 to 200 bytes without control characters"));
        }
        if let Some(account) = &self.account
            && (!is_word(account) || account.len() > LONGEST_SECRET)
        {
            problems.push(problem("account", "needs the name of a services account, without spaces"));
        }
        if self.channels.len() > MOST_CHANNELS {
            problems.push(problem("channels", &format!("needs {MOST_CHANNELS} channels at most")));
        }
        if let Some(file) = &self.ca_file
            && let Err(why) = super::tls::certificates(file)
        {
            problems.push(problem("ca_file", &why));
        }
        if self.ca_file.is_some() && !self.tls {
            problems.push(problem("ca_file", "has no effect with tls = false; remove one of the two"));
        }
    }
}

fn problem(setting: &str, what: &str) -> Problem {
    Problem::new(setting, what)
}

/// A channel as written: its name, and its key behind a space. `at` is its place in the list.
fn channel(at: usize, text: &str, problems: &mut Vec<Problem>) -> Option<Channel> {
    let (name, key) = text.split_once(' ').map_or((text, None), |(name, key)| (name, Some(key)));
    let fits = |key: &str| !key.is_empty() && key.len() <= 50 && !key.contains([' ', ',']) && !has_breaks(key);
    if is_channel(name) && !key.is_some_and(|key| !fits(key) || key.starts_with(':')) {
        return Some(Channel { name: name.to_owned(), key: key.map(str::to_owned) });
    }
    // Not quoted: what stands behind a space may be a key.
    let text = format!("needs \"#name\", or \"#name key\", in each place; number {} is neither", at + 1);
    problems.push(problem("channels", &text));
    None
}

/// What would end a line of the protocol, or a part of a SASL message.
fn has_breaks(text: &str) -> bool {
    text.contains(['\r', '\n', '\0'])
}

/// A password from the setting or from the file.
fn secret(name: &str, written: Option<&Secret>, file: Option<&Path>, problems: &mut Vec<Problem>) -> Option<Secret> {
    let found = match (written, file) {
        (None, None) => return None,
        (Some(_), Some(_)) => Err(format!("is set, and {name}_file too; remove one of the two")),
        (Some(secret), None) => Ok(secret.clone()),
        (None, Some(file)) => secret_in(file).map(Secret),
    };
    let longest = LONGEST_SECRET.min(LINE);
    let checked = found.and_then(|secret| match secret.reveal() {
        "" => Err("is empty".to_owned()),
        text if has_breaks(text) => Err("has a line break or a NUL byte, which cannot be sent".to_owned()),
        text if text.len() > longest => Err(format!("needs {longest} bytes at most")),
        _ => Ok(secret),
    });
    let setting = if written.is_none() { format!("{name}_file") } else { name.to_owned() };
    checked.map_err(|why| problems.push(problem(&setting, &why))).ok()
}

#[cfg(test)]
impl IrcConfig {
    /// Reads the JSON of a `connect.irc`.
    pub fn parse(json: &str) -> (Self, Vec<Problem>) {
        let text = format!(r#"{{"connect": {{"irc": {json}}}}}"#);
        let document = crate::settings::Document::parse(text.as_bytes(), |_| true).expect("JSON");
        let mut problems = Vec::new();
        let read = document.read(&mut problems, |all| all.table("connect", |connect| connect.table("irc", Self::read)));
        (read.flatten().expect("it is there"), problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn settings(more: &str) -> Result<Settings, String> {
        let (config, problems) = IrcConfig::parse(&format!(
            r##"{{"server": "irc.example", "nick": "rosey", "channels": ["#rosey", "#key s3cret"]{more}}}"##
        ));
        let problems = if problems.is_empty() { config.settings("irc").err().unwrap_or_default() } else { problems };
        let texts: Vec<_> = problems.iter().map(Problem::to_string).collect();
        if texts.is_empty() { Ok(config.settings("irc").expect("checked")) } else { Err(texts.join("\n")) }
    }

    #[test]
    fn little_needs_to_be_said() {
        let settings = settings("").expect("valid");
        assert_eq!((settings.port, settings.tls, settings.user.as_str()), (6697, true, "rosey"));
        let names: Vec<_> = settings.channels.iter().map(|one| (one.name.as_str(), one.key.as_deref())).collect();
        assert_eq!(names, [("#rosey", None), ("#key", Some("s3cret"))]);
        assert!(settings.account.is_none() && !settings.is_exposed());
    }

    #[test]
    fn each_wrong_value_is_named() {
        for (more, setting, hint) in [
            (r#", "user": "a b""#, "connect.irc.user", "spaces"),
            (r#", "realname": "a\nQUIT""#, "connect.irc.realname", "control"),
            (r#", "password": "a\r\nQUIT""#, "connect.irc.password", "line break"),
            (r#", "password": """#, "connect.irc.password", "empty"),
            (r#", "password": "a", "password_file": "b""#, "connect.irc.password", "remove one"),
            (r#", "password_file": "/nowhere/at/all""#, "connect.irc.password", "/nowhere/at/all"),
            (r#", "account": "rosey""#, "connect.irc.account", "account_password"),
            (r#", "account_password": "x""#, "connect.irc.account_password", "account"),
            (r#", "account": "a\u0000b", "account_password": "x""#, "connect.irc.account", "name"),
            (r#", "ca_file": "/nowhere/at/all""#, "connect.irc.ca_file", "/nowhere/at/all"),
            (r#", "burst": 0"#, "connect.irc.burst", "1 to"),
            (r#", "line_interval": 0"#, "connect.irc.line_interval", "100 ms"),
            (r#", "max_lines": 1000"#, "connect.irc.max_lines", "100"),
            (r#", "port": 0"#, "connect.irc.port", "from 1 to 65,535"),
            (r#", "nickname": "x""#, "connect.irc.nickname", "there is no such setting"),
        ] {
            let error = settings(more).expect_err(more);
            assert!(error.contains(setting) && error.contains(hint), "{more}: {error}");
        }
        for (server, nick, channel) in [
            ("irc example", "rosey", "#a"),
            ("irc.example\r", "rosey", "#a"),
            ("", "rosey", "#a"),
            ("localhost:6667", "rosey", "#a"),
            ("[::1]", "rosey", "#a"),
            ("ircs://irc.example", "rosey", "#a"),
            ("irc.example", "9rosey", "#a"),
            ("irc.example", "ro\0sey", "#a"),
            ("irc.example", "rosey", "rosey"),
            ("irc.example", "rosey", "#a,0"),
            ("irc.example", "rosey", "#a\r\nQUIT"),
            ("irc.example", "rosey", "#a b c"),
            ("irc.example", "rosey", "#a :b"),
            ("irc.example", "rosey", "#a "),
        ] {
            let json = serde_json::json!({"server": server, "nick": nick, "channels": [channel]});
            let (config, _) = IrcConfig::parse(&json.to_string());
            assert_eq!(config.settings("irc").map_err(|problems| problems.len()).err(), Some(1), "{config:?}");
        }
    }

    #[test]
    fn passwords_come_from_files_and_are_not_shown() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("secret"), "hunter2\n").expect("our directory");
        let json = r#"{"server": "irc.example", "tls": false, "nick": "rosey", "password_file": "secret"}"#;
        let (mut config, _) = IrcConfig::parse(json);
        config.resolve(directory.path());
        let settings = config.settings("irc").expect("valid");
        assert_eq!(settings.password.as_ref().map(Secret::reveal), Some("hunter2"));
        assert!(!format!("{settings:?}").contains("hunter2"));
        assert!(settings.is_exposed());
        for here in ["localhost", "127.0.0.1", "::1"] {
            assert!(!Settings { server: here.to_owned(), ..settings.clone() }.is_exposed(), "{here}");
        }
    }
}
