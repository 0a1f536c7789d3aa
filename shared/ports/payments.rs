//! The payment provider (PSP). Every call that moves money carries a key that makes it happen at most once; an
//! answer may be lost, so [`Payments::find`] asks what became of a payment.
//!
//! What must stay true: what the provider answers carries the facts it knows ([`Payment::facts`]), and a fact has
//! the same id in an answer and in a webhook, so the ledger may be told everything by both.
use async_trait::async_trait;
use http::HeaderMap;
use offpeak_domain::{
    money::{Currency, Money},
    payment::{Amounts, Ledger, PaymentFact},
};
use time::OffsetDateTime;

/// What to authorise. `reference` is the payment attempt's id: the provider's idempotency key and the
/// name under which the payment is found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorise {
    pub reference: String,
    pub checkout_id: String,
    pub amount: Money,
    /// The provider's method name, e.g. `sandbox_approve`.
    pub method: String,
    /// The provider's own name for what the buyer pays with, made in the browser, e.g. `pm_…`.
    pub token: Option<String>,
    /// What [`Payments::prepare`] answered.
    pub provider_id: Option<String>,
    /// Where the provider sends the buyer after an extra step.
    pub return_url: Option<String>,
}

impl Authorise {
    pub fn name(&self) -> PaymentName {
        PaymentName { reference: self.reference.clone(), provider_id: self.provider_id.clone() }
    }
}

/// How a payment is found at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentName {
    pub reference: String,
    /// What [`Payments::prepare`] answered; `None` where the reference itself is the name.
    pub provider_id: Option<String>,
}

/// A capture or a refund. The same key with the same amount happens once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    pub key: String,
    pub amount: Money,
}

/// What the provider holds under one reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub reference: String,
    pub provider_id: Option<String>,
    pub status: PaymentState,
    pub authorised: Money,
    pub captured: Money,
    pub refunded: Money,
    pub voided: Money,
    /// All that the provider says has happened; the amounts are their sum.
    pub facts: Vec<PaymentFact>,
}

impl Payment {
    /// With the amounts that follow from the facts.
    pub fn of(name: &PaymentName, status: PaymentState, currency: Currency, facts: Vec<PaymentFact>) -> Payment {
        let amounts = Ledger::fold(facts.iter().cloned()).amounts_of(&name.reference, currency);
        let Amounts { authorised, captured, refunded, voided, .. } = amounts;
        let PaymentName { reference, provider_id } = name.clone();
        Payment { reference, provider_id, status, authorised, captured, refunded, voided, facts }
    }

    /// What may still be captured.
    pub fn capturable(&self) -> Money {
        self.amounts().capturable()
    }

    /// What may still be refunded.
    pub fn refundable(&self) -> Money {
        self.amounts().refundable()
    }

    fn amounts(&self) -> Amounts {
        let disputed = Money::zero(self.authorised.currency());
        let Payment { authorised, captured, refunded, voided, .. } = *self;
        Amounts { authorised, captured, refunded, voided, disputed }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentState {
    /// The money is ours to capture (or captured already; see the amounts).
    Authorised,
    /// The buyer's bank said no; another attempt needs a new reference.
    Declined { reason: String },
    /// The buyer must visit `url`, then complete again. It may be a [`CLIENT_SECRET_ACTION`] instead of a page.
    ActionRequired { url: String },
    /// Given up by us or by time before anything was captured; nothing is held.
    Voided,
}

/// Begins the `url` of an action that is no page: the provider's script in the buyer's page goes on with the rest.
pub const CLIENT_SECRET_ACTION: &str = "client-secret:";

/// How a refund stands, and the payment with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refunded {
    pub payment: Payment,
    pub state: RefundState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundState {
    Succeeded,
    /// On its way; a webhook or [`Payments::find`] tells how it ends.
    Pending,
    /// No money moved, and under this key none ever will: try again with another.
    Failed {
        reason: String,
    },
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

/// What a webhook says, once it is known to be the provider's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The provider's id of this event: a repeat has the same.
    pub event_id: String,
    /// The attempt it is about; `None` for an event that is about no payment of a shop like this.
    pub reference: Option<String>,
    /// The provider's own name for the payment, where it has one.
    pub provider_id: Option<String>,
    /// May be empty: then it is only worth a look.
    pub facts: Vec<PaymentFact>,
}

/// Why a webhook is not believed.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("the signature header is missing or cannot be read")]
    Unsigned,
    /// Signed with none of our secrets, or changed on its way.
    #[error("the signature does not fit the body")]
    Forged,
    #[error("it was signed {age_s} s ago; at most {max_s} s are accepted")]
    TooOld { age_s: i64, max_s: i64 },
    #[error("the signed body cannot be understood: {0}")]
    Unreadable(String),
    #[error(transparent)]
    Payment(#[from] PaymentError),
}

#[async_trait]
pub trait Payments: Send + Sync {
    /// The provider's name in the address of its webhook.
    fn provider(&self) -> &'static str;
    /// Whether the provider has a method of this name; asked before anything is held.
    fn accepts(&self, method: &str) -> bool;
    /// Whether one authorisation may be captured in several parts. If not, the first capture lets the rest go.
    fn captures_in_parts(&self) -> bool {
        true
    }
    /// Names the payment at the provider before any money is asked for. `Some` must be stored, and given back as
    /// `provider_id`, before [`Payments::authorise`]; `None`: the reference is the name. A repeat answers the same
    /// name for as long as the provider remembers keys, which is a day at least.
    ///
    /// # Errors
    /// See [`PaymentError`].
    async fn prepare(&self, request: &Authorise) -> Result<Option<String>, PaymentError>;
    /// Authorises once per `reference`; a repeat with the same request returns the same payment.
    ///
    /// # Errors
    /// See [`PaymentError`]. A decline is not an error.
    async fn authorise(&self, request: &Authorise) -> Result<Payment, PaymentError>;
    /// The payment of this name, `None` if the provider never heard of it.
    ///
    /// # Errors
    /// See [`PaymentError`].
    async fn find(&self, name: &PaymentName) -> Result<Option<Payment>, PaymentError>;
    /// Captures a part or all of what is authorised.
    ///
    /// # Errors
    /// See [`PaymentError`]; `Refused` above what is left, or for a key used with another amount.
    async fn capture(&self, name: &PaymentName, movement: &Movement) -> Result<Payment, PaymentError>;
    /// Gives back what is authorised and not captured, and closes an open challenge. Where nothing is left to
    /// give back, nothing happens. A name the provider never heard of is barred: if it is authorised after all,
    /// it comes as `Voided`. `None`: there is no such payment and there can be none.
    ///
    /// # Errors
    /// See [`PaymentError`].
    async fn void(&self, name: &PaymentName, key: &str) -> Result<Option<Payment>, PaymentError>;
    /// Gives back a part or all of what is captured.
    ///
    /// # Errors
    /// See [`PaymentError`]; `Refused` above what is left, or for a key used with another amount.
    async fn refund(&self, name: &PaymentName, movement: &Movement) -> Result<Refunded, PaymentError>;
    /// Reads a webhook: its signature over the bytes as they came, then what it says.
    ///
    /// # Errors
    /// See [`WebhookError`].
    async fn webhook(&self, headers: &HeaderMap, body: &[u8], now: OffsetDateTime) -> Result<Notice, WebhookError>;
}
