//! Answers as lines that IRC carries: short enough with all that the server adds, few enough, and without any character
//! that could end a line and begin a command. Pure.

use super::message::LINE;

/// What stands at the end of an answer of which something was left out.
const MORE: &str = " …";

/// Bytes of the longest text that is cut up at all; what a plugin may say is shorter unless `reply_bytes` is raised.
const LONGEST: usize = 65_536;

/// The bytes that a text may have in one line: `mask` is the sender as the server writes it, `nick!user@host`.
pub fn room(mask: usize, target: &str) -> usize {
    let around = ":".len() + mask + " PRIVMSG ".len() + target.len() + " :".len() + "\r\n".len();
    // Names that leave less are longer than any server takes.
    LINE.saturating_sub(around).max(64)
}

/// A text as at most `most` pieces of at most `room` bytes (of 16 or more), and whether something was left out.
pub fn pieces(text: &str, room: usize, most: usize) -> (Vec<String>, bool) {
    let mut pieces: Vec<String> = Vec::new();
    let whole = head(text, LONGEST);
    let mut cut = whole.len() < text.len();
    'lines: for line in whole.split(['\n', '\r']) {
        let line = printable(line);
        let mut rest = line.trim_end();
        while !rest.is_empty() {
            if pieces.len() == most {
                cut = true;
                break 'lines;
            }
            let (piece, after) = split(rest, room);
            pieces.push(piece.to_owned());
            rest = after;
        }
    }
    if let (true, Some(last)) = (cut, pieces.last_mut()) {
        last.truncate(head(last, room - MORE.len()).trim_end().len());
        last.push_str(MORE);
    }
    (pieces, cut)
}

/// One line for people, without anything that a terminal or a server would obey; a tab is a space.
fn printable(line: &str) -> String {
    let space = |c: char| if c == '\t' { ' ' } else { c };
    line.chars().map(space).filter(|c| !c.is_control()).collect()
}

/// As much as fits, up to the end of a word where that does not waste half of the room.
fn split(text: &str, room: usize) -> (&str, &str) {
    if text.len() <= room {
        return (text, "");
    }
    let fits = head(text, room);
    let next_is_space = text[fits.len()..].starts_with(' ');
    let end = if next_is_space { Some(fits.len()) } else { fits.rfind(' ') };
    let end = end.filter(|end| *end >= room / 2).unwrap_or(fits.len());
    (text[..end].trim_end(), text[end..].trim_start())
}

/// The longest beginning of at most `bytes` bytes that ends with a whole character.
pub fn head(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_split_at_lines_words_and_characters() {
        let split = |text| pieces(text, 16, 10).0;
        assert_eq!(split("one\r\ntwo\n\n three \n"), ["one", "two", " three"]);
        assert_eq!(split("one two three four five"), ["one two three", "four five"]);
        assert_eq!(split("sixteen bytes ok next"), ["sixteen bytes ok", "next"]);
        assert_eq!(split("aaaaaaaaaaaaaaaaaaaa b"), ["aaaaaaaaaaaaaaaa", "aaaa b"]);
        assert_eq!(split("ääääääääää"), ["ääääääää", "ää"]);
        assert_eq!(split("a\tb\u{1}\u{7}\u{1b}[31m\0"), ["a b[31m"]);
        assert!(split(" \n\u{2}\r").is_empty());
    }

    #[test]
    fn too_much_is_cut_and_says_so() {
        assert_eq!(pieces("a\nb\nc", 16, 3), (vec!["a".into(), "b".into(), "c".into()], false));
        assert_eq!(pieces("a\nb\nc", 16, 2), (vec!["a".into(), "b …".into()], true));
        assert_eq!(pieces(&"x".repeat(40), 16, 1), (vec![format!("{} …", "x".repeat(12))], true));
    }

    #[test]
    fn a_line_with_all_that_the_server_adds_has_512_bytes() {
        let (mask, target) = ("rosey!~rosey@host.example", "#rosey");
        let (pieces, _) = pieces(&"x".repeat(1000), room(mask.len(), target), 10);
        let sent = format!(":{mask} PRIVMSG {target} :{}\r\n", pieces[0]);
        assert_eq!(sent.len(), LINE);
    }

    proptest! {
        #[test]
        fn no_piece_is_too_long_or_has_a_line_break(
            text in "([a-zA-Zäß€😀 ]|\n|\r|\u{0}|\u{1}|\u{85}){0,400}", room in 16_usize..120, most in 1_usize..9,
        ) {
            let (pieces, cut) = pieces(&text, room, most);
            prop_assert!(pieces.len() <= most);
            for piece in &pieces {
                prop_assert!(piece.len() <= room && !piece.is_empty(), "{piece:?}");
                prop_assert!(!piece.contains(char::is_control), "{piece:?}");
            }
            let letters = |text: &str| text.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect::<String>();
            let (sent, meant) = (letters(&pieces.concat()), letters(&text));
            if cut {
                prop_assert!(meant.starts_with(sent.trim_end_matches('…')));
            } else {
                prop_assert_eq!(sent, meant);
            }
        }
    }
}
