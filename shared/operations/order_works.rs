//! Doing what orders owe the world: stock to move, money to move.
//!
//! A change writes its works with the order, then they are driven from here: inline by whoever made the
//! change, and again by the look armed with it, until none is left. Each work happens at most once under its
//! id, so two processes may drive one order at the same time and either may die anywhere. What is done is
//! struck off together with what it did to the order; who is too late with that looks again.
use std::time::Duration;

use offpeak_domain::{
    ids::CheckoutId,
    money::Money,
    order::{Entry, EntryKind, Order, Outcome, Work, WorkKind},
    payment::PaymentFact,
};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Shop, customer_limits, destinations,
    outbox::{self, Outgoing},
    promotions::claims,
    send_email::OrderMail,
    stock::{self, StockError},
};
use crate::shared::{
    documents::{
        Seen,
        purchases::{self, Event, StoredPayments},
    },
    ports::{
        Ports,
        bus::Message,
        documents::StoreError,
        payments::{Movement, Payment, PaymentError, PaymentName, RefundState},
    },
};

/// How often one drive looks again because another one was faster.
const ROUNDS_MAX: u32 = 6;
/// How long a change waits for its works; what is not done by then goes with the look.
const INLINE_PATIENCE: Duration = Duration::from_secs(8);
/// When the look comes that finishes what a crash left; after [`INLINE_PATIENCE`].
pub(super) const LOOK_AFTER: time::Duration = time::Duration::seconds(15);
/// The longest pause between two looks at a work that cannot be done yet.
const LOOK_MAX: time::Duration = time::Duration::hours(1);

/// How far a drive came.
pub struct Driven {
    /// The order as it was last read or written; `None` if there is none.
    pub order: Option<Seen<Order>>,
    /// When to look again at works that could not be done yet.
    pub again: Option<OffsetDateTime>,
}

/// What became of one work in one try.
enum Try {
    Ended(Outcome, Vec<PaymentFact>),
    /// The provider or the store did not answer, or a refund is under way.
    NotYet,
}

impl Try {
    fn facts(&self) -> &[PaymentFact] {
        match self {
            Try::Ended(_, facts) => facts,
            Try::NotYet => &[],
        }
    }
}

/// Drives an order's works until none is left or none can be done now.
///
/// # Errors
/// As the store's.
pub async fn drive(shop: &Shop, checkout: CheckoutId) -> Result<Driven, StoreError> {
    let mut unpublished = Vec::new();
    let driven = drive_all(shop, checkout, &mut unpublished).await;
    outbox::publish_inline(shop, unpublished).await;
    driven
}

/// As [`drive`], for a caller that waits: `None` if it takes too long or fails. The look goes on.
pub(super) async fn drive_inline(shop: &Shop, checkout: CheckoutId) -> Option<Seen<Order>> {
    match tokio::time::timeout(INLINE_PATIENCE, drive(shop, checkout)).await {
        Ok(Ok(driven)) => driven.order,
        Ok(Err(err)) => {
            let error = crate::shared::ports::chain(&err);
            tracing::warn!(checkout.id = %checkout, error, "An order's works are left to the look.");
            None
        }
        Err(_) => {
            tracing::warn!(checkout.id = %checkout, "An order's works take long; they are left to the look.");
            None
        }
    }
}

async fn drive_all(shop: &Shop, checkout: CheckoutId, unpublished: &mut Vec<Event>) -> Result<Driven, StoreError> {
    let documents = shop.ports.documents.as_ref();
    for round in 0..ROUNDS_MAX {
        if round > 0 {
            tokio::time::sleep(Duration::from_millis(u64::from(round) * 5)).await;
        }
        let Some(mut seen) = purchases::read_order(documents, checkout).await? else {
            return Ok(Driven { order: None, again: None });
        };
        if seen.value.works.is_empty() {
            return Ok(Driven { order: Some(seen), again: None });
        }
        let tries = try_all(shop, &seen.value).await;
        let now = shop.ports.clock.now();
        // Every answer about money goes to the ledger, in the batch of what follows from it.
        let facts: Vec<PaymentFact> = tries.iter().flat_map(|(_, done)| done.facts()).cloned().collect();
        let (payments, noted) = purchases::note_facts(documents, checkout, &payment_name(&seen.value), &facts).await?;
        let (entries, outgoing) = strike_off(&mut seen.value, tries, &payments, now)?;
        if let Some(entries) = entries {
            let mut writes = vec![purchases::put_order(&seen.value, Some(&seen.etag))?];
            writes.extend(noted);
            for entry in &entries {
                writes.push(purchases::add_entry(checkout, entry)?);
            }
            writes.extend(outgoing.rows(checkout, now)?);
            match purchases::write(documents, checkout, writes).await {
                Ok(etags) => {
                    if let Some(etag) = etags.first() {
                        seen.etag = etag.clone();
                    }
                    unpublished.extend(outgoing.written(checkout, &etags));
                }
                // Another one strikes off too: what it left is seen next time.
                Err(StoreError::Changed { .. } | StoreError::Exists { .. }) => continue,
                Err(err) => return Err(err),
            }
        }
        let again = seen.value.works.first().map(|oldest| {
            let half: time::Duration = (now - oldest.at) / 2;
            let pause = half.clamp(LOOK_AFTER, LOOK_MAX);
            now + pause
        });
        return Ok(Driven { order: Some(seen), again });
    }
    Err(StoreError::Changed { id: checkout.order().to_string() })
}

/// Tries the works one after another. Once the provider does not answer, money waits; stock goes on.
async fn try_all(shop: &Shop, order: &Order) -> Vec<(Work, Try)> {
    let mut tries = Vec::with_capacity(order.works.len());
    let mut money_waits = false;
    for work in &order.works {
        let done = if work.kind.is_payment() {
            if money_waits { Try::NotYet } else { try_payment(shop, order, work).await }
        } else {
            try_stock(shop, order, work).await
        };
        money_waits |= work.kind.is_payment() && matches!(done, Try::NotYet);
        tries.push((work.clone(), done));
    }
    tries
}

/// Brings the order up to date with what was done; `None` if nothing was.
fn strike_off(
    order: &mut Order,
    tries: Vec<(Work, Try)>,
    payments: &StoredPayments,
    now: OffsetDateTime,
) -> Result<(Option<Vec<Entry>>, Outgoing), StoreError> {
    let (mut entries, mut outgoing, mut ended) = (Vec::new(), Outgoing::default(), false);
    let reference = order.payment.reference.clone();
    if payments.ledger.references().contains(&reference.as_str()) {
        order.follow(&payments.ledger.amounts_of(&reference, order.priced.currency));
    }
    for (work, done) in tries {
        let Try::Ended(outcome, _) = done else { continue };
        if let Outcome::Refused(reason) = &outcome {
            tracing::error!(order.id = %order.id, work.id, reason, "Order {}: {:?} is refused.", order.id, work.kind);
        }
        let Some(finished) = order.finish(&work.id, &outcome, now) else { continue };
        ended = true;
        if let Some(entry) = finished.entry {
            announce(order, &entry, &mut outgoing)?;
            entries.push(entry);
        }
    }
    Ok((ended.then_some(entries), outgoing))
}

/// Stock, and the uses of promotions that are counted beside it.
async fn try_stock(shop: &Shop, order: &Order, work: &Work) -> Try {
    match move_stock(&shop.ports, order, work).await {
        Ok(()) => Try::Ended(Outcome::Done, Vec::new()),
        Err(StockError::Refused(refusal)) => Try::Ended(Outcome::Refused(refusal.to_string()), Vec::new()),
        Err(err @ (StockError::Changed | StockError::Store(_))) => {
            let error = crate::shared::ports::chain(&err);
            tracing::warn!(order.id = %order.id, work.id, error, "Stock could not be moved yet.");
            Try::NotYet
        }
    }
}

async fn move_stock(ports: &Ports, order: &Order, work: &Work) -> Result<(), StockError> {
    match &work.kind {
        WorkKind::Ship { sku, parts } => stock::ship(ports, sku, order.id, &work.id, parts).await,
        WorkKind::GiveBack { sku, parts } => stock::give_back(ports, sku, order.id, &work.id, parts).await,
        WorkKind::Restock { sku, location, units } => {
            stock::restock(ports, sku, &work.id, location, *units, &order.id.to_string()).await
        }
        WorkKind::ReleaseClaims => {
            let checkout = order.id.checkout();
            Ok(claims::release(ports, checkout, claims::FOR_GOOD, &order.priced, &order.buyer).await?)
        }
        WorkKind::ReleaseUnits => Ok(customer_limits::give_back_cancelled(ports, order).await?),
        WorkKind::Capture { .. } | WorkKind::Void | WorkKind::Refund { .. } => Ok(()),
    }
}

async fn try_payment(shop: &Shop, order: &Order, work: &Work) -> Try {
    let payments = shop.ports.payments.as_ref();
    let name = payment_name(order);
    let money = |minor: i64| Money::new(minor, order.priced.currency);
    let done = match &work.kind {
        WorkKind::Capture { amount } => {
            let movement = Movement { key: work.id.clone(), amount: money(*amount) };
            payments.capture(&name, &movement).await.map(|it| Try::Ended(Outcome::Done, it.facts))
        }
        WorkKind::Void => {
            let facts = |it: Option<Payment>| it.map(|it| it.facts).unwrap_or_default();
            payments.void(&name, &work.id).await.map(|it| Try::Ended(Outcome::Done, facts(it)))
        }
        WorkKind::Refund { refund, amount } => {
            // Named after the refund: a webhook that speaks of it can be told whose it is.
            let movement = Movement { key: refund.clone(), amount: money(*amount) };
            payments.refund(&name, &movement).await.map(|it| match it.state {
                RefundState::Succeeded => Try::Ended(Outcome::Done, it.payment.facts),
                RefundState::Pending => Try::NotYet,
                RefundState::Failed { reason } => Try::Ended(Outcome::Refused(reason), it.payment.facts),
            })
        }
        WorkKind::Ship { .. }
        | WorkKind::GiveBack { .. }
        | WorkKind::Restock { .. }
        | WorkKind::ReleaseClaims
        | WorkKind::ReleaseUnits => Ok(Try::Ended(Outcome::Done, Vec::new())),
    };
    match done {
        Ok(done) => done,
        Err(PaymentError::Refused(reason)) => Try::Ended(Outcome::Refused(reason), Vec::new()),
        Err(err @ PaymentError::Unavailable(_)) => {
            let error = crate::shared::ports::chain(&err);
            tracing::warn!(order.id = %order.id, work.id, error, "The provider did not answer; it is asked again.");
            Try::NotYet
        }
    }
}

/// How the order's payment is found at the provider.
fn payment_name(order: &Order) -> PaymentName {
    PaymentName { reference: order.payment.reference.clone(), provider_id: order.payment.provider_id.clone() }
}

/// Adds the event that the shop's own systems get for this entry, if it is one for them, and the mail that its
/// buyer gets. Ids and amounts, no personal data.
pub(super) fn announce(order: &Order, entry: &Entry, outgoing: &mut Outgoing) -> Result<(), StoreError> {
    if let Some(message) = OrderMail::of(entry).and_then(|mail| mail.message(order.id)) {
        outgoing.add(message);
    }
    let subject = match entry.kind {
        EntryKind::Cancelled => "order.cancelled",
        EntryKind::Shipped => "order.fulfilled",
        EntryKind::Refunded => "order.refunded",
        EntryKind::ReturnReceived | EntryKind::ReturnInspected if !entry.lines.is_empty() => "order.returned",
        _ => return Ok(()),
    };
    let at = entry.at.format(&Rfc3339).map_err(|err| StoreError::Refused(err.to_string()))?;
    let lines: Vec<_> = entry
        .lines
        .iter()
        .map(|it| json!({ "sku": order.priced.lines[it.line].sku.as_str(), "quantity": it.units }))
        .collect();
    let amount = entry.amount.map(|it| json!({ "amount": it.minor().to_string(), "currency": it.currency().code() }));
    outgoing.add(Message {
        destination: destinations::ORDERS.to_owned(),
        id: format!("{}-{}-{}", subject.replace('.', "-"), order.id, entry.number),
        session: Some(order.id.to_string()),
        subject: subject.to_owned(),
        scheduled: None,
        body: json!({
            "orderId": order.id.to_string(),
            "number": order.id.number(),
            "at": at,
            "subject": entry.subject,
            "lines": lines,
            "amount": amount,
        })
        .to_string(),
    });
    Ok(())
}
