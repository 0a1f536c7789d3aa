//! The HTTP/1.1 client with which the host calls the handler.
//!
//! Idle connections are given up sooner than any handler closes them, so a request is never written into a connection that
//! is just being closed. A request whose connection was refused was not sent and may be sent again; any other fault may
//! have reached the handler.
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    handlers::{Handlers, Lease},
    reply::{Body, BodyError},
};

/// How long an idle connection to the handler is kept.
const IDLE_MAX: Duration = Duration::from_secs(4);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a request whose connection was refused is sent again, and the delays in between.
const REFUSALS_MAX: u32 = 10;
const REFUSAL_DELAY_FIRST: Duration = Duration::from_millis(50);
const REFUSAL_DELAY_MAX: Duration = Duration::from_millis(250);
/// The host's own version as it is shown to handlers.
pub const HOST_VERSION: &str = "4.1037.0.0";

/// Calls handler processes.
#[derive(Debug, Clone)]
pub struct Wire {
    client: Client<HttpConnector, Body>,
    function_timeout: Option<Duration>,
}

/// Why a call had no answer.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("the handler was not up in time")]
    NotUp,
    #[error("the connection to the handler was refused")]
    Refused(#[source] BodyError),
    #[error("the connection to the handler was lost")]
    Lost(#[source] BodyError),
    #[error("the function ran longer than the function time-out and its process was killed")]
    TimedOut,
}

/// An answer and the process that gave it.
#[derive(Debug)]
pub struct Answer {
    pub response: Response<Incoming>,
    pub lease: Lease,
    /// When the whole call has to be over.
    pub deadline: Option<Instant>,
}

impl Wire {
    /// `function_timeout` bounds each call; `None` leaves it unbounded.
    #[must_use]
    pub fn new(function_timeout: Option<Duration>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .build(connector);
        Self { client, function_timeout }
    }

    /// Sends `request` (its URI holds path and query only) to a process that serves `function`.
    ///
    /// Waits while the handler starts; sends again what was refused. The time-out begins when a process is there.
    ///
    /// # Errors
    /// The handler was not up in time, refused all tries, closed the connection, or took too long; in the last case its
    /// process is killed.
    pub async fn call(&self, handlers: &Handlers, function: &str, request: Request<Body>) -> Result<Answer, WireError> {
        let (mut parts, body) = request.into_parts();
        let body = Resendable::new(body);
        let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        let mut delay = REFUSAL_DELAY_FIRST;
        let mut refusals = 0;
        loop {
            let lease = handlers.lease(function).await.map_err(|_| WireError::NotUp)?;
            let deadline = self.function_timeout.map(|it| Instant::now() + it);
            parts.uri = format!("http://127.0.0.1:{}{path}", lease.port())
                .parse()
                .map_err(|it| WireError::Lost(Box::new(it)))?;
            let request = Request::from_parts(parts.clone(), body.again().boxed_unsync());
            match within(deadline, self.client.request(request)).await {
                None => {
                    lease.restart_process();
                    return Err(WireError::TimedOut);
                }
                Some(Ok(response)) => return Ok(Answer { response, lease, deadline }),
                Some(Err(fault)) if fault.is_connect() && refusals < REFUSALS_MAX => {
                    refusals += 1;
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(REFUSAL_DELAY_MAX);
                }
                Some(Err(fault)) if fault.is_connect() => return Err(WireError::Refused(Box::new(fault))),
                Some(Err(fault)) => {
                    lease.await_news().await;
                    return Err(WireError::Lost(Box::new(fault)));
                }
            }
        }
    }
}

/// `None` when the deadline came first.
pub async fn within<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, future).await.ok(),
        None => Some(future.await),
    }
}

/// A body that can be offered again as long as nobody has begun to read it.
#[derive(Debug, Clone)]
struct Resendable {
    source: Arc<Mutex<Option<Body>>>,
    hint: SizeHint,
    is_empty: bool,
}

/// One offer of a [`Resendable`]; takes the body at the first read.
struct Offer {
    from: Resendable,
    taken: Option<Body>,
}

impl Resendable {
    fn new(body: Body) -> Self {
        let (hint, is_empty) = (body.size_hint(), body.is_end_stream());
        Self { source: Arc::new(Mutex::new(Some(body))), hint, is_empty }
    }

    fn again(&self) -> Offer {
        Offer { from: self.clone(), taken: None }
    }
}

impl HttpBody for Offer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.taken.is_none() {
            let taken = self.from.source.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.taken = taken;
        }
        match &mut self.taken {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(Some(Err("the body was already sent".into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.taken.as_ref().map_or(self.from.is_empty, HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.taken.as_ref().map_or_else(|| self.from.hint, HttpBody::size_hint)
    }
}

/// The handler's answer on its way to the caller; cut, and the process killed, when the function time-out passes.
pub struct TimedBody {
    inner: Incoming,
    timer: Option<(Pin<Box<Sleep>>, Lease)>,
}

impl TimedBody {
    #[must_use]
    pub fn new(inner: Incoming, deadline: Option<Instant>, lease: Lease) -> Self {
        let timer = deadline.filter(|_| !inner.is_end_stream()).map(|it| (Box::pin(sleep_until(it)), lease));
        Self { inner, timer }
    }
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            return Poll::Ready(frame.map(|it| it.map_err(Into::into)));
        }
        if let Some((timer, lease)) = &mut self.timer
            && timer.as_mut().poll(context).is_ready()
        {
            lease.restart_process();
            self.timer = None;
            return Poll::Ready(Some(Err(Box::new(WireError::TimedOut))));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
