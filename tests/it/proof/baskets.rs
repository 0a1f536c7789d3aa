//! Orders that are more than goods and money, completed and changed and ended at any effect: one that costs
//! nothing, one with a limited code and a gift, one whose goods come from three places.
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use http::Method;
use offpeak::shared::ports::documents::Container;
use serde_json::{Value, json};

use super::{
    buyer::{Buyer, good},
    changing::Change,
    enumerate::{Scenario, hold},
    faults::Fate,
    machine::Process,
    rooms::{Answer, Request},
    world::{World, places},
};

/// Fates that leave something new behind: what an end before an effect leaves is what the end after the one before
/// it left, and no answer and no effect is what the caller's next try finds after either.
const TELLING: [Fate; 3] = [Fate::CrashAfter, Fate::Conflict, Fate::LostAfter];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basket {
    /// Two bells for a code that takes off everything, and can be used once.
    Free,
    /// Two bells, 10 % off for a code with limits, and a kite as a limited gift.
    Gift,
    /// Five bells, of which no place has more than two.
    Split,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Complete,
    Change(Change),
}

/// What an order has to show for itself, anywhere in the shop.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    /// `None`: the buyer sees no order.
    lifecycle: Option<String>,
    captured: i64,
    refunded: i64,
    /// On the shelf and promised, everywhere.
    bells: (i64, i64),
    kites: (i64, i64),
    /// Of all promotions, and the customer's orders.
    uses: u64,
}

fn order(lifecycle: &str, money: (i64, i64), bells: (i64, i64), kites: (i64, i64), uses: u64) -> Seen {
    Seen { lifecycle: Some(lifecycle.to_owned()), captured: money.0, refunded: money.1, bells, kites, uses }
}

async fn units(world: &Arc<World>, sku: &str) -> (i64, i64) {
    let answer = Request::new(Method::GET, format!("v1/manage/stock/{sku}")).staff().send(&world.calm()).await;
    let stock = good(answer).json();
    let sum = |name: &str| stock["levels"].as_array().unwrap().iter().map(|it| it[name].as_i64().unwrap()).sum();
    (sum("onHand"), sum("allocated"))
}

async fn seen(world: &Arc<World>, buyer: &Buyer) -> Seen {
    let answer = buyer.see_order(&world.calm()).await;
    let lifecycle = answer.json()["lifecycle"].as_str().filter(|it| *it != "failed").map(ToOwned::to_owned);
    let ledger = world.provider.ledger();
    let mine: Vec<_> = ledger.values().filter(|it| it.checkout == buyer.checkout()).collect();
    let counters = world.store.everything(Container::PromoUse).await;
    let counters = counters.values().filter(|it| it["type"] == "counter");
    Seen {
        lifecycle,
        captured: mine.iter().map(|it| it.captured).sum(),
        refunded: mine.iter().map(|it| it.refunded).sum(),
        bells: units(world, "BELL").await,
        kites: units(world, "KITE").await,
        uses: counters.map(|it| it["live"].as_u64().unwrap()).sum(),
    }
}

async fn promotion(world: &Arc<World>, id: &str, form: &Value) {
    let request = Request::new(Method::PUT, format!("v1/manage/promotions/{id}")).staff().header("if-match", "*");
    good(request.json(form).send(&world.calm()).await);
}

fn percent_off(percent: u32, code: &str, uses: &Value) -> Value {
    json!({
        "title": format!("{percent} % off"),
        "trigger": { "coded": { "codes": [code] } },
        "effect": { "order_percent": { "millionths": percent * 10_000 } },
        "combinesWith": ["product"],
        "uses": uses,
    })
}

impl Basket {
    async fn at_checkout(self, world: &Arc<World>) -> Buyer {
        match self {
            Basket::Free => {
                promotion(world, "free", &percent_off(100, "FREE", &json!({ "total": 1, "perCustomer": 1 }))).await;
            }
            Basket::Gift => {
                promotion(world, "ten", &percent_off(10, "TEN", &json!({ "total": 2, "perCustomer": 1 }))).await;
                let gift = json!({
                    "title": "A kite for nothing", "trigger": "automatic", "combinesWith": ["order"],
                    "effect": { "gift": { "sku": "KITE", "units": 1 } }, "uses": { "total": 3 },
                });
                promotion(world, "kite", &gift).await;
            }
            Basket::Split => places(world, "BELL", &[("main", 2), ("north", 2), ("south", 1)]).await,
        }
        let mut buyer = Buyer::at_checkout(world, &[("BELL", if self == Basket::Split { 5 } else { 2 })]).await;
        let code = match self {
            Basket::Free => "FREE",
            Basket::Gift => "TEN",
            Basket::Split => return buyer,
        };
        buyer.code(&world.calm(), code).await;
        buyer.start(&world.calm(), "ada@example.org").await;
        buyer
    }

    /// The order that comes of it.
    fn placed(self) -> Seen {
        match self {
            Basket::Free => order("placed", (0, 0), (5, 2), (5, 0), 2),
            Basket::Gift => order("placed", (900, 0), (5, 2), (5, 1), 3),
            Basket::Split => order("placed", (2_500, 0), (5, 5), (5, 0), 1),
        }
    }

    /// What one bell of it cost.
    fn bell(self) -> i64 {
        match self {
            Basket::Free => 0,
            Basket::Gift => 450,
            Basket::Split => 500,
        }
    }
}

impl Step {
    /// Before, and after.
    fn ends(self, basket: Basket) -> [Seen; 2] {
        let placed = basket.placed();
        let (bells, kites) = (placed.bells, placed.kites);
        let shipped = Seen {
            lifecycle: Some("completed".to_owned()),
            bells: (bells.0 - bells.1, 0),
            kites: (kites.0 - kites.1, 0),
            ..placed.clone()
        };
        let less = |seen: &Seen, bells| Seen { bells, refunded: basket.bell(), ..seen.clone() };
        match self {
            Step::Complete => {
                let nothing =
                    Seen { lifecycle: None, captured: 0, bells: (5, 0), kites: (5, 0), uses: 0, ..placed.clone() };
                [nothing, placed]
            }
            Step::Change(Change::CancelAll) => {
                let (bells, kites) = ((bells.0, 0), (kites.0, 0));
                let gone = order("cancelled", (placed.captured, placed.captured), bells, kites, 0);
                [placed, gone]
            }
            Step::Change(Change::CancelOne) => [placed.clone(), less(&placed, (bells.0, bells.1 - 1))],
            Step::Change(Change::Fulfil) => [placed, shipped],
            Step::Change(Change::FulfilOne) => {
                let one = Seen { bells: (bells.0 - 1, bells.1 - 1), ..placed.clone() };
                [placed, one]
            }
            Step::Change(Change::RefundOne) => [placed.clone(), less(&placed, bells)],
            Step::Change(Change::InspectReturn) => [shipped.clone(), less(&shipped, (shipped.bells.0 + 1, 0))],
        }
    }
}

struct Purchase(Basket, Step);

impl Scenario for Purchase {
    fn name(&self) -> String {
        format!("{:?}, {:?}", self.0, self.1)
    }

    fn fates(&self) -> &'static [Fate] {
        &TELLING
    }

    fn set<'a>(&'a self, world: &'a Arc<World>) -> LocalBoxFuture<'a, Buyer> {
        Box::pin(async move {
            let buyer = self.0.at_checkout(world).await;
            if let Step::Change(change) = self.1 {
                let calm = world.calm();
                good(buyer.complete(&calm, "first", "approve").await);
                change.lead_up(&calm, &buyer).await;
                world.settle().await;
            }
            buyer
        })
    }

    fn call<'a>(
        &'a self,
        _world: &'a Arc<World>,
        process: &'a Process,
        buyer: &'a Buyer,
    ) -> LocalBoxFuture<'a, Option<Answer>> {
        Box::pin(async move {
            match self.1 {
                Step::Complete => buyer.complete(process, "first", "approve").await,
                Step::Change(change) => change.ask(process, buyer).await,
            }
        })
    }

    fn check<'a>(
        &'a self,
        world: &'a Arc<World>,
        buyer: &'a Buyer,
        again: bool,
    ) -> LocalBoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let (found, [before, after]) = (seen(world, buyer).await, self.1.ends(self.0));
            if found == after || found == before && !again { Ok(()) } else { Err(format!("{found:?}, not {after:?}")) }
        })
    }
}

#[test]
fn p4_a_crash_anywhere_in_a_free_a_limited_or_a_split_order_places_all_of_it_or_nothing() {
    let all = [Basket::Free, Basket::Gift, Basket::Split].map(|it| Purchase(it, Step::Complete));
    hold(&all.each_ref().map(|it| it as &dyn Scenario), 200);
}

#[test]
fn p17_a_crash_anywhere_in_a_change_of_a_free_a_limited_or_a_split_order_is_finished_or_never_was() {
    let changes = [
        (Basket::Free, Change::CancelAll),
        (Basket::Free, Change::InspectReturn),
        (Basket::Gift, Change::CancelAll),
        (Basket::Gift, Change::CancelOne),
        (Basket::Gift, Change::Fulfil),
        (Basket::Gift, Change::RefundOne),
        (Basket::Gift, Change::InspectReturn),
        (Basket::Split, Change::CancelAll),
        (Basket::Split, Change::CancelOne),
        (Basket::Split, Change::Fulfil),
        (Basket::Split, Change::FulfilOne),
        (Basket::Split, Change::InspectReturn),
    ];
    let all = changes.map(|(basket, change)| Purchase(basket, Step::Change(change)));
    hold(&all.each_ref().map(|it| it as &dyn Scenario), 100);
}
