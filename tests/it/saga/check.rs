//! What must be true of the world once everything has come to rest, whatever happened before.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::atomic::Ordering,
};

use offpeak::shared::{
    documents::{
        carts::read_cart,
        purchases::{Order, read_checkout, read_order},
        stock::{read_books, read_hold, read_levels},
    },
    operations::{Shop, kept_answers::Rendered},
    ports::{
        clock::Clock as _,
        documents::{Container, Document, Documents as _, PAGE_MAX, Query, Scope},
    },
};
use offpeak_domain::{
    cart::CartState,
    checkout::CheckoutState,
    order::Lifecycle,
    sku::Sku,
    stock::{HoldState, check_i1},
};

use super::{
    acts::call,
    provider::Entry,
    world::{Buyer, World},
};

/// What was found; nothing is right.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn equal<T: PartialEq + Debug>(&mut self, what: impl AsRef<str>, found: T, right: T) {
        if found != right {
            self.0.push(format!("{}: {found:?} instead of {right:?}", what.as_ref()));
        }
    }

    fn holds(&mut self, what: impl AsRef<str>, true_: bool) {
        self.equal(what, true_, true);
    }
}

/// All invariants, for all buyers of a world at rest. Answers who has an order.
pub(super) async fn check(world: &World, buyers: &[Buyer]) -> Result<Vec<bool>, String> {
    let mut faults = Faults::default();
    let mut orders = Vec::new();
    for buyer in buyers {
        orders.push(purchase(world, buyer, &mut faults).await);
    }
    stock(world, buyers, &orders, &mut faults).await;
    outbox(world, &mut faults).await;
    if faults.0.is_empty() { Ok(orders.iter().map(Option::is_some).collect()) } else { Err(faults.0.join("; ")) }
}

async fn purchase(world: &World, buyer: &Buyer, faults: &mut Faults) -> Option<Order> {
    let documents = world.documents.as_ref();
    let order = read_order(documents, buyer.checkout).await.unwrap().map(|it| it.value);
    if let Some(order) = &order {
        faults.holds("no order is left pending", order.lifecycle != Lifecycle::Pending);
    }
    let order = order.filter(|it| it.lifecycle == Lifecycle::Placed);
    let id = buyer.checkout.order();

    let checkout = read_checkout(documents, buyer.checkout).await.unwrap().unwrap().value.checkout;
    match checkout.state {
        CheckoutState::Open => faults.holds("an open checkout has no order", order.is_none()),
        CheckoutState::Placed { .. } => faults.holds("a placed checkout has its order", order.is_some()),
        CheckoutState::Completing(attempt) => faults.0.push(format!("still completing: {:?}", attempt.step)),
    }
    let cart = read_cart(documents, buyer.cart).await.unwrap().unwrap().value.cart.state;
    let right = if order.is_some() { CartState::Ordered { order: id } } else { CartState::Open };
    faults.equal("the cart", cart, right);

    let expected = usize::from(order.is_some());
    let event = format!("order-placed-{id}");
    let placed: BTreeSet<_> =
        world.sent.lock().unwrap().iter().filter(|it| it.subject == "order.placed").map(|it| it.id.clone()).collect();
    faults.equal("events of the order", placed.iter().filter(|it| **it == event).count(), expected);
    let mails =
        world.letters.lock().unwrap().iter().filter(|it| it.event_id == format!("order-confirmation-{id}")).count();
    let most = expected * world.letters_max.load(Ordering::SeqCst);
    faults.holds(format!("letters: {mails}"), (expected..=most).contains(&mails));
    payments(world, buyer, order.as_ref(), faults);
    order
}

/// Either exactly the order's total was taken once, or nothing; and nothing is held besides.
fn payments(world: &World, buyer: &Buyer, order: Option<&Order>, faults: &mut Faults) {
    let ledger = world.provider.ledger();
    let mine: Vec<(&String, &Entry)> =
        ledger.iter().filter(|(_, it)| it.request.checkout_id == buyer.checkout.to_string()).collect();
    for (reference, entry) in &mine {
        faults.holds(format!("nothing is held under {reference}, {entry:?}"), !entry.is_held());
    }
    let captured: Vec<_> = mine
        .iter()
        .filter(|(_, it)| it.captures > 0)
        .map(|(it, entry)| ((*it).clone(), entry.captures, entry.captured))
        .collect();
    let total = order.map(|it| it.priced.totals.total);
    let right = match (order, total) {
        (Some(order), Some(total)) if !total.is_zero() => vec![(order.payment.reference.clone(), 1, total.minor())],
        _ => Vec::new(),
    };
    faults.equal("captures", captured, right);
    if let (Some(order), Some(total)) = (order, total) {
        faults.equal("the total", total, buyer.total);
        faults.equal("the order's captured amount", order.payment.captured, total.minor());
    }
}

async fn stock(world: &World, buyers: &[Buyer], orders: &[Option<Order>], faults: &mut Faults) {
    let documents = world.documents.as_ref();
    let mut sold: BTreeMap<&Sku, i64> = BTreeMap::new();
    for buyer in buyers {
        for (sku, _) in &buyer.lines {
            sold.entry(sku).or_default();
        }
    }
    for order in orders.iter().flatten() {
        for line in &order.priced.lines {
            *sold.entry(&line.sku).or_default() += i64::from(line.quantity.get());
        }
    }
    let now = world.clock.now();
    for (sku, units) in sold {
        let levels = read_levels(documents, sku).await.unwrap().unwrap().value;
        faults.equal(format!("{sku} allocated"), levels.allocated(), units);
        faults.equal(format!("{sku} under live holds"), levels.live_holds(now), 0);
        let books = read_books(documents, sku).await.unwrap();
        faults.equal(format!("{sku} by the books"), check_i1(&levels, &books.holds, &books.entries, now), Vec::new());
        for (buyer, order) in buyers.iter().zip(orders) {
            let Some(hold) = read_hold(documents, sku, buyer.checkout).await.unwrap() else { continue };
            let claimed = hold.value.state == HoldState::Claimed;
            faults.equal(format!("{sku} claimed for {}", buyer.checkout), claimed, order.is_some());
        }
    }
}

/// Every event of a committed change was seen by the broker, and no row waits.
async fn outbox(world: &World, faults: &mut Faults) {
    let sent: BTreeSet<_> = world.sent.lock().unwrap().iter().map(|it| it.id.clone()).collect();
    let mut rows = BTreeSet::new();
    for (_, document) in everything(world).await {
        let Some(event) = document.id.strip_prefix("outbox:") else { continue };
        rows.insert(event.to_owned());
        faults.holds(format!("event {event} reached the broker"), sent.contains(event));
        faults.holds(format!("event {event} is marked sent"), document.body.get("due").is_none());
    }
    // Looks at a checkout are armed without a row.
    for event in sent.iter().filter(|it| !it.starts_with("resume-")) {
        faults.holds(format!("event {event} belongs to a change"), rows.contains(event));
    }
}

/// Every document of the purchase's containers, by place.
pub(super) async fn everything(world: &World) -> BTreeMap<String, Document> {
    let mut all = BTreeMap::new();
    for container in [Container::Purchases, Container::Carts, Container::Stock] {
        let mut query = Query { limit: PAGE_MAX, ..Query::default() };
        loop {
            let page = world.documents.query(container, Scope::Container, &query).await.unwrap();
            for document in page.items {
                all.insert(format!("{} {} {}", container.name(), document.partition, document.id), document);
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
    }
    all
}

/// A key that was answered is answered the same for ever.
pub(super) async fn replays(
    shop: &Shop,
    buyer: &Buyer,
    (key, method): (&str, &str),
    first: &Rendered,
) -> Result<(), String> {
    for _ in 0..2 {
        let again = call(shop, buyer, key, method).await.map_err(|err| format!("a repeat of {key} got {err:?}"))?;
        if (again.status, &again.body) != (first.status, &first.body) {
            return Err(format!("a repeat of {key} got {again:?} instead of {first:?}"));
        }
    }
    Ok(())
}
