//! Document `order`: hidden while pending, the record of the purchase once placed.
use offpeak_domain::{
    checkout::Buyer,
    ids::{CheckoutId, OrderId},
    order::{FulfilmentStatus, Lifecycle, PaymentStatus},
    pricing::{Priced, TAX_POLICY},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    super::{Minor, Seen, Stored, checkout_id_text, parse, put},
    priced::{BuyerDocument, PricedDocument},
};
use crate::shared::ports::documents::{Container, Documents, ETag, StoreError, Write};

const ID: &str = "order";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub id: OrderId,
    pub token_hash: String,
    pub buyer: Buyer,
    pub priced: Priced,
    pub lifecycle: Lifecycle,
    pub payment_status: PaymentStatus,
    pub fulfilment_status: FulfilmentStatus,
    pub payment: OrderPayment,
    pub created_at: OffsetDateTime,
    pub placed_at: Option<OffsetDateTime>,
}

/// What the provider holds for this order, in minor units of the order's currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderPayment {
    pub reference: String,
    pub method: String,
    pub authorised: i64,
    pub captured: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OrderDocument {
    r#type: String,
    #[serde(with = "checkout_id_text")]
    checkout_id: CheckoutId,
    number: String,
    token_hash: String,
    buyer: BuyerDocument,
    priced: PricedDocument,
    tax_policy: String,
    lifecycle: String,
    payment_status: String,
    fulfilment_status: String,
    payment: PaymentDocument,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    placed_at: Option<OffsetDateTime>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PaymentDocument {
    reference: String,
    method: String,
    authorised: Minor,
    captured: Minor,
}

impl Stored for OrderDocument {
    const SCHEMA: &'static str = "order/1";
}

/// The order of a checkout, whatever its lifecycle: a caller shows only what is placed.
///
/// # Errors
/// As the port's.
pub async fn read_order(documents: &dyn Documents, checkout: CheckoutId) -> Result<Option<Seen<Order>>, StoreError> {
    let Some(document) = documents.read(Container::Purchases, &checkout.to_string(), ID).await? else {
        return Ok(None);
    };
    let Seen { value, etag } = parse::<OrderDocument>(document)?;
    let unreadable = |reason: String| StoreError::Unreadable { id: checkout.order().to_string(), reason };
    let unknown = |axis: &str, name: &str| unreadable(format!("{axis} `{name}`"));
    if value.tax_policy != TAX_POLICY {
        return Err(unknown("tax policy", &value.tax_policy));
    }
    let order = Order {
        id: value.checkout_id.order(),
        token_hash: value.token_hash,
        buyer: value.buyer.into_domain().map_err(unreadable)?,
        priced: value.priced.into_domain().map_err(unreadable)?,
        lifecycle: Lifecycle::parse(&value.lifecycle).ok_or_else(|| unknown("lifecycle", &value.lifecycle))?,
        payment_status: PaymentStatus::parse(&value.payment_status)
            .ok_or_else(|| unknown("payment status", &value.payment_status))?,
        fulfilment_status: FulfilmentStatus::parse(&value.fulfilment_status)
            .ok_or_else(|| unknown("fulfilment status", &value.fulfilment_status))?,
        payment: OrderPayment {
            reference: value.payment.reference,
            method: value.payment.method,
            authorised: value.payment.authorised.0,
            captured: value.payment.captured.0,
        },
        created_at: value.created_at,
        placed_at: value.placed_at,
    };
    Ok(Some(Seen { value: order, etag }))
}

/// # Errors
/// `Refused` if the value has no JSON form.
pub fn put_order(order: &Order, seen: Option<&ETag>) -> Result<Write, StoreError> {
    put(ID, &document(order), seen, None)
}

fn document(order: &Order) -> OrderDocument {
    OrderDocument {
        r#type: "order".to_owned(),
        checkout_id: order.id.checkout(),
        number: order.id.number(),
        token_hash: order.token_hash.clone(),
        buyer: (&order.buyer).into(),
        priced: (&order.priced).into(),
        tax_policy: TAX_POLICY.to_owned(),
        lifecycle: order.lifecycle.name().to_owned(),
        payment_status: order.payment_status.name().to_owned(),
        fulfilment_status: order.fulfilment_status.name().to_owned(),
        payment: PaymentDocument {
            reference: order.payment.reference.clone(),
            method: order.payment.method.clone(),
            authorised: Minor(order.payment.authorised),
            captured: Minor(order.payment.captured),
        },
        created_at: order.created_at,
        placed_at: order.placed_at,
    }
}
