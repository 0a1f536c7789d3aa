//! Document `order`: hidden while pending, the record of the purchase once placed.
use offpeak_domain::{
    ids::CheckoutId,
    order::{FulfilmentStatus, Lifecycle, Order, OrderPayment, PaymentStatus, ShippingMoney},
    pricing::Priced,
    rounding::Rounding,
    stock::Location,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    super::{Minor, Seen, Stored, checkout_id_text, parse, put},
    order_parts::{
        AllocationDocument, FulfilmentDocument, RefundDocument, ReturnDocument, UnitsDocument, WorkDocument,
    },
    priced::{BuyerDocument, PricedDocument},
};
use crate::shared::ports::documents::{Container, Documents, ETag, StoreError, Write};

const ID: &str = "order";

/// Members with a default were added after the first orders were written.
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
    /// Empty where units were not counted yet.
    #[serde(default)]
    units: Vec<UnitsDocument>,
    #[serde(default)]
    shipping: ShippingDocument,
    #[serde(default)]
    allocations: Vec<AllocationDocument>,
    #[serde(default)]
    fulfilments: Vec<FulfilmentDocument>,
    #[serde(default)]
    returns: Vec<ReturnDocument>,
    #[serde(default)]
    refunds: Vec<RefundDocument>,
    #[serde(default)]
    works: Vec<WorkDocument>,
    #[serde(default)]
    on_hold: Option<String>,
    #[serde(default)]
    changes: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PaymentDocument {
    reference: String,
    #[serde(default)]
    provider_id: Option<String>,
    method: String,
    authorised: Minor,
    captured: Minor,
    #[serde(default)]
    refunded: Minor,
    #[serde(default)]
    voided: Minor,
    #[serde(default)]
    disputed: Minor,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    captured_once: bool,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShippingDocument {
    captured: bool,
    waived: bool,
    refunded: bool,
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
    let order =
        value.into_domain().map_err(|reason| StoreError::Unreadable { id: checkout.order().to_string(), reason })?;
    Ok(Some(Seen { value: order, etag }))
}

/// # Errors
/// `Refused` if the value has no JSON form.
pub fn put_order(order: &Order, seen: Option<&ETag>) -> Result<Write, StoreError> {
    put(ID, &document(order), seen, None)
}

impl OrderDocument {
    /// The reason, if what is stored breaks a rule of the domain.
    fn into_domain(self) -> Result<Order, String> {
        let unknown = |axis: &str, name: &str| format!("{axis} `{name}`");
        let rounding = Rounding::parse(&self.tax_policy).ok_or_else(|| unknown("tax policy", &self.tax_policy))?;
        let counted = !self.units.is_empty();
        let order = Order {
            id: self.checkout_id.order(),
            token_hash: self.token_hash,
            buyer: self.buyer.into_domain()?,
            priced: Priced { rounding, ..self.priced.into_domain()? },
            lifecycle: Lifecycle::parse(&self.lifecycle).ok_or_else(|| unknown("lifecycle", &self.lifecycle))?,
            payment_status: PaymentStatus::parse(&self.payment_status)
                .ok_or_else(|| unknown("payment status", &self.payment_status))?,
            fulfilment_status: FulfilmentStatus::parse(&self.fulfilment_status)
                .ok_or_else(|| unknown("fulfilment status", &self.fulfilment_status))?,
            payment: self.payment.into(),
            created_at: self.created_at,
            placed_at: self.placed_at,
            units: self.units.into_iter().map(Into::into).collect(),
            shipping: ShippingMoney {
                captured: self.shipping.captured,
                waived: self.shipping.waived,
                refunded: self.shipping.refunded,
            },
            allocations: self.allocations.into_iter().map(Into::into).collect(),
            fulfilments: self.fulfilments.into_iter().map(FulfilmentDocument::into_domain).collect::<Result<_, _>>()?,
            returns: self.returns.into_iter().map(ReturnDocument::into_domain).collect::<Result<_, _>>()?,
            refunds: self.refunds.into_iter().map(Into::into).collect(),
            works: self.works.into_iter().map(Into::into).collect(),
            on_hold: self.on_hold,
            changes: self.changes,
        };
        let order = if counted { order } else { order.with_all_open(&Location::main()) };
        let fits = order.units.len() == order.priced.lines.len() && order.units.iter().all(|it| it.adds_up());
        if fits { Ok(order) } else { Err("its units do not add up".to_owned()) }
    }
}

fn document(order: &Order) -> OrderDocument {
    OrderDocument {
        r#type: "order".to_owned(),
        checkout_id: order.id.checkout(),
        number: order.id.number(),
        token_hash: order.token_hash.clone(),
        buyer: (&order.buyer).into(),
        priced: (&order.priced).into(),
        tax_policy: order.priced.rounding.to_string(),
        lifecycle: order.lifecycle.name().to_owned(),
        payment_status: order.payment_status.name().to_owned(),
        fulfilment_status: order.fulfilment_status.name().to_owned(),
        payment: (&order.payment).into(),
        created_at: order.created_at,
        placed_at: order.placed_at,
        units: order.units.iter().map(Into::into).collect(),
        shipping: ShippingDocument {
            captured: order.shipping.captured,
            waived: order.shipping.waived,
            refunded: order.shipping.refunded,
        },
        allocations: order.allocations.iter().map(Into::into).collect(),
        fulfilments: order.fulfilments.iter().map(Into::into).collect(),
        returns: order.returns.iter().map(Into::into).collect(),
        refunds: order.refunds.iter().map(Into::into).collect(),
        works: order.works.iter().map(Into::into).collect(),
        on_hold: order.on_hold.clone(),
        changes: order.changes,
    }
}

impl From<&OrderPayment> for PaymentDocument {
    fn from(payment: &OrderPayment) -> PaymentDocument {
        PaymentDocument {
            reference: payment.reference.clone(),
            provider_id: payment.provider_id.clone(),
            method: payment.method.clone(),
            authorised: Minor(payment.authorised),
            captured: Minor(payment.captured),
            refunded: Minor(payment.refunded),
            voided: Minor(payment.voided),
            disputed: Minor(payment.disputed),
            captured_once: payment.captured_once,
        }
    }
}

impl From<PaymentDocument> for OrderPayment {
    fn from(payment: PaymentDocument) -> OrderPayment {
        OrderPayment {
            reference: payment.reference,
            provider_id: payment.provider_id,
            method: payment.method,
            authorised: payment.authorised.0,
            captured: payment.captured.0,
            refunded: payment.refunded.0,
            voided: payment.voided.0,
            disputed: payment.disputed.0,
            captured_once: payment.captured_once,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As the first version wrote it.
    fn first() -> serde_json::Value {
        let address = json!({
            "name": "Ada", "line1": "1 Mill Lane", "line2": null, "city": "Leeds", "region": null,
            "postalCode": "LS1 1AA", "country": "GB",
        });
        json!({
            "type": "order", "checkoutId": "chk_01HF7YAT00000000000000001A", "number": "7Q3ZK-M2V9T5",
            "tokenHash": "0", "taxPolicy": "line/half_up", "lifecycle": "placed", "paymentStatus": "captured",
            "fulfilmentStatus": "unfulfilled",
            "buyer": { "email": "ada@example.org", "shippingAddress": address, "billingAddress": null },
            "priced": {
                "currency": "GBP", "shipping": null, "subtotal": "1000", "shippingTotal": "0", "tax": "0",
                "taxIncluded": "0", "total": "1000",
                "lines": [{
                    "sku": "A1", "productId": "prd_1", "slug": "a1", "title": "A", "variantTitle": "",
                    "quantity": 2, "unitPrice": "500", "subtotal": "1000", "taxMillionths": 0, "tax": "0",
                }],
            },
            "payment": { "reference": "pay_1", "method": "sandbox_approve", "authorised": "1000", "captured": "1000" },
            "createdAt": "2026-01-01T12:00:00Z", "placedAt": "2026-01-01T12:00:01Z",
        })
    }

    #[test]
    fn an_order_of_the_first_version_is_read_as_all_open_and_paid() {
        let document: OrderDocument = serde_json::from_value(first()).unwrap();
        let order = document.into_domain().unwrap();
        assert_eq!((order.units[0].open(), order.units[0].captured), (2, 2));
        assert_eq!(order.allocated_units(&order.priced.lines[0].sku), 2);
        assert_eq!(order.refundable(), 1000);
    }

    #[test]
    fn an_order_survives_its_stored_form() {
        let order = serde_json::from_value::<OrderDocument>(first()).unwrap().into_domain().unwrap();
        let text = serde_json::to_string(&document(&order)).unwrap();
        let again = serde_json::from_str::<OrderDocument>(&text).unwrap().into_domain().unwrap();
        assert_eq!(again, order);
    }
}
