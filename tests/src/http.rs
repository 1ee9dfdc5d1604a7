//! The smallest HTTP client that a test needs: one request and one answer for each connection.

use crate::rig::PATIENCE;
use serde_json::Value;
use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// 200, 404 and so on.
    pub status: u16,
    /// The head, as it came.
    pub head: String,
    /// Everything after the head.
    pub body: Vec<u8>,
}

impl Response {
    /// A header by its name in lower case; empty when it is missing.
    pub fn header(&self, name: &str) -> &str {
        let named = |line: &&str| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
        self.head.lines().find(named).and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim())
    }

    /// Its body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// Sends these exact bytes, and reads one answer, or everything before the end of the connection.
///
/// # Panics
/// When the server does not accept the connection.
pub fn raw(address: &str, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // The server may have closed the connection already; its answer is read anyway.
    let _ = stream.write_all(request);
    let (mut answer, mut chunk) = (Vec::new(), [0; 16 << 10]);
    while let Ok(bytes @ 1..) = stream.read(&mut chunk) {
        answer.extend_from_slice(&chunk[..bytes]);
        // Not every server closes the connection on request.
        let whole =
            |response: Response| response.header("content-length").parse().is_ok_and(|all| response.body.len() >= all);
        if parse(&answer).is_some_and(whole) {
            break;
        }
    }
    answer
}

/// Sends a request with these header lines, and this body if it is not empty.
///
/// # Panics
/// When there is no answer.
pub fn request(address: &str, method: &str, path: &str, headers: &[&str], body: &str) -> Response {
    let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|header| header.starts_with("Host:")) {
        request += &format!("Host: {address}\r\n");
    }
    for header in headers {
        request += &format!("{header}\r\n");
    }
    if !body.is_empty() || method == "POST" {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    let answer = raw(address, format!("{request}\r\n{body}").as_bytes());
    parse(&answer).unwrap_or_else(|| panic!("{method} {path}: {}", String::from_utf8_lossy(&answer)))
}

/// Requests a page.
///
/// # Panics
/// When there is no answer.
pub fn get(address: &str, path: &str) -> Response {
    request(address, "GET", path, &[], "")
}

/// Parses an answer; `None` when it is none.
pub fn parse(answer: &[u8]) -> Option<Response> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut response = Response { status, head, body: answer[end + 4..].to_vec() };
    if response.header("transfer-encoding") == "chunked" {
        response.body = dechunk(&response.body)?;
    }
    Some(response)
}

fn dechunk(mut chunks: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = chunks.windows(2).position(|two| two == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&chunks[..end]).ok()?, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(chunks.get(end + 2..end + 2 + length)?);
        chunks = chunks.get(end + 4 + length..)?;
    }
}
