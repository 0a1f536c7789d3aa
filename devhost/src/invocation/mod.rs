//! JSON invocations: encode, call, judge, and try again where the function's retry policy says so.
mod answer;
mod encode;
mod promote;
mod retry;

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as HttpBody, Frame};
use uuid::Uuid;

use self::{
    answer::{Trap, Verdict, judge},
    encode::{RetryContext, System},
};
use crate::{
    clock::Clock,
    ending::EndSignal,
    functions::{Function, RetryPolicy},
    handlers::{Handlers, Lease},
    invoke::{Invoke, InvokeFailure, Payload},
    reply::{Body, BodyError},
    status::HostStatus,
    wire::{Answer, HOST_VERSION, Wire, WireError, within},
};

/// Largest answer to an invocation, in bytes.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Calls functions by JSON invocation.
#[derive(Clone)]
pub struct Invoker {
    pub handlers: Arc<Handlers>,
    pub wire: Wire,
    pub clock: Arc<dyn Clock>,
    pub status: Arc<HostStatus>,
    pub end: EndSignal,
    /// Imitate the host's traps instead of failing loudly on them.
    pub faithful: bool,
    policies: HashMap<String, RetryPolicy>,
}

/// Everything an [`Invoker`] stands on.
#[derive(Clone)]
pub struct Foundation {
    pub handlers: Arc<Handlers>,
    pub wire: Wire,
    pub clock: Arc<dyn Clock>,
    pub status: Arc<HostStatus>,
    pub end: EndSignal,
}

impl Invoker {
    #[must_use]
    pub fn new(foundation: Foundation, functions: &[Function], faithful: bool) -> Self {
        let Foundation { handlers, wire, clock, status, end } = foundation;
        let policies = functions.iter().filter_map(|it| Some((it.name.clone(), it.retry.clone()?))).collect();
        Self { handlers, wire, clock, status, end, faithful, policies }
    }

    async fn attempt(
        &self,
        function: &str,
        payload: &Payload,
        retry: Option<RetryContext>,
    ) -> Result<(), InvokeFailure> {
        let failed = |reason: String| InvokeFailure::Failed { function: function.to_owned(), reason };
        let system = System { function, now: self.clock.now(), guid: Uuid::new_v4() };
        let invocation = Uuid::new_v4().hyphenated().to_string();
        let request = request(function, &invocation, encode::body(payload, system, retry))
            .map_err(|it| failed(it.to_string()))?;
        let answer = match self.wire.call(&self.handlers, function, request).await {
            Ok(answer) => answer,
            Err(WireError::NotUp) => return Err(InvokeFailure::NotCalled { function: function.to_owned() }),
            Err(fault) => return Err(failed(fault.to_string())),
        };
        let (lease, deadline) = (answer.lease.clone(), answer.deadline);
        match read(answer).await.map_err(failed)? {
            Verdict::Success(lines) => {
                for line in lines {
                    tracing::info!(target: "handler", "{function}: {line}");
                }
                Ok(())
            }
            Verdict::Failure(reason) => Err(failed(reason)),
            Verdict::Trap(trap) => self.spring(function, trap, deadline, &lease).await.map_err(failed),
        }
    }

    /// Strict: fail at once and say so where everybody looks. Faithful: do what the host does.
    async fn spring(
        &self,
        function: &str,
        trap: Trap,
        deadline: Option<tokio::time::Instant>,
        lease: &Lease,
    ) -> Result<(), String> {
        if !self.faithful {
            self.status.report(format!("Protocol error in function `{function}`: {}.", trap.reason));
            return Err(trap.reason);
        }
        if !trap.hangs {
            for line in trap.logs {
                tracing::info!(target: "handler", "{function}: {line}");
            }
            return Ok(());
        }
        let hang = within(deadline, self.end.given()).await;
        if hang.is_none() {
            lease.restart_process();
        }
        Err(WireError::TimedOut.to_string())
    }
}

#[async_trait]
impl Invoke for Invoker {
    async fn invoke(&self, function: &str, payload: Payload) -> Result<(), InvokeFailure> {
        let policy = self.policies.get(function);
        let mut count = 0;
        loop {
            let context = policy.map(|it| RetryContext { count, max: it.max_retry_count });
            let outcome = self.attempt(function, &payload, context).await;
            match (outcome, policy) {
                (Err(InvokeFailure::Failed { reason, .. }), Some(policy))
                    if policy.max_retry_count.is_none_or(|it| count < it) && !self.end.is_given() =>
                {
                    count += 1;
                    tracing::warn!("Function `{function}` failed and is tried again ({count}): {reason}");
                    let permille = 800 + u32::from(Uuid::new_v4().as_bytes()[0]) * 400 / 255;
                    tokio::select! {
                        () = tokio::time::sleep(retry::delay(&policy.delay, count, permille)) => {}
                        _ = self.end.given() => return Err(InvokeFailure::Failed { function: function.to_owned(), reason }),
                    }
                }
                (outcome, _) => return outcome,
            }
        }
    }

    fn is_running(&self, function: &str) -> bool {
        self.handlers.is_up(function)
    }

    async fn running(&self, function: &str) {
        self.handlers.up(function).await;
    }
}

fn request(function: &str, invocation: &str, body: String) -> Result<Request<Body>, http::Error> {
    Request::post(format!("/{function}"))
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header(header::USER_AGENT, format!("Azure-Functions-Host/{HOST_VERSION}"))
        .header("X-Azure-Functions-HostVersion", HOST_VERSION)
        .header("X-Azure-Functions-InvocationId", invocation)
        .body(Chunked(Some(body.into())).boxed_unsync())
}

async fn read(answer: Answer) -> Result<Verdict, String> {
    let (parts, body) = answer.response.into_parts();
    let body = match within(answer.deadline, Limited::new(body, ANSWER_BYTES_MAX).collect()).await {
        Some(Ok(body)) => body.to_bytes(),
        Some(Err(fault)) => return Err(format!("the answer could not be read: {fault}")),
        None => {
            answer.lease.restart_process();
            return Err(WireError::TimedOut.to_string());
        }
    };
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    Ok(judge(parts.status, content_type, &body))
}

/// A body that does not tell its length, because the host's does not: it goes out chunked.
struct Chunked(Option<Bytes>);

impl HttpBody for Chunked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(self.0.take().map(|it| Ok(Frame::data(it))))
    }
}
