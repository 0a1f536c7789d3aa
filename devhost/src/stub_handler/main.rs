//! A scripted handler for the conformance tests: it records what the host sends, byte for byte, and answers what its script says.
//!
//! `STUB_SCRIPT` names a JSON file (see [`script`]), `STUB_RECORD` a file to which each start and each request is appended as
//! one JSON line. It knows nothing of the shop and uses no HTTP library, so that it can send what no library would.
#![expect(clippy::disallowed_methods, reason = "a test program whose only settings are the two variables named above")]
mod record;
mod script;

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::exit,
    sync::Arc,
    time::Duration,
};

use self::{
    record::{Recorder, Request},
    script::{Answer, Script},
};

/// Longest head and longest body that are read, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Exit code for a script or a record that cannot be used.
const UNUSABLE: i32 = 3;

fn main() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| stop(&format!("{name} is not set")));
    let script = Script::read(&variable("STUB_SCRIPT")).unwrap_or_else(|fault| stop(&fault));
    let recorder = Recorder::open(&variable("STUB_RECORD")).unwrap_or_else(|fault| stop(&fault.to_string()));
    let start = script.start(recorder.starts_before());
    if let Err(fault) = recorder.started() {
        stop(&fault.to_string());
    }
    for line in &start.stdout {
        emit(&mut std::io::stdout(), line);
    }
    for line in &start.stderr {
        emit(&mut std::io::stderr(), line);
    }
    if let Some(code) = start.exit {
        exit(code);
    }
    if start.never_bind {
        loop {
            std::thread::park();
        }
    }
    std::thread::sleep(Duration::from_millis(start.bind_after_ms));
    let port =
        variable("FUNCTIONS_CUSTOMHANDLER_PORT").parse::<u16>().unwrap_or_else(|_| stop("the port is no number"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap_or_else(|fault| stop(&fault.to_string()));
    let shared = Arc::new((script, recorder));
    for stream in listener.incoming().flatten() {
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || serve(stream, &shared.0, &shared.1));
    }
}

fn serve(mut stream: TcpStream, script: &Script, recorder: &Recorder) {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer) {
        let number = match recorder.received(&request) {
            Ok(number) => number,
            Err(fault) => stop(&fault.to_string()),
        };
        let answer = script.answer(&request.key(), number, request.is_invocation());
        std::thread::sleep(Duration::from_millis(answer.delay_ms));
        if let Some(code) = answer.exit {
            exit(code);
        }
        let is_last = record::header(&request.head, "connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
        if answer.close || stream.write_all(&written(&answer)).is_err() || is_last {
            return;
        }
    }
}

fn written(answer: &Answer) -> Vec<u8> {
    if let Some(raw) = &answer.raw {
        return raw.clone().into_bytes();
    }
    let mut text = format!("HTTP/1.1 {} Scripted\r\n", answer.status);
    for (name, value) in &answer.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if answer.status != 204 {
        text.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    text.push_str("\r\n");
    if answer.status != 204 {
        text.push_str(&answer.body);
    }
    text.into_bytes()
}

/// Reads one request; what follows it stays in `buffer`.
fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    let head_end = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
        if buffer.len() > HEAD_BYTES_MAX || !fill(stream, buffer) {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    let (raw_end, body) = if record::header(&head, "transfer-encoding").is_some_and(|it| it.contains("chunked")) {
        read_chunks(stream, buffer, head_end)?
    } else {
        let length = record::header(&head, "content-length").and_then(|it| it.parse::<usize>().ok()).unwrap_or(0);
        let end = head_end.checked_add(length).filter(|_| length <= BODY_BYTES_MAX)?;
        while buffer.len() < end {
            if !fill(stream, buffer) {
                return None;
            }
        }
        (end, buffer[head_end..end].to_vec())
    };
    buffer.drain(..raw_end);
    Some(Request { head, body })
}

/// The end of a chunked body and its content.
fn read_chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>, mut at: usize) -> Option<(usize, Vec<u8>)> {
    let mut body = Vec::new();
    loop {
        let line_end = loop {
            if let Some(end) = find(&buffer[at..], b"\r\n") {
                break at + end;
            }
            if !fill(stream, buffer) {
                return None;
            }
        };
        let size = std::str::from_utf8(&buffer[at..line_end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok().filter(|it| body.len() + it <= BODY_BYTES_MAX)?;
        let end = line_end + 2 + size + 2;
        while buffer.len() < end {
            if !fill(stream, buffer) {
                return None;
            }
        }
        if size == 0 {
            return Some((end, body));
        }
        body.extend_from_slice(&buffer[line_end + 2..line_end + 2 + size]);
        at = end;
    }
}

fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
    let mut part = [0_u8; 16 * 1024];
    match stream.read(&mut part) {
        Ok(count) if count > 0 => {
            buffer.extend_from_slice(&part[..count]);
            true
        }
        _ => false,
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|it| it == wanted)
}

fn emit(stream: &mut impl Write, line: &str) {
    if writeln!(stream, "{line}").and_then(|()| stream.flush()).is_err() {
        exit(UNUSABLE);
    }
}

fn stop(reason: &str) -> ! {
    eprintln!("stub handler: {reason}");
    exit(UNUSABLE)
}
