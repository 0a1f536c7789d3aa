//! What staff and the provider do to a placed order, ended at any effect: cancel, fulfil, refund, return, and
//! the webhook that tells what happened to its money.
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use http::Method;
use serde_json::{Value, json};

use super::{
    broker::Manners,
    buyer::{Buyer, good},
    chance::Chance,
    enumerate::{Scenario, hold},
    machine::Process,
    planted::Planted,
    rest::at_rest,
    rooms::{Answer, Request, tick},
    time::{in_virtual_time, pass},
    world::World,
};

/// What can be seen of an order from outside: refunded in minor units, bells on the shelf, bells promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    refunded: Refunded,
    on_hand: i64,
    allocated: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refunded {
    Nothing,
    Part,
    All,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    CancelAll,
    CancelOne,
    Fulfil,
    FulfilOne,
    RefundOne,
    InspectReturn,
}

const BELLS: i64 = 5;

async fn staff(process: &Process, method: Method, path: String, key: &str, body: &Value) -> Option<Answer> {
    Request::new(method, path).staff().header("idempotency-key", key).json(body).send(process).await
}

async fn seen(world: &Arc<World>, buyer: &Buyer) -> Seen {
    let request = Request::new(Method::GET, "v1/manage/stock/BELL").staff();
    let stock = good(request.send(&world.calm()).await).json()["levels"][0].clone();
    let ledger = world.provider.ledger();
    let paid = ledger.values().find(|it| it.checkout == buyer.checkout() && it.captured > 0).unwrap();
    Seen {
        refunded: match paid.refunded {
            0 => Refunded::Nothing,
            it if it == paid.captured => Refunded::All,
            _ => Refunded::Part,
        },
        on_hand: stock["onHand"].as_i64().unwrap(),
        allocated: stock["allocated"].as_i64().unwrap(),
    }
}

impl Change {
    fn path(self, buyer: &Buyer) -> String {
        let at = match self {
            Change::CancelAll | Change::CancelOne => "cancel",
            Change::Fulfil | Change::FulfilOne => "fulfilments",
            Change::RefundOne => "refunds",
            Change::InspectReturn => "returns",
        };
        format!("v1/manage/orders/{}/{at}", buyer.order())
    }

    fn body(self) -> Value {
        let one = json!([{ "line": 1, "quantity": 1 }]);
        match self {
            Change::CancelAll | Change::Fulfil => json!({}),
            Change::CancelOne | Change::FulfilOne | Change::RefundOne => json!({ "lines": one }),
            Change::InspectReturn => {
                json!({ "status": "inspected", "lines": [{ "line": 1, "received": 1, "restock": 1 }] })
            }
        }
    }

    /// What must have happened to a placed order before.
    pub(super) async fn lead_up(self, calm: &Process, buyer: &Buyer) {
        if matches!(self, Change::InspectReturn) {
            let ship = Change::Fulfil.path(buyer);
            good(staff(calm, Method::POST, ship, "ship", &json!({})).await);
            let body = json!({ "lines": [{ "line": 1, "quantity": 1 }] });
            good(staff(calm, Method::POST, self.path(buyer), "return", &body).await);
            let body = json!({ "status": "received", "lines": [{ "line": 1, "received": 1 }] });
            good(put_return(calm, buyer, &body).await);
        }
    }

    /// One call; `None` if the process ended first.
    pub(super) async fn ask(self, process: &Process, buyer: &Buyer) -> Option<Answer> {
        match self {
            Change::InspectReturn => put_return(process, buyer, &self.body()).await,
            _ => staff(process, Method::POST, self.path(buyer), "change", &self.body()).await,
        }
    }

    /// Before, and after.
    fn ends(self) -> [Seen; 2] {
        let seen = |refunded, on_hand, allocated| Seen { refunded, on_hand, allocated };
        let placed = seen(Refunded::Nothing, BELLS, 2);
        match self {
            Change::CancelAll => [placed, seen(Refunded::All, BELLS, 0)],
            Change::CancelOne => [placed, seen(Refunded::Part, BELLS, 1)],
            Change::Fulfil => [placed, seen(Refunded::Nothing, BELLS - 2, 0)],
            Change::FulfilOne => [placed, seen(Refunded::Nothing, BELLS - 1, 1)],
            Change::RefundOne => [placed, seen(Refunded::Part, BELLS, 2)],
            Change::InspectReturn => [seen(Refunded::Nothing, BELLS - 2, 0), seen(Refunded::Part, BELLS - 1, 0)],
        }
    }
}

impl Scenario for Change {
    fn name(&self) -> String {
        format!("{self:?}")
    }

    fn set<'a>(&'a self, world: &'a Arc<World>) -> LocalBoxFuture<'a, Buyer> {
        Box::pin(async move {
            let buyer = Buyer::at_checkout(world, &[("BELL", 2), ("KITE", 1)]).await;
            let calm = world.calm();
            good(buyer.complete(&calm, "first", "approve").await);
            self.lead_up(&calm, &buyer).await;
            world.settle().await;
            buyer
        })
    }

    fn call<'a>(
        &'a self,
        _world: &'a Arc<World>,
        process: &'a Process,
        buyer: &'a Buyer,
    ) -> LocalBoxFuture<'a, Option<Answer>> {
        Box::pin(self.ask(process, buyer))
    }

    fn check<'a>(
        &'a self,
        world: &'a Arc<World>,
        buyer: &'a Buyer,
        again: bool,
    ) -> LocalBoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let (found, [before, after]) = (seen(world, buyer).await, self.ends());
            if found == after || found == before && !again { Ok(()) } else { Err(format!("it is {found:?}")) }
        })
    }
}

/// The one return of an order, changed on whatever version it has.
async fn put_return(process: &Process, buyer: &Buyer, body: &Value) -> Option<Answer> {
    let path = format!("v1/manage/orders/{}", buyer.order());
    let shown = Request::new(Method::GET, path.clone()).staff().send(process).await?;
    if shown.status != 200 {
        return Some(shown);
    }
    let etag = shown.headers["etag"].to_str().unwrap().to_owned();
    let id = shown.json()["returns"][0]["id"].as_str().unwrap().to_owned();
    let request = Request::new(Method::PUT, format!("{path}/returns/{id}")).staff().header("if-match", etag);
    let mut answer = request.json(body).send(process).await?;
    if answer.status == 412 {
        // Someone else was faster; staff looks again.
        answer.status = 503;
    }
    Some(answer)
}

#[test]
fn p17_a_crash_anywhere_in_a_cancel_or_a_fulfilment_is_finished_or_never_was() {
    hold(&[&Change::CancelAll, &Change::CancelOne, &Change::Fulfil, &Change::FulfilOne], 100);
}

#[test]
fn p17_a_crash_anywhere_in_a_refund_or_a_return_is_finished_or_never_was() {
    hold(&[&Change::RefundOne, &Change::InspectReturn], 50);
}

/// P19, as far as there is an edit: taking units off changes no price of the others, and of two who do it at
/// once one is first and neither is done twice.
#[test]
fn p19_two_changes_at_once_are_two_changes_or_one_refusal() {
    in_virtual_time(async {
        for seed in 0..20 {
            let world = World::new(seed, Planted::Nothing, Manners::GOOD, &Change::CancelAll.goods()).await;
            let buyer = Change::CancelOne.set(&world).await;
            let body = json!({ "lines": [{ "line": 1, "quantity": 2 }] });
            let (one, two) = (world.calm(), world.calm());
            let path = || Change::CancelOne.path(&buyer);
            let later = async {
                for _ in 0..Chance::stream(seed, "later").below(20) {
                    tokio::task::yield_now().await;
                }
                staff(&two, Method::POST, path(), "two", &body).await.unwrap()
            };
            let (first, second) = tokio::join!(staff(&one, Method::POST, path(), "one", &body), later);
            let first = first.unwrap();
            let mut statuses = [first.status, second.status];
            statuses.sort_unstable();
            assert!(statuses[0] == 200 && statuses[1] >= 400, "{statuses:?} {} {}", first.json(), second.json());
            world.settle().await;
            let found = seen(&world, &buyer).await;
            assert_eq!((found.allocated, found.refunded), (0, Refunded::Part));
            at_rest(&world).await.unwrap();
        }
    });
}

/// Tells the shop that something happened to a payment.
async fn tell(process: &Process, id: &str, reference: &str) -> Option<Answer> {
    let body = json!({ "id": id, "reference": reference });
    Request::new(Method::POST, "v1/payments/webhooks/sandbox").json(&body).send(process).await
}

/// The webhook of a payment whose buyer never comes back.
struct Told;

impl Scenario for Told {
    fn name(&self) -> String {
        "webhook".to_owned()
    }

    fn set<'a>(&'a self, world: &'a Arc<World>) -> LocalBoxFuture<'a, Buyer> {
        Box::pin(async move {
            let buyer = Buyer::at_checkout(world, &[("BELL", 2)]).await;
            let answer = buyer.complete(&world.calm(), "first", "challenge").await.unwrap();
            assert_eq!(answer.status, 202, "{}", answer.json());
            world.provider.answer_challenges(true);
            buyer
        })
    }

    fn call<'a>(
        &'a self,
        _world: &'a Arc<World>,
        process: &'a Process,
        buyer: &'a Buyer,
    ) -> LocalBoxFuture<'a, Option<Answer>> {
        Box::pin(async move { tell(process, "evt_1", &format!("pay_{}_1", buyer.ulid)).await })
    }

    fn check<'a>(
        &'a self,
        world: &'a Arc<World>,
        buyer: &'a Buyer,
        _again: bool,
    ) -> LocalBoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let order = buyer.see_order(&world.calm()).await;
            if order.status == 200 { Ok(()) } else { Err(format!("the buyer has paid and got {}", order.json())) }
        })
    }
}

#[test]
fn p5_a_crash_anywhere_in_a_webhook_loses_no_paid_order() {
    hold(&[&Told], 20);
}

/// The webhook comes at every moment of the completion, up to five times, and again three days later.
async fn told_at(moment: u32, copies: usize) -> Result<bool, String> {
    let world = World::new(u64::from(moment), Planted::Nothing, Manners::BAD, &Change::CancelAll.goods()).await;
    let buyer = Buyer::at_checkout(&world, &[("BELL", 2), ("KITE", 1)]).await;
    let reference = format!("pay_{}_1", buyer.ulid);
    let (buying, telling) = (world.calm(), world.calm());
    let told = async {
        while buying.faults.count() < moment && buying.faults.count() < 40 {
            tokio::task::yield_now().await;
            if world.store.trace().len() > 5_000 {
                break;
            }
        }
        for copy in 0..copies {
            // Before there is a payment, nobody knows it; the provider tells again later.
            tell(&telling, &format!("evt_{}", copy / 2), &reference).await;
        }
    };
    let (answer, ()) = tokio::join!(
        async {
            let answer = buyer.complete(&buying, "first", "approve").await;
            // Whoever waits for a moment that never comes stops waiting.
            buying.faults.skip_to(40);
            answer
        },
        told
    );
    let mut answer = answer.unwrap();
    for _ in 0..20 {
        if answer.is_final() {
            break;
        }
        pass(u64::from(answer.retry_after_s.unwrap_or(1))).await;
        answer = buyer.complete(&world.calm(), "first", "approve").await.unwrap();
    }
    if answer.status != 200 || answer.json()["id"] != buyer.order() {
        return Err(format!("the buyer got {} {}", answer.status, answer.json()));
    }
    pass(3 * 24 * 3_600).await;
    tell(&world.calm(), "evt_late", &reference).await;
    tick(&world.calm()).await;
    world.settle().await;
    let placed = world
        .broker
        .sent()
        .iter()
        .filter(|it| it.subject == "order.placed")
        .map(|it| it.id.clone())
        .collect::<std::collections::BTreeSet<_>>();
    if placed.len() != 1 {
        return Err(format!("{} events say that it was placed", placed.len()));
    }
    at_rest(&world).await.map(|()| true)
}

#[test]
fn p5_a_webhook_at_any_moment_gives_the_same_order() {
    for moment in 0..24 {
        for copies in [0, 1, 5] {
            if let Err(err) = in_virtual_time(Box::pin(told_at(moment, copies))) {
                panic!("{copies} webhooks at effect {moment}: {err}");
            }
        }
    }
}
