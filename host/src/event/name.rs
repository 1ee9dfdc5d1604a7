//! Which spellings of a name a network takes for one name. Pure.

/// Which letters a network treats as the same; IRC servers announce it as `CASEMAPPING`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CaseMapping {
    /// `A`–`Z` are `a`–`z`.
    Ascii,
    /// These, and `{}|^` for `[]\~`: the rule when a server announces nothing.
    #[default]
    Rfc1459,
    /// These without `^` and `~`.
    StrictRfc1459,
}

impl CaseMapping {
    /// The mapping with this name. An unknown name (there are drafts) counts as ASCII, which merges the fewest names.
    pub fn of(name: &str) -> Self {
        match name {
            "rfc1459" => Self::Rfc1459,
            "strict-rfc1459" => Self::StrictRfc1459,
            _ => Self::Ascii,
        }
    }

    /// The name, as servers spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ascii",
            Self::Rfc1459 => "rfc1459",
            Self::StrictRfc1459 => "strict-rfc1459",
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
}
