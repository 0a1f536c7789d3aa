//! Changes of placed orders, killed and disturbed at every effect, and against each other: P17 and P18 through the
//! operations.
//!
//! Whatever the case, the order ends as it would have without it, or as if the call had never been made; and its
//! units, its stock, its money and its timeline explain each other.
use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use offpeak::shared::{
    documents::{
        Seen,
        purchases::{read_order, read_timeline},
        stock::read_levels,
    },
    operations::{
        Shop,
        kept_answers::Rendered,
        orders::{
            Asked, Caller, CancelOrder, ChangeOrderReturn, FulfilOrder, OrderError, RefundOrder, RequestReturn,
            cancel_order, change_return, fulfil_order, refund_order, request_return,
        },
    },
    ports::documents::StoreError,
};
use offpeak_domain::{
    money::Money,
    order::{
        ChangeReturn, Fulfil, FulfilmentState, LineAsk, LineUnits, Order, OrderPayment, RefundAsk, RefundState,
        ReturnLine, ReturnState,
    },
};

use super::{
    Cases,
    acts::{buy, settle},
    check::everything,
    effects::{Effects, Fate},
    world::{Buyer, Planted, World},
};

const ON_HAND: i64 = 5;

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Cancel,
    CancelOne,
    FulfilOne,
    FulfilAll,
    RefundOne,
    RefundAll,
    RefundShipping,
    RefundAmount,
    AskReturn,
    /// Everything of the first return came, one unit of it damaged.
    Receive,
    Inspect,
}

/// What was done before, and what is disturbed.
struct Scene {
    before: &'static [Step],
    steps: &'static [Step],
}

const SCENES: [Scene; 8] = [
    Scene { before: &[], steps: &[Step::Cancel] },
    Scene { before: &[], steps: &[Step::CancelOne] },
    Scene { before: &[], steps: &[Step::FulfilOne] },
    Scene { before: &[Step::CancelOne], steps: &[Step::FulfilAll] },
    Scene { before: &[], steps: &[Step::RefundOne] },
    Scene { before: &[Step::RefundOne], steps: &[Step::RefundAmount, Step::RefundAll] },
    Scene { before: &[Step::FulfilAll], steps: &[Step::AskReturn, Step::Receive, Step::Inspect] },
    Scene { before: &[Step::FulfilOne], steps: &[Step::RefundAmount] },
];

fn render(order: &Seen<Order>, changed: Option<&str>) -> Rendered {
    Rendered { status: 200, body: Bytes::from(format!("{changed:?} {}", summary(&order.value))) }
}

/// What a person would compare: everything but times.
fn summary(order: &Order) -> String {
    let refunds: Vec<_> = order.refunds.iter().map(|it| (it.amount, &it.lines, it.shipping, &it.state)).collect();
    let returns: Vec<_> = order.returns.iter().map(|it| (it.state, &it.lines)).collect();
    let sent: Vec<_> = order.fulfilments.iter().map(|it| (it.state, &it.lines)).collect();
    let OrderPayment { authorised, captured, refunded, voided, .. } = order.payment;
    let money = [authorised, captured, refunded, voided];
    format!(
        "{:?} {:?} {:?} {:?} {money:?} {refunds:?} {returns:?} {sent:?}",
        order.lifecycle, order.payment_status, order.fulfilment_status, order.units
    )
}

struct Stage {
    world: Arc<World>,
    buyer: Buyer,
    calm: Shop,
}

impl Stage {
    /// An order of two and one units, paid for; what came before is done.
    async fn new(before: &[Step]) -> Stage {
        let world = World::new(Planted::Nothing, ON_HAND, "5.00").await;
        let calm = world.process(&Effects::all_well());
        let buyer = world.buyer(&calm, [2, 1]).await;
        buy(&world, &calm, &buyer, "buy", ("approve", None)).await.unwrap();
        settle(&world, &calm, 0).await.unwrap();
        let stage = Stage { world, buyer, calm };
        for step in before {
            stage.insist(&stage.calm, *step, "before").await.unwrap();
        }
        stage
    }

    async fn order(&self) -> Order {
        read_order(self.world.documents.as_ref(), self.buyer.checkout).await.unwrap().unwrap().value
    }

    async fn call(&self, shop: &Shop, step: Step, key: &str) -> Result<Rendered, OrderError> {
        let by_buyer = matches!(step, Step::Cancel | Step::AskReturn);
        let caller = if by_buyer {
            Caller::Customer { token: self.buyer.token.clone() }
        } else {
            Caller::Staff { subject: "ada".to_owned() }
        };
        let idempotency_key = Some(format!("{key}-{step:?}"));
        let request = format!("{step:?}");
        let asked = Asked { order: self.buyer.checkout.order(), caller, idempotency_key, if_match: None, request };
        let one = || vec![LineAsk { line: 0, units: 1 }];
        let cancel = |lines| CancelOrder { asked: asked.clone(), lines, reason: None, keep_money: false };
        let fulfil =
            |lines| FulfilOrder { asked: asked.clone(), fulfil: Fulfil { lines, shipped: true, ..Fulfil::default() } };
        let refund = |refund| RefundOrder { asked: asked.clone(), refund, reason: None };
        let goods = |lines, shipping| refund(RefundAsk::Goods { lines, shipping });
        let done = match step {
            Step::Cancel => cancel_order(shop, &cancel(None), render).await,
            Step::CancelOne => cancel_order(shop, &cancel(Some(one())), render).await,
            Step::FulfilOne => fulfil_order(shop, &fulfil(Some(one())), render).await,
            Step::FulfilAll => fulfil_order(shop, &fulfil(None), render).await,
            Step::RefundOne => refund_order(shop, &goods(one(), false), render).await,
            Step::RefundShipping => refund_order(shop, &goods(Vec::new(), true), render).await,
            Step::RefundAll => {
                let order = self.order().await;
                let lines = order.units.iter().enumerate();
                let lines = lines.map(|(line, it)| LineAsk { line, units: it.refundable() });
                refund_order(shop, &goods(lines.filter(|it| it.units > 0).collect(), false), render).await
            }
            Step::RefundAmount => {
                let amount = Money::new(123, self.buyer.total.currency());
                refund_order(shop, &refund(RefundAsk::Amount(amount)), render).await
            }
            Step::AskReturn => {
                let lines = vec![LineAsk { line: 0, units: 1 }, LineAsk { line: 1, units: 1 }];
                request_return(shop, &RequestReturn { asked, lines, reason: None }, render).await
            }
            Step::Receive => change_return(shop, &self.change(asked, ReturnState::Received).await, render).await,
            Step::Inspect => change_return(shop, &self.change(asked, ReturnState::Inspected).await, render).await,
        };
        done.map(|it| it.rendered)
    }

    /// The first return moved on. A return that waits for approval is approved on the way.
    async fn change(&self, asked: Asked, state: ReturnState) -> ChangeOrderReturn {
        let order = self.order().await;
        let Some(it) = order.returns.first() else {
            let change = ChangeReturn { state, lines: Vec::new(), refund: true, location: None, note: None };
            return ChangeOrderReturn { asked, return_id: "none".to_owned(), change };
        };
        let (state, lines) = match state {
            _ if it.state == ReturnState::Requested => (ReturnState::Approved, Vec::new()),
            ReturnState::Received => {
                let line = |it: &ReturnLine| ReturnLine { received: it.requested, ..*it };
                (state, it.lines.iter().map(line).collect())
            }
            _ => {
                let decided = |place: usize, it: &ReturnLine| {
                    let damaged = u32::from(place == 0).min(it.received);
                    ReturnLine { damaged, restock: it.received - damaged, ..*it }
                };
                (state, it.lines.iter().enumerate().map(|(place, it)| decided(place, it)).collect())
            }
        };
        let change = ChangeReturn { state, lines, refund: true, location: None, note: None };
        ChangeOrderReturn { asked, return_id: it.id.clone(), change }
    }

    /// Calls until the answer is final, as a patient client does; a refusal is an answer.
    async fn insist(&self, shop: &Shop, step: Step, key: &str) -> Result<Option<Rendered>, String> {
        for _ in 0..60 {
            // A buyer's return is approved before it is received.
            let calls = if step == Step::Receive { 2 } else { 1 };
            let mut last = None;
            for call in 0..calls {
                last = Some(Box::pin(self.call(shop, step, &format!("{key}{call}"))).await);
                if !matches!(last, Some(Ok(_))) {
                    break;
                }
            }
            match last {
                Some(Ok(rendered)) => return Ok(Some(rendered)),
                Some(Err(OrderError::Refused(_))) => return Ok(None),
                Some(Err(OrderError::Busy | OrderError::Store(StoreError::Unavailable(_)))) => {
                    self.world.clock.advance(2);
                }
                other => return Err(format!("{step:?} got {other:?}")),
            }
        }
        Err(format!("{step:?} got no final answer"))
    }

    async fn all(&self, shop: &Shop, steps: &[Step], key: &str) -> Result<(), String> {
        for step in steps {
            self.insist(shop, *step, key).await?;
        }
        Ok(())
    }

    /// Comes to rest, and everything explains everything.
    async fn rest(&self, seed: u64) -> Result<(), String> {
        self.world.clock.advance(30);
        settle(&self.world, &self.calm, seed).await?;
        let order = self.order().await;
        let mut faults = Vec::new();
        let mut must = |what: &str, holds: bool| {
            if !holds {
                faults.push(what.to_owned());
            }
        };
        must("nothing is owed", order.works.is_empty());
        must("units add up", order.units.iter().all(LineUnits::adds_up));
        let entry = self.world.provider.ledger().remove(&order.payment.reference).unwrap();
        must("captured", entry.captured == order.payment.captured);
        must("refunded", entry.refunded == order.payment.refunded && entry.refunded <= entry.captured);
        let went = order.refunds.iter().filter(|it| it.state == RefundState::Succeeded).map(|it| it.amount);
        must("refunds", went.sum::<i64>() == entry.refunded);
        must("no refund waits", order.refunds.iter().all(|it| it.state != RefundState::Pending));
        for line in &order.priced.lines {
            let levels = read_levels(self.world.documents.as_ref(), &line.sku).await.unwrap().unwrap().value;
            let sent = order.fulfilments.iter().filter(|it| it.state != FulfilmentState::Cancelled);
            let sent: i64 = sent.flat_map(|it| &it.parts).filter(|it| it.sku == line.sku).map(|it| it.units()).sum();
            let back = order.returns.iter().flat_map(|it| &it.lines);
            let back = back.filter(|it| order.priced.lines[it.line].sku == line.sku);
            let back: i64 = back.map(|it| i64::from(it.restock)).sum();
            must("allocated", levels.allocated() == order.promised_units(&line.sku));
            must("on hand", levels.on_hand() == ON_HAND - sent + back);
            must("allocations", order.allocated_units(&line.sku) == order.open_units(&line.sku));
        }
        let timeline = read_timeline(self.world.documents.as_ref(), self.buyer.checkout).await.unwrap();
        let numbers: Vec<u32> = timeline.iter().rev().map(|it| it.number).collect();
        must("the timeline is whole", numbers == (1..=order.changes).collect::<Vec<_>>());
        self.events(&mut must).await;
        if faults.is_empty() { Ok(()) } else { Err(format!("{faults:?} of {order:?}, {entry:?}")) }
    }

    async fn events(&self, must: &mut impl FnMut(&str, bool)) {
        let sent: BTreeSet<_> = self.world.sent.lock().unwrap().iter().map(|it| it.id.clone()).collect();
        for (_, document) in everything(&self.world).await {
            if let Some(event) = document.id.strip_prefix("outbox:") {
                must("an event reached the broker", sent.contains(event));
                must("a sent event is marked", document.body.get("due").is_none());
            }
        }
    }
}

/// The order after each of the steps when nothing happens, the first before any of them.
async fn undisturbed(scene: &Scene) -> (Vec<String>, u32) {
    let stage = Stage::new(scene.before).await;
    let mut seen = vec![summary(&stage.order().await)];
    let effects = Effects::all_well();
    let shop = stage.world.process(&effects);
    for step in scene.steps {
        assert!(stage.insist(&shop, *step, "key").await.unwrap().is_some(), "{step:?} is refused");
        seen.push(summary(&stage.order().await));
    }
    stage.rest(0).await.unwrap();
    assert_eq!(summary(&stage.order().await), *seen.last().unwrap(), "the end changes nothing more");
    (seen, effects.count())
}

async fn disturbed(scene: &Scene, at: u32, fate: Fate, repeated: bool, ends: &[String]) -> Result<(), String> {
    let stage = Stage::new(scene.before).await;
    let effects = Effects::with(at, fate);
    let shop = stage.world.process(&effects);
    let done = tokio::select! {
        biased;
        done = stage.all(&shop, scene.steps, "key") => done,
        () = effects.hit() => Ok(()),
    };
    done?;
    stage.world.clock.advance(11);
    if repeated {
        stage.all(&stage.calm, scene.steps, "key").await?;
    }
    stage.rest(u64::from(at)).await.map_err(|err| format!("{err}\n    {:?}", effects.disturbed()))?;
    let end = summary(&stage.order().await);
    // A return that was cut off stands between two steps, approved but not received.
    let between = scene.steps.contains(&Step::Receive) && !repeated;
    let right = if repeated { ends.last() == Some(&end) } else { between || ends.contains(&end) };
    if right { Ok(()) } else { Err(format!("{end}\n    {:?}", effects.disturbed())) }
}

#[tokio::test]
async fn a_change_that_is_disturbed_anywhere_happens_once_or_not_at_all() {
    let mut cases = Cases::new();
    for (number, scene) in SCENES.iter().enumerate() {
        let (ends, effects) = undisturbed(scene).await;
        for at in 0..effects {
            for fate in [Fate::CrashBefore, Fate::CrashAfter, Fate::Conflict, Fate::LostBefore, Fate::LostAfter] {
                for repeated in [true, false] {
                    let name = format!("scene {number}, {fate:?} at {at}, repeated: {repeated}");
                    let case = Box::pin(disturbed(scene, at, fate, repeated, &ends));
                    cases.add(&name, case.await);
                }
            }
        }
    }
    cases.end(500);
}

/// A stands still at one of its effects while B runs; then A goes on.
async fn interleaved(before: &[Step], (a, b): (Step, Step), at: u32) -> Result<bool, String> {
    let stage = Stage::new(before).await;
    let effects = Effects::with(at, Fate::FreezeBefore);
    let shop = stage.world.process(&effects);
    let first = stage.insist(&shop, a, "a");
    let second = async {
        effects.hit().await;
        let done = stage.insist(&stage.calm, b, "b").await;
        effects.thaw();
        done
    };
    let mut reached = true;
    tokio::pin!(first);
    let ended = tokio::select! {
        biased;
        done = second => { done?; None }
        done = &mut first => { reached = false; Some(done) }
    };
    match ended {
        Some(done) => drop(done?),
        None => drop(first.await?),
    }
    stage.rest(u64::from(at)).await?;
    Ok(reached)
}

/// P17: each pair of changes, the one frozen at each of its effects while the other runs to its end.
#[tokio::test]
async fn p17_changes_that_meet_never_ship_cancel_or_refund_a_unit_twice() {
    let mut cases = Cases::new();
    let steps = [Step::Cancel, Step::CancelOne, Step::FulfilOne, Step::FulfilAll, Step::RefundAll, Step::RefundOne];
    for a in steps {
        for b in steps {
            for at in 0.. {
                match Box::pin(interleaved(&[], (a, b), at)).await {
                    Ok(true) => cases.add("", Ok(())),
                    Ok(false) => break,
                    Err(err) => {
                        cases.add(&format!("{a:?} frozen at {at} while {b:?}"), Err(err));
                        break;
                    }
                }
            }
        }
    }
    let returning = [Step::FulfilAll, Step::AskReturn];
    for (a, b) in [(Step::Receive, Step::RefundAll), (Step::Inspect, Step::RefundAll), (Step::RefundAll, Step::Inspect)]
    {
        for at in 0..20 {
            let before: &[Step] =
                if a == Step::Receive { &returning } else { &[Step::FulfilAll, Step::AskReturn, Step::Receive] };
            match Box::pin(interleaved(before, (a, b), at)).await {
                Ok(true) => cases.add("", Ok(())),
                Ok(false) => break,
                Err(err) => cases.add(&format!("{a:?} frozen at {at} while {b:?}"), Err(err)),
            }
        }
    }
    cases.end(100);
}

/// P18 through the operations: whatever was captured goes back to the last minor unit.
#[tokio::test]
async fn p18_refunds_of_all_units_and_shipping_sum_to_what_was_captured() {
    for seed in 0..100_u32 {
        let stage = Stage::new(&[]).await;
        let mut steps = [Step::RefundOne, Step::RefundShipping, Step::RefundOne, Step::RefundAll, Step::RefundAmount];
        steps.rotate_left(usize::try_from(seed % 5).unwrap());
        if seed % 2 == 0 {
            steps.swap(1, 3);
        }
        for (place, step) in steps.iter().enumerate() {
            stage.insist(&stage.calm, *step, &format!("{place}")).await.unwrap();
        }
        for step in [Step::RefundAll, Step::RefundShipping] {
            stage.insist(&stage.calm, step, "last").await.unwrap();
        }
        stage.rest(u64::from(seed)).await.unwrap();
        let order = stage.order().await;
        assert_eq!(order.payment.refunded, order.payment.captured, "seed {seed}: {order:?}");
    }
}

#[tokio::test]
async fn a_key_answers_the_same_for_ever_and_no_other_request() {
    let stage = Stage::new(&[]).await;
    let first = stage.call(&stage.calm, Step::RefundOne, "key").await.unwrap();
    stage.insist(&stage.calm, Step::RefundAmount, "other").await.unwrap();
    let again = stage.call(&stage.calm, Step::RefundOne, "key").await.unwrap();
    assert_eq!((first.status, first.body), (again.status, again.body));
    assert_eq!(stage.order().await.refunds.len(), 2);
    let asked = Asked {
        order: stage.buyer.checkout.order(),
        caller: Caller::Staff { subject: "ada".to_owned() },
        idempotency_key: Some(format!("key-{:?}", Step::RefundOne)),
        if_match: None,
        request: "another".to_owned(),
    };
    let refund = RefundAsk::Amount(Money::new(1, stage.buyer.total.currency()));
    let other = refund_order(&stage.calm, &RefundOrder { asked, refund, reason: None }, render).await;
    assert!(matches!(other, Err(OrderError::KeyReused)));
    stage.rest(0).await.unwrap();
}
