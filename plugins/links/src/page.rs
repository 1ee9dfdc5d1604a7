//! What a web server answers: its head, its body, and the title in it. Nothing here trusts the server.

/// The longest title, in characters.
const LONGEST: usize = 200;

/// The head of an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

impl Head {
    /// The first header of this name, in lower case; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Whether the body is a page.
    pub fn is_page(&self) -> bool {
        let kind = self.header("content-type").to_ascii_lowercase();
        kind.is_empty() || kind.starts_with("text/html") || kind.starts_with("application/xhtml+xml")
    }

    /// The title in the body as far as it has come; `None` while there is none.
    pub fn title(&self, body: &[u8]) -> Option<String> {
        let whole;
        let body = if self.header("transfer-encoding").eq_ignore_ascii_case("chunked") {
            whole = unchunked(body);
            &whole
        } else {
            body
        };
        let kind = self.header("content-type").to_ascii_lowercase();
        let is_latin = ["iso-8859-1", "latin1", "windows-1252"].iter().any(|name| kind.contains(name));
        match is_latin {
            true => title(&body.iter().map(|byte| char::from(*byte)).collect::<String>()),
            false => title(&String::from_utf8_lossy(body)),
        }
    }
}

/// The head at the start of an answer, and the bytes after it. `Ok(None)` while it is not whole.
///
/// # Errors
/// When this is no answer of HTTP.
pub fn head(answer: &[u8]) -> Result<Option<(Head, &[u8])>, ()> {
    if !answer.starts_with(&b"HTTP/1."[..answer.len().min(7)]) {
        return Err(());
    }
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let text = String::from_utf8_lossy(&answer[..end]);
    let mut lines = text.split("\r\n");
    let status =
        lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok()).ok_or(())?;
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Ok(Some((Head { status, headers }, &answer[end + 4..])))
}

/// The body of chunks, as far as they have come.
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(body.len());
    while let Some(end) = body.windows(2).position(|bytes| bytes == b"\r\n") {
        let line = String::from_utf8_lossy(&body[..end]);
        let length = line.split(';').next().and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok());
        let Some(length) = length.filter(|length| *length > 0) else { break };
        let chunk = &body[end + 2..];
        whole.extend_from_slice(&chunk[..length.min(chunk.len())]);
        body = chunk.get(length.saturating_add(2)..).unwrap_or_default();
    }
    whole
}

/// The text between `<title>` and `</title>`, without entities, as one line.
fn title(page: &str) -> Option<String> {
    // In this form upper and lower case have the same length.
    let folded = page.to_ascii_lowercase();
    let mut tags = folded.match_indices("<title").map(|(at, tag)| at + tag.len());
    let tag = tags.find(|at| folded[*at..].starts_with(|c: char| c == '>' || c.is_whitespace()))?;
    let start = tag + folded[tag..].find('>')? + 1;
    let end = start + folded[start..].find("</title")?;
    let text = without_entities(&page[start..end]);
    let words: Vec<_> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    let line = match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    };
    (!line.is_empty()).then_some(line)
}

/// A text with `&amp;`, `&#228;` and `&#xe4;` as the characters that they mean.
fn without_entities(text: &str) -> String {
    let (mut out, mut left) = (String::with_capacity(text.len()), text);
    while let Some(at) = left.find('&') {
        out.push_str(&left[..at]);
        left = &left[at..];
        let entity = left.find(';').filter(|end| *end <= 10).and_then(|end| Some((entity(&left[1..end])?, end + 1)));
        let (character, length) = entity.unwrap_or(('&', 1));
        out.push(character);
        left = &left[length..];
    }
    out + left
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" | "rsquo" => '\'',
        "nbsp" => ' ',
        "ndash" => '–',
        "mdash" => '—',
        "middot" => '·',
        "hellip" => '…',
        "raquo" => '»',
        "laquo" => '«',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn title_of(answer: &str) -> Option<String> {
        let (head, body) = head(answer.as_bytes()).expect("it is HTTP").expect("the head is whole");
        head.title(body)
    }

    #[test]
    fn a_title_is_found_in_what_servers_send() {
        for (answer, title) in [
            ("HTTP/1.1 200 OK\r\n\r\n<html><title>Tea</title>", Some("Tea")),
            (
                "HTTP/1.0 200 OK\r\nA: b\r\n\r\n<TITLE lang='en'>\n Tea &amp;\n cake &#8212; &#x26;c </TITLE >",
                Some("Tea & cake — &c"),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<titl\r\nC;x=y\r\ne>Tea</title>\r\n0\r\n\r\n",
                Some("Tea"),
            ),
            ("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=ISO-8859-1\r\n\r\n<title>T</title>", Some("T")),
            ("HTTP/1.1 200 OK\r\n\r\n<title>Te", None),
            ("HTTP/1.1 200 OK\r\n\r\n<titles>Tea</titles>", None),
            ("HTTP/1.1 200 OK\r\n\r\n<title> \n </title>", None),
            ("HTTP/1.1 200 OK\r\n\r\n<title>a & b &unknown; &;</title>", Some("a & b &unknown; &;")),
        ] {
            assert_eq!(title_of(answer).as_deref(), title, "{answer}");
        }
        let latin = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=windows-1252\r\n\r\n<title>\xe4</title>";
        let (head, body) = head(latin).expect("it is HTTP").expect("the head is whole");
        assert_eq!(head.title(body).as_deref(), Some("ä"));
        let long = title_of(&format!("HTTP/1.1 200 OK\r\n\r\n<title>{}</title>", "é".repeat(300)));
        assert_eq!(long.map(|text| text.chars().count()), Some(LONGEST + 1));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        assert!(head(b"SSH-2.0-OpenSSH").is_err() && head(b"HTTP/1.1 x\r\n\r\n").is_err());
        assert_eq!((head(b""), head(b"HTT"), head(b"HTTP/1.1 200 OK\r\nA: b")), (Ok(None), Ok(None), Ok(None)));
        let (head, _) = head(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n").expect("it is HTTP").expect("whole");
        assert_eq!((head.status, head.header("location"), head.header("other")), (302, "/x", ""));
    }

    proptest! {
        #[test]
        fn no_answer_is_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), how in 0..3usize) {
            let begin = ["", "HTTP/1.1 200 OK\r\n\r\n<title", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"][how];
            let answer = [begin.as_bytes(), &bytes].concat();
            if let Ok(Some((head, body))) = head(&answer) {
                let _ = head.title(body);
            }
        }

        #[test]
        fn parts_of_a_page_are_no_panic(text in "(<title>|</title>|<TITLE |>|&amp;|&#x|;|é|İ|ﬁ|[a-f0-9\r\n]){0,20}") {
            let _ = title_of(&format!("HTTP/1.1 200 OK\r\n\r\n{text}"));
            let _ = title_of(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{text}"));
        }

        #[test]
        fn a_title_in_chunks_of_any_size_is_the_same(text in "[a-zé]{1,20}", size in 1..20usize) {
            let page = format!("<html><title>{text}</title>");
            let chunks: Vec<u8> = page.as_bytes().chunks(size).flat_map(|chunk| {
                [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()
            }).collect();
            let answer = [b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n".as_slice(), &chunks].concat();
            let (head, body) = head(&answer).expect("it is HTTP").expect("the head is whole");
            prop_assert_eq!(head.title(body), Some(text));
        }
    }
}
