//! `[connect.irc]`: what is written, and what it comes to once it has been checked.

use super::{
    message::LINE,
    name::{is_channel, is_nick},
};
use crate::{event::ConnectorId, time::Time};
use serde::Deserialize;
use std::{
    fmt, fs,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// Channels that the bot may be in: more than networks allow one client.
const MOST_CHANNELS: usize = 200;

/// Bytes of a password or an account's name: with what stands around them they fit into one line.
const LONGEST_SECRET: usize = 300;

/// `[connect.irc]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IrcConfig {
    /// The server's name or address.
    pub server: String,
    /// Its port.
    #[serde(default = "port")]
    pub port: u16,
    /// Whether the connection is encrypted, and the server's certificate checked.
    #[serde(default = "yes")]
    pub tls: bool,
    /// PEM: who is trusted in place of the system's authorities; also the server's own certificate.
    pub ca_file: Option<PathBuf>,
    /// What the bot is called.
    pub nick: String,
    /// The user's name that servers show; the nick unless set.
    pub user: Option<String>,
    /// What `WHOIS` shows.
    #[serde(default = "realname")]
    pub realname: String,
    /// Where the bot is: `#name`, or `#name key`.
    #[serde(default)]
    pub channels: Vec<String>,
    /// The server's password.
    pub password: Option<Secret>,
    /// A file with the server's password.
    pub password_file: Option<PathBuf>,
    /// The bot's services account.
    pub account: Option<String>,
    /// Its password.
    pub account_password: Option<Secret>,
    /// A file with its password.
    pub account_password_file: Option<PathBuf>,
    /// Lines that may be sent at once.
    #[serde(default = "burst")]
    pub burst: u32,
    /// Between two lines after that, in seconds.
    #[serde(default = "line_interval")]
    pub line_interval: Time,
    /// Lines of one answer; the rest is left out.
    #[serde(default = "max_lines")]
    pub max_lines: usize,
    /// Commands that one person may give within `user_window`.
    #[serde(default = "user_commands")]
    pub user_commands: u32,
    /// See `user_commands`, in seconds.
    #[serde(default = "user_window")]
    pub user_window: Time,
}

fn port() -> u16 {
    6697
}

fn yes() -> bool {
    true
}

fn realname() -> String {
    "Rosey, a chat bot".to_owned()
}

fn burst() -> u32 {
    5
}

fn line_interval() -> Time {
    Time(Duration::from_secs(1))
}

fn max_lines() -> usize {
    5
}

fn user_commands() -> u32 {
    20
}

fn user_window() -> Time {
    Time(Duration::from_secs(10))
}

/// A password. It is not shown by accident.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
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
    /// Its name.
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
    /// Its port.
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
    pub fn settings(&self, name: &str) -> Result<Settings, Vec<String>> {
        let mut problems = Vec::new();
        self.check_names(&mut problems);
        self.check_numbers(&mut problems);
        let channels = self.channels.iter().filter_map(|text| channel(text, &mut problems)).collect();
        let password = secret("password", self.password.as_ref(), self.password_file.as_deref(), &mut problems);
        let file = self.account_password_file.as_deref();
        let account_password = secret("account_password", self.account_password.as_ref(), file, &mut problems);
        let account = match (&self.account, account_password) {
            (Some(account), Some(password)) => Some((account.clone(), password)),
            (None, None) => None,
            (Some(_), None) if self.account_password.is_none() && file.is_none() => {
                problems.push(problem("account", "set account_password or account_password_file as well"));
                None
            }
            (Some(_), None) => None,
            (None, Some(_)) => {
                problems.push(problem("account_password", "set account as well"));
                None
            }
        };
        if !problems.is_empty() {
            return Err(problems.iter().map(|problem| format!("connect.{name}.{problem}")).collect());
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
            line_interval: self.line_interval.0,
            max_lines: self.max_lines,
            user_commands: self.user_commands,
            user_window: self.user_window.0,
        })
    }

    fn check_names(&self, problems: &mut Vec<String>) {
        let is_word = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        if !is_word(&self.server) || self.server.len() > 253 || self.server.contains(['/', ',']) {
            problems.push(problem("server", "a host's name or an address, such as irc.libera.chat"));
        }
        if self.port == 0 {
            problems.push(problem("port", "1 to 65535; 6697 is usual with TLS, 6667 without"));
        }
        if !is_nick(&self.nick) {
            let shape = "a nick has letters, digits and []\\`_^{|}-, and does not begin with a digit or -";
            problems.push(problem("nick", shape));
        }
        if let Some(user) = &self.user
            && (!is_word(user) || user.len() > 32 || user.contains(['@', '!', ':']))
        {
            problems.push(problem("user", "1 to 32 bytes without spaces, @, ! and :"));
        }
        if self.user.is_none() && is_nick(&self.nick) && !self.nick.contains(|c: char| c.is_ascii_alphanumeric()) {
            problems.push(problem("user", "set it: nothing of this nick can be a user's name"));
        }
        if self.realname.is_empty() || self.realname.len() > 200 || self.realname.contains(char::is_control) {
            problems.push(problem("realname", "1 to 200 bytes without control characters"));
        }
        if let Some(account) = &self.account
            && (!is_word(account) || account.len() > LONGEST_SECRET)
        {
            problems.push(problem("account", "a services account's name, without spaces"));
        }
        if self.channels.len() > MOST_CHANNELS {
            problems.push(problem("channels", &format!("at most {MOST_CHANNELS}")));
        }
        if let Some(file) = &self.ca_file
            && let Err(why) = super::tls::certificates(file)
        {
            problems.push(problem("ca_file", &why));
        }
        if self.ca_file.is_some() && !self.tls {
            problems.push(problem("ca_file", "it says nothing without tls"));
        }
    }

    fn check_numbers(&self, problems: &mut Vec<String>) {
        let (hour, tenth) = (Duration::from_secs(3600), Duration::from_millis(100));
        for (fits, name, range) in [
            ((1..=100).contains(&self.burst), "burst", "1 to 100"),
            // Faster than ten lines a second no server reads.
            ((tenth..=hour).contains(&self.line_interval.0), "line_interval", "0.1 s to 1 h"),
            ((1..=100).contains(&self.max_lines), "max_lines", "1 to 100"),
            ((1..=10_000).contains(&self.user_commands), "user_commands", "1 to 10000"),
            ((tenth..=hour).contains(&self.user_window.0), "user_window", "0.1 s to 1 h"),
        ] {
            if !fits {
                problems.push(problem(name, range));
            }
        }
    }
}

fn problem(setting: &str, what: &str) -> String {
    format!("{setting}: {what}")
}

/// A channel as written: its name, and its key behind a space.
fn channel(text: &str, problems: &mut Vec<String>) -> Option<Channel> {
    let (name, key) = text.split_once(' ').map_or((text, None), |(name, key)| (name, Some(key)));
    let fits = |key: &str| !key.is_empty() && key.len() <= 50 && !key.contains([' ', ',']) && !has_breaks(key);
    if is_channel(name) && !key.is_some_and(|key| !fits(key) || key.starts_with(':')) {
        return Some(Channel { name: name.to_owned(), key: key.map(str::to_owned) });
    }
    let text = text.escape_debug();
    problems.push(problem("channels", &format!("\"{text}\" is no channel; write \"#name\", or \"#name key\"")));
    None
}

/// What would end a line of the protocol, or a part of a SASL message.
fn has_breaks(text: &str) -> bool {
    text.contains(['\r', '\n', '\0'])
}

/// A password from the setting or from the file.
fn secret(name: &str, written: Option<&Secret>, file: Option<&Path>, problems: &mut Vec<String>) -> Option<Secret> {
    let found = match (written, file) {
        (None, None) => return None,
        (Some(_), Some(_)) => Err(format!("set this or {name}_file, not both")),
        (Some(secret), None) => Ok(secret.clone()),
        (None, Some(file)) => match fs::read_to_string(file) {
            Ok(text) => Ok(Secret(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) => Err(format!("{} cannot be read: {error}", file.display())),
        },
    };
    let longest = LONGEST_SECRET.min(LINE);
    let checked = found.and_then(|secret| match secret.reveal() {
        "" => Err("it is empty".to_owned()),
        text if has_breaks(text) => Err("a line break or a NUL byte cannot be sent".to_owned()),
        text if text.len() > longest => Err(format!("at most {longest} bytes")),
        _ => Ok(secret),
    });
    checked.map_err(|why| problems.push(problem(name, &why))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(more: &str) -> Result<Settings, String> {
        let json =
            format!(r##"{{"server": "irc.example", "nick": "rosey", "channels": ["#rosey", "#key s3cret"]{more}}}"##);
        let config: IrcConfig = serde_json::from_str(&json).map_err(|error| error.to_string())?;
        config.settings("irc").map_err(|problems| problems.join("\n"))
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
            (r#", "password": "a", "password_file": "b""#, "connect.irc.password", "not both"),
            (r#", "password_file": "/nowhere/at/all""#, "connect.irc.password", "/nowhere/at/all"),
            (r#", "account": "rosey""#, "connect.irc.account", "account_password"),
            (r#", "account_password": "x""#, "connect.irc.account_password", "account"),
            (r#", "account": "a\u0000b", "account_password": "x""#, "connect.irc.account", "name"),
            (r#", "ca_file": "/nowhere/at/all""#, "connect.irc.ca_file", "/nowhere/at/all"),
            (r#", "burst": 0"#, "connect.irc.burst", "1 to"),
            (r#", "line_interval": 0"#, "connect.irc.line_interval", "0.1 s"),
            (r#", "max_lines": 1000"#, "connect.irc.max_lines", "100"),
            (r#", "port": 0"#, "connect.irc.port", "6697"),
            (r#", "nickname": "x""#, "nickname", "unknown field"),
        ] {
            let error = settings(more).expect_err(more);
            assert!(error.contains(setting) && error.contains(hint), "{more}: {error}");
        }
        for (server, nick, channel) in [
            ("irc example", "rosey", "#a"),
            ("irc.example\r", "rosey", "#a"),
            ("", "rosey", "#a"),
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
            let config: IrcConfig = serde_json::from_value(json).expect("the right types");
            assert_eq!(config.settings("irc").map_err(|problems| problems.len()).err(), Some(1), "{config:?}");
        }
    }

    #[test]
    fn passwords_come_from_files_and_are_not_shown() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("secret"), "hunter2\n").expect("our directory");
        let json = r#"{"server": "irc.example", "tls": false, "nick": "rosey", "password_file": "secret"}"#;
        let mut config: IrcConfig = serde_json::from_str(json).expect("valid");
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
