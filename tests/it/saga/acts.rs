//! What people and brokers do: buy and insist, deliver in time, deliver everything again in any order.
use std::collections::HashSet;

use bytes::Bytes;
use offpeak::shared::{
    host::problem::Problem,
    operations::{
        Shop,
        complete_checkout::{CompleteCheckout, CompleteError, Outcome, complete_checkout, resume_checkout},
        kept_answers::Rendered,
        outbox::relay_outbox,
        send_email::{EntryMail, OrderMail, send_order_mail},
    },
    ports::{bus::Message, clock::Clock as _, documents::StoreError, payments::PaymentError},
    views::order::OrderView,
};
use offpeak_domain::{
    checkout::PaymentChoice,
    ids::{CheckoutId, OrderId},
};
use serde_json::{Value, json};

use super::world::{Buyer, World};

/// How often a broker delivers a message before it gives up; as the entities say.
const DELIVERIES_MAX: u32 = 10;

/// One way to pay, and what is to come of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) method: &'static str,
    /// What the buyer does at the bank; `None`: never comes back.
    pub(super) bank: Option<bool>,
    pub(super) price: &'static str,
    pub(super) units: [u32; 2],
    /// Whether an order comes of it.
    pub(super) placed: bool,
}

const APPROVE: Scenario =
    Scenario { name: "approve", method: "approve", bank: None, price: "5.00", units: [2, 1], placed: true };

/// Five units of each SKU are on the shelf.
pub(super) const SCENARIOS: [Scenario; 8] = [
    APPROVE,
    Scenario { name: "decline", method: "decline", placed: false, ..APPROVE },
    Scenario { name: "challenge, approved", method: "challenge", bank: Some(true), ..APPROVE },
    Scenario { name: "challenge, declined", method: "challenge", bank: Some(false), placed: false, ..APPROVE },
    Scenario { name: "challenge, never answered", method: "challenge", placed: false, ..APPROVE },
    Scenario { name: "answer lost", method: "timeout", ..APPROVE },
    Scenario { name: "provider away once", method: "unavailable", ..APPROVE },
    Scenario { name: "second line short", units: [2, 6], placed: false, ..APPROVE },
];

pub(super) fn scenario(name: &str) -> Scenario {
    SCENARIOS.into_iter().find(|it| it.name == name).unwrap()
}

/// As the room does it: what a repeat must get again.
fn render(outcome: &Outcome) -> Rendered {
    let (status, body) = match outcome {
        Outcome::Placed(order) => (200, serde_json::to_vec(&OrderView::from(order.as_ref()))),
        Outcome::ActionRequired { url } => (202, serde_json::to_vec(&json!({ "url": url }))),
        Outcome::Refused(refusal) => {
            let problem = Problem::from(refusal);
            (problem.status().as_u16(), serde_json::to_vec(&problem.to_json()))
        }
    };
    Rendered { status, body: Bytes::from(body.unwrap()) }
}

/// One call.
pub(crate) async fn call(shop: &Shop, buyer: &Buyer, key: &str, method: &str) -> Result<Rendered, CompleteError> {
    let command = CompleteCheckout {
        checkout: buyer.checkout,
        token: buyer.token.clone(),
        idempotency_key: key.to_owned(),
        expected_total: buyer.total,
        payment: PaymentChoice { method: method.to_owned(), ..PaymentChoice::default() },
    };
    Box::pin(complete_checkout(shop, &command, render)).await.map(|it| it.rendered)
}

/// Calls until the answer is final, as a patient client does.
pub(crate) async fn buy(
    world: &World,
    shop: &Shop,
    buyer: &Buyer,
    key: &str,
    (method, bank): (&str, Option<bool>),
) -> Result<Rendered, String> {
    for _ in 0..60 {
        match call(shop, buyer, key, method).await {
            Ok(answer) if answer.status != 202 => return Ok(answer),
            Ok(_) => match bank {
                Some(yes) => world.provider.answer_challenges(yes),
                None => world.clock.advance(120),
            },
            Err(CompleteError::InProgress { retry_after_s }) => world.clock.advance(i64::from(retry_after_s)),
            Err(
                CompleteError::Store(StoreError::Unavailable(_)) | CompleteError::Payment(PaymentError::Unavailable(_)),
            ) => world.clock.advance(2),
            Err(err) => return Err(format!("{key} got {err:?}")),
        }
    }
    Err(format!("{key} got no final answer in 60 calls"))
}

/// Gives a message to its function.
async fn deliver(shop: &Shop, message: &Message) -> Result<(), String> {
    let body: Value = serde_json::from_str(&message.body).unwrap();
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap();
    let done = match message.destination.as_str() {
        "checkouts" => {
            let id = CheckoutId::parse(text("checkoutId")).unwrap();
            Box::pin(resume_checkout(shop, id, text("name"))).await.map_err(|err| format!("{err:?}"))
        }
        "mail" => {
            let id = OrderId::parse(text("orderId")).unwrap();
            let mail = match text("kind") {
                "order_confirmation" => OrderMail::Confirmation,
                "order_shortfall" => OrderMail::Shortfall,
                kind => {
                    let kind = match kind {
                        "order_shipped" => EntryMail::Shipped,
                        "order_refunded" => EntryMail::Refunded,
                        _ => EntryMail::Cancelled,
                    };
                    let number = body["entry"].as_u64().unwrap().try_into().unwrap();
                    OrderMail::Entry { kind, number }
                }
            };
            Box::pin(send_order_mail(shop, mail, id)).await.map_err(|err| format!("{err:?}"))
        }
        _ => Ok(()),
    };
    done.map_err(|err| format!("{}: {err}", message.id))
}

/// Delivers again, at once as brokers do, until it is worked on; one that never is ends as a dead letter.
async fn insist(shop: &Shop, message: &Message) -> Result<(), String> {
    let mut last = String::new();
    for _ in 0..DELIVERIES_MAX {
        match deliver(shop, message).await {
            Ok(()) => return Ok(()),
            Err(err) => last = err,
        }
    }
    Err(format!("dead letter {last}"))
}

/// The broker and the sweep, and nobody else: each message once, when its time has come, until none is left.
pub(super) async fn only_messages(world: &World, shop: &Shop, bank: Option<bool>) -> Result<(), String> {
    let mut seen = HashSet::new();
    let mut idle = 0;
    for _ in 0..200 {
        world.clock.advance(6);
        // A sweep that fails comes again.
        if relay_outbox(shop).await.is_err() {
            idle = 0;
        }
        if let Some(yes) = bank {
            world.provider.answer_challenges(yes);
        }
        let next =
            waiting(world, &seen).into_iter().min_by_key(|it| it.scheduled.map(time::OffsetDateTime::unix_timestamp));
        let Some(next) = next else {
            idle += 1;
            // Rows become due some seconds after they were written.
            if idle > 1 {
                return Ok(());
            }
            continue;
        };
        idle = 0;
        wait_for(world, &next);
        seen.insert(next.id.clone());
        insist(shop, &next).await?;
    }
    Err("messages without end".to_owned())
}

/// What the broker has and nobody got; it drops repeats of an id. Looks that come hours later are not waited for:
/// by then every hold has lapsed by itself, and a hold that is kept could not be told from one that is not.
fn waiting(world: &World, seen: &HashSet<String>) -> Vec<Message> {
    let mut known = seen.clone();
    let sent = world.sent.lock().unwrap();
    sent.iter().filter(|it| !it.id.contains("-release-") && known.insert(it.id.clone())).cloned().collect()
}

fn wait_for(world: &World, message: &Message) {
    if let Some(at) = message.scheduled {
        let left = (at - world.clock.now()).whole_seconds();
        world.clock.advance(left.max(0));
    }
}

/// The end of all things: the sweep, then every message twice in an order drawn by `seed`.
pub(crate) async fn settle(world: &World, shop: &Shop, seed: u64) -> Result<(), String> {
    let mut seen = HashSet::new();
    for round in 0..20 {
        world.clock.advance(6);
        relay_outbox(shop).await.map_err(|err| format!("the sweep: {err:?}"))?;
        let new = waiting(world, &seen);
        if new.is_empty() {
            return Ok(());
        }
        for message in &new {
            seen.insert(message.id.clone());
            wait_for(world, message);
        }
        let mut twice: Vec<_> = new.iter().chain(&new).collect();
        shuffle(&mut twice, seed + round);
        for message in twice {
            insist(shop, message).await?;
        }
    }
    Err("messages without end".to_owned())
}

fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    for last in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(state >> 33).unwrap() % (last + 1);
        items.swap(last, at);
    }
}
