//! The payment provider (PSP). Every call carries a key that makes it happen at most once; an answer
//! may be lost, so [`Payments::find`] asks what became of a key.
use async_trait::async_trait;
use offpeak_domain::money::Money;

/// What to authorise. `reference` is the payment attempt's id: the provider's idempotency key and the
/// name under which the payment is found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorise {
    pub reference: String,
    pub checkout_id: String,
    pub amount: Money,
    /// The provider's method name, e.g. `sandbox_approve`.
    pub method: String,
}

/// What the provider holds under one reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub reference: String,
    pub status: PaymentState,
    pub authorised: Money,
    pub captured: Money,
    pub refunded: Money,
    pub voided: Money,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentState {
    /// The money is ours to capture (or captured already; see the amounts).
    Authorised,
    /// The buyer's bank said no; another attempt needs a new reference.
    Declined { reason: String },
    /// The buyer must visit `url`, then complete again.
    ActionRequired { url: String },
    /// Given up by us or by time; nothing is held.
    Voided,
}

#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// No answer, or none that can be understood. The payment may or may not exist: `find` tells.
    #[error("the payment provider is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The provider will not do this: unknown method, key used for something else, amount exceeded.
    #[error("the payment provider refused: {0}")]
    Refused(String),
}

#[async_trait]
pub trait Payments: Send + Sync {
    /// Whether the provider has a method of this name; asked before anything is held.
    fn accepts(&self, method: &str) -> bool;
    /// Authorises once per `reference`; a repeat with the same request returns the same payment.
    ///
    /// # Errors
    /// See [`PaymentError`]. A decline is not an error.
    async fn authorise(&self, request: &Authorise) -> Result<Payment, PaymentError>;
    /// The payment under this reference, `None` if the provider never heard of it.
    ///
    /// # Errors
    /// See [`PaymentError`].
    async fn find(&self, reference: &str) -> Result<Option<Payment>, PaymentError>;
    /// Captures the whole authorised amount; a repeat changes nothing.
    ///
    /// # Errors
    /// See [`PaymentError`].
    async fn capture(&self, reference: &str) -> Result<Payment, PaymentError>;
    /// Gives back what is authorised and not captured; a repeat changes nothing.
    ///
    /// # Errors
    /// See [`PaymentError`].
    async fn void(&self, reference: &str) -> Result<Payment, PaymentError>;
}
