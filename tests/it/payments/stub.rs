//! An HTTP server of a few lines: it keeps what it was sent, and answers as it was told.
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// Method and path, e.g. `POST /v1/refunds`.
    pub(crate) line: String,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Sent {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(it, _)| it == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Status and JSON, or `None`: the connection ends without a byte.
type Answer = Box<dyn Fn(&Sent) -> Option<(u16, Value)> + Send + Sync>;

pub(crate) struct Stub {
    pub(crate) url: String,
    sent: Arc<Mutex<Vec<Sent>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Stub {
    #[expect(clippy::disallowed_methods, reason = "a server beside the test; aborted with it")]
    pub(crate) async fn start(answer: impl Fn(&Sent) -> Option<(u16, Value)> + Send + Sync + 'static) -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let sent = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer): (_, Answer) = (Arc::clone(&sent), Box::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &kept, &answer).await;
            }
        });
        Stub { url, sent, task }
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, kept: &Mutex<Vec<Sent>>, answer: &Answer) {
    let mut read = Vec::new();
    let head = loop {
        if let Some(end) = read.windows(4).position(|it| it == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let text = String::from_utf8_lossy(&read[..head]).into_owned();
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default().rsplit_once(' ').map_or("", |(line, _)| line).to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|it| it.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut sent = Sent { line, headers, body: Vec::new() };
    let length: usize = sent.header("content-length").parse().unwrap_or(0);
    while read.len() < head + 4 + length && stream.read_buf(&mut read).await.unwrap_or(0) > 0 {}
    sent.body = read[head + 4..].to_vec();
    let answer = answer(&sent);
    kept.lock().unwrap().push(sent);
    if let Some((status, body)) = answer {
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await.ok();
        stream.shutdown().await.ok();
    }
}
