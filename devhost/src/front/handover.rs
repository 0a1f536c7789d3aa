//! Hands a request over whole to the handler, as newer hosts do (proxying: streamed both ways, raw query) or as older ones do
//! (forwarding: buffered, repeated query keys joined, chunked bodies and most content headers lost).
use std::net::SocketAddr;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri,
    header::{self, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT},
    request::Parts,
};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use uuid::Uuid;

use super::rewrite::{forwarded_path, forwarded_query};
use crate::{
    handlers::Handlers,
    reply::{self, Body},
    wire::{HOST_VERSION, TimedBody, Wire, WireError, within},
};

/// Largest body that passes through, as on the platform, in bytes.
const BODY_BYTES_MAX: usize = 100 * 1024 * 1024;
/// Headers that belong to one connection.
const HOP_HEADERS: [HeaderName; 7] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
];
/// Content headers that forwarding loses.
const LOST_CONTENT_HEADERS: [&str; 9] = [
    "content-encoding",
    "content-language",
    "content-disposition",
    "content-location",
    "content-md5",
    "content-range",
    "allow",
    "expires",
    "last-modified",
];

/// How requests reach the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    Proxying,
    Forwarding,
}

/// The way to the handler.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) wire: &'a Wire,
    pub(super) handlers: &'a Handlers,
    pub(super) handover: Handover,
}

impl Way<'_> {
    /// Sends `request` to `function` and returns the handler's answer, or the host's own when there is none.
    pub(super) async fn send(self, function: &str, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let too_large = content_length(request.headers()).is_some_and(|it| it > BODY_BYTES_MAX as u64);
        if too_large {
            return reply::empty(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let invocation = Uuid::new_v4().hyphenated().to_string();
        let answered = match self.handover {
            Handover::Proxying => self.proxy(function, request, &invocation, peer).await,
            Handover::Forwarding => self.forward(function, request, &invocation).await,
        };
        answered.unwrap_or_else(|fault| {
            let cause = std::error::Error::source(&fault).map(|it| format!(": {it}")).unwrap_or_default();
            tracing::error!("Function `{function}` (invocation {invocation}) failed: {fault}{cause}");
            match fault {
                WireError::NotUp => not_running(),
                _ => reply::empty(StatusCode::INTERNAL_SERVER_ERROR),
            }
        })
    }

    async fn proxy(
        self,
        function: &str,
        request: Request<Incoming>,
        invocation: &str,
        peer: SocketAddr,
    ) -> Result<Response<Body>, WireError> {
        let (mut parts, body) = request.into_parts();
        strip_hop_headers(&mut parts.headers);
        forwarded_headers(&mut parts.headers, &parts.uri, peer);
        for name in ["x-azure-functions-invocationid", "x-ms-invocation-id"] {
            set(&mut parts.headers, name, invocation);
        }
        set(&mut parts.headers, "x-azure-functions-hostversion", HOST_VERSION);
        let body = Limited::new(body, BODY_BYTES_MAX).boxed_unsync();
        let answer = self.wire.call(self.handlers, function, to_handler(&parts, None, body)).await?;
        let (mut parts, body) = answer.response.into_parts();
        strip_hop_headers(&mut parts.headers);
        Ok(Response::from_parts(parts, TimedBody::new(body, answer.deadline, answer.lease).boxed_unsync()))
    }

    async fn forward(
        self,
        function: &str,
        request: Request<Incoming>,
        invocation: &str,
    ) -> Result<Response<Body>, WireError> {
        let (mut parts, body) = request.into_parts();
        let body = match content_length(&parts.headers) {
            Some(length) if length > 0 => body.collect().await.map_err(|it| WireError::Lost(Box::new(it)))?.to_bytes(),
            _ => Bytes::new(),
        };
        strip_hop_headers(&mut parts.headers);
        for name in LOST_CONTENT_HEADERS {
            parts.headers.remove(name);
        }
        if body.is_empty() {
            parts.headers.remove(CONTENT_LENGTH);
            parts.headers.remove(CONTENT_TYPE);
        }
        let agent = parts.headers.get(USER_AGENT).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let agent = format!("{agent} Azure-Functions-Host/{HOST_VERSION}");
        set(&mut parts.headers, "user-agent", agent.trim_start());
        set(&mut parts.headers, "x-azure-functions-invocationid", invocation);
        set(&mut parts.headers, "x-azure-functions-hostversion", HOST_VERSION);
        let target = format!("{}{}", forwarded_path(parts.uri.path()), forwarded_query(parts.uri.query()));
        let request = to_handler(&parts, target.parse().ok(), reply::full(body));
        let answer = self.wire.call(self.handlers, function, request).await?;
        let (mut parts, body) = answer.response.into_parts();
        strip_hop_headers(&mut parts.headers);
        match within(answer.deadline, Limited::new(body, BODY_BYTES_MAX).collect()).await {
            Some(Ok(body)) => Ok(Response::from_parts(parts, reply::full(body.to_bytes()))),
            Some(Err(fault)) => Err(WireError::Lost(fault)),
            None => {
                answer.lease.restart_process();
                Err(WireError::TimedOut)
            }
        }
    }
}

/// The host is ending or starting; the platform brings it back within a moment.
fn not_running() -> Response<Body> {
    let mut response = reply::text(StatusCode::SERVICE_UNAVAILABLE, "Function host is not running.");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// A request with the method and headers of `parts`; `target` replaces its path and query.
fn to_handler(parts: &Parts, target: Option<Uri>, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = target.unwrap_or_else(|| parts.uri.clone());
    *request.headers_mut() = parts.headers.clone();
    request
}

/// The handler sees its own address as Host; what the caller asked for goes into `X-Forwarded-*`.
fn forwarded_headers(headers: &mut HeaderMap, uri: &Uri, peer: SocketAddr) {
    let host = headers.remove(HOST).or_else(|| HeaderValue::from_str(uri.authority()?.as_str()).ok());
    if let Some(host) = host {
        headers.insert("x-forwarded-host", host);
    }
    let before = headers.get("x-forwarded-for").and_then(|it| it.to_str().ok()).map(|it| format!("{it}, "));
    let chain = format!("{}{}", before.unwrap_or_default(), peer.ip());
    set(headers, "x-forwarded-for", &chain);
    set(headers, "x-forwarded-proto", "http");
}

/// Removes what belongs to one connection, also what its `Connection` header names.
fn strip_hop_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','))
        .filter_map(|it| it.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_HEADERS) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}
