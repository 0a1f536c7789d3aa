//! The request body as a stream: read up to a limit and within a time, or thrown away up to a limit so that
//! a caller who is still sending sees the answer instead of a reset connection.
use std::{future::poll_fn, pin::Pin};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use hyper::body::{Body, Incoming};
use offpeak_domain::code::Code;

use super::{limits::Limits, problem::Problem};

/// Memory set aside on a caller's word alone, in bytes.
const RESERVE_MAX: usize = 256 * 1024;

/// A refusal on the way in. Unless the body was read to its end, the connection cannot be used again.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) problem: Problem,
    pub(super) close: bool,
}

/// Whether there is a body to read. Source: RFC 9112, section 6.3.
pub(super) fn is_announced(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    headers.contains_key(header::TRANSFER_ENCODING) || length.is_some_and(|value| value.as_bytes() != b"0")
}

/// The whole body, of at most `max` bytes.
///
/// # Errors
/// `body_too_large`, `request_timeout`, or `invalid_body` when it breaks off.
pub(super) async fn read(
    mut body: Incoming,
    headers: &HeaderMap,
    max: usize,
    limits: &Limits,
) -> Result<Bytes, Refusal> {
    if !is_announced(headers) {
        return Ok(Bytes::new());
    }
    match tokio::time::timeout(limits.body_time, collect(&mut body, announced(headers), max)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => {
            let detail = format!("At most {max} bytes are taken here.");
            Err(refuse(Problem::new(Code::BodyTooLarge, detail), body, headers, limits).await)
        }
        Ok(Err(_)) => Err(Refusal { problem: Problem::new(Code::InvalidBody, "The body broke off."), close: true }),
        Err(_) => {
            let detail = format!("The body did not arrive within {} s.", limits.body_time.as_secs());
            Err(Refusal { problem: Problem::new(Code::RequestTimeout, detail), close: true })
        }
    }
}

/// Reads what the caller is still sending, then refuses.
pub(super) async fn refuse(problem: Problem, mut body: Incoming, headers: &HeaderMap, limits: &Limits) -> Refusal {
    // Who waits for leave to send has not begun; who announces more than is drained cannot be waited for.
    let waits = headers.contains_key(header::EXPECT);
    let hopeless = announced(headers).is_some_and(|length| length > limits.drain_bytes);
    let close = is_announced(headers) && (waits || hopeless || !drain(&mut body, limits).await);
    Refusal { problem, close }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// `None` as soon as the body is known to be longer than `max`.
async fn collect(body: &mut Incoming, announced: Option<usize>, max: usize) -> Result<Option<Bytes>, hyper::Error> {
    if announced.is_some_and(|length| length > max) {
        return Ok(None);
    }
    let Some(first) = next(body).await? else { return Ok(Some(Bytes::new())) };
    let fits = |bytes: Bytes| (bytes.len() <= max).then_some(bytes);
    if announced == Some(first.len()) {
        return Ok(fits(first));
    }
    let Some(mut chunk) = next(body).await? else { return Ok(fits(first)) };
    let mut whole = BytesMut::with_capacity(announced.unwrap_or(0).min(RESERVE_MAX));
    whole.extend_from_slice(&first);
    loop {
        if whole.len() + chunk.len() > max {
            return Ok(None);
        }
        whole.extend_from_slice(&chunk);
        match next(body).await? {
            Some(more) => chunk = more,
            None => return Ok(Some(whole.freeze())),
        }
    }
}

/// Whether the body came to its end within the limits.
async fn drain(body: &mut Incoming, limits: &Limits) -> bool {
    let all = async {
        let mut left = limits.drain_bytes;
        loop {
            match next(body).await {
                Ok(None) => return true,
                Ok(Some(chunk)) if chunk.len() <= left => left -= chunk.len(),
                _ => return false,
            }
        }
    };
    tokio::time::timeout(limits.body_time, all).await.unwrap_or(false)
}

/// The next piece of data; trailers are passed over.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, hyper::Error> {
    loop {
        match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await.transpose()? {
            None => return Ok(None),
            Some(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
