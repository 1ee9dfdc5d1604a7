//! A line of the protocol: tags, prefix, command, parameters. Borrowed from the line, pure; nothing here fails on what a
//! server may send.
//!
//! Written by hand: docs/ARCHITECTURE.md says why.

use std::borrow::Cow;

/// Bytes of a line with its line break, without tags (RFC 1459).
pub const LINE: usize = 512;

/// Bytes of the longest line that is looked at: tags have 8191 (IRCv3 message-tags), a space included.
pub const LINE_WITH_TAGS: usize = 8191 + LINE;

/// Parameters that are told apart; what comes after belongs to the last (RFC 1459 has 15).
const PARAMETERS: usize = 15;

/// One line, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'a> {
    tags: &'a str,
    /// Who sent it: a nick with user and host, or a server. Empty when it is left out.
    pub prefix: &'a str,
    /// `PRIVMSG`, `001`, …; never empty.
    pub command: &'a str,
    parameters: Vec<&'a str>,
}

impl<'a> Message<'a> {
    /// Takes a line apart, which has no line break. `None` when there is no command in it.
    pub fn parse(line: &'a str) -> Option<Self> {
        let (tags, line) = leading(line.trim_start_matches(' '), '@');
        let (prefix, line) = leading(line, ':');
        let (command, mut rest) = word(line);
        if command.is_empty() || !command.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let mut parameters = Vec::new();
        while !rest.is_empty() {
            if let Some(last) = rest.strip_prefix(':') {
                parameters.push(last);
                break;
            }
            if parameters.len() + 1 == PARAMETERS {
                parameters.push(rest.trim_end_matches(' '));
                break;
            }
            let (parameter, after) = word(rest);
            parameters.push(parameter);
            rest = after;
        }
        Some(Self { tags, prefix, command, parameters })
    }

    /// The parameter at `index`, empty when there is none.
    pub fn parameter(&self, index: usize) -> &'a str {
        self.parameters.get(index).copied().unwrap_or_default()
    }

    /// The last parameter: what a server says to people.
    pub fn last(&self) -> &'a str {
        self.parameters.last().copied().unwrap_or_default()
    }

    /// All parameters.
    pub fn parameters(&self) -> &[&'a str] {
        &self.parameters
    }

    /// The value of a tag, unescaped; of a tag given twice the last one, as the specification has it. `None` when it is
    /// missing or has no value.
    pub fn tag(&self, name: &str) -> Option<String> {
        let mut pairs = self.tags.rsplit(';').map(|tag| tag.split_once('=').unwrap_or((tag, "")));
        let (_, value) = pairs.find(|(key, _)| *key == name)?;
        Some(unescaped(value)).filter(|value| !value.is_empty())
    }

    /// The person who sent it; `None` for a server, and for who sends no user and host and so may be one.
    pub fn sender(&self) -> Option<Sender<'a>> {
        let (nick, rest) = self.prefix.split_once('!')?;
        let (user, host) = rest.split_once('@').unwrap_or((rest, ""));
        (!nick.is_empty()).then_some(Sender { nick, user, host })
    }

    /// The nick that did something, with or without user and host.
    pub fn nick(&self) -> &'a str {
        self.prefix.split(['!', '@']).next().unwrap_or_default()
    }
}

/// A person on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender<'a> {
    /// What others call them, without user and host.
    pub nick: &'a str,
    /// The user's name at their host, as the server shows it.
    pub user: &'a str,
    /// Their host, as the server shows it.
    pub host: &'a str,
}

/// What stands behind `mark` at the beginning, up to a space, and what follows.
fn leading(line: &str, mark: char) -> (&str, &str) {
    line.strip_prefix(mark).map_or(("", line), word)
}

/// The first word and what follows it.
fn word(line: &str) -> (&str, &str) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    (word, rest.trim_start_matches(' '))
}

fn unescaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some(':') => out.push(';'),
                Some('s') => out.push(' '),
                Some('r') => out.push('\r'),
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}

/// The text of a line: UTF-8, or where it is not that Latin-1, which every sequence of bytes is.
pub fn decoded(line: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(line) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(line.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// A text without colours and other control characters.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\u{3}' => rest = after_colour(rest),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// What follows a colour's numbers: up to two digits, and after a comma up to two more.
fn after_colour(text: &str) -> &str {
    let digits = |text: &str| text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let rest = &text[digits(text)..];
    if rest.len() == text.len() {
        return text;
    }
    match rest.strip_prefix(',') {
        Some(second) if digits(second) > 0 => &second[digits(second)..],
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Message<'_> {
        Message::parse(line).expect(line)
    }

    #[test]
    fn a_line_is_taken_apart() {
        let line = parse("@time=1;account=alice :al!~a@host.example PRIVMSG #rosey :!roll 2d6 : yes");
        assert_eq!((line.command, line.parameter(0), line.last()), ("PRIVMSG", "#rosey", "!roll 2d6 : yes"));
        assert_eq!(line.sender(), Some(Sender { nick: "al", user: "~a", host: "host.example" }));
        assert_eq!(line.tag("account").as_deref(), Some("alice"));
        assert_eq!((line.tag("nothing"), line.parameter(2)), (None, ""));
        let ping = parse("PING :irc.example");
        assert_eq!((ping.prefix, ping.sender(), ping.parameters()), ("", None, &["irc.example"][..]));
        assert_eq!(parse(":a  CAP * LS  * :x y ").parameters(), ["*", "LS", "*", "x y "]);
        assert_eq!(parse("TOPIC #c :").parameters(), ["#c", ""]);
    }

    #[test]
    fn tags_are_unescaped_and_the_last_of_two_counts() {
        let line = parse(r"@a=1;+b=\:\s\\\r\n\x\;account=;a=2;flag PING");
        assert_eq!(line.tag("a").as_deref(), Some("2"));
        assert_eq!(line.tag("+b").as_deref(), Some("; \\\r\nx"));
        assert_eq!((line.tag("account"), line.tag("flag"), line.tag("")), (None, None, None));
    }

    #[test]
    fn a_sender_has_a_user() {
        assert_eq!(parse(":irc.example NOTICE * :hi").sender(), None);
        assert_eq!(parse(":nick PRIVMSG #c :hi").sender(), None);
        assert_eq!(parse(":!user@host PRIVMSG #c :hi").sender(), None);
        assert_eq!(parse(":al!user PRIVMSG #c :hi").sender().map(|al| al.host), Some(""));
        assert_eq!(parse(":al@host QUIT").nick(), "al");
    }

    #[test]
    fn nonsense_is_no_command() {
        for nonsense in ["", " ", ":", "@", "@a=b", ":prefix", "@a :b", "@a :b ", ":a ::b", "\u{1}", "😀", "@ : "] {
            assert_eq!(Message::parse(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_latin_1() {
        assert_eq!(decoded("würfle".as_bytes()), "würfle");
        assert_eq!(decoded(b"w\xfcrfle"), "würfle");
    }

    #[test]
    fn what_is_said_has_no_colours() {
        assert_eq!(plain("\u{3}04,12!roll\u{f} \u{2}2d6\u{2}"), "!roll 2d6");
        assert_eq!(plain("\u{3}!roll \u{3}1,x \u{3}123"), "!roll ,x 3");
        assert_eq!(plain("plain"), "plain");
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line in ".{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            for line in [line.as_str(), &decoded(&bytes)] {
                if let Some(message) = Message::parse(line) {
                    prop_assert!(!message.command.is_empty() && message.parameters().len() <= PARAMETERS);
                    message.tag("account");
                    message.sender();
                }
                prop_assert!(!plain(line).contains(char::is_control));
            }
        }

        #[test]
        fn what_was_put_together_comes_apart(
            value in "[^\u{0}]{1,20}", nick in "[a-z]{1,9}", middle in proptest::collection::vec("[^ :\u{0}][^ \u{0}]{0,5}", 0..13),
            last in "[^\u{0}]{0,40}",
        ) {
            let mut escaped = String::new();
            for c in value.chars() {
                match c {
                    ';' => escaped.push_str("\\:"),
                    ' ' => escaped.push_str("\\s"),
                    '\\' => escaped.push_str("\\\\"),
                    c => escaped.push(c),
                }
            }
            let parameters: String = middle.iter().map(|parameter| format!(" {parameter}")).collect();
            let line = format!("@x;account={escaped} :{nick}!u@h PRIVMSG{parameters} :{last}");
            let message = parse(&line);
            prop_assert_eq!(message.tag("account"), Some(value));
            prop_assert_eq!(message.sender().map(|sender| sender.nick), Some(nick.as_str()));
            prop_assert_eq!(&message.parameters()[..middle.len()], &middle[..]);
            prop_assert_eq!(message.last(), last);
        }
    }
}
