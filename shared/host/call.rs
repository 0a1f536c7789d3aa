//! One HTTP request, handed over whole by the host.
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::{Deserialize, de::DeserializeOwned};

use super::problem::Problem;
use offpeak_domain::code::Code;

/// Longest `Idempotency-Key`. Source: draft-ietf-httpapi-idempotency-key-header leaves it open; 255 as in the field.
pub const IDEMPOTENCY_KEY_MAX: usize = 255;

/// The request as a room sees it: path parameters decoded, body complete and within its limit.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    /// Path as received, for fingerprints and `Location`.
    pub path: String,
    /// Parameters of the room's route, percent-decoded once.
    pub params: Vec<(&'static str, String)>,
    /// Raw query, without the question mark.
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    /// A path parameter of this room's route template; the route table guarantees its presence.
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON, with a problem that says where it is wrong.
    ///
    /// # Errors
    /// `unsupported_media_type`, `malformed_json`, `unknown_field`, `invalid_body`.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        if let Some(kind) = self.header_text("content-type") {
            let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            if kind != "application/json" && !kind.ends_with("+json") {
                return Err(Problem::new(
                    Code::UnsupportedMediaType,
                    format!("Send Content-Type: application/json, not {kind}."),
                ));
            }
        }
        serde_json::from_slice(&self.body).map_err(|err| {
            let text = err.to_string();
            let code = match err.classify() {
                serde_json::error::Category::Data if text.starts_with("unknown field") => Code::UnknownField,
                serde_json::error::Category::Data => Code::InvalidBody,
                _ => Code::MalformedJson,
            };
            Problem::new(code, text)
        })
    }

    /// For a room whose body says nothing: absent or `{}`, so that nobody believes that a member was heeded.
    ///
    /// # Errors
    /// As [`Call::json`].
    pub fn no_members(&self) -> Result<(), Problem> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}
        if self.body.is_empty() { Ok(()) } else { self.json::<Nothing>().map(drop) }
    }

    /// The query as `T`: percent-decoded, unknown parameters refused if `T` refuses unknown fields.
    ///
    /// # Errors
    /// `invalid_parameter`.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_urlencoded::from_str(self.query.as_deref().unwrap_or_default())
            .map_err(|err| Problem::new(Code::InvalidParameter, format!("query: {err}")))
    }

    /// A header's text, `None` if absent or not readable as text.
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// # Errors
    /// `idempotency_key_missing`, or `invalid_parameter` for one that is empty, too long or not visible ASCII.
    pub fn idempotency_key(&self) -> Result<&str, Problem> {
        let Some(value) = self.headers.get("idempotency-key") else {
            return Err(Problem::new(
                Code::IdempotencyKeyMissing,
                "Send an Idempotency-Key header: any text of 1 to 255 characters, new for each thing you want done once.",
            ));
        };
        let text = value.to_str().unwrap_or_default();
        if text.is_empty() || text.len() > IDEMPOTENCY_KEY_MAX {
            return Err(Problem::new(
                Code::InvalidParameter,
                "Idempotency-Key must be 1 to 255 visible ASCII characters.",
            ));
        }
        Ok(text)
    }

    /// The etag of `If-Match`, `*` included; `None` when absent.
    ///
    /// # Errors
    /// `invalid_parameter` for a weak or unreadable one.
    pub fn if_match(&self) -> Result<Option<&str>, Problem> {
        if !self.headers.contains_key("if-match") {
            return Ok(None);
        }
        let text = self.header_text("if-match").unwrap_or_default();
        if text == "*" {
            return Ok(Some(text));
        }
        let inner = text.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        inner
            .map(Some)
            .ok_or_else(|| Problem::new(Code::InvalidParameter, "If-Match must be one strong etag in quotes, or *."))
    }

    /// Whether `If-None-Match` names this etag: the caller has it already. Weak comparison, as RFC 9110
    /// section 13.1.2 asks; an unreadable header names nothing.
    pub fn has_version(&self, etag: &str) -> bool {
        let quoted = |it: &str| it.strip_prefix('"').and_then(|it| it.strip_suffix('"')) == Some(etag);
        self.headers.get_all("if-none-match").iter().filter_map(|it| it.to_str().ok()).any(|text| {
            text.split(',').map(str::trim).any(|it| it == "*" || quoted(it.strip_prefix("W/").unwrap_or(it)))
        })
    }

    /// The token that opens a cart and what became of it.
    ///
    /// # Errors
    /// `unauthenticated` without one.
    pub fn cart_token(&self) -> Result<&str, Problem> {
        self.header_text("x-cart-token").filter(|it| !it.is_empty()).ok_or_else(|| {
            Problem::new(
                Code::Unauthenticated,
                "Send the cart's token, as it was given when the cart was made, as X-Cart-Token.",
            )
        })
    }

    /// The bearer token of `Authorization`.
    pub fn bearer(&self) -> Option<&str> {
        let text = self.header_text("authorization")?;
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    }
}
