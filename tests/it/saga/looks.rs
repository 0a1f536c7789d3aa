//! The look that was armed at the beginning: what the run left undone is done by it; where nothing was, it costs two
//! reads.
use offpeak::shared::{
    documents::{carts::read_cart, lookups::find_orders},
    operations::complete_checkout::resume_checkout,
};
use offpeak_domain::{cart::CartState, order::OrderNumber};

use super::{
    Cases,
    acts::scenario,
    check::everything,
    crashes::{Stage, effects_of},
    effects::{Effects, Fate},
    world::Planted,
};

const ARMED: &str = "1";

async fn bought(effects: &std::sync::Arc<Effects>) -> Stage {
    let stage = Stage::new(scenario("approve"), Planted::Nothing).await;
    stage.first(effects).await.unwrap();
    stage.world.clock.advance(16);
    stage
}

/// No message but this one, and no sweep.
async fn look(stage: &Stage) -> Result<(), String> {
    Box::pin(resume_checkout(&stage.calm, stage.buyer.checkout, ARMED)).await.map_err(|err| err.to_string())?;
    let documents = stage.world.documents.as_ref();
    let unsent: Vec<_> =
        everything(&stage.world).await.into_iter().filter(|(_, it)| it.body.get("due").is_some()).collect();
    if !unsent.is_empty() {
        return Err(format!("not sent: {unsent:?}"));
    }
    let order = stage.buyer.checkout.order();
    let cart = read_cart(documents, stage.buyer.cart).await.unwrap().unwrap().value.cart.state;
    if cart != (CartState::Ordered { order }) {
        return Err(format!("the cart is {cart:?}"));
    }
    let known = find_orders(documents, &OrderNumber::of(order)).await.unwrap();
    if known == [order] { Ok(()) } else { Err(format!("{known:?} have the number")) }
}

#[tokio::test]
async fn what_a_run_left_undone_is_done_by_the_look_alone() {
    let effects = effects_of(scenario("approve")).await;
    let placed = effects.iter().position(|it| it.contains("write purchases checkout order timeline")).unwrap();
    let mut cases = Cases::new();
    for (at, effect) in (0..).zip(&effects).skip(placed + 1) {
        for fate in [Fate::Conflict, Fate::LostBefore, Fate::LostAfter, Fate::CrashBefore, Fate::CrashAfter] {
            let stage = bought(&Effects::with(at, fate)).await;
            cases.add(&format!("{fate:?} at {effect}"), look(&stage).await);
        }
    }
    cases.end(30);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_was_left_the_look_reads_two_documents() {
    let stage = bought(&Effects::all_well()).await;
    look(&stage).await.unwrap();
    let effects = Effects::all_well();
    Box::pin(resume_checkout(&stage.world.process(&effects), stage.buyer.checkout, ARMED)).await.unwrap();
    assert_eq!((effects.turns(), effects.log()), (2, Vec::new()));
    // Whoever has news looks at everything.
    let effects = Effects::all_well();
    Box::pin(resume_checkout(&stage.world.process(&effects), stage.buyer.checkout, "told-x")).await.unwrap();
    assert!(effects.turns() > 6, "{}", effects.turns());
}
