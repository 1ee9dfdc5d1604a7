//! Addresses of web pages, as far as they are needed here: `https://example.org:8443/a?b`.

use std::{fmt, str::FromStr};

/// The longest address, in bytes.
const LONGEST: usize = 2000;

/// The address of a page. It has only bytes that a request line may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub secure: bool,
    /// In lower case; an IPv6 address is without its brackets.
    pub host: String,
    pub port: u16,
    /// With the query, from the `/` on, and without the fragment.
    pub path: String,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        read(text).ok_or_else(|| "I cannot read that address; write one like https://example.org".to_owned())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl Url {
    /// The host, with the port if it is not the usual one.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let usual = if self.secure { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    /// The address that a `Location` on this page means.
    pub fn join(&self, location: &str) -> Option<Self> {
        let scheme = if self.secure { "https:" } else { "http:" };
        let folder = &self.path[..self.path.split('?').next().unwrap_or_default().rfind('/')? + 1];
        let before = format!("{scheme}//{}", self.authority());
        match location {
            _ if location.contains("://") => read(location),
            _ if location.starts_with("//") => read(&format!("{scheme}{location}")),
            _ if location.starts_with('/') => read(&format!("{before}{location}")),
            _ => read(&format!("{before}{folder}{location}")),
        }
    }
}

/// The first address in a line, without the punctuation of the sentence around it.
pub fn first(line: &str) -> Option<Url> {
    let words = line.split(|c: char| c.is_whitespace() || "<>\"“”".contains(c));
    let starts = words.filter_map(|word| word.find("http://").or_else(|| word.find("https://")).map(|at| &word[at..]));
    starts.filter_map(|word| read(without_end(word))).next()
}

/// An address may have parentheses, but not one that closes what its sentence has opened.
fn without_end(word: &str) -> &str {
    let word = word.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'']);
    match word.strip_suffix(')') {
        Some(inside) if !inside.contains('(') => without_end(inside),
        _ => word,
    }
}

fn read(text: &str) -> Option<Url> {
    let (scheme, rest) = text.split_once("://")?;
    let secure = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let rest = rest.split('#').next()?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(host, port)| (host, port.strip_prefix(':')))?,
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(if secure { 443 } else { 80 }), |port| port.parse().ok().filter(|port| *port > 0))?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    if text.len() > LONGEST || host.is_empty() || !host.chars().all(is_name) {
        return None;
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some(Url { secure, host: host.to_ascii_lowercase(), port, path: format!("{slash}{}", encoded(path)) })
}

/// A path with `%C3` and so on for bytes that a request line may not have.
fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'!'..=b'~' if !b"\"<>\\^`{|}".contains(&byte) => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_read_and_shown() {
        for (text, shown) in [
            ("https://example.org", "https://example.org/"),
            ("HTTP://Example.ORG:80/a?b#c", "http://example.org/a?b"),
            ("https://example.org:8443?q=1", "https://example.org:8443/?q=1"),
            ("https://example.org/ä b", "https://example.org/%C3%A4%20b"),
            ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ] {
            assert_eq!(text.parse::<Url>().map(|url| url.to_string()).as_deref(), Ok(shown), "{text}");
        }
        for text in
            ["", "example.org", "ftp://example.org", "https://", "https://a@b.org", "http://x:0/", "http://x:99999/"]
        {
            assert!(text.parse::<Url>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_address_of_a_line_is_found() {
        for (line, found) in [
            ("see https://example.org, it is fine", Some("https://example.org/")),
            ("(https://example.org/a)", Some("https://example.org/a")),
            ("<https://example.org/a_(b)>.", Some("https://example.org/a_(b)")),
            ("nothing https:// http://x", Some("http://x/")),
            ("no link", None),
        ] {
            assert_eq!(first(line).map(|url| url.to_string()).as_deref(), found, "{line}");
        }
    }

    #[test]
    fn a_page_may_lead_elsewhere() {
        let from: Url = "https://example.org:8443/a/b?c".parse().expect("it is one");
        for (location, to) in [
            ("http://other.org/x", Some("http://other.org/x")),
            ("//other.org/x", Some("https://other.org/x")),
            ("/x", Some("https://example.org:8443/x")),
            ("x?y", Some("https://example.org:8443/a/x?y")),
            ("javascript://x", None),
            ("https://user@other.org/", None),
        ] {
            assert_eq!(from.join(location).map(|url| url.to_string()).as_deref(), to, "{location}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_a_panic(line in "\\PC{0,40}(https?://\\PC{0,40})?", location in "\\PC{0,40}") {
            if let Some(url) = first(&line) {
                let text = url.to_string();
                prop_assert!(text.bytes().all(|byte| (b'!'..=b'~').contains(&byte)), "{}", text);
                prop_assert_eq!(text.parse::<Url>(), Ok(url.clone()));
                let _ = url.join(&location);
            }
        }
    }
}
