//! Webhooks at every moment of a purchase: before its answer, after its end, many times, in any order, or days
//! late; and money that comes to attempts that were given up.
use http::HeaderMap;
use offpeak::shared::{
    documents::{
        purchases::{read_order, read_payments},
        settings::{STORE, put_settings, read_settings},
    },
    operations::{
        Shop,
        complete_checkout::resume_checkout,
        payment_events::{HearError, Heard, hear},
    },
    ports::documents::{Container, Documents as _},
};
use offpeak_domain::{order::PaymentStatus, payment::CaptureWhen};
use serde_json::json;

use super::{
    Cases,
    acts::{buy, call, only_messages, scenario, settle},
    check::{check, everything},
    crashes::{Stage, effects_of},
    effects::{Effects, Fate},
    world::{Planted, World},
};

const DAY_S: i64 = 24 * 3600;

/// One webhook of the fake provider, telling its latest `facts` facts.
async fn tell(shop: &Shop, reference: &str, event: &str, facts: u32) -> Result<Heard, HearError> {
    let body = json!({ "event": event, "reference": reference, "facts": facts }).to_string();
    hear(shop, "fake", &HeaderMap::new(), body.as_bytes()).await
}

/// Five copies: of one event the end alone, of another the whole story, each more than once.
async fn tell_often(shop: &Shop, reference: &str) {
    for (event, facts) in [("a", 1), ("b", 9), ("a", 1), ("b", 9), ("a", 1)] {
        match tell(shop, reference, event, facts).await {
            Ok(_) | Err(HearError::UnknownPayment { .. }) => {}
            Err(err) => panic!("{err:?}"),
        }
    }
}

async fn told_while_it_runs(name: &str, at: u32, fate: Fate) -> Result<(), String> {
    let stage = Stage::new(scenario(name), Planted::Nothing).await;
    let reference = stage.buyer.checkout.attempt(1);
    // The buyer never comes back; the webhooks come right then.
    stage.first(&Effects::with(at, fate)).await?;
    stage.world.provider.answer_challenges(true);
    tell_often(&stage.calm, &reference).await;
    only_messages(&stage.world, &stage.calm, Some(true)).await?;
    let before = check(&stage.world, std::slice::from_ref(&stage.buyer)).await?;
    stage.world.clock.advance(3 * DAY_S);
    tell_often(&stage.calm, &reference).await;
    settle(&stage.world, &stage.calm, u64::from(at)).await?;
    let after = check(&stage.world, std::slice::from_ref(&stage.buyer)).await?;
    if before == after { Ok(()) } else { Err(format!("an order: {before:?}, three days later {after:?}")) }
}

/// P5: at every point the same order, one event, one capture; nothing changes three days later.
#[tokio::test]
async fn p5_a_webhook_at_any_moment_gives_the_same_order() {
    let mut cases = Cases::new();
    for name in ["approve", "challenge, approved", "answer lost"] {
        for (at, _) in (0..).zip(effects_of(scenario(name)).await) {
            for fate in [Fate::CrashBefore, Fate::CrashAfter] {
                cases.add(&format!("{name}, {fate:?} {at}"), told_while_it_runs(name, at, fate).await);
            }
        }
    }
    cases.end(60);
}

/// P5: the buyer approves at the bank and never comes back.
#[tokio::test]
async fn p5_a_paid_checkout_completes_without_its_buyer() {
    let stage = Stage::new(scenario("challenge, approved"), Planted::Nothing).await;
    let Stage { world, buyer, calm, .. } = &stage;
    assert_eq!(call(calm, buyer, "first", "challenge").await.unwrap().status, 202);
    world.provider.answer_challenges(true);
    assert_eq!(tell(calm, &buyer.checkout.attempt(1), "a", 9).await.unwrap(), Heard::Noted);
    assert_eq!(tell(calm, &buyer.checkout.attempt(1), "a", 9).await.unwrap(), Heard::Known);
    assert!(read_order(world.documents.as_ref(), buyer.checkout).await.unwrap().unwrap().value.placed_at.is_none());
    // Without any time going by: the webhook's own look.
    let told = world.sent.lock().unwrap().iter().find(|it| it.id.contains("-told-")).cloned().unwrap();
    let name = told.id.rsplit_once("-told-").map(|(_, rest)| format!("told-{rest}")).unwrap();
    Box::pin(resume_checkout(calm, buyer.checkout, &name)).await.unwrap();
    let order = read_order(world.documents.as_ref(), buyer.checkout).await.unwrap().unwrap().value;
    assert_eq!((order.placed_at.is_some(), order.payment_status), (true, PaymentStatus::Captured));
    // Our own calls have told everything: what comes now is known.
    assert_eq!(tell(calm, &buyer.checkout.attempt(1), "b", 9).await.unwrap(), Heard::Known);
    settle(world, calm, 1).await.unwrap();
    assert_eq!(check(world, std::slice::from_ref(buyer)).await.unwrap(), [true]);
    let answer = call(calm, buyer, "first", "challenge").await.unwrap();
    assert_eq!(answer.status, 200);
}

/// P14: an old `failed` after the `succeeded` of a newer attempt flips nothing.
#[tokio::test]
async fn an_old_failure_does_not_flip_a_newer_success() {
    let stage = Stage::new(scenario("approve"), Planted::Nothing).await;
    let Stage { world, buyer, calm, .. } = &stage;
    assert_eq!(buy(world, calm, buyer, "first", ("decline", None)).await.unwrap().status, 402);
    assert_eq!(buy(world, calm, buyer, "second", ("approve", None)).await.unwrap().status, 200);
    settle(world, calm, 1).await.unwrap();
    let before = read_order(world.documents.as_ref(), buyer.checkout).await.unwrap().unwrap();
    world.clock.advance(3 * DAY_S);
    tell_often(calm, &buyer.checkout.attempt(1)).await;
    settle(world, calm, 2).await.unwrap();
    let after = read_order(world.documents.as_ref(), buyer.checkout).await.unwrap().unwrap();
    assert_eq!(before, after);
    assert_eq!(check(world, std::slice::from_ref(buyer)).await.unwrap(), [true]);
}

#[tokio::test]
async fn what_nobody_here_asked_for_changes_nothing() {
    let stage = Stage::new(scenario("approve"), Planted::Nothing).await;
    let Stage { world, buyer, calm, .. } = &stage;
    let before = everything(world).await;
    let other = stage.buyer.checkout.to_string().replace("chk_0", "chk_1");
    let other = other.replace("chk_", "pay_") + "_1";
    for reference in ["", "pay_x_1", "order-7", &buyer.checkout.attempt(0), &buyer.checkout.attempt(1), &other] {
        let heard = tell(calm, reference, "a", 9).await;
        assert!(matches!(heard, Err(HearError::UnknownPayment { .. })), "{reference}: {heard:?}");
    }
    assert!(matches!(hear(calm, "stripe", &HeaderMap::new(), b"{}").await, Err(HearError::NoSuchProvider)));
    assert!(matches!(hear(calm, "fake", &HeaderMap::new(), b"forged").await, Err(HearError::Webhook(_))));
    assert_eq!(everything(world).await, before);
}

/// A checkout whose buyer stayed away, and whose money comes nevertheless.
async fn given_up(taken: bool) -> Stage {
    let stage = Stage::new(scenario("challenge, never answered"), Planted::Nothing).await;
    let Stage { world, buyer, calm, .. } = &stage;
    assert_eq!(call(calm, buyer, "first", "challenge").await.unwrap().status, 202);
    settle(world, calm, 1).await.unwrap();
    assert_eq!(check(world, std::slice::from_ref(buyer)).await.unwrap(), [false]);
    world.provider.comes_late(&buyer.checkout.attempt(1), taken);
    stage
}

fn all_went_back(world: &World) -> Result<(), String> {
    for (reference, entry) in world.provider.ledger() {
        if entry.is_held() || entry.captured != entry.refunded {
            return Err(format!("{reference} still has money: {entry:?}"));
        }
    }
    Ok(())
}

/// Row 74: whatever is or comes to be in an attempt that was given up goes back.
#[tokio::test]
async fn money_that_comes_to_a_given_up_attempt_goes_back() {
    for taken in [false, true] {
        // Told by webhook.
        let stage = given_up(taken).await;
        tell_often(&stage.calm, &stage.buyer.checkout.attempt(1)).await;
        assert!(all_went_back(&stage.world).is_err(), "a webhook moves no money");
        settle(&stage.world, &stage.calm, 1).await.unwrap();
        all_went_back(&stage.world).unwrap();

        // Told by nobody: someone looks after six hours.
        let stage = given_up(taken).await;
        let release = stage.world.sent.lock().unwrap().iter().find(|it| it.id.contains("-release-")).cloned().unwrap();
        let (at, now) =
            (release.scheduled.unwrap(), offpeak::shared::ports::clock::Clock::now(stage.world.clock.as_ref()));
        assert!((at - now).whole_hours() <= 6, "{at}");
        resume_checkout(&stage.calm, stage.buyer.checkout, "release-1").await.unwrap();
        all_went_back(&stage.world).unwrap();
        let ledger =
            read_payments(stage.world.documents.as_ref(), stage.buyer.checkout).await.unwrap().unwrap().value.ledger;
        assert_eq!(ledger.amounts(stage.buyer.total.currency()).refundable().minor(), 0);
    }
}

/// The run that hears a webhook, and the one that looks, die at each of their effects.
async fn crash_while_giving_back(at: u32, fate: Fate) -> Result<(bool, Vec<String>), String> {
    let stage = given_up(true).await;
    let reference = stage.buyer.checkout.attempt(1);
    let effects = Effects::with(at, fate);
    let shop = stage.world.process(&effects);
    let run = async {
        drop(tell(&shop, &reference, "a", 9).await);
        drop(Box::pin(resume_checkout(&shop, stage.buyer.checkout, "told-x")).await);
    };
    let hit = tokio::select! {
        biased;
        () = run => false,
        () = effects.hit() => true,
    };
    // The provider was not answered, and tells it again.
    tell(&stage.calm, &reference, "a", 9).await.map_err(|err| format!("{err:?}"))?;
    settle(&stage.world, &stage.calm, u64::from(at)).await?;
    Box::pin(resume_checkout(&stage.calm, stage.buyer.checkout, "release-1"))
        .await
        .map_err(|err| format!("{err:?}"))?;
    all_went_back(&stage.world)?;
    check(&stage.world, std::slice::from_ref(&stage.buyer)).await.ok();
    Ok((hit || effects.count() > at, effects.log()))
}

#[tokio::test]
async fn a_death_while_money_goes_back_gives_it_back_once() {
    let mut cases = Cases::new();
    for fate in [Fate::CrashBefore, Fate::CrashAfter, Fate::LostBefore, Fate::LostAfter, Fate::Conflict] {
        for at in 0..40 {
            let done = crash_while_giving_back(at, fate).await;
            let over = matches!(&done, Ok((false, _)));
            cases.add(&format!("{fate:?} {at}"), done.map(drop));
            if over {
                break;
            }
        }
    }
    cases.end(20);
}

/// A placed order's amounts follow what its payment's webhooks tell, each change told once.
#[tokio::test]
async fn a_dispute_shows_on_the_order() {
    let stage = Stage::new(scenario("approve"), Planted::Nothing).await;
    let Stage { world, buyer, calm, .. } = &stage;
    assert_eq!(buy(world, calm, buyer, "first", ("approve", None)).await.unwrap().status, 200);
    settle(world, calm, 1).await.unwrap();
    let reference = buyer.checkout.attempt(1);
    world.provider.dispute(&reference);
    for _ in 0..2 {
        tell_often(calm, &reference).await;
        settle(world, calm, 2).await.unwrap();
    }
    let order = read_order(world.documents.as_ref(), buyer.checkout).await.unwrap().unwrap().value;
    assert_eq!((order.payment_status, order.payment.disputed), (PaymentStatus::Disputed, buyer.total.minor()));
    let changes = world.sent.lock().unwrap().iter().filter(|it| it.subject == "order.payment_changed").count();
    assert_eq!(changes, 1);
    assert_eq!(order.on_hold, None);
}

/// What cannot be true is held back for a person to see.
#[tokio::test]
async fn an_impossible_story_holds_the_order() {
    let stage = Stage::new(scenario("approve"), Planted::Nothing).await;
    let Stage { world, buyer, calm, .. } = &stage;
    assert_eq!(buy(world, calm, buyer, "first", ("approve", None)).await.unwrap().status, 200);
    settle(world, calm, 1).await.unwrap();
    // The provider says that it was taken twice.
    world.provider.takes_again(&buyer.checkout.attempt(1));
    tell_often(calm, &buyer.checkout.attempt(1)).await;
    settle(world, calm, 2).await.unwrap();
    let order = read_order(world.documents.as_ref(), buyer.checkout).await.unwrap().unwrap().value;
    assert_eq!((order.payment_status, order.on_hold.as_deref()), (PaymentStatus::Overpaid, Some("payment_anomaly")));
}

/// Where money is taken as goods leave, a placed order is authorised and nothing is captured.
#[tokio::test]
async fn with_capture_at_fulfilment_an_order_is_placed_on_what_is_held() {
    let stage = Stage::new(scenario("approve"), Planted::Nothing).await;
    let Stage { world, buyer, .. } = &stage;
    let documents = world.documents.as_ref();
    let mut settings = read_settings(documents).await.unwrap().unwrap();
    settings.value.capture = CaptureWhen::AtFulfilment;
    let write = put_settings(&settings.value, Some(&settings.etag)).unwrap();
    documents.write(Container::Stores, STORE, vec![write]).await.unwrap();
    let shop = world.process(&Effects::all_well());
    assert_eq!(buy(world, &shop, buyer, "first", ("approve", None)).await.unwrap().status, 200);
    tell_often(&shop, &buyer.checkout.attempt(1)).await;
    settle(world, &shop, 1).await.unwrap();
    let order = read_order(documents, buyer.checkout).await.unwrap().unwrap().value;
    assert_eq!((order.payment_status, order.payment.captured), (PaymentStatus::Authorised, 0));
    let entry = &world.provider.ledger()[&buyer.checkout.attempt(1)];
    assert_eq!((entry.authorised, entry.captured, entry.is_held()), (buyer.total.minor(), 0, true));
}
