//! The order of a purchase and what is said about it.
use offpeak_domain::{
    checkout::{Attempt, Shortage},
    ids::CheckoutId,
};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::super::CompleteError;
use crate::shared::{
    documents::purchases::{self, Order, OrderPayment, StoredCheckout},
    operations::{Shop, destinations},
    ports::{bus::Message, documents::StoreError},
};

pub(in super::super) fn pending_order(stored: &StoredCheckout, attempt: &Attempt, now: OffsetDateTime) -> Order {
    let id = stored.checkout.id;
    let payment = OrderPayment {
        reference: attempt.reference(id),
        provider_id: attempt.provider_id.clone(),
        method: attempt.payment.method.clone(),
        ..OrderPayment::default()
    };
    let buyer = stored.checkout.buyer.clone();
    Order::pending(id.order(), stored.token_hash.clone(), buyer, attempt.priced.clone(), payment, now)
}

pub(in super::super) async fn placed(shop: &Shop, id: CheckoutId) -> Result<Box<Order>, CompleteError> {
    let order = purchases::read_order(shop.ports.documents.as_ref(), id).await?;
    let order = order.ok_or_else(|| StoreError::Unreadable {
        id: id.to_string(),
        reason: "it is placed, but its order is missing".to_owned(),
    })?;
    Ok(Box::new(order.value))
}

/// Looks after the checkout at `at`; `name` tells apart the looks of one checkout.
pub(crate) fn resume_message(id: CheckoutId, name: &str, at: OffsetDateTime) -> Message {
    Message {
        destination: destinations::CHECKOUTS.to_owned(),
        id: format!("resume-{id}-{name}"),
        session: None,
        subject: "checkout.resume".to_owned(),
        scheduled: Some(at),
        body: json!({ "checkoutId": id.to_string(), "name": name }).to_string(),
    }
}

/// For the shop's own systems. Carries ids and amounts, no personal data.
pub(in super::super) fn order_placed(order: &Order, now: OffsetDateTime) -> Message {
    let total = order.priced.totals.total;
    let lines: Vec<_> = order
        .priced
        .lines
        .iter()
        .map(|line| json!({ "sku": line.sku.as_str(), "quantity": line.quantity.get() }))
        .collect();
    Message {
        destination: destinations::ORDERS.to_owned(),
        id: format!("order-placed-{}", order.id),
        session: Some(order.id.to_string()),
        subject: "order.placed".to_owned(),
        scheduled: None,
        body: json!({
            "orderId": order.id.to_string(),
            "number": order.id.number(),
            "placedAt": now.format(&Rfc3339).unwrap_or_default(),
            "total": { "amount": total.minor().to_string(), "currency": total.currency().code() },
            "lines": lines,
        })
        .to_string(),
    }
}

/// Goods of a paid purchase were sold while it was paid for. `policy` says what becomes of it: `refund`,
/// `backorder` or `hold`. One for each attempt.
pub(in super::super) fn order_shortfall(
    order: &Order,
    policy: &str,
    short: &[Shortage],
    now: OffsetDateTime,
) -> Message {
    let lines: Vec<_> = short
        .iter()
        .map(|it| json!({ "sku": it.sku.as_str(), "requested": it.requested, "available": it.available }))
        .collect();
    Message {
        destination: destinations::ORDERS.to_owned(),
        id: format!("order-shortfall-{}-{}", order.id, order.payment.reference),
        session: Some(order.id.to_string()),
        subject: "order.shortfall".to_owned(),
        scheduled: None,
        body: json!({
            "orderId": order.id.to_string(),
            "number": order.id.number(),
            "at": now.format(&Rfc3339).unwrap_or_default(),
            "policy": policy,
            "lines": lines,
        })
        .to_string(),
    }
}

/// Tells the buyer; of several attempts that fell short the first is told by mail.
pub(in super::super) fn shortfall_mail(order: &Order) -> Message {
    Message {
        destination: destinations::MAIL.to_owned(),
        id: format!("order-shortfall-mail-{}-{}", order.id, order.payment.reference),
        session: None,
        subject: "mail.order_shortfall".to_owned(),
        scheduled: None,
        body: json!({ "kind": "order_shortfall", "orderId": order.id.to_string() }).to_string(),
    }
}

/// The mail itself is written from the order when it is sent.
pub(in super::super) fn confirmation_mail(order: &Order) -> Message {
    Message {
        destination: destinations::MAIL.to_owned(),
        id: format!("order-confirmation-{}", order.id),
        session: None,
        subject: "mail.order_confirmation".to_owned(),
        scheduled: None,
        body: json!({ "kind": "order_confirmation", "orderId": order.id.to_string() }).to_string(),
    }
}
