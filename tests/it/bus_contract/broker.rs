//! A broker of a few lines: it reads one request from each connection, notes it and answers as told.
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Status(u16),
    /// Too much to do, for half a minute.
    Busy,
    /// The request is read and the connection closed.
    Close,
    Garbage,
    Silence,
    EndlessHeaders,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) line: String,
    head: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).first().copied()
    }

    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        self.head.iter().filter(|(it, _)| it == name).map(|(_, value)| value.as_str()).collect()
    }
}

pub(crate) struct Broker {
    port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
    task: JoinHandle<()>,
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Broker {
    pub(crate) async fn start(answer: Answer) -> Broker {
        Broker::answering(&[answer]).await
    }

    /// These answers in turn, the last one for ever.
    #[expect(clippy::disallowed_methods, reason = "the broker is a task of the test, not of a request")]
    pub(crate) async fn answering(answers: &[Answer]) -> Broker {
        let mut answers = answers.to_vec();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
                serve(stream, answer, &notes).await;
            }
        });
        Broker { port, heard, task }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, answer: Answer, notes: &Mutex<Vec<Heard>>) {
    let heard = read(&mut stream).await;
    notes.lock().unwrap().push(heard);
    // The client may be gone already; what it saw is its own test's concern.
    match answer {
        Answer::Close => {}
        Answer::Status(status) => {
            let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.ok();
        }
        Answer::Busy => {
            let head = "HTTP/1.1 503 Busy\r\nRetry-After: 30\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).await.ok();
        }
        Answer::Garbage => {
            stream.write_all(b"\x16\x03\x01 this is not HTTP\r\n\r\n").await.ok();
        }
        Answer::Silence => tokio::time::sleep(Duration::from_secs(60)).await,
        Answer::EndlessHeaders => {
            stream.write_all(b"HTTP/1.1 201 Created\r\n").await.ok();
            while stream.write_all(b"X-More: yes\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn read(stream: &mut TcpStream) -> Heard {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break at;
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "half a request");
    };
    let text = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let head: Vec<(String, String)> = lines
        .map(|it| it.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = bytes.split_off(head_end + 4);
    let length = head.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, it)| it.parse().unwrap());
    while body.len() < length {
        assert_ne!(stream.read_buf(&mut body).await.unwrap(), 0, "half a body");
    }
    Heard { line, head, body }
}
