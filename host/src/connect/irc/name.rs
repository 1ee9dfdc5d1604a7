//! Which texts can be names of people and channels. Pure.

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
    fn names_have_shapes() {
        assert!(["#rosey", "&local", "+plus", "#ü", "##"].into_iter().all(is_channel));
        assert!(!["rosey", "#", "", "#a b", "#a,b", "#a\u{7}", "#a\r"].into_iter().any(is_channel));
        assert!(!is_channel(&format!("#{}", "x".repeat(200))));
        assert!(["rosey", "[bot]", "_", "a-1"].into_iter().all(is_nick));
        assert!(!["", "1a", "-a", "a b", "a!", "a@b", "ä", "a\n", "#a"].into_iter().any(is_nick));
    }
}
