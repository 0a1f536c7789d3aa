//! What a room answers.
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::problem::Problem;
use offpeak_domain::code::Code;

/// A finished answer: status, headers and a body that is never absent on a JSON answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// 200 with this value as JSON.
    ///
    /// # Errors
    /// `internal` if the value cannot be written as JSON (a map with keys that are not strings).
    pub fn ok(value: &impl Serialize) -> Result<Reply, Problem> {
        Reply::json(StatusCode::OK, value)
    }

    /// 201 with `Location`.
    ///
    /// # Errors
    /// As [`Reply::ok`].
    pub fn created(location: &str, value: &impl Serialize) -> Result<Reply, Problem> {
        Ok(Reply::json(StatusCode::CREATED, value)?.header(header::LOCATION, location))
    }

    /// # Errors
    /// As [`Reply::ok`].
    pub fn json(status: StatusCode, value: &impl Serialize) -> Result<Reply, Problem> {
        let body = serde_json::to_vec(value).map_err(|err| {
            tracing::error!(error = %err, "An answer could not be written as JSON.");
            Problem::bare(Code::Internal)
        })?;
        Ok(Reply::ready(status, Bytes::from(body)))
    }

    /// JSON that is written already.
    pub fn ready(status: StatusCode, json: Bytes) -> Reply {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Reply { status, headers, body: json }
    }

    /// 304: the caller has this version already.
    pub fn not_modified(etag: &str) -> Reply {
        Reply { status: StatusCode::NOT_MODIFIED, headers: HeaderMap::new(), body: Bytes::new() }.etag(etag)
    }

    /// Sets a header; a value that no header may hold is left out with a warning.
    #[must_use]
    pub fn header(self, name: HeaderName, value: &str) -> Reply {
        self.set(name, HeaderValue::from_str(value))
    }

    fn set<E>(mut self, name: HeaderName, value: Result<HeaderValue, E>) -> Reply {
        match value {
            Ok(value) => {
                self.headers.insert(name, value);
            }
            Err(_) => tracing::warn!(header = %name, "A header value was not sendable."),
        }
        self
    }

    /// Anyone may keep this answer for so long; without it nobody may.
    #[must_use]
    pub fn public_for(self, seconds: u64) -> Reply {
        self.header(header::CACHE_CONTROL, &format!("public, max-age={seconds}"))
    }

    /// A strong `ETag`.
    #[must_use]
    pub fn etag(self, etag: &str) -> Reply {
        let mut quoted = String::with_capacity(etag.len() + 2);
        quoted.push('"');
        quoted.push_str(etag);
        quoted.push('"');
        self.set(header::ETAG, HeaderValue::try_from(quoted))
    }
}
