//! A completion with limited promotions and a SKU limited by customer stops at each of its effects in turn; whatever comes of it, every use
//! that is counted belongs to an order, and a single-use code is used or free.
use offpeak::shared::{
    documents::{coupon_codes::code_pool, promo_use::PoolKey},
    operations::promotions::{
        codes::{WantedCodes, make_codes},
        uses::used_by_others,
    },
};
use offpeak_domain::promotion::{CouponCode, PromotionId};
use serde_json::json;

use super::{
    allowance::{counted, limit},
    till::{Basket, Till, email, percent_off, till, with},
};
use crate::saga::effects::{Effects, Fate};

/// A basket with a shared code of one use and a single-use code.
async fn at_the_till() -> (Till, Basket, CouponCode) {
    let till = till(5, "10.00").await;
    limit(&till, 1).await;
    let one = json!({ "uses": { "total": 1, "perCustomer": 1 } });
    till.put("one", &with(percent_off(10, "ONE"), &one)).await;
    till.put("card", &with(percent_off(5, "X"), &json!({ "trigger": { "coded": {} } }))).await;
    let promotion = PromotionId::parse("card").unwrap();
    let wanted = WantedCodes { promotion, batch: "b".to_owned(), count: 1, prefix: String::new() };
    let made = make_codes(&till.shop, &wanted, "staff").await.unwrap();
    let basket = till.cart(&[('A', 1)]).await;
    till.enter(&basket, "one").await.unwrap();
    till.enter(&basket, made.codes[0].as_str()).await.unwrap();
    till.start(&basket, &email("ada@example.org")).await;
    (till, basket, made.codes[0].clone())
}

async fn stopped(method: &str, at: u32, fate: Fate) -> Result<(), String> {
    let (till, basket, code) = at_the_till().await;
    let total = till.total(&basket).await;
    let effects = Effects::with(at, fate);
    let shop = till.world.process(&effects);
    let first = tokio::select! {
        biased;
        done = Box::pin(till.buy_at(&shop, &basket, "k", method, total)) => Some(done.status),
        () = effects.hit() => None,
    };
    till.world.clock.advance(11);
    // The buyer insists on what was shown.
    let answer = till.buy_at(&till.shop, &basket, "k", method, total).await;
    till.rest().await;
    let placed = answer.status == 200;
    let pools =
        [PoolKey::promotion("one"), code_pool(&code), PoolKey::customer(&email("ada@example.org").customer_key())];
    for pool in pools {
        let used = used_by_others(&till.shop.ports, &pool, None).await.unwrap();
        if used != u32::from(placed) {
            return Err(format!(
                "{}: {used} uses; first {first:?}, then {}: {:?}",
                pool.as_str(),
                answer.status,
                effects.disturbed()
            ));
        }
    }
    let units = counted(&till, "ada@example.org").await;
    if units != u32::from(placed) {
        return Err(format!("{units} units count against the customer: {:?}", effects.disturbed()));
    }
    let right = if method == "approve" { 200 } else { 402 };
    if answer.status == right { Ok(()) } else { Err(format!("got {}: {:?}", answer.status, effects.disturbed())) }
}

#[tokio::test]
async fn a_completion_that_stops_anywhere_leaves_no_use_behind() {
    let (mut failed, mut count) = (Vec::new(), 0);
    for method in ["approve", "decline"] {
        let (till, basket, _) = at_the_till().await;
        let effects = Effects::all_well();
        let calm = till.world.process(&effects);
        till.buy(&calm, &basket, "k", method).await;
        let log = effects.log();
        assert!(log.iter().any(|it| it.contains("promo_use")), "{log:?}");
        for fate in [Fate::CrashBefore, Fate::CrashAfter, Fate::LostAfter, Fate::Conflict] {
            for (at, effect) in (0..).zip(&log) {
                count += 1;
                if let Err(err) = Box::pin(stopped(method, at, fate)).await {
                    failed.push(format!("{method}, {fate:?} at {effect}: {err}"));
                }
            }
        }
    }
    assert!(failed.is_empty() && count >= 100, "{} of {count} cases: {failed:#?}", failed.len());
}
