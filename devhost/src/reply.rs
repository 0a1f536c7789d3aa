//! Small answers of the dev host itself, and the one body type that passes through its front door.
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};

/// Why a body ended early.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// A body that is either held here or streamed from the handler.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// `status` with no body, as the host answers what it refuses.
#[must_use]
pub fn empty(status: StatusCode) -> Response<Body> {
    with_body(status, Empty::new().map_err(|never| match never {}).boxed_unsync())
}

/// `status` with `value` as JSON.
#[must_use]
pub fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    typed(status, "application/json; charset=utf-8", value.to_string())
}

/// `status` with `text`.
#[must_use]
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    typed(status, "text/plain; charset=utf-8", text)
}

/// `status` with `content` of type `content_type`.
#[must_use]
pub fn typed(status: StatusCode, content_type: &'static str, content: impl Into<Bytes>) -> Response<Body> {
    let mut response = with_body(status, full(content));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A body that is wholly here.
#[must_use]
pub fn full(content: impl Into<Bytes>) -> Body {
    full_body(Full::new(content.into()))
}

/// The same for a body of that kind.
#[must_use]
pub fn full_body(body: Full<Bytes>) -> Body {
    body.map_err(|never| match never {}).boxed_unsync()
}

fn with_body(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
