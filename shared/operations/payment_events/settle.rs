//! The money of a purchase beside its completion: what given-up attempts hold goes back, and a placed order's
//! amounts follow the ledger.
use offpeak_domain::{
    checkout::{Checkout, CheckoutState},
    ids::CheckoutId,
    money::{Currency, Money},
    order::{Actor, By, Entry},
    payment::{Amounts, FactKind, PaymentFact},
};
use serde_json::json;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{CONFLICTS_MAX, was_told};
use crate::shared::{
    documents::{
        Seen,
        purchases::{self, Order, StoredPayments},
    },
    operations::{
        Shop,
        complete_checkout::resume_message,
        destinations,
        outbox::{self, Outgoing},
        sha256,
    },
    ports::{
        bus::{BusError, Message},
        documents::StoreError,
        payments::{Movement, PaymentError, PaymentName},
    },
};

/// After this time the provider is asked once more what it holds for attempts that were given up: an answer may
/// have been lost, and so may its webhook. Source: Saleor's default for abandoned checkouts.
pub const RELEASE_AFTER: Duration = Duration::hours(6);

/// Begins the name of a look that asks about every attempt that was given up.
const RELEASE: &str = "release";
/// Attempts asked about in one look, the latest first; a buyer who fails so often is no buyer.
const ATTEMPTS_MAX: u32 = 50;
/// Why an order is held back whose payments do not add up.
const ANOMALY: &str = "payment_anomaly";

#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    #[error(transparent)]
    Payment(#[from] PaymentError),
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives back what given-up attempts hold, and brings a placed order's amounts up to the ledger. Called by every
/// look, after the checkout itself was seen to; `look` is its name.
///
/// # Errors
/// [`SettleError`]: look again later.
pub async fn settle(shop: &Shop, id: CheckoutId, look: &str) -> Result<(), SettleError> {
    let documents = shop.ports.documents.as_ref();
    let Some(seen) = purchases::read_checkout(documents, id).await? else { return Ok(()) };
    let order = purchases::read_order(documents, id).await?;
    let Some(order) = order else { return Ok(()) };
    let currency = order.value.priced.currency;
    let keep = kept(&seen.value.checkout, &order.value);
    let released = release(shop, &seen.value.checkout, keep.as_deref(), (look, currency)).await?;
    if released && !look.starts_with(RELEASE) {
        let again = resume_message(
            id,
            &format!("{RELEASE}-{}", seen.value.checkout.attempts),
            shop.ports.clock.now() + RELEASE_AFTER,
        );
        shop.ports.bus.send(&again).await?;
    }
    if order.value.lifecycle.was_placed() {
        bring_up(shop, id, was_told(look)).await?;
    }
    Ok(())
}

/// A look at what attempts up to this one hold, some hours after the last of them was given up.
pub fn release_look(id: CheckoutId, attempt: u32, now: OffsetDateTime) -> Message {
    resume_message(id, &format!("{RELEASE}-{attempt}"), now + RELEASE_AFTER)
}

/// The attempt that is under way, or that paid for the order.
fn kept(checkout: &Checkout, order: &Order) -> Option<String> {
    match &checkout.state {
        CheckoutState::Open => None,
        CheckoutState::Completing(attempt) => Some(attempt.reference(checkout.id)),
        CheckoutState::Placed { .. } => Some(order.payment.reference.clone()),
    }
}

/// Gives back what attempts hold that came to nothing. `true` if one was closed that was not known to be.
async fn release(
    shop: &Shop,
    checkout: &Checkout,
    keep: Option<&str>,
    (look, currency): (&str, Currency),
) -> Result<bool, SettleError> {
    let id = checkout.id;
    let first = checkout.attempts.saturating_sub(ATTEMPTS_MAX) + 1;
    let mut released = false;
    for number in first..=checkout.attempts {
        let reference = id.attempt(number);
        if keep == Some(reference.as_str()) {
            continue;
        }
        let payments = read(shop, id).await?;
        if is_closed(&payments, &reference, currency) && !look.starts_with(RELEASE) {
            continue;
        }
        let facts = give_back(shop, &payments.name(&reference), currency).await?;
        released = true;
        add_facts(shop, id, &payments.name(&reference), &facts).await?;
    }
    Ok(released)
}

/// Nothing is held, and it is known that nothing will be.
fn is_closed(payments: &StoredPayments, reference: &str, currency: Currency) -> bool {
    let amounts = payments.ledger.amounts_of(reference, currency);
    let ended = [FactKind::Voided, FactKind::Expired, FactKind::AuthoriseFailed]
        .into_iter()
        .any(|kind| payments.ledger.has(reference, kind));
    ended && amounts.capturable().is_zero() && amounts.refundable().is_zero()
}

/// Voids, and refunds what was taken nevertheless; answers what is known of it then.
async fn give_back(shop: &Shop, name: &PaymentName, currency: Currency) -> Result<Vec<PaymentFact>, SettleError> {
    let provider = &shop.ports.payments;
    let reference = &name.reference;
    let Some(payment) = provider.void(name, &format!("{reference}:void")).await? else {
        // The provider never heard of it and will not let it through: noted as given back.
        let barred = PaymentFact::barred(reference, currency, shop.ports.clock.now());
        return Ok(vec![barred]);
    };
    let left = payment.refundable();
    if left.is_zero() {
        return Ok(payment.facts);
    }
    tracing::warn!(payment.id = reference, "{left} was taken for no order and is given back.");
    // What is left names the refund: after one that failed, or of more that was taken since, it is another.
    let failed = payment.facts.iter().filter(|it| it.kind == FactKind::RefundFailed).count();
    let key = format!("{reference}:release:{}:{failed}", payment.captured.minor());
    let refunded = provider.refund(name, &Movement { key, amount: left }).await?;
    Ok(refunded.payment.facts)
}

async fn read(shop: &Shop, id: CheckoutId) -> Result<StoredPayments, StoreError> {
    let seen = purchases::read_payments(shop.ports.documents.as_ref(), id).await?;
    Ok(seen.map(|it| it.value).unwrap_or_default())
}

async fn add_facts(
    shop: &Shop,
    id: CheckoutId,
    name: &PaymentName,
    facts: &[PaymentFact],
) -> Result<StoredPayments, StoreError> {
    let documents = shop.ports.documents.as_ref();
    for attempt in 1..=CONFLICTS_MAX {
        let (payments, write) = purchases::note_facts(documents, id, name, facts).await?;
        let Some(write) = write else { return Ok(payments) };
        match purchases::write(documents, id, vec![write]).await {
            Ok(_) => return Ok(payments),
            Err(StoreError::Changed { .. } | StoreError::Exists { .. }) if attempt < CONFLICTS_MAX => {}
            Err(err) => return Err(err),
        }
    }
    Err(StoreError::Changed { id: id.to_string() })
}

/// Writes the order's amounts as the ledger has them. The provider is asked first, for the ledger may know the
/// end of a story and not its beginning. An order whose payments do not add up is held back for a person to see.
async fn bring_up(shop: &Shop, id: CheckoutId, told: bool) -> Result<(), SettleError> {
    let documents = shop.ports.documents.as_ref();
    let mut payments = read(shop, id).await?;
    let mut asked = false;
    for _ in 0..CONFLICTS_MAX {
        let Some(Seen { value: mut order, etag }) = purchases::read_order(documents, id).await? else { return Ok(()) };
        let (reference, currency) = (order.payment.reference.clone(), order.priced.currency);
        if payments.ledger.references().iter().all(|it| *it != reference) {
            return Ok(());
        }
        let stands = !apply_ledger(&mut order.clone(), &payments.ledger.amounts_of(&reference, currency));
        if stands && !told {
            return Ok(());
        }
        if !asked {
            asked = true;
            let name = PaymentName { reference: reference.clone(), provider_id: order.payment.provider_id.clone() };
            if let Some(payment) = shop.ports.payments.find(&name).await? {
                payments = add_facts(shop, id, &name, &payment.facts).await?;
            }
        }
        let amounts = payments.ledger.amounts_of(&reference, currency);
        let mut changed = apply_ledger(&mut order, &amounts);
        let now = shop.ports.clock.now();
        let entry = hold_if_odd(&mut order, &payments, now);
        let mut entries = order.note_failed_refunds(&payments.ledger, now);
        entries.extend(entry);
        changed |= !entries.is_empty();
        if !changed {
            return Ok(());
        }
        let mut outgoing = Outgoing::default();
        outgoing.add(payment_changed(&order, &amounts, now));
        let mut writes = vec![purchases::put_order(&order, Some(&etag))?];
        for entry in &entries {
            writes.push(purchases::add_entry(id, entry)?);
        }
        writes.extend(outgoing.rows(id, now)?);
        match purchases::write(documents, id, writes).await {
            Ok(etags) => {
                outbox::publish_inline(shop, outgoing.written(id, &etags)).await;
                return Ok(());
            }
            Err(StoreError::Changed { .. }) => {}
            Err(err) => return Err(err.into()),
        }
    }
    Err(StoreError::Changed { id: id.to_string() }.into())
}

/// Holds the order back if facts of its payments cannot all be true; once.
fn hold_if_odd(order: &mut Order, payments: &StoredPayments, now: OffsetDateTime) -> Option<Entry> {
    let anomalies = payments.ledger.anomalies(order.priced.currency);
    for anomaly in &anomalies {
        tracing::error!(order.id = %order.id, "The payments of order {} do not add up: {anomaly}", order.id);
    }
    let odd = !anomalies.is_empty() && order.on_hold.is_none();
    odd.then(|| order.hold_back(ANOMALY, &By { actor: Actor::System, at: now }))
}

/// The order's amounts and status as these are; `true` if it was otherwise before.
pub fn apply_ledger(order: &mut Order, amounts: &Amounts) -> bool {
    order.follow(amounts)
}

/// For the shop's own systems. Its id follows from the amounts, so a change is told once.
fn payment_changed(order: &Order, amounts: &Amounts, now: OffsetDateTime) -> Message {
    let minor = |it: Money| it.minor().to_string();
    let body = json!({
        "orderId": order.id.to_string(),
        "number": order.id.number(),
        "paymentStatus": order.payment_status.name(),
        "currency": order.priced.currency.code(),
        "authorised": minor(amounts.authorised),
        "captured": minor(amounts.captured),
        "refunded": minor(amounts.refunded),
        "voided": minor(amounts.voided),
        "disputed": minor(amounts.disputed),
        "onHold": order.on_hold,
    });
    let id = format!("order-payment-{}-{}", order.id, &sha256(&body.to_string())[..16]);
    let mut body = body;
    if let (Some(members), Ok(at)) = (body.as_object_mut(), now.format(&Rfc3339)) {
        members.insert("at".to_owned(), at.into());
    }
    Message {
        destination: destinations::ORDERS.to_owned(),
        id,
        session: Some(order.id.to_string()),
        subject: "order.payment_changed".to_owned(),
        scheduled: None,
        body: body.to_string(),
    }
}
