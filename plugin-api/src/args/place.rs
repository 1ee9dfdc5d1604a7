//! People and channels by their names.

use std::{fmt, ops::Deref, str::FromStr};

/// The name of a person, as people type it: `bob`, `@bob`, `bob:` or `bob,`. It is not checked whether there is such a
/// person.
///
/// ```
/// use plugin_api::args::{Args, User};
///
/// let user = Args::new("@bob").last::<User, _>("whom").unwrap();
/// assert_eq!(user.name(), "bob");
/// assert!(Args::new("#tea").last::<User, _>("whom").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct User(String);

impl User {
    /// The name, without `@`.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl FromStr for User {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix('@').unwrap_or(text).trim_end_matches([':', ',']);
        if is_channel(name) {
            return Err(format!("{} is a channel; write the name of a person", super::words::shown(text)));
        }
        if !is_name(name) {
            return Err(format!("{} is not the name of a person", super::words::shown(text)));
        }
        Ok(Self(name.to_owned()))
    }
}

/// The name of a channel: `#tea`, or `&local` on IRC. It is not checked whether there is such a channel.
///
/// ```
/// use plugin_api::args::{Args, Channel};
///
/// let channel = Args::new("#tea").last::<Channel, _>("where").unwrap();
/// assert_eq!(channel.name(), "#tea");
/// assert!(Args::new("tea").last::<Channel, _>("where").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel(String);

impl Channel {
    /// The name, with `#`.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl FromStr for Channel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.trim_end_matches([':', ',']);
        if !is_channel(name) || !is_name(name) || name.len() < 2 {
            return Err(format!("{} is not a channel; write its name, such as #tea", super::words::shown(text)));
        }
        Ok(Self(name.to_owned()))
    }
}

fn is_channel(name: &str) -> bool {
    name.starts_with(['#', '&'])
}

/// One word, without what would be part of a line rather than of a name.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == ',')
}

impl Deref for User {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Deref for Channel {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_people_type_them() {
        for text in ["bob", "@bob", "bob:", "@bob,"] {
            assert_eq!(text.parse::<User>().expect(text).name(), "bob");
        }
        assert_eq!("#tea,".parse::<Channel>().expect("a channel").name(), "#tea");
        for text in ["@", ":", "two words", "a,b", "#tea"] {
            assert!(text.parse::<User>().is_err(), "{text}");
        }
        for text in ["#", "tea", "#a b", "#a,#b"] {
            assert!(text.parse::<Channel>().is_err(), "{text}");
        }
    }
}
