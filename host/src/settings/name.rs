//! Names of people and hosts in a configuration, which would otherwise fail only later.

use crate::text::is_hidden;
use std::{
    borrow::Cow,
    net::{IpAddr, Ipv6Addr},
};

/// What is wrong with the name of a person; `None` if it is valid.
pub fn person_problem(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.ends_with(':') {
        return Some("a name is missing between the quotes");
    }
    let is_blank = |c: char| c.is_whitespace() || is_hidden(c);
    name.contains(is_blank).then_some("a name has no spaces and no invisible characters")
}

/// What is wrong with the name or address of a host; `None` if it is valid. `port` says where a port belongs instead.
pub fn host_problem(host: &str, port: &str) -> Option<String> {
    if host.parse::<IpAddr>().is_ok() {
        return None;
    }
    if host.contains("://") || host.contains('/') {
        return Some("needs the name of a host alone, without a scheme such as https:// and without a path".to_owned());
    }
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.split(']').next().filter(|address| address.parse::<Ipv6Addr>().is_ok());
        return Some(match address {
            Some(address) => format!("needs the address without brackets and without a port: {address}"),
            None => "needs a name or an address without brackets".to_owned(),
        });
    }
    if let Some((_, number)) = host.rsplit_once(':')
        && number.parse::<u16>().is_ok()
    {
        return Some(format!("needs a host without a port; {port}"));
    }
    let is_label = |label: &str| {
        let fits = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        (1..=63).contains(&label.len()) && label.chars().all(fits)
    };
    let is_name = host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(is_label);
    (!is_name).then(|| "needs the name of a host, such as bot.example, or an address, such as 192.0.2.1".to_owned())
}

/// A host as part of a link: an IPv6 address gets brackets.
pub fn in_link(host: &str) -> Cow<'_, str> {
    if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]").into() } else { host.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_a_name_that_can_be_typed() {
        for name in ["alice", "irc:alice", "Zoë", "[away]`_x"] {
            assert_eq!(person_problem(name), None, "{name}");
        }
        for name in ["", " ", "alice ", " alice", "al ice", "alice\n", "irc:", "al\u{200b}ice", "\u{202e}alice"] {
            assert!(person_problem(name).is_some(), "{name:?}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_else() {
        for host in
            ["localhost", "irc.libera.chat", "bot.example.", "127.0.0.1", "::1", "fe80::1", "my_bot", "bücher.example"]
        {
            assert_eq!(host_problem(host, ""), None, "{host}");
            assert_eq!(in_link(host).contains('['), host.contains(':'), "{host}");
        }
        for (host, hint) in [
            ("localhost:6667", "set the port"),
            ("bot.example:8080", "set the port"),
            ("[::1]", "without brackets and without a port: ::1"),
            ("[::1]:8080", "without brackets and without a port: ::1"),
            ("[bot]", "without brackets"),
            ("https://bot.example", "without a scheme"),
            ("bot.example/path", "without a path"),
            ("", "such as bot.example"),
            ("bot example", "such as bot.example"),
            ("bot..example", "such as bot.example"),
            ("*.example", "such as bot.example"),
            ("bot.example\r", "such as bot.example"),
        ] {
            let problem = host_problem(host, "set the port");
            assert!(problem.as_ref().is_some_and(|text| text.contains(hint)), "{host}: {problem:?}");
        }
    }
}
