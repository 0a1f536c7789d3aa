//! The end of a completion: placed for good, or undone for good.
use offpeak_domain::{
    checkout::{Attempt, CheckoutState, Finished, Refusal, Shortage, Step},
    order::{Actor, By, Cancel, Entry, Lifecycle},
    payment::{CaptureWhen, FactKind},
    sku::Sku,
    stock::{Part, Shortfall},
};
use time::OffsetDateTime;

use super::{
    CompleteError,
    drive::{Driven, Run},
    effects::{self, Claimed},
    outbox::{self, Outgoing},
    payment_events,
};
use crate::shared::{
    documents::{
        Seen,
        carts::StoredCart,
        purchases::{self, Order},
    },
    operations::{Shop, find_order, order_works},
    ports::{documents::StoreError, payments::Payment},
};

/// Goods for an order: where they are promised, and what could not be.
struct Goods {
    promised: Vec<(Sku, Vec<Part>)>,
    /// Whether more was promised, or is missing, than there was.
    shortfall: Option<(Shortfall, Vec<Shortage>)>,
}

/// Claims the stock, takes the money, places the order with its events. `None`: it must be undone.
pub(super) async fn finalise(shop: &Shop, run: &mut Run, attempt: &Attempt) -> Result<Option<Driven>, CompleteError> {
    let Some(goods) = claim(shop, run, attempt).await? else { return Ok(None) };
    let payment = match pay(shop, run, attempt).await? {
        Paid::Yes(payment) => payment,
        Paid::Refused => {
            run.undo(shop, Refusal::Declined { reason: "capture_refused".to_owned() }).await?;
            return Ok(None);
        }
    };
    let order = place(shop, run, attempt, &goods, payment).await?;

    let (events, cart) = (std::mem::take(&mut run.unpublished), run.cart.take());
    let (after, all_sent) = tokio::join!(after_placing(shop, &order, cart), outbox::publish_inline(shop, events));
    let settled = all_sent && matches!(after, Ok(None));
    if let Err(err) = after {
        // The order stands; the resume message does what is left.
        tracing::warn!(error = %crate::shared::ports::chain(&err), order.id = %order.id, "A placed order is not yet known everywhere.");
    }
    tracing::info!(order.id = %order.id, "Placed order {}.", order.id);
    Ok(Some(Driven::Placed { order: Box::new(order), settled }))
}

/// What follows from a placed order outside its partition: the cart is closed, the number can be looked up,
/// and what the order owes is done. Each repeatable; the resume look does all of it again. `cart` is the cart as
/// the caller knows it.
///
/// Answers when to look again at what could not be done yet.
pub(super) async fn after_placing(
    shop: &Shop,
    order: &Order,
    cart: Option<Seen<StoredCart>>,
) -> Result<Option<OffsetDateTime>, CompleteError> {
    let id = order.id.checkout();
    let (marked, named) =
        tokio::join!(effects::mark_cart_ordered(shop, id, cart), find_order::remember_number(shop, order.id));
    marked?;
    named?;
    if order.works.is_empty() { Ok(None) } else { Ok(order_works::drive(shop, id).await?.again) }
}

/// Promises the goods for good. Those that were sold while the buyer paid are dealt with as the store's
/// settings say; `None`: the attempt is being undone, because nothing is taken yet and the money can go.
async fn claim(shop: &Shop, run: &mut Run, attempt: &Attempt) -> Result<Option<Goods>, CompleteError> {
    let id = run.id();
    let Claimed { places: promised, short } = effects::claim_stock(shop, id, attempt, &mut run.holds, false).await?;
    if short.is_empty() {
        return Ok(Some(Goods { promised, shortfall: None }));
    }
    let policy = shop.settings().await?.stock.shortfall;
    tracing::warn!(order.id = %id.order(), policy = policy.name(), "Goods of {} were sold while it was paid for.", id.order());
    let promised = match policy {
        Shortfall::Refund if effects::is_captured(shop, id, attempt).await? => promised,
        Shortfall::Refund => {
            run.undo(shop, Refusal::OutOfStock { short }).await?;
            return Ok(None);
        }
        Shortfall::Backorder | Shortfall::Hold => {
            effects::claim_stock(shop, id, attempt, &mut run.holds, true).await?.places
        }
    };
    Ok(Some(Goods { promised, shortfall: Some((policy, short)) }))
}

enum Paid {
    /// `None`: nothing was to pay.
    Yes(Option<Payment>),
    Refused,
}

/// Takes the money now, or makes sure that it is there to be taken as goods leave.
async fn pay(shop: &Shop, run: &mut Run, attempt: &Attempt) -> Result<Paid, CompleteError> {
    if attempt.total().is_zero() {
        return Ok(Paid::Yes(None));
    }
    let settings = shop.settings().await?;
    let payment = match settings.capture {
        CaptureWhen::AtPlacement => effects::capture(shop, run.id(), attempt).await?,
        CaptureWhen::AtFulfilment => effects::authorised(shop, run.id(), attempt).await?,
    };
    Ok(payment.map_or(Paid::Refused, |it| Paid::Yes(Some(it))))
}

/// Writes the order, the end of the checkout, what is known of the money and the events, all in one batch.
async fn place(
    shop: &Shop,
    run: &mut Run,
    attempt: &Attempt,
    goods: &Goods,
    payment: Option<Payment>,
) -> Result<Order, CompleteError> {
    let id = run.id();
    let now = shop.ports.clock.now();
    let before = run.order(shop).await?;
    let mut order = effects::pending_order(&run.seen.value, attempt, now);
    if let Some(before) = &before {
        order.created_at = before.value.created_at;
    }
    order.payment.captured_once = !shop.ports.payments.captures_in_parts();
    if let Some(payment) = payment {
        order.payment.authorised = payment.authorised.minor();
        order.payment.captured = payment.captured.minor();
        run.said = Some((effects::name(id, attempt), payment.facts));
    }
    let entries = settle(&mut order, goods, now)?;
    let mut writes = vec![purchases::put_order(&order, before.as_ref().map(|it| &it.etag))?];
    for entry in &entries {
        writes.push(purchases::add_entry(id, entry)?);
    }
    run.seen.value.checkout.state = CheckoutState::Placed { by: attempt.by.clone() };
    run.save(shop, writes, said(&order, goods, now)).await?;
    Ok(order)
}

/// The order placed, and what its shortfall makes of it. Answers the timeline's entries.
fn settle(order: &mut Order, goods: &Goods, now: OffsetDateTime) -> Result<Vec<Entry>, CompleteError> {
    let by = By { actor: Actor::System, at: now };
    let mut entries = vec![order.place(goods.promised.clone(), &by)];
    match &goods.shortfall {
        Some((Shortfall::Refund, _)) => {
            // The money was taken by a run that was overtaken: it goes back with the whole order.
            let all = Cancel { reason: Some(SHORTFALL.to_owned()), ..Cancel::default() };
            let entry = order.cancel(&all, &by).map_err(|err| StoreError::Refused(format!("shortfall: {err}")))?;
            entries.push(entry);
        }
        Some((Shortfall::Hold, _)) => entries.push(order.hold_back(SHORTFALL, &by)),
        Some((Shortfall::Backorder, _)) | None => {}
    }
    Ok(entries)
}

/// Why an order is cancelled or held, in its timeline.
const SHORTFALL: &str = "shortfall";

fn said(order: &Order, goods: &Goods, now: OffsetDateTime) -> Outgoing {
    let mut outgoing = Outgoing::default();
    outgoing.add(effects::order_placed(order, now));
    match &goods.shortfall {
        Some((policy, short)) => {
            outgoing.add(effects::order_shortfall(order, policy.name(), short, now));
            outgoing.add(match policy {
                Shortfall::Refund => effects::shortfall_mail(order),
                Shortfall::Backorder | Shortfall::Hold => effects::confirmation_mail(order),
            });
        }
        None => outgoing.add(effects::confirmation_mail(order)),
    }
    outgoing
}

/// Takes everything back that this attempt did. Its own record says that it will never be placed, so
/// nothing here can harm a winner.
///
/// `false`: it cannot be undone any more and goes on.
pub(super) async fn undo(
    shop: &Shop,
    run: &mut Run,
    attempt: &Attempt,
    refusal: &Refusal,
) -> Result<bool, CompleteError> {
    let id = run.id();
    outbox::publish_inline(shop, std::mem::take(&mut run.unpublished)).await;
    let facts = match effects::void(shop, id, attempt).await? {
        // Another run captured before it saw that it was overtaken: from here the only way is forward.
        effects::Voided::TooLate => return run.step(shop, Step::Finalising, Vec::new()).await.map(|_| false),
        effects::Voided::Done(facts) => facts,
    };
    let had_paid = facts.iter().any(|it| it.kind == FactKind::Authorised);
    run.said = Some((effects::name(id, attempt), facts));
    effects::release_stock(shop, id, attempt).await?;
    effects::release_uses(shop, &run.seen.value, attempt).await?;
    effects::unlock_cart(shop, id, attempt).await?;
    let now = shop.ports.clock.now();
    let before = run.order(shop).await?;
    let (mut also, mut outgoing) = (Vec::new(), Outgoing::default());
    if let Some(before) = before {
        outgoing.add(payment_events::release_look(id, attempt.number, now));
        let mine =
            before.value.lifecycle == Lifecycle::Pending && before.value.payment.reference == attempt.reference(id);
        let order = Order { lifecycle: Lifecycle::Failed, ..before.value };
        also.push(purchases::put_order(&order, Some(&before.etag))?);
        // This attempt's goods were held once and sold while the buyer paid.
        if let (true, Refusal::OutOfStock { short }) = (mine && had_paid, refusal) {
            outgoing.add(effects::order_shortfall(&order, Shortfall::Refund.name(), short, now));
            outgoing.add(effects::shortfall_mail(&order));
        }
    }
    let checkout = &mut run.seen.value.checkout;
    checkout.state = CheckoutState::Open;
    checkout.last = Some(Finished { by: attempt.by.clone(), refusal: refusal.clone(), at: now });
    run.save(shop, also, outgoing).await?;
    outbox::publish_inline(shop, std::mem::take(&mut run.unpublished)).await;
    Ok(true)
}
