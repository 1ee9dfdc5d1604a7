//! Lines out of what arrives in pieces. Pure, and bounded whatever arrives.

use super::message::LINE_WITH_TAGS;

/// The beginning of a line whose end has not come yet.
#[derive(Debug, Default)]
pub struct Frames {
    line: Vec<u8>,
    /// Whether the line is too long, and is dropped up to its end.
    skips: bool,
}

impl Frames {
    /// Takes bytes, and hands over each line that they end, without its line break and never empty; `None` for one that
    /// was too long.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Option<&[u8]>)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.extend(&rest[..end]);
            let line = self.line.trim_ascii_end();
            if self.skips {
                each(None);
            } else if !line.is_empty() {
                each(Some(line));
            }
            (self.skips, rest) = (false, &rest[end + 1..]);
            self.line.clear();
        }
        self.extend(rest);
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.skips |= self.line.len() + bytes.len() > LINE_WITH_TAGS;
        if self.skips {
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(pieces: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let (mut frames, mut lines) = (Frames::default(), Vec::new());
        for piece in pieces {
            frames.feed(piece, |line| lines.push(line.map(<[u8]>::to_vec)));
            assert!(frames.line.len() <= LINE_WITH_TAGS);
        }
        lines
    }

    #[test]
    fn a_line_that_is_too_long_costs_itself_only() {
        let long = vec![b'x'; 5000];
        let found = lines(&[b"a\r\nb", b"c\n\r\n\n", &long, &long, &long, b"\nd\n"]);
        assert_eq!(found, [Some(b"a".to_vec()), Some(b"bc".to_vec()), None, Some(b"d".to_vec())]);
    }

    proptest! {
        #[test]
        fn how_it_arrives_makes_no_difference(
            texts in proptest::collection::vec("[a-z]{1,9}", 0..9), cuts in proptest::collection::vec(1_usize..7, 1..50),
        ) {
            let all: Vec<u8> = texts.iter().flat_map(|text| format!("{text}\r\n").into_bytes()).collect();
            let (mut rest, mut pieces) = (&all[..], Vec::new());
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            let expected: Vec<_> = texts.into_iter().map(|text| Some(text.into_bytes())).collect();
            prop_assert_eq!(lines(&pieces), expected);
        }
    }
}
