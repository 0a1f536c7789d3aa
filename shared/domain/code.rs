//! The closed list of problem codes. A code, once published, keeps its meaning.

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// Why a request was not done, as `code` in a problem document.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant),+ }

        impl Code {
            pub const ALL: &[Code] = &[$(Code::$variant),+];

            /// The stable name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Code::$variant => $name),+ }
            }
        }
    };
}

codes! {
    /// The body is not JSON.
    MalformedJson = "malformed_json",
    /// The body is JSON of the wrong shape: a wrong type or a missing member.
    InvalidBody = "invalid_body",
    /// The body has a member that this call does not know.
    UnknownField = "unknown_field",
    /// A query parameter, path parameter or header cannot be read.
    InvalidParameter = "invalid_parameter",
    /// `Idempotency-Key` is required here.
    IdempotencyKeyMissing = "idempotency_key_missing",
    Unauthenticated = "unauthenticated",
    Forbidden = "forbidden",
    /// Absent, expired or not the caller's to know.
    NotFound = "not_found",
    MethodNotAllowed = "method_not_allowed",
    RequestTimeout = "request_timeout",
    /// Prices, taxes or shipping are not what the client last saw.
    CartChanged = "cart_changed",
    /// The cart is being paid for.
    CartLocked = "cart_locked",
    /// The cart has become an order.
    CartOrdered = "cart_ordered",
    CartEmpty = "cart_empty",
    /// What the cart held went into a customer's cart at sign-in.
    CartMerged = "cart_merged",
    CompletionInProgress = "completion_in_progress",
    OutOfStock = "out_of_stock",
    /// A promotion in the total has no use left; read the cart again.
    PromotionExhausted = "promotion_exhausted",
    /// A code that cannot be used on this cart; `reason` says why.
    CouponRefused = "coupon_refused",
    /// Too many tries of something that must not be guessed; wait as `Retry-After` says.
    TooManyAttempts = "too_many_attempts",
    /// Another writer was faster; read again and repeat.
    Conflict = "conflict",
    PaymentDeclined = "payment_declined",
    /// The order, fulfilment or return is not in a state that allows it.
    OrderState = "order_state",
    EtagMismatch = "etag_mismatch",
    /// `If-Match` is required here.
    PreconditionRequired = "precondition_required",
    BodyTooLarge = "body_too_large",
    UnsupportedMediaType = "unsupported_media_type",
    /// Read, understood and refused; `errors` says where.
    ValidationFailed = "validation_failed",
    UnknownSku = "unknown_sku",
    IdempotencyKeyReused = "idempotency_key_reused",
    HeadersTooLarge = "headers_too_large",
    Internal = "internal",
    Unavailable = "unavailable",
}
