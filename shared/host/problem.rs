//! RFC 9457 answers: the one place where a code becomes a status.
use http::StatusCode;
use offpeak_domain::code::Code;
use serde_json::{Map, Value, json};

pub use crate::shared::ports::chain;

/// A refusal, as the caller sees it: `type, title, status, detail, code` and what else helps to act on it.
/// A cause from below is logged, never shown.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: Option<String>,
    retry_after_s: Option<u32>,
    /// For 405: the methods that are allowed.
    allow: Option<String>,
    extra: Map<String, Value>,
}

/// One fault in the input: `field` is a JSON pointer or a parameter's name.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Fault {
    pub field: String,
    pub detail: String,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Problem {
        Problem { code, detail: Some(detail.into()), retry_after_s: None, allow: None, extra: Map::new() }
    }

    /// Our bug or our dependency's: no detail for strangers.
    pub fn bare(code: Code) -> Problem {
        Problem { code, detail: None, retry_after_s: None, allow: None, extra: Map::new() }
    }

    /// 422 with one fault.
    pub fn invalid(field: &str, detail: impl Into<String>) -> Problem {
        let detail = detail.into();
        Problem::new(Code::ValidationFailed, format!("{field}: {detail}"))
            .with("errors", json!([Fault { field: field.to_owned(), detail }]))
    }

    /// An extension member, e.g. `availability`.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Problem {
        self.extra.insert(name.to_owned(), value);
        self
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Problem {
        self.retry_after_s = Some(seconds);
        self
    }

    #[must_use]
    pub fn allow(mut self, methods: String) -> Problem {
        self.allow = Some(methods);
        self
    }

    pub fn code(&self) -> Code {
        self.code
    }

    pub fn status(&self) -> StatusCode {
        status(self.code)
    }

    pub fn retry_after_s(&self) -> Option<u32> {
        self.retry_after_s
    }

    pub fn allowed(&self) -> Option<&str> {
        self.allow.as_deref()
    }

    /// The document itself, without the trace id that the server adds.
    pub fn to_json(&self) -> Value {
        let mut body = Map::new();
        body.insert("type".to_owned(), format!("/problems/{}", self.code.name()).into());
        body.insert("title".to_owned(), title(self.code).into());
        body.insert("status".to_owned(), self.status().as_u16().into());
        body.insert("code".to_owned(), self.code.name().into());
        if let Some(detail) = &self.detail {
            body.insert("detail".to_owned(), detail.clone().into());
        }
        body.extend(self.extra.clone());
        Value::Object(body)
    }
}

fn status(code: Code) -> StatusCode {
    match code {
        Code::MalformedJson
        | Code::InvalidBody
        | Code::UnknownField
        | Code::InvalidParameter
        | Code::IdempotencyKeyMissing => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PaymentDeclined => StatusCode::PAYMENT_REQUIRED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::CartChanged
        | Code::CartLocked
        | Code::CartOrdered
        | Code::CartMerged
        | Code::CompletionInProgress
        | Code::OutOfStock
        | Code::OrderState
        | Code::PromotionExhausted
        | Code::Conflict => StatusCode::CONFLICT,
        Code::EtagMismatch => StatusCode::PRECONDITION_FAILED,
        Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::ValidationFailed | Code::UnknownSku | Code::CartEmpty | Code::IdempotencyKeyReused => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Code::CouponRefused => StatusCode::UNPROCESSABLE_ENTITY,
        Code::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
        Code::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
        Code::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The same text for every occurrence of a code, as RFC 9457 asks.
fn title(code: Code) -> &'static str {
    match code {
        Code::MalformedJson => "The body is not valid JSON",
        Code::InvalidBody => "The body does not have the expected shape",
        Code::UnknownField => "The body has an unknown field",
        Code::InvalidParameter => "A parameter or header cannot be read",
        Code::IdempotencyKeyMissing => "The Idempotency-Key header is missing",
        Code::Unauthenticated => "Sign in first",
        Code::Forbidden => "You may not do this",
        Code::NotFound => "There is no such thing here",
        Code::MethodNotAllowed => "This path does not know that method",
        Code::RequestTimeout => "The request took too long to arrive",
        Code::CartChanged => "The total is not what you expected",
        Code::CartLocked => "The cart is being paid for",
        Code::CartOrdered => "The cart has been ordered",
        Code::CartEmpty => "The cart is empty",
        Code::CartMerged => "The cart was merged into another",
        Code::CompletionInProgress => "The checkout is being completed",
        Code::OutOfStock => "Not enough stock",
        Code::CouponRefused => "The code cannot be used",
        Code::TooManyAttempts => "Too many tries",
        Code::PromotionExhausted => "A promotion has been used up",
        Code::Conflict => "Someone else changed this at the same time",
        Code::PaymentDeclined => "The payment was declined",
        Code::OrderState => "The order does not allow this now",
        Code::EtagMismatch => "The document has changed",
        Code::PreconditionRequired => "The If-Match header is missing",
        Code::BodyTooLarge => "The body is too large",
        Code::UnsupportedMediaType => "The body must be JSON",
        Code::ValidationFailed => "The request cannot be accepted as it is",
        Code::UnknownSku => "There is no such product for sale",
        Code::IdempotencyKeyReused => "The Idempotency-Key was used for another request",
        Code::HeadersTooLarge => "The request headers are too large",
        Code::Internal => "Something is broken on our side",
        Code::Unavailable => "Try again in a moment",
    }
}

/// What the store says, as a problem. Operations that can tell the caller more do so before this.
impl From<crate::shared::ports::documents::StoreError> for Problem {
    fn from(err: crate::shared::ports::documents::StoreError) -> Problem {
        use crate::shared::ports::documents::StoreError;
        match &err {
            StoreError::Exists { .. } | StoreError::Changed { .. } => {
                tracing::warn!(error = %chain(&err), "A write lost against another one.");
                Problem::new(Code::Conflict, "Read it again and repeat your change.")
            }
            StoreError::Unavailable(_) => {
                tracing::warn!(error = %chain(&err), "The document store did not answer.");
                Problem::bare(Code::Unavailable).retry_after(1)
            }
            StoreError::Refused(_) | StoreError::Unreadable { .. } => {
                tracing::error!(error = %chain(&err), "The document store refused us.");
                Problem::bare(Code::Internal)
            }
        }
    }
}
