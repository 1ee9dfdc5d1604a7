//! Names of people and channels: which are the same to a server, and which can be names at all. Pure.

/// Which letters a server takes for the same, as its `CASEMAPPING` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CaseMapping {
    /// `a` to `z`.
    Ascii,
    /// Those, and `{}|^` for `[]\~`: what holds where a server says nothing.
    #[default]
    Rfc1459,
    /// Those without `^` and `~`.
    StrictRfc1459,
}

impl CaseMapping {
    /// By its name; one that is not known (there are drafts) is taken for ASCII, which merges the fewest names.
    pub fn of(name: &str) -> Self {
        match name {
            "rfc1459" => Self::Rfc1459,
            "strict-rfc1459" => Self::StrictRfc1459,
            _ => Self::Ascii,
        }
    }

    /// The name in lower case.
    pub fn lower(self, name: &str) -> String {
        let lower = |c: char| match c {
            '[' if self != Self::Ascii => '{',
            ']' if self != Self::Ascii => '}',
            '\\' if self != Self::Ascii => '|',
            '~' if self == Self::Rfc1459 => '^',
            c => c.to_ascii_lowercase(),
        };
        name.chars().map(lower).collect()
    }

    /// Whether two names are the same.
    pub fn same(self, one: &str, other: &str) -> bool {
        one.len() == other.len() && self.lower(one) == self.lower(other)
    }
}

/// What a channel's name begins with: local ones, modeless ones and safe ones included.
const CHANNEL: [char; 4] = ['#', '&', '+', '!'];

/// Whether this can be the name of a channel, at most 200 bytes (RFC 1459).
pub fn is_channel(name: &str) -> bool {
    let fits = |c: char| !c.is_control() && c != ' ' && c != ',';
    name.starts_with(CHANNEL) && (2..=200).contains(&name.len()) && name.chars().all(fits)
}

/// Whether this can be a nick. A server may want it shorter than the 64 bytes taken here.
pub fn is_nick(name: &str) -> bool {
    let special = |c: char| "[]\\`_^{|}".contains(c);
    let fits = |c: char| c.is_ascii_alphanumeric() || special(c) || c == '-';
    let begins = |c: char| c.is_ascii_alphabetic() || special(c);
    name.len() <= 64 && name.starts_with(begins) && name.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_fold_names_in_three_ways() {
        let folded = |mapping: &str| CaseMapping::of(mapping).lower("#A[]\\~É");
        assert_eq!(folded("ascii"), "#a[]\\~É");
        assert_eq!(folded("rfc1459"), "#a{}|^É");
        assert_eq!(folded("strict-rfc1459"), "#a{}|~É");
        assert_eq!(folded("rfc8265"), folded("ascii"));
        assert!(CaseMapping::default().same("Al[1]", "aL{1}") && !CaseMapping::Ascii.same("Al[1]", "aL{1}"));
    }

    #[test]
    fn names_have_shapes() {
        assert!(["#rosey", "&local", "+plus", "#ü", "##"].into_iter().all(is_channel));
        assert!(!["rosey", "#", "", "#a b", "#a,b", "#a\u{7}", "#a\r"].into_iter().any(is_channel));
        assert!(!is_channel(&format!("#{}", "x".repeat(200))));
        assert!(["rosey", "[bot]", "_", "a-1"].into_iter().all(is_nick));
        assert!(!["", "1a", "-a", "a b", "a!", "a@b", "ä", "a\n", "#a"].into_iter().any(is_nick));
    }
}
