//! One purchase: price (I2), payment (I3), identity (I4) and messages (I7), and from its side stock (I1).
use offpeak_domain::{
    audit,
    cart::CartState,
    checkout::CheckoutState,
    ids::CheckoutId,
    money::Money,
    order::{FulfilmentState, Lifecycle, Order},
    uses::UseState,
};
use time::Duration;

use super::{Ask, Invariant, Judged, QUIET, VerifyError, Violation};
use crate::shared::{
    documents::{
        carts, promo_use,
        purchases::{self, PurchaseRows, StoredCheckout},
    },
    operations::{
        Shop, customer_limits,
        promotions::claims::{Needed, needed},
    },
    ports::{
        documents::StoreError,
        payments::{Payment, PaymentState},
    },
};

/// Attempts of one checkout that the provider is asked about, the latest ones.
const ATTEMPTS_MAX: u32 = 20;
/// How long a completion may stand before the money it may hold counts as kept: buyers away, six hours until
/// it is let go, and the looks in between.
const RELEASED_AFTER: Duration = Duration::hours(8);
/// Rows of the outbox are kept a week after they were sent.
const EVENTS_KEPT: Duration = Duration::days(6);

/// Marks which of two walks a cursor belongs to.
const WAITING: &str = "due ";

/// A page of purchases to judge.
pub(super) async fn page(
    shop: &Shop,
    ask: &Ask,
    after: Option<String>,
) -> Result<(Vec<CheckoutId>, Option<String>), VerifyError> {
    let documents = shop.ports.documents.as_ref();
    let Some(since) = ask.since else {
        let (ids, next) = purchases::checkout_ids(documents, after).await?;
        return Ok((ids.into_iter().filter(|id| is_in(*id, ask.sample)).collect(), next));
    };
    // Every change writes an event: those sent since then, and those that wait.
    let (mut ids, next) = match after.as_deref().map(|it| it.strip_prefix(WAITING)) {
        Some(Some(after)) => {
            let after = Some(after.to_owned()).filter(|it| !it.is_empty());
            let (ids, next) = purchases::waiting_ids(documents, after).await?;
            (ids, next.map(|next| format!("{WAITING}{next}")))
        }
        _ => {
            let (events, next) = purchases::sent_since(documents, since, after).await?;
            let ids = events.into_iter().map(|it| it.checkout).collect();
            (ids, Some(next.unwrap_or_else(|| WAITING.to_owned())))
        }
    };
    ids.sort_unstable();
    ids.dedup();
    ids.retain(|id: &CheckoutId| is_in(*id, ask.sample));
    Ok((ids, next))
}

/// One id in `sample`, always the same ones.
fn is_in(id: CheckoutId, sample: u32) -> bool {
    let mixed = u128::from(id.ulid()).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    (mixed >> 64).is_multiple_of(u128::from(sample.max(1)))
}

pub(super) async fn judge(shop: &Shop, id: CheckoutId) -> Result<Judged, VerifyError> {
    let documents = shop.ports.documents.as_ref();
    let Some(checkout) = purchases::read_checkout(documents, id).await? else { return Ok(Judged::Skipped) };
    let order = purchases::read_order(documents, id).await?.map(|it| it.value);
    let rows = purchases::read_rows(documents, id).await?;
    let age = shop.ports.clock.now() - rows.changed_at;
    let is_owed = order.as_ref().is_some_and(|it| !it.works.is_empty());
    let is_completing = matches!(checkout.value.checkout.state, CheckoutState::Completing(_));
    if age < QUIET || is_owed || (is_completing && age < RELEASED_AFTER) {
        return Ok(Judged::Busy);
    }
    let purchase = Purchase { id, checkout: checkout.value, order: order.filter(is_real), rows };
    let mut wrong = Wrong { id, found: Vec::new() };
    let mut invariants = vec![Invariant::I3, Invariant::I4, Invariant::I7];
    purchase.identity(shop, &mut wrong).await?;
    purchase.payment(shop, &mut wrong).await?;
    purchase.messages(age, &mut wrong);
    if let Some(order) = &purchase.order {
        invariants.push(Invariant::I2);
        for fault in audit::money_faults(&order.priced) {
            wrong.add(Invariant::I2, fault);
        }
        units(order, &mut wrong);
        invariants.push(Invariant::I5);
        uses(shop, order, &mut wrong).await?;
    }
    Ok(Judged::of(invariants, wrong.found))
}

/// Whether there is an order: not hidden, not given up before it was placed.
fn is_real(order: &Order) -> bool {
    !matches!(order.lifecycle, Lifecycle::Pending | Lifecycle::Failed)
}

struct Wrong {
    id: CheckoutId,
    found: Vec<Violation>,
}

impl Wrong {
    fn add(&mut self, invariant: Invariant, detail: impl Into<String>) {
        self.found.push(Violation::new(invariant, self.id.order().to_string(), detail));
    }
}

struct Purchase {
    id: CheckoutId,
    checkout: StoredCheckout,
    /// Only one that is or was placed.
    order: Option<Order>,
    rows: PurchaseRows,
}

impl Purchase {
    async fn identity(&self, shop: &Shop, wrong: &mut Wrong) -> Result<(), StoreError> {
        let is_placed = matches!(self.checkout.checkout.state, CheckoutState::Placed { .. });
        if is_placed != self.order.is_some() {
            let order = self.order.is_some();
            wrong.add(Invariant::I4, format!("the checkout is placed: {is_placed}; there is an order: {order}"));
        }
        let own = self.id.order();
        for answered in &self.rows.answered_orders {
            if *answered != own.to_string() || self.order.is_none() {
                wrong.add(Invariant::I4, format!("a key was answered with order {answered}"));
            }
        }
        // A cart expires some day; the order stays.
        let Some(cart) = carts::read_cart(shop.ports.documents.as_ref(), self.id.cart()).await? else {
            return Ok(());
        };
        match (&cart.value.cart.state, &self.order) {
            (CartState::Ordered { order }, Some(_)) if *order == own => {}
            (CartState::Ordered { order }, _) => wrong.add(Invariant::I4, format!("its cart became order {order}")),
            (state, Some(_)) => wrong.add(Invariant::I4, format!("its cart is {state:?}")),
            (_, None) => {}
        }
        Ok(())
    }

    fn messages(&self, age: Duration, wrong: &mut Wrong) {
        let placed = format!("order-placed-{}", self.id.order());
        let events = self.rows.events.iter().filter(|it| **it == placed).count();
        let expected = usize::from(self.order.is_some());
        if age < EVENTS_KEPT && events != expected {
            wrong.add(Invariant::I7, format!("{events} events say that it was placed, instead of {expected}"));
        }
        let Some(order) = &self.order else { return };
        let told: Vec<u32> = self.rows.timeline.clone();
        let missing = (1..=order.changes).filter(|number| !told.contains(number)).count();
        if missing > 0 || told.len() > usize::try_from(order.changes).unwrap_or(usize::MAX) {
            let (changes, told) = (order.changes, told.len());
            wrong.add(Invariant::I7, format!("{changes} changes, {told} entries in the timeline, {missing} missing"));
        }
    }

    async fn payment(&self, shop: &Shop, wrong: &mut Wrong) -> Result<(), VerifyError> {
        let stored = purchases::read_payments(shop.ports.documents.as_ref(), self.id).await?;
        let stored = stored.map(|it| it.value).unwrap_or_default();
        let attempts = self.checkout.checkout.attempts;
        let mut paid = Vec::new();
        for number in attempts.saturating_sub(ATTEMPTS_MAX) + 1..=attempts {
            let name = stored.name(&self.id.attempt(number));
            let Some(found) = shop.ports.payments.find(&name).await? else { continue };
            let theirs = [found.authorised, found.captured, found.refunded, found.voided];
            let [authorised, captured, refunded, voided] = theirs;
            let ours = stored.ledger.amounts_of(&found.reference, authorised.currency());
            let ours = [ours.authorised, ours.captured, ours.refunded, ours.voided];
            // What an attempt without an order held and gave back need not have been told.
            if self.order.is_some() && theirs != ours && theirs.iter().any(|it| !it.is_zero()) {
                let [theirs, ours] = [theirs, ours].map(|it| it.map(|it| it.to_string()).join(", "));
                wrong.add(Invariant::I3, format!("{}: the provider has {theirs}, we have {ours}", found.reference));
            }
            if refunded.minor() > captured.minor() || captured.minor() + voided.minor() > authorised.minor() {
                wrong.add(Invariant::I3, format!("{}: amounts that cannot be: {theirs:?}", found.reference));
            }
            if is_paid(&found) {
                paid.push(found);
            }
        }
        self.coverage(&paid, wrong);
        Ok(())
    }

    fn coverage(&self, paid: &[Payment], wrong: &mut Wrong) {
        let names = || paid.iter().map(|it| it.reference.as_str()).collect::<Vec<_>>().join(", ");
        let Some(order) = &self.order else {
            for it in paid.iter().filter(|it| keeps(it)) {
                let (captured, authorised) = (it.captured, it.authorised);
                wrong.add(
                    Invariant::I3,
                    format!("{}: {captured} of {authorised} is kept without an order", it.reference),
                );
            }
            return;
        };
        let total = order.priced.totals.total;
        let expected = usize::from(!total.is_zero());
        if paid.len() != expected && order.lifecycle != Lifecycle::Cancelled {
            wrong.add(Invariant::I3, format!("it is paid {} times: {}", paid.len(), names()));
        }
        for it in paid {
            if it.reference != order.payment.reference {
                wrong.add(Invariant::I3, format!("{} pays for it, not {}", it.reference, order.payment.reference));
            }
            if it.captured.minor() > total.minor() {
                wrong.add(Invariant::I3, format!("{} is captured of {total}", it.captured));
            }
        }
        let ours: Money = Money::new(order.payment.captured, order.priced.currency);
        let theirs = paid.iter().map(|it| it.captured.minor()).sum::<i64>();
        if !paid.is_empty() && ours.minor() != theirs {
            wrong.add(Invariant::I3, format!("the order says {} is captured, the provider {theirs}", ours.minor()));
        }
    }
}

/// Whether money was taken or is blocked for it.
fn is_paid(payment: &Payment) -> bool {
    payment.captured.minor() > 0 || payment.authorised.minor() > payment.voided.minor()
}

/// Whether the buyer's money is still with us.
fn keeps(payment: &Payment) -> bool {
    let Payment { authorised, captured, refunded, voided, .. } = payment;
    let blocked = authorised.minor() - captured.minor() - voided.minor();
    blocked > 0 || captured.minor() > refunded.minor() || matches!(payment.status, PaymentState::ActionRequired { .. })
}

/// What its discounts need is claimed for as long as it lives. That it is a customer's order is claimed since
/// there are promotions, so an order from before has no such claim.
async fn uses(shop: &Shop, order: &Order, wrong: &mut Wrong) -> Result<(), StoreError> {
    let lives = matches!(order.lifecycle, Lifecycle::Placed | Lifecycle::Completed);
    for needed in needed(&order.priced, &order.buyer) {
        let claim = promo_use::read_claim(shop.ports.documents.as_ref(), &needed.pool, order.id).await?;
        let live = claim.is_some_and(|it| it.value.state == UseState::Live);
        if live != lives && (live || needed.blame.is_some()) {
            let pool = needed.pool.as_str();
            wrong.add(Invariant::I5, format!("a use of {pool} is claimed: {live}; the order lives: {lives}"));
        }
        if lives && order.works.is_empty() && !needed.bought.is_empty() {
            units_bought(shop, order, &needed, wrong).await?;
        }
    }
    Ok(())
}

/// The longest from a claim to its order.
const CLAIMED_BEFORE: time::Duration = time::Duration::hours(1);

/// What counts against the customer's limits is what the order has kept, as long as it counts at all.
async fn units_bought(shop: &Shop, order: &Order, needed: &Needed, wrong: &mut Wrong) -> Result<(), StoreError> {
    let (bought, _) = promo_use::read_bought(shop.ports.documents.as_ref(), &needed.pool).await?;
    let now = shop.ports.clock.now();
    for (wanted, (sku, kept)) in needed.bought.iter().zip(customer_limits::kept(order)) {
        let counted = bought.iter().find(|it| it.order == order.id && it.sku == sku).map_or(0, |it| it.units);
        // It was claimed shortly before its order was written.
        let lapsed = now - order.created_at >= time::Duration::days(i64::from(wanted.limit.days)) - CLAIMED_BEFORE;
        if counted != kept && !lapsed {
            let detail = format!("{counted} units of {sku} count against the customer, the order has {kept}");
            wrong.add(Invariant::I5, detail);
        }
    }
    Ok(())
}

/// Every unit is open, cancelled or shipped, and whatever is open is promised, unless it waits for goods.
fn units(order: &Order, wrong: &mut Wrong) {
    if let Some(line) = order.units.iter().position(|it| !it.adds_up()) {
        wrong.add(Invariant::I1, format!("line {line} counts {:?}", order.units[line]));
    }
    let refunded = order.payment.refunded;
    if refunded > order.payment.captured {
        wrong.add(Invariant::I3, format!("{refunded} is refunded of {} captured", order.payment.captured));
    }
    let mut skus: Vec<_> = order.priced.lines.iter().map(|it| &it.sku).collect();
    skus.sort_unstable();
    skus.dedup();
    for sku in skus {
        let (open, allocated) = (order.open_units(sku), order.allocated_units(sku));
        if allocated > open {
            wrong.add(Invariant::I1, format!("{allocated} units of {sku} are promised, {open} are open"));
        }
    }
}

/// What stock should have promised to this order at each location: open units, and those that stand packed.
pub(super) fn promised<'a>(order: &'a Order, sku: &'a offpeak_domain::sku::Sku) -> Vec<(String, i64)> {
    let packed = order.fulfilments.iter().filter(|it| it.state == FulfilmentState::Packed).flat_map(|it| &it.parts);
    let mut sums = std::collections::BTreeMap::new();
    for part in order.allocations.iter().chain(packed).filter(|it| it.sku == *sku).flat_map(|it| &it.parts) {
        *sums.entry(part.location.to_string()).or_insert(0) += part.units;
    }
    sums.into_iter().filter(|(_, units)| *units != 0).collect()
}
