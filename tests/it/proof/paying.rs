//! P4 and P6: a completion that ends at any of its effects, and two runs of which the loser does harm to nobody.
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use http::Method;

use super::{
    broker::Manners,
    buyer::Buyer,
    enumerate::{Scenario, enumerate, hold},
    faults::{Fate, Faults},
    machine::Process,
    planted::Planted,
    provider::{Entry, Status},
    rest::at_rest,
    rooms::{Answer, Request},
    time::{in_virtual_time, pass},
    world::{Goods, World},
};

/// A way to pay, and what is to come of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pay {
    name: &'static str,
    method: &'static str,
    /// What the buyer does at the bank; `None`: never comes back.
    bank: Option<bool>,
    price: &'static str,
    units: [u32; 2],
    placed: bool,
}

const APPROVE: Pay = Pay { name: "approve", method: "approve", bank: None, price: "5.00", units: [2, 1], placed: true };
const DECLINE: Pay = Pay { name: "decline", method: "decline", placed: false, ..APPROVE };
const TIMEOUT: Pay = Pay { name: "answer lost", method: "timeout", ..APPROVE };
const AWAY: Pay = Pay { name: "provider away once", method: "unavailable", ..APPROVE };
const CHALLENGE: Pay = Pay { name: "challenge, approved", method: "challenge", bank: Some(true), ..APPROVE };
const REFUSED: Pay =
    Pay { name: "challenge, refused", method: "challenge", bank: Some(false), placed: false, ..APPROVE };
const GONE: Pay = Pay { name: "challenge, buyer gone", method: "challenge", placed: false, ..APPROVE };
const SHORT: Pay = Pay { name: "second line short", units: [2, 6], placed: false, ..APPROVE };

impl Pay {
    fn mine(self, world: &World, buyer: &Buyer) -> Vec<(String, Entry)> {
        let checkout = buyer.checkout();
        world.provider.ledger().into_iter().filter(|(_, it)| it.checkout == checkout).collect()
    }
}

/// Whether there is a placed order, as its buyer sees it.
pub(super) async fn is_placed(world: &Arc<World>, buyer: &Buyer) -> bool {
    let answer = buyer.see_order(&world.calm()).await;
    match answer.status {
        200 => answer.json()["lifecycle"] != "failed",
        404 => false,
        other => panic!("{other}: {}", answer.json()),
    }
}

impl Scenario for Pay {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn goods(&self) -> Vec<Goods<'static>> {
        vec![("BELL", self.price, 5), ("KITE", self.price, 5)]
    }

    fn set<'a>(&'a self, world: &'a Arc<World>) -> LocalBoxFuture<'a, Buyer> {
        let [bells, kites] = self.units;
        Box::pin(async move { Buyer::at_checkout(world, &[("KITE", kites), ("BELL", bells)]).await })
    }

    fn call<'a>(
        &'a self,
        world: &'a Arc<World>,
        process: &'a Process,
        buyer: &'a Buyer,
    ) -> LocalBoxFuture<'a, Option<Answer>> {
        Box::pin(async move {
            let answer = buyer.complete(process, "first", self.method).await?;
            if answer.status == 202 {
                match self.bank {
                    Some(yes) => drop(world.provider.answer_challenges(yes)),
                    None => pass(120).await,
                }
            }
            Some(answer)
        })
    }

    /// Placed with one capture of the whole, or not placed with nothing held.
    fn check<'a>(
        &'a self,
        world: &'a Arc<World>,
        buyer: &'a Buyer,
        again: bool,
    ) -> LocalBoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let placed = is_placed(world, buyer).await;
            if again && placed != self.placed || placed && !self.placed {
                return Err(format!("an order: {placed}"));
            }
            let mine = self.mine(world, buyer);
            let authorised = mine.iter().filter(|(_, it)| it.authorised > 0).count();
            let captured: Vec<_> = mine.iter().filter(|(_, it)| it.captured > 0).collect();
            if authorised > 1 || captured.len() != usize::from(placed) {
                return Err(format!("authorised {authorised} times: {mine:?}"));
            }
            for (reference, entry) in &mine {
                let whole = entry.captured == 0 || entry.captured == entry.amount.minor();
                let is_open = entry.status == Status::Asked || entry.is_held();
                if !whole || entry.refunded != 0 || is_open {
                    return Err(format!("{reference}: {entry:?}"));
                }
            }
            Ok(())
        })
    }
}

#[test]
fn p4_a_crash_anywhere_leaves_one_capture_or_nothing_held() {
    hold(&[&APPROVE, &DECLINE, &TIMEOUT, &AWAY], 300);
}

#[test]
fn p4_a_crash_around_the_banks_page_leaves_one_capture_or_nothing_held() {
    hold(&[&CHALLENGE, &REFUSED, &GONE, &SHORT], 300);
}

/// Run B stands still at its effect n; A takes over and places the order; then B wakes up, and everything it
/// tries for a while fails.
async fn late_loser(at: u32, fails: u32, planted: Planted) -> Result<bool, String> {
    let world = World::new(u64::from(at), planted, Manners::GOOD, &APPROVE.goods()).await;
    let buyer = APPROVE.set(&world).await;
    let slow = world.process(Faults::frozen(at, std::time::Duration::from_secs(60), fails));
    let winner = async {
        pass(12).await;
        for _ in 0..20 {
            let answer = buyer.complete(&world.calm(), "first", "approve").await.unwrap();
            if answer.is_final() {
                return Ok(answer.status);
            }
            pass(u64::from(answer.retry_after_s.unwrap_or(1))).await;
        }
        Err("the winner got no answer".to_owned())
    };
    let (late, won) = tokio::join!(buyer.complete(&slow, "first", "approve"), winner);
    if won? != 200 {
        return Err("the winner did not win".to_owned());
    }
    let before = APPROVE.mine(&world, &buyer);
    // The loser may come again; then it gets the winner's order.
    if let Some(late) = late.filter(Answer::is_final)
        && late.status != 200
    {
        return Err(format!("the loser was told {} {}", late.status, late.json()));
    }
    world.settle().await;
    let after = APPROVE.mine(&world, &buyer);
    if before != after || after.iter().any(|(_, it)| it.refunded != 0 || it.voided != 0) {
        return Err(format!("the winner's money moved: {before:?}, then {after:?}"));
    }
    let promised = Request::new(Method::GET, "v1/manage/stock/BELL").staff().send(&world.calm()).await.unwrap().json();
    if promised["levels"][0]["allocated"] != 2 {
        return Err(format!("the winner's units are not promised: {promised}"));
    }
    APPROVE.check(&world, &buyer, true).await?;
    at_rest(&world).await?;
    Ok(slow.faults.was_frozen())
}

#[test]
fn p6_a_run_that_fails_after_another_has_placed_takes_nothing_back() {
    let mut cases = 0;
    for fails in [6, 0] {
        for at in 0..40 {
            match in_virtual_time(Box::pin(late_loser(at, fails, Planted::Nothing))) {
                Ok(true) => cases += 1,
                Ok(false) => break,
                Err(err) => panic!("the loser wakes up at effect {at}, and {fails} fail: {err}"),
            }
        }
    }
    assert!(cases >= 16, "only {cases} cases ran");
}

#[test]
fn p6_a_run_that_refunds_what_is_not_its_own_is_noticed() {
    let run = |at| in_virtual_time(Box::pin(late_loser(at, 0, Planted::RefundsUnasked))).err();
    let faults: Vec<_> = (0..20).filter_map(run).collect();
    assert!(faults.iter().any(|it| it.contains("the winner's money moved")), "{faults:?}");
}

#[test]
fn a_use_that_is_claimed_beside_its_counter_is_noticed() {
    is_noticed(APPROVE, Planted::ClaimsApart, "are counted");
}

/// What a planted fault must be found out by.
fn is_noticed(pay: Pay, planted: Planted, told: &str) {
    let (_, failed) = enumerate(&[&pay], planted);
    assert!(failed.iter().any(|it| it.contains(told)), "{planted:?} was not noticed: {failed:?}");
}

#[test]
fn money_that_moves_again_is_noticed() {
    is_noticed(APPROVE, Planted::MovesAgain, "captured");
}

#[test]
fn an_event_published_before_its_commit_is_noticed() {
    is_noticed(APPROVE, Planted::PublishesFirst, "before its change was stored");
}

#[test]
fn an_event_that_is_lost_is_noticed() {
    is_noticed(APPROVE, Planted::LosesEvents, "never reached the broker");
}

/// The fate is also tried on the enumeration itself.
#[test]
fn an_effect_that_is_the_last_is_the_last() {
    in_virtual_time(async {
        let world = World::new(1, Planted::Nothing, Manners::GOOD, &APPROVE.goods()).await;
        let buyer = APPROVE.set(&world).await;
        let process = world.process(Faults::at(0, Fate::CrashBefore));
        assert!(buyer.complete(&process, "first", "approve").await.is_none());
        assert!(process.faults.is_dead() && process.faults.count() == 1);
        assert!(buyer.complete(&process, "first", "approve").await.is_none());
        assert_eq!(process.faults.count(), 1, "a dead process did something");
    });
}
