//! Document `checkout`: the buyer's choices and the completion under way.
use offpeak_domain::{
    allowance::{CustomerLimit, Exceeded},
    checkout::{Attempt, Checkout, CheckoutState, Finished, KeyUse, PaymentChoice, Refusal, Shortage, Step},
    ids::CheckoutId,
    sku::Sku,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    super::{Seen, Stored, checkout_id_text, parse, put, sku_text},
    priced::{BuyerDocument, PricedDocument},
};
use crate::shared::ports::documents::{Container, Documents, ETag, StoreError, Write};

const ID: &str = "checkout";

/// A checkout and who may open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCheckout {
    pub checkout: Checkout,
    /// The cart's.
    pub token_hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CheckoutDocument {
    r#type: String,
    #[serde(with = "checkout_id_text")]
    checkout_id: CheckoutId,
    token_hash: String,
    buyer: BuyerDocument,
    shipping_method: String,
    attempts: u32,
    fence: u32,
    state: StateDocument,
    last: Option<FinishedDocument>,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

impl Stored for CheckoutDocument {
    const SCHEMA: &'static str = "checkout/1";
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum StateDocument {
    Open,
    Completing(Box<AttemptDocument>),
    Placed(KeyUseDocument),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AttemptDocument {
    number: u32,
    by: KeyUseDocument,
    payment_method: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payment_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    return_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider_id: Option<String>,
    priced: PricedDocument,
    step: StepDocument,
    fence: u32,
    #[serde(with = "time::serde::rfc3339::option")]
    lease_until: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    hold_until: OffsetDateTime,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyUseDocument {
    key: String,
    fingerprint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum StepDocument {
    Holding,
    Paying,
    ActionRequired { url: String },
    Finalising,
    Undoing { refusal: RefusalDocument },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum RefusalDocument {
    OutOfStock { short: Vec<ShortageDocument> },
    Declined { reason: String },
    PromotionExhausted { promotion: String, code: Option<String> },
    AboveCustomerMaximum(ExceededDocument),
    CartChanged,
    Abandoned,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShortageDocument {
    #[serde(with = "sku_text")]
    sku: Sku,
    requested: i64,
    available: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExceededDocument {
    #[serde(with = "sku_text")]
    sku: Sku,
    quantity: u32,
    available: u32,
    units: u32,
    days: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FinishedDocument {
    by: KeyUseDocument,
    refusal: RefusalDocument,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

/// # Errors
/// As the port's.
pub async fn read_checkout(
    documents: &dyn Documents,
    id: CheckoutId,
) -> Result<Option<Seen<StoredCheckout>>, StoreError> {
    let Some(document) = documents.read(Container::Purchases, &id.to_string(), ID).await? else { return Ok(None) };
    let Seen { value, etag } = parse::<CheckoutDocument>(document)?;
    let unreadable = |reason: String| StoreError::Unreadable { id: id.to_string(), reason };
    let state = match value.state {
        StateDocument::Open => CheckoutState::Open,
        StateDocument::Placed(by) => CheckoutState::Placed { by: by.into() },
        StateDocument::Completing(attempt) => {
            CheckoutState::Completing(Box::new(attempt.into_domain().map_err(unreadable)?))
        }
    };
    let checkout = Checkout {
        id: value.checkout_id,
        buyer: value.buyer.into_domain().map_err(unreadable)?,
        shipping_method: value.shipping_method,
        state,
        attempts: value.attempts,
        fence: value.fence,
        last: value.last.map(|it| Finished { by: it.by.into(), refusal: it.refusal.into(), at: it.at }),
    };
    Ok(Some(Seen { value: StoredCheckout { checkout, token_hash: value.token_hash }, etag }))
}

/// # Errors
/// `Refused` if the value has no JSON form.
pub fn put_checkout(stored: &StoredCheckout, seen: Option<&ETag>, now: OffsetDateTime) -> Result<Write, StoreError> {
    let checkout = &stored.checkout;
    let state = match &checkout.state {
        CheckoutState::Open => StateDocument::Open,
        CheckoutState::Placed { by } => StateDocument::Placed(by.into()),
        CheckoutState::Completing(attempt) => StateDocument::Completing(Box::new(attempt.as_ref().into())),
    };
    let document = CheckoutDocument {
        r#type: "checkout".to_owned(),
        checkout_id: checkout.id,
        token_hash: stored.token_hash.clone(),
        buyer: (&checkout.buyer).into(),
        shipping_method: checkout.shipping_method.clone(),
        attempts: checkout.attempts,
        fence: checkout.fence,
        state,
        last: checkout.last.as_ref().map(|it| FinishedDocument {
            by: (&it.by).into(),
            refusal: (&it.refusal).into(),
            at: it.at,
        }),
        updated_at: now,
    };
    put(ID, &document, seen, None)
}

impl From<&Attempt> for AttemptDocument {
    fn from(attempt: &Attempt) -> AttemptDocument {
        AttemptDocument {
            number: attempt.number,
            by: (&attempt.by).into(),
            payment_method: attempt.payment.method.clone(),
            payment_token: attempt.payment.token.clone(),
            return_url: attempt.payment.return_url.clone(),
            provider_id: attempt.provider_id.clone(),
            priced: (&attempt.priced).into(),
            step: match &attempt.step {
                Step::Holding => StepDocument::Holding,
                Step::Paying => StepDocument::Paying,
                Step::ActionRequired { url } => StepDocument::ActionRequired { url: url.clone() },
                Step::Finalising => StepDocument::Finalising,
                Step::Undoing { refusal } => StepDocument::Undoing { refusal: refusal.into() },
            },
            fence: attempt.fence,
            lease_until: attempt.lease_until,
            hold_until: attempt.hold_until,
        }
    }
}

impl AttemptDocument {
    fn into_domain(self) -> Result<Attempt, String> {
        Ok(Attempt {
            number: self.number,
            by: self.by.into(),
            payment: PaymentChoice {
                method: self.payment_method,
                token: self.payment_token,
                return_url: self.return_url,
            },
            provider_id: self.provider_id,
            priced: self.priced.into_domain()?,
            step: match self.step {
                StepDocument::Holding => Step::Holding,
                StepDocument::Paying => Step::Paying,
                StepDocument::ActionRequired { url } => Step::ActionRequired { url },
                StepDocument::Finalising => Step::Finalising,
                StepDocument::Undoing { refusal } => Step::Undoing { refusal: refusal.into() },
            },
            fence: self.fence,
            lease_until: self.lease_until,
            hold_until: self.hold_until,
        })
    }
}

impl From<&KeyUse> for KeyUseDocument {
    fn from(by: &KeyUse) -> KeyUseDocument {
        KeyUseDocument { key: by.key.clone(), fingerprint: by.fingerprint.clone() }
    }
}

impl From<KeyUseDocument> for KeyUse {
    fn from(by: KeyUseDocument) -> KeyUse {
        KeyUse { key: by.key, fingerprint: by.fingerprint }
    }
}

impl From<&Refusal> for RefusalDocument {
    fn from(refusal: &Refusal) -> RefusalDocument {
        match refusal {
            Refusal::OutOfStock { short } => RefusalDocument::OutOfStock {
                short: short
                    .iter()
                    .map(|it| ShortageDocument {
                        sku: it.sku.clone(),
                        requested: it.requested,
                        available: it.available,
                    })
                    .collect(),
            },
            Refusal::Declined { reason } => RefusalDocument::Declined { reason: reason.clone() },
            Refusal::PromotionExhausted { promotion, code } => {
                RefusalDocument::PromotionExhausted { promotion: promotion.clone(), code: code.clone() }
            }
            Refusal::AboveCustomerMaximum(it) => RefusalDocument::AboveCustomerMaximum(ExceededDocument {
                sku: it.sku.clone(),
                quantity: it.quantity,
                available: it.available,
                units: it.limit.units,
                days: it.limit.days,
            }),
            Refusal::CartChanged => RefusalDocument::CartChanged,
            Refusal::Abandoned => RefusalDocument::Abandoned,
        }
    }
}

impl From<RefusalDocument> for Refusal {
    fn from(refusal: RefusalDocument) -> Refusal {
        match refusal {
            RefusalDocument::OutOfStock { short } => Refusal::OutOfStock {
                short: short
                    .into_iter()
                    .map(|it| Shortage { sku: it.sku, requested: it.requested, available: it.available })
                    .collect(),
            },
            RefusalDocument::Declined { reason } => Refusal::Declined { reason },
            RefusalDocument::PromotionExhausted { promotion, code } => Refusal::PromotionExhausted { promotion, code },
            RefusalDocument::AboveCustomerMaximum(it) => Refusal::AboveCustomerMaximum(Exceeded {
                sku: it.sku,
                quantity: it.quantity,
                available: it.available,
                limit: CustomerLimit { units: it.units, days: it.days },
            }),
            RefusalDocument::CartChanged => Refusal::CartChanged,
            RefusalDocument::Abandoned => Refusal::Abandoned,
        }
    }
}
