//! The order of a purchase and what is said about it.
use offpeak_domain::{
    checkout::Attempt,
    ids::CheckoutId,
    order::{FulfilmentStatus, Lifecycle, PaymentStatus},
};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::super::{CompleteError, Outcome};
use crate::shared::{
    documents::purchases::{self, Order, OrderPayment, StoredCheckout},
    operations::Shop,
    ports::{bus::Message, documents::StoreError},
};

/// Queue of the messages that finish what a crash left.
const RESUME_QUEUE: &str = "checkouts";
/// Queue of mails to send.
const MAIL_QUEUE: &str = "mail";
/// Topic of what happens to orders, for the shop's own systems.
const ORDERS_TOPIC: &str = "orders";

pub(in super::super) fn pending_order(stored: &StoredCheckout, attempt: &Attempt, now: OffsetDateTime) -> Order {
    let id = stored.checkout.id;
    Order {
        id: id.order(),
        token_hash: stored.token_hash.clone(),
        buyer: stored.checkout.buyer.clone(),
        priced: attempt.priced.clone(),
        lifecycle: Lifecycle::Pending,
        payment_status: PaymentStatus::None,
        fulfilment_status: FulfilmentStatus::Unfulfilled,
        payment: OrderPayment {
            reference: attempt.reference(id),
            method: attempt.payment.method.clone(),
            authorised: 0,
            captured: 0,
        },
        created_at: now,
        placed_at: None,
    }
}

pub(in super::super) async fn placed(shop: &Shop, id: CheckoutId) -> Result<Outcome, CompleteError> {
    let order = purchases::read_order(shop.ports.documents.as_ref(), id).await?;
    let order = order.ok_or_else(|| StoreError::Unreadable {
        id: id.to_string(),
        reason: "it is placed, but its order is missing".to_owned(),
    })?;
    Ok(Outcome::Placed(Box::new(order.value)))
}

/// Looks after the checkout at `at`; `name` tells apart the looks of one checkout.
pub(crate) fn resume_message(id: CheckoutId, name: &str, at: OffsetDateTime) -> Message {
    Message {
        destination: RESUME_QUEUE.to_owned(),
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
        destination: ORDERS_TOPIC.to_owned(),
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

/// The mail itself is written from the order when it is sent.
pub(in super::super) fn confirmation_mail(order: &Order) -> Message {
    Message {
        destination: MAIL_QUEUE.to_owned(),
        id: format!("order-confirmation-{}", order.id),
        session: None,
        subject: "mail.order_confirmation".to_owned(),
        scheduled: None,
        body: json!({ "kind": "order_confirmation", "orderId": order.id.to_string() }).to_string(),
    }
}
