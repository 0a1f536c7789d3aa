//! What a completion does to the world, each thing repeatable.
use offpeak_domain::{
    cart::{Cart, CartState},
    checkout::{Attempt, Refusal, Shortage, Step},
    ids::CheckoutId,
    order::{FulfilmentStatus, Lifecycle, PaymentStatus},
    sku::Sku,
    stock::StockRefusal,
};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{CompleteError, Outcome};
use crate::shared::{
    documents::{
        Seen,
        carts::{StoredCart, read_cart, write_cart},
        purchases::{self, Order, OrderPayment, StoredCheckout},
    },
    operations::{
        Shop,
        stock::{self, StockError},
    },
    ports::{
        bus::Message,
        documents::StoreError,
        payments::{Authorise, Payment, PaymentError, PaymentState},
    },
};

/// Queue of the messages that finish what a crash left.
const RESUME_QUEUE: &str = "checkouts";
/// Queue of mails to send.
const MAIL_QUEUE: &str = "mail";
/// Topic of what happens to orders, for the shop's own systems.
const ORDERS_TOPIC: &str = "orders";

const CONFLICTS_MAX: u32 = 10;

/// Locks the cart for this attempt; `false` if it no longer holds what was priced. `priced` is the cart as
/// it was read before the attempt began: any later run has changed it, so it needs no second look.
pub(super) async fn lock_cart(
    shop: &Shop,
    owned: &Seen<StoredCheckout>,
    attempt: &Attempt,
    mut priced: Option<Seen<StoredCart>>,
) -> Result<bool, CompleteError> {
    for _ in 0..CONFLICTS_MAX {
        let mut seen = match priced.take() {
            Some(seen) => seen,
            None => match read_own_cart(shop, owned).await? {
                Some(seen) => seen,
                None => return Ok(false),
            },
        };
        if !same_lines(&seen.value.cart, attempt) {
            return Ok(false);
        }
        if matches!(seen.value.cart.state, CartState::Ordered { .. }) {
            return Ok(false);
        }
        seen.value.cart.state = CartState::Locked { until: attempt.hold_until, attempt: attempt.number };
        match write_cart(shop.ports.documents.as_ref(), &seen.value, Some(&seen.etag), shop.ports.clock.now()).await {
            Ok(_) => return Ok(true),
            Err(StoreError::Changed { .. }) => {}
            Err(err) => return Err(err.into()),
        }
    }
    Ok(false)
}

fn same_lines(cart: &Cart, attempt: &Attempt) -> bool {
    let cart = cart.lines.iter().map(|line| (&line.sku, line.quantity));
    cart.eq(attempt.priced.lines.iter().map(|line| (&line.sku, line.quantity)))
}

/// Opens the cart again, if it is this attempt that locked it.
pub(super) async fn unlock_cart(shop: &Shop, id: CheckoutId, by: &Attempt) -> Result<(), CompleteError> {
    let mine = |state: &CartState| matches!(state, CartState::Locked { attempt, .. } if *attempt == by.number);
    set_cart_state(shop, id, |state| mine(state).then_some(CartState::Open)).await
}

/// The cart, for a run that owns its checkout. Ownership is asked after the cart is read: a run that takes
/// over later changes the cart later, and then the version read here is refused.
async fn read_own_cart(shop: &Shop, owned: &Seen<StoredCheckout>) -> Result<Option<Seen<StoredCart>>, CompleteError> {
    let documents = shop.ports.documents.as_ref();
    let id = owned.value.checkout.id;
    let cart = read_cart(documents, id.cart()).await?;
    let present = purchases::read_checkout(documents, id).await?;
    if present.is_none_or(|it| it.etag != owned.etag) {
        return Err(StoreError::Changed { id: id.to_string() }.into());
    }
    Ok(cart)
}

/// The cart has become an order and refuses every change from now on.
pub(super) async fn mark_cart_ordered(shop: &Shop, id: CheckoutId) -> Result<(), CompleteError> {
    let order = id.order();
    let next =
        move |state: &CartState| (!matches!(state, CartState::Ordered { .. })).then_some(CartState::Ordered { order });
    set_cart_state(shop, id, next).await
}

async fn set_cart_state(
    shop: &Shop,
    id: CheckoutId,
    next: impl Fn(&CartState) -> Option<CartState>,
) -> Result<(), CompleteError> {
    let documents = shop.ports.documents.as_ref();
    for attempt in 1..=CONFLICTS_MAX {
        let Some(mut seen) = read_cart(documents, id.cart()).await? else { return Ok(()) };
        let Some(state) = next(&seen.value.cart.state) else { return Ok(()) };
        seen.value.cart.state = state;
        match write_cart(documents, &seen.value, Some(&seen.etag), shop.ports.clock.now()).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Changed { .. }) if attempt < CONFLICTS_MAX => {}
            Err(err) => return Err(err.into()),
        }
    }
    Ok(())
}

/// Holds every line until the attempt's `hold_until`, in the order of SKUs. All short lines are named.
pub(super) async fn hold_stock(
    shop: &Shop,
    id: CheckoutId,
    attempt: &Attempt,
) -> Result<Option<Refusal>, CompleteError> {
    let mut short = Vec::new();
    for (sku, units) in units(attempt) {
        let held = stock::hold(&shop.ports, sku, id, units, attempt.fence, attempt.hold_until).await;
        note_shortage(held, sku, units, &mut short)?;
    }
    Ok((!short.is_empty()).then_some(Refusal::OutOfStock { short }))
}

/// Promises the held units for good. A hold that lapsed and was lost is a refusal: nothing is captured yet.
pub(super) async fn claim_stock(
    shop: &Shop,
    id: CheckoutId,
    attempt: &Attempt,
) -> Result<Option<Refusal>, CompleteError> {
    let mut short = Vec::new();
    for (sku, units) in units(attempt) {
        let claimed = stock::claim(&shop.ports, sku, id, units, attempt.fence).await;
        note_shortage(claimed, sku, units, &mut short)?;
    }
    Ok((!short.is_empty()).then_some(Refusal::OutOfStock { short }))
}

pub(super) async fn release_stock(shop: &Shop, id: CheckoutId, attempt: &Attempt) -> Result<(), CompleteError> {
    for (sku, units) in units(attempt) {
        note_shortage(stock::release(&shop.ports, sku, id, attempt.fence).await, sku, units, &mut Vec::new())?;
    }
    Ok(())
}

/// One order for everyone, so that two buyers of the same goods never wait for each other crosswise.
fn units(attempt: &Attempt) -> Vec<(&Sku, i64)> {
    let lines = attempt.priced.lines.iter();
    let mut units: Vec<_> = lines.map(|line| (&line.sku, i64::from(line.quantity.get()))).collect();
    units.sort_unstable();
    units
}

fn note_shortage(
    done: Result<(), StockError>,
    sku: &Sku,
    requested: i64,
    short: &mut Vec<Shortage>,
) -> Result<(), CompleteError> {
    match done {
        Ok(()) => Ok(()),
        Err(StockError::Refused(StockRefusal::Short { available })) => {
            short.push(Shortage { sku: sku.clone(), requested, available });
            Ok(())
        }
        // Another run owns this checkout now; the checkout's etag will say the same.
        Err(StockError::Refused(StockRefusal::Superseded)) => {
            Err(StoreError::Changed { id: format!("hold on {sku}") }.into())
        }
        Err(StockError::Refused(StockRefusal::OutOfRange) | StockError::Changed) => {
            Err(StoreError::Refused(format!("stock of {sku} refused a hold")).into())
        }
        Err(StockError::Store(err)) => Err(err.into()),
    }
}

/// Asks for the money; when the answer is lost, asks what became of it.
pub(super) async fn authorise(shop: &Shop, id: CheckoutId, attempt: &Attempt) -> Result<Payment, CompleteError> {
    let request = Authorise {
        reference: attempt.reference(id),
        checkout_id: id.to_string(),
        amount: attempt.total(),
        method: attempt.payment_method.clone(),
    };
    match shop.ports.payments.authorise(&request).await {
        Ok(payment) => Ok(payment),
        Err(lost @ PaymentError::Unavailable(_)) => {
            let found = shop.ports.payments.find(&request.reference).await?;
            found.ok_or(CompleteError::Payment(lost))
        }
        // The provider will never do this: a decline in all but name.
        Err(PaymentError::Refused(reason)) => {
            tracing::warn!(payment.id = request.reference, reason, "The provider refused a payment.");
            let nothing = offpeak_domain::money::Money::zero(request.amount.currency());
            Ok(Payment {
                reference: request.reference,
                status: PaymentState::Declined { reason: "refused_by_provider".to_owned() },
                authorised: nothing,
                captured: nothing,
                refunded: nothing,
                voided: nothing,
            })
        }
    }
}

/// Takes the authorised money. `None`: the provider will not, and has not.
pub(super) async fn capture(shop: &Shop, id: CheckoutId, attempt: &Attempt) -> Result<Option<Payment>, CompleteError> {
    let reference = attempt.reference(id);
    match shop.ports.payments.capture(&reference).await {
        Ok(payment) if payment.captured == attempt.total() => Ok(Some(payment)),
        Ok(payment) => {
            let (captured, total) = (payment.captured, attempt.total());
            Err(PaymentError::Unavailable(format!("{captured} of {total} is captured").into()).into())
        }
        Err(PaymentError::Refused(reason)) => {
            tracing::error!(payment.id = reference, reason, "The provider refused a capture.");
            match shop.ports.payments.find(&reference).await? {
                Some(payment) if payment.captured == attempt.total() => Ok(Some(payment)),
                // Still there to be captured: another call is at it, or the provider is confused. Try again later.
                Some(Payment { status: PaymentState::Authorised, .. }) => {
                    Err(PaymentError::Unavailable(reason.into()).into())
                }
                _ => Ok(None),
            }
        }
        Err(err) => Err(err.into()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voided {
    /// Nothing is held for this attempt any more.
    Done,
    /// The money is captured.
    TooLate,
}

/// Gives back what is authorised for this attempt, if anything is.
pub(super) async fn void(shop: &Shop, id: CheckoutId, attempt: &Attempt) -> Result<Voided, CompleteError> {
    if attempt.total().is_zero() {
        return Ok(Voided::Done);
    }
    let reference = attempt.reference(id);
    match shop.ports.payments.find(&reference).await? {
        Some(payment) if !payment.captured.is_zero() => Ok(Voided::TooLate),
        Some(Payment { status: PaymentState::Authorised | PaymentState::ActionRequired { .. }, .. }) => {
            shop.ports.payments.void(&reference).await?;
            Ok(Voided::Done)
        }
        _ => Ok(Voided::Done),
    }
}

/// The page the buyer must still visit, if that is all there is to say: looking takes nothing over.
pub(super) async fn still_waits(
    shop: &Shop,
    id: CheckoutId,
    attempt: &Attempt,
) -> Result<Option<String>, CompleteError> {
    let Step::ActionRequired { url } = &attempt.step else { return Ok(None) };
    if shop.ports.clock.now() >= attempt.hold_until {
        return Ok(None);
    }
    let payment = shop.ports.payments.find(&attempt.reference(id)).await?;
    let waits = payment.is_some_and(|it| matches!(it.status, PaymentState::ActionRequired { .. }));
    Ok(waits.then(|| url.clone()))
}

/// Whether the provider has taken this attempt's money.
pub(super) async fn is_captured(shop: &Shop, id: CheckoutId, attempt: &Attempt) -> Result<bool, CompleteError> {
    if attempt.total().is_zero() {
        return Ok(false);
    }
    let payment = shop.ports.payments.find(&attempt.reference(id)).await?;
    Ok(payment.is_some_and(|it| !it.captured.is_zero()))
}

pub(super) fn pending_order(stored: &StoredCheckout, attempt: &Attempt, now: OffsetDateTime) -> Order {
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
            method: attempt.payment_method.clone(),
            authorised: 0,
            captured: 0,
        },
        created_at: now,
        placed_at: None,
    }
}

pub(super) async fn placed(shop: &Shop, id: CheckoutId) -> Result<Outcome, CompleteError> {
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
pub(super) fn order_placed(order: &Order, now: OffsetDateTime) -> Message {
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
pub(super) fn confirmation_mail(order: &Order) -> Message {
    Message {
        destination: MAIL_QUEUE.to_owned(),
        id: format!("order-confirmation-{}", order.id),
        session: None,
        subject: "mail.order_confirmation".to_owned(),
        scheduled: None,
        body: json!({ "kind": "order_confirmation", "orderId": order.id.to_string() }).to_string(),
    }
}
