//! `shared::host` on a real socket, with rooms that write down what reached them, and a client that sends
//! bytes as they stand.
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use offpeak::shared::host::{
    admission::{Admit, Visit},
    call::Call,
    limits::Limits,
    problem::Problem,
    reply::Reply,
    room::{Event, Message, Room, Tick, TriggerError, answering, working},
    server::{bind, serve},
    table::Table,
};
use offpeak_domain::code::Code;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

/// Long enough for anything on this machine; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a room was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Message(Message),
    Events(Vec<Event>),
    Tick(Tick),
}

/// What the rooms share: the record.
#[derive(Default)]
pub(crate) struct Probe {
    seen: Mutex<Vec<Seen>>,
    calls: Mutex<Vec<Call>>,
}

impl Admit for Probe {
    /// Whoever says `X-Too-Many` is turned away.
    fn admit(&self, visit: &Visit<'_>) -> Result<(), Problem> {
        match visit.headers.contains_key("x-too-many") {
            true => Err(Problem::new(Code::TooManyAttempts, "Slow down.").retry_after(7)),
            false => Ok(()),
        }
    }
}

macro_rules! http {
    ($name:literal, $route:literal) => {
        Room::http(
            $name,
            concat!(
                r#"{"bindings":[{"type":"httpTrigger","direction":"in","name":"req","authLevel":"anonymous","route":""#,
                $route,
                r#""},{"type":"http","direction":"out","name":"res"}]}"#
            ),
        )
    };
}

macro_rules! bound {
    ($kind:literal, $name:literal, $more:literal) => {
        concat!(
            r#"{"bindings":[{"type":""#,
            $kind,
            r#"","direction":"in","name":""#,
            $name,
            r#"","connection":"Sb""#,
            $more,
            "}]}"
        )
    };
}

/// Rooms named as the protocol cases name their functions.
pub(crate) static ROOMS: &[Room<Probe>] = &[
    http!("items", "items/{name}")
        .get(|probe, call| answering(echo(probe, call)))
        .put(|probe, call| answering(echo(probe, call))),
    http!("parts", "v1/items/{name}/parts/{part}").get(|probe, call| answering(echo(probe, call))),
    http!("uploads", "uploads").post(|probe, call| answering(echo(probe, call))).body_max(64 * 1024),
    http!("boom", "boom").get(|_, _| answering(async { panic!("boom") })),
    http!("early_boom", "early-boom").get(|_, _| panic!("boom before the first await")),
    http!("slow", "slow").get(|_, _| answering(std::future::pending())),
    Room::timer("Tick", bound!("timerTrigger", "timer", ""), |probe, tick| working(note(probe, Seen::Tick(tick)))),
    Room::message("OnOrder", bound!("serviceBusTrigger", "msg", ""), |probe, message| working(receive(probe, message))),
    Room::message("OnBytes", bound!("serviceBusTrigger", "msg", r#","dataType":"binary""#), |probe, message| {
        working(receive(probe, message))
    }),
    Room::message(
        "OnOrders",
        bound!("serviceBusTrigger", "msgs", r#","cardinality":"many","dataType":"string""#),
        |probe, message| working(receive(probe, message)),
    ),
    Room::events("OnClick", bound!("eventHubTrigger", "ev", r#","cardinality":"one""#), |probe, events| {
        working(note(probe, Seen::Events(events)))
    }),
    Room::events(
        "OnClicks",
        bound!("eventHubTrigger", "evs", r#","cardinality":"many","dataType":"string""#),
        |probe, events| working(note(probe, Seen::Events(events))),
    ),
];

async fn echo(probe: &Probe, call: Call) -> Result<Reply, offpeak::shared::host::problem::Problem> {
    let reply = Reply::ok(&serde_json::json!({
        "path": call.path,
        "params": call.params,
        "query": call.query,
        "bytes": call.body.len(),
    }));
    probe.calls.lock().unwrap().push(call);
    reply
}

async fn note(probe: &Probe, seen: Seen) -> Result<(), TriggerError> {
    probe.seen.lock().unwrap().push(seen);
    Ok(())
}

/// The body says what is to happen.
async fn receive(probe: &Probe, message: Message) -> Result<(), TriggerError> {
    match message.body.as_slice() {
        b"fail" => return Err("asked to fail".into()),
        b"panic" => panic!("asked to panic"),
        b"hang" => std::future::pending().await,
        _ => {}
    }
    note(probe, Seen::Message(message)).await
}

/// A running server; dropping it ends it and all its connections.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) probe: Arc<Probe>,
    server: JoinHandle<std::convert::Infallible>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Serves [`ROOMS`] on a free port.
pub(crate) async fn start(limits: Limits) -> Running {
    start_on(0, limits).await
}

pub(crate) async fn start_on(port: u16, limits: Limits) -> Running {
    let listener = bind(port, Duration::from_secs(2)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let probe = Arc::new(Probe::default());
    let table = Arc::new(Table::new(ROOMS, "api").unwrap());
    #[expect(clippy::disallowed_methods, reason = "the server under test runs beside its client")]
    let server = tokio::spawn(serve(listener, table, Arc::clone(&probe), limits));
    Running { addr, probe, server }
}

impl Running {
    /// What reached the rooms since the last look.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.probe.seen.lock().unwrap())
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.probe.calls.lock().unwrap())
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire::connect(self.addr).await.unwrap()
    }

    /// Sends these bytes on a connection of their own and reads one answer.
    pub(crate) async fn send(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut wire = self.connect().await;
        wire.write(bytes).await;
        wire.answer().await.expect("the server closed the connection without an answer")
    }

    /// `GET`, `DELETE` … without a body.
    pub(crate) async fn ask(&self, method: &str, target: &str) -> Answer {
        let mut wire = self.connect().await;
        wire.write(format!("{method} {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")).await;
        wire.answer_to(method == "HEAD").await.expect("no answer")
    }

    /// An invocation as the host sends it, its length announced.
    pub(crate) async fn invoke(&self, function: &str, envelope: &str) -> Answer {
        self.send(invocation(function, envelope)).await
    }
}

/// The bytes of `POST /<function>` with the host's headers.
pub(crate) fn invocation(function: &str, envelope: &str) -> Vec<u8> {
    let length = envelope.len();
    format!(
        "POST /{function} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Azure-Functions-Host/4.1037.0.0\r\n\
         X-Azure-Functions-HostVersion: 4.1037.0.0\r\n\
         X-Azure-Functions-InvocationId: 1c7a4f0e-1111-4222-8333-444455556666\r\n\
         Content-Type: application/json; charset=utf-8\r\nContent-Length: {length}\r\n\r\n{envelope}"
    )
    .into_bytes()
}

/// One connection.
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// One response, as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Wire {
    pub(crate) async fn connect(addr: SocketAddr) -> Option<Wire> {
        let stream = TcpStream::connect(addr).await.ok()?;
        Some(Wire { stream, unread: Vec::new() })
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Whether the server took or could take these bytes within the time in which it gives up on us.
    pub(crate) async fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        self.answer_to(false).await
    }

    /// The next answer; `None` when the server closes first. The answer to a `HEAD` has no body.
    pub(crate) async fn answer_to(&mut self, head: bool) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if self.more().await == 0 {
                assert!(self.unread.is_empty(), "half an answer: {:?}", String::from_utf8_lossy(&self.unread));
                return None;
            }
        };
        let text = String::from_utf8(self.unread.drain(..end + 4).collect()).unwrap();
        let mut lines = text.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        };
        let mut answer = Answer { status, headers: lines.map(header).collect(), body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        if !head {
            while self.unread.len() < length {
                assert_ne!(self.more().await, 0, "the body broke off");
            }
            answer.body = self.unread.drain(..length).collect();
        }
        Some(answer)
    }

    /// Whether nothing has come that was not read.
    pub(crate) fn says_nothing(&self) -> bool {
        let nothing = self.stream.try_read(&mut [0]).is_err_and(|err| err.kind() == std::io::ErrorKind::WouldBlock);
        self.unread.is_empty() && nothing
    }

    /// Whether the server closes within [`PATIENCE`], having sent nothing more.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && self.more().await == 0
    }

    async fn more(&mut self) -> usize {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.unread)).await;
        // A reset is an end too.
        read.expect("nothing was sent").unwrap_or(0)
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|err| panic!("{err}: {:?}", self.text()))
    }

    /// The code of a problem, after a look at what every problem has.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"));
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["traceId"].as_str().unwrap().len(), 32);
        problem["code"].as_str().unwrap().to_owned()
    }
}
