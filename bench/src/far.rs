//! Distance: a server that passes `GET` on to another one, and is as slow as a line that is long and narrow.
use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use offpeak::shared::adapters::http_client::HttpClient;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

/// From a request to the first byte of its answer, beside what the other server takes.
const DELAY: Duration = Duration::from_millis(20);
/// Bytes a second, of all answers together.
const RATE: u64 = 50_000_000;
const PIECE: usize = 64 * 1024;
/// A timer may be late by so much without making the line slower.
const SLACK: Duration = Duration::from_millis(5);

/// What all connections share.
struct Line(Mutex<Instant>);

impl Line {
    /// Waits until these bytes have come through.
    async fn carry(&self, bytes: usize) {
        let time = Duration::from_nanos(1_000_000_000 * bytes as u64 / RATE);
        let through = {
            let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *free = (*free).max(Instant::now().checked_sub(SLACK).unwrap_or(*free)) + time;
            *free
        };
        sleep_until(through).await;
    }
}

/// Serves for ever what lies at `origin`, an address without a path.
///
/// # Errors
/// If nobody can connect any more.
pub async fn serve(listener: &TcpListener, origin: &str, client: HttpClient) -> Result<(), Box<dyn Error>> {
    let (line, mut connections) = (Arc::new(Line(Mutex::new(Instant::now()))), JoinSet::new());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (origin, client, line) = (origin.to_owned(), client.clone(), Arc::clone(&line));
        connections.spawn(async move {
            let mut stream = BufReader::new(stream);
            // A client that goes away is no fault of a server's.
            while matches!(pass(&mut stream, &origin, &client, &line).await, Ok(true)) {}
        });
        while connections.try_join_next().is_some() {}
    }
}

/// One request; answers whether there may be another one.
async fn pass(
    stream: &mut BufReader<TcpStream>,
    origin: &str,
    client: &HttpClient,
    line: &Line,
) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let mut first = String::new();
    if stream.read_line(&mut first).await? == 0 {
        return Ok(false);
    }
    let mut words = first.split_whitespace();
    let (Some("GET"), Some(path)) = (words.next(), words.next()) else { return Err("only GET passes".into()) };
    let mut request = client.get()?.get(format!("{origin}{path}"));
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        if !matches!(name.to_ascii_lowercase().as_str(), "host" | "connection") {
            request = request.header(name, value);
        }
    }
    let mut answer = request.send().await?;
    sleep(DELAY).await;
    let length = answer.content_length();
    let mut head = format!("HTTP/1.1 {}\r\n", answer.status());
    for (name, value) in answer.headers() {
        if !matches!(name.as_str(), "connection" | "keep-alive" | "transfer-encoding" | "content-length") {
            head += &format!("{name}: {}\r\n", value.to_str()?);
        }
    }
    // Without a length the end of the connection is the end of the answer.
    head +=
        &length.map_or_else(|| "connection: close\r\n\r\n".to_owned(), |it| format!("content-length: {it}\r\n\r\n"));
    stream.write_all(head.as_bytes()).await?;
    while let Some(chunk) = answer.chunk().await? {
        for piece in chunk.chunks(PIECE) {
            line.carry(piece.len()).await;
            stream.write_all(piece).await?;
        }
    }
    Ok(length.is_some())
}
