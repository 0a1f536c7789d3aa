//! One request and one answer over a plain socket, so that a case decides every byte it sends.
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

/// Longest silence of the dev host.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends `line` (`GET /path`), headers and body to a port of 127.0.0.1. The body's length is declared unless a header says how it
/// is framed.
pub(super) fn exchange(port: u16, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(SILENCE_MAX)).unwrap();
    let mut head = format!("{line} HTTP/1.1\r\nHost: shop.example:7071\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let is_framed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
    if !is_framed && !line.starts_with("GET ") {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    parse(&answer)
}

fn parse(answer: &[u8]) -> Response {
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").expect("the answer has no head") + 4;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("the answer has no status");
    Response { status, body: answer[end..].to_vec() }
}
