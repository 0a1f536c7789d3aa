//! Replies and problems as responses: the one place where the headers that every answer has are set.
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;
use warp::reply::Response;

use super::{body::Refusal, problem::Problem, reply::Reply};
use crate::shared::telemetry;

/// The answer to every invocation that succeeded. Never shorter: the host leaves an invocation open until
/// its function time-out, and then ends the process, when a 2xx is empty or `null`.
const DONE: &str = r#"{"Outputs":{},"Logs":[],"ReturnValue":null}"#;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
const BEARER: HeaderValue = HeaderValue::from_static("Bearer");

static SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What a room answered.
pub(super) fn reply(reply: Reply) -> Response {
    let mut response = Response::new(reply.body.into());
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    // An answer is its caller's alone unless its room says otherwise: carts are opened by a header that no
    // cache in front of us knows.
    headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    response
}

/// An invocation that succeeded.
pub(super) fn done() -> Response {
    let mut response = Response::new(Bytes::from_static(DONE.as_bytes()).into());
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// A refusal or a failure, with the trace id under which the log tells more.
pub(super) fn problem(problem: &Problem) -> Response {
    let mut document = problem.to_json();
    if let (Value::Object(members), Some(trace)) = (&mut document, telemetry::trace()) {
        members.insert("traceId".to_owned(), trace.into());
    }
    let mut response = Response::new(document.to_string().into());
    *response.status_mut() = problem.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    if problem.status() == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, BEARER);
    }
    if let Some(seconds) = problem.retry_after_s() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(methods) = problem.allowed() {
        text(headers, header::ALLOW, methods);
    }
    response
}

/// As [`problem`]; ends the connection where the request's body was left unread.
pub(super) fn refusal(refusal: &Refusal) -> Response {
    let mut response = problem(&refusal.problem);
    if refusal.close {
        response.headers_mut().insert(header::CONNECTION, CLOSE);
    }
    response
}

/// The methods of a path. Source: RFC 9110, section 9.3.7.
pub(super) fn options(allow: &str) -> Response {
    let mut response = Response::new(Bytes::new().into());
    *response.status_mut() = StatusCode::NO_CONTENT;
    text(response.headers_mut(), header::ALLOW, allow);
    response
}

/// Adds the count of store operations.
pub(super) fn timed(mut response: Response) -> Response {
    if let Some(timing) = telemetry::server_timing() {
        response.headers_mut().insert(&SERVER_TIMING, timing);
    }
    response
}

fn text(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Ours, of visible ASCII, so always a header's value.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
