//! The listener, and what happens to a request between the socket and its room.
//!
//! One warp filter takes every request; the table says who answers. Paths of two or more segments are HTTP
//! requests that the host hands over whole. A path of one segment is an invocation, and only if it carries
//! the host's invocation header: the route prefix keeps outside callers off those paths.
//!
//! A client that goes away drops its request's future at the next await. That is sound: every operation
//! must bear being ended at any await, because the host ends the process without a warning.
use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    net::Ipv4Addr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, request::Parts};
use http_body_util::Empty;
use hyper::{
    body::Incoming,
    service::{Service, service_fn},
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use offpeak_domain::code::Code;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use warp::{Filter, reply::Response};

use super::{
    admission::{Admit, Visit},
    answer,
    body::{self, Refusal},
    call::Call,
    envelope::{self, Envelope, EnvelopeError, Payload},
    limits::Limits,
    problem::{Problem, chain},
    room::TriggerError,
    socket::{Phase, Socket},
    table::{BadParameter, HttpRoom, Job, JobWork, Params, Table},
};
use crate::shared::telemetry::{self, Scope};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;
/// Between two tries to bind, and after an accept that failed for lack of something.
const PAUSE: Duration = Duration::from_millis(50);

/// The function of a request that no room takes, in the log.
const NOWHERE: &str = "-";

/// What every request is given.
struct Server<A> {
    table: Arc<Table<A>>,
    app: Arc<A>,
    limits: Limits,
}

/// Listens on 127.0.0.1. After a crash the host starts the handler anew on the same port, so a port that is
/// still taken is tried again for as long as `patience`.
///
/// # Errors
/// That of the last try.
pub async fn bind(port: u16, patience: Duration) -> io::Result<TcpListener> {
    let until = Instant::now() + patience;
    loop {
        match listen(port) {
            Err(err) if err.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => sleep(PAUSE).await,
            done => return done,
        }
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    socket.listen(BACKLOG)
}

/// Serves the table for ever. Dropping the future ends every connection.
pub async fn serve<A: Admit + Send + Sync + 'static>(
    listener: TcpListener,
    table: Arc<Table<A>>,
    app: Arc<A>,
    limits: Limits,
) -> Infallible {
    let server = Arc::new(Server { table, app, limits });
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= limits.connections {
            connections.join_next().await;
            continue;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(converse(Arc::clone(&server), stream));
            }
            Err(err) => {
                tracing::warn!(error = %err, "A connection could not be accepted.");
                sleep(PAUSE).await;
            }
        }
    }
}

/// One connection, from its first request to its last.
async fn converse<A: Admit + Send + Sync + 'static>(server: Arc<Server<A>>, stream: TcpStream) {
    if let Err(err) = stream.set_nodelay(true) {
        tracing::debug!(error = %err, "A connection was gone before it began.");
        return;
    }
    let limits = server.limits;
    let phase = Phase::default();
    let socket = Socket::new(stream, phase.clone(), limits);
    let inner = TowerToHyperService::new(warp::service(everything(server)));
    let service = service_fn(move |request| {
        phase.busy();
        let (answer, phase) = (inner.call(Whole::carried(request)), phase.clone());
        async move {
            let response = answer.await;
            phase.answered();
            response
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.header_read_timeout(None).max_header_size(2 * limits.head_bytes);
    if let Err(err) = http.serve_connection(TokioIo::new(socket), service).await {
        tracing::debug!(error = %chain(&err), "A connection ended early.");
    }
}

/// A request on its way through warp, which has no filter that gives it up whole: it rides as an extension
/// and is taken out once.
#[derive(Clone)]
struct Whole(Arc<Mutex<Option<Taken>>>);

/// The head is boxed because it travels through several futures, and a future is copied when it is moved.
type Taken = (Box<Parts>, Incoming);

impl Whole {
    fn carried(request: Request<Incoming>) -> Request<Empty<Bytes>> {
        let (head, body) = request.into_parts();
        let mut carrier = Request::new(Empty::new());
        carrier.extensions_mut().insert(Whole(Arc::new(Mutex::new(Some((Box::new(head), body))))));
        carrier
    }

    fn take(&self) -> Option<Taken> {
        self.0.lock().ok()?.take()
    }
}

/// The one filter.
fn everything<A: Admit + Send + Sync + 'static>(
    server: Arc<Server<A>>,
) -> impl Filter<Extract = (Response,), Error = warp::Rejection> + Clone {
    warp::ext::get::<Whole>().then(move |whole: Whole| {
        let server = Arc::clone(&server);
        async move {
            match whole.take() {
                Some((head, body)) => route(&server, head, body).await,
                None => answer::problem(&Problem::bare(Code::Internal)),
            }
        }
    })
}

/// What is not a room's HTTP request is boxed, so that the common future stays small.
async fn route<A: Admit + Send + Sync>(server: &Server<A>, head: Box<Parts>, body: Incoming) -> Response {
    if size(&head) > server.limits.head_bytes {
        return Box::pin(too_large(&head, server.limits.head_bytes)).await;
    }
    let path = head.uri.path();
    if let Some((room, params)) = server.table.http(path) {
        let scope = Scope::of(room.name, &head.headers);
        return telemetry::within(scope, visit(server, room, params, head, body)).await;
    }
    let invoked = head.method == Method::POST && head.headers.contains_key(&telemetry::INVOCATION_ID);
    if let Some(job) = server.table.job(path).filter(|_| invoked) {
        let scope = Scope::of(job.name, &head.headers);
        return Box::pin(telemetry::within(scope, invoke(server, job, &head.headers, body))).await;
    }
    Box::pin(nowhere(&head.headers, body, &server.limits)).await
}

async fn too_large(head: &Parts, max: usize) -> Response {
    let problem = Problem::new(Code::HeadersTooLarge, format!("At most {max} bytes of headers are taken."));
    let refusal = Refusal { problem, close: true };
    telemetry::within(Scope::of(NOWHERE, &head.headers), async { answer::refusal(&refusal) }).await
}

async fn nowhere(headers: &HeaderMap, body: Incoming, limits: &Limits) -> Response {
    telemetry::within(Scope::of(NOWHERE, headers), async {
        let problem = Problem::new(Code::NotFound, "There is nothing at this path.");
        answer::refusal(&body::refuse(problem, body, headers, limits).await)
    })
    .await
}

/// An HTTP request to a room.
async fn visit<A: Admit>(
    server: &Server<A>,
    room: &HttpRoom<A>,
    params: Result<Params, BadParameter>,
    head: Box<Parts>,
    body: Incoming,
) -> Response {
    let response = match ask(server, room, params, head, body).await {
        Ok(response) => response,
        Err(refusal) => answer::refusal(&refusal),
    };
    tracing::debug!(status = response.status().as_u16(), "Answered.");
    if server.limits.debug_headers { answer::timed(response) } else { response }
}

async fn ask<A: Admit>(
    server: &Server<A>,
    room: &HttpRoom<A>,
    params: Result<Params, BadParameter>,
    head: Box<Parts>,
    body: Incoming,
) -> Result<Response, Refusal> {
    let limits = &server.limits;
    if head.method == Method::OPTIONS {
        return Ok(answer::options(&room.allow));
    }
    let Some(handler) = room.handler(&head.method) else {
        let detail = format!("Here one may {}.", room.allow);
        let problem = Problem::new(Code::MethodNotAllowed, detail).allow(room.allow.clone());
        return Err(Box::pin(body::refuse(problem, body, &head.headers, limits)).await);
    };
    let visit = Visit { traffic: room.traffic, method: &head.method, headers: &head.headers };
    if let Err(problem) = server.app.admit(&visit) {
        return Err(Box::pin(body::refuse(problem, body, &head.headers, limits)).await);
    }
    let params = match params {
        Ok(params) => params,
        Err(BadParameter(name)) => {
            let detail = format!("{name} in the path is not percent-encoded UTF-8.");
            let problem = Problem::new(Code::InvalidParameter, detail);
            return Err(Box::pin(body::refuse(problem, body, &head.headers, limits)).await);
        }
    };
    let bytes = match body::is_announced(&head.headers) {
        true => Box::pin(body::read(body, &head.headers, room.body_max_bytes, limits)).await?,
        false => Bytes::new(),
    };
    let (path, query) = (head.uri.path().to_owned(), head.uri.query().map(str::to_owned));
    let call = Call { method: head.method, path, params, query, headers: head.headers, body: bytes };
    match bounded(limits.request_time, || handler(&server.app, call)).await {
        Ok(reply) => Ok(answer::reply(reply)),
        Err(problem) => Err(Refusal { problem, close: false }),
    }
}

/// An invocation: its status is its only acknowledgement.
async fn invoke<A: Send + Sync>(server: &Server<A>, job: &Job<A>, headers: &HeaderMap, body: Incoming) -> Response {
    let limits = &server.limits;
    let bytes = match body::read(body, headers, limits.invocation_bytes, limits).await {
        Ok(bytes) => bytes,
        Err(refusal) => return answer::refusal(&refusal),
    };
    let envelope = match envelope::decode(job.trigger, &bytes) {
        Ok(envelope) => envelope,
        Err(err) => {
            tracing::error!(error = %chain(&err), "The host sent an invocation that cannot be read.");
            let code =
                if matches!(err, EnvelopeError::Unreadable(_)) { Code::MalformedJson } else { Code::InvalidBody };
            return answer::problem(&Problem::new(code, err.to_string()));
        }
    };
    let rest = limits.rest(envelope.payload.deliveries());
    match bounded(limits.invocation_time, || Box::pin(work(&*server.app, job, envelope))).await {
        Ok(()) => answer::done(),
        Err(problem) => {
            tokio::time::sleep(rest).await;
            answer::problem(&problem)
        }
    }
}

/// A message room gets the messages of a batch one by one, in order; the first failure fails the batch.
async fn work<A: Send + Sync>(app: &A, job: &Job<A>, envelope: Envelope) -> Result<(), Problem> {
    telemetry::attempt(envelope.retry_count.saturating_add(1));
    let failed = |err: TriggerError| {
        tracing::warn!(error = %chain(err.as_ref()), "The invocation failed and is handed back.");
        Problem::bare(Code::Internal)
    };
    match (&job.work, envelope.payload) {
        (JobWork::Messages(handler), Payload::Messages(messages)) => {
            for message in messages {
                telemetry::attempt(message.delivery_count);
                handler(app, message).await.map_err(failed)?;
            }
            Ok(())
        }
        (JobWork::Events(handler), Payload::Events(events)) => handler(app, events).await.map_err(failed),
        (JobWork::Timer(handler), Payload::Tick(tick)) => handler(app, tick).await.map_err(failed),
        (_, payload) => unreachable!("the table fits work to its trigger, yet {} got {payload:?}", job.name),
    }
}

/// A room's work, begun.
type Begun<'a, T> = Pin<Box<dyn Future<Output = Result<T, Problem>> + Send + 'a>>;

/// Runs a room's work: a panic is a 500 and the process lives, too long is a 503.
async fn bounded<'a, T>(limit: Duration, begin: impl FnOnce() -> Begun<'a, T>) -> Result<T, Problem> {
    let Some(mut work) = caught(begin) else { return Err(Problem::bare(Code::Internal)) };
    let worked = poll_fn(|cx| match caught(|| work.as_mut().poll(cx)) {
        Some(polled) => polled,
        None => Poll::Ready(Err(Problem::bare(Code::Internal))),
    });
    match timeout(limit, worked).await {
        Ok(done) => done,
        Err(_) => {
            tracing::error!(limit_ms = limit.as_millis(), "A room took too long and was ended.");
            Err(Problem::bare(Code::Unavailable).retry_after(1))
        }
    }
}

/// `None` if it panics; the panic hook has told of it by then. What the work held is dropped with it, and
/// rooms share nothing but the app, whose locks are held over no await and poisoned by a panic.
fn caught<T>(step: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(step)).ok()
}

/// The size of a request's head in bytes, near enough: its target and each header with colon, space and
/// line end.
fn size(head: &Parts) -> usize {
    let target = head.uri.path().len() + head.uri.query().map_or(0, str::len);
    head.headers.iter().fold(target, |sum, (name, value)| sum + name.as_str().len() + value.len() + 4)
}
