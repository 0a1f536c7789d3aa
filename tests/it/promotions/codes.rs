//! Single-use codes: made once whatever breaks off, and used once whoever races.
use std::collections::BTreeSet;

use futures_util::future::join_all;
use offpeak::shared::operations::promotions::codes::{CodesError, MadeCodes, WantedCodes, make_codes};
use offpeak_domain::promotion::{CouponCode, PromotionId};
use serde_json::json;

use super::till::{Till, body, email, percent_off, till, with};
use crate::saga::effects::{Effects, Fate};

fn wanted(batch: &str, count: u32) -> WantedCodes {
    let promotion = PromotionId::parse("gift-card").unwrap();
    WantedCodes { promotion, batch: batch.to_owned(), count, prefix: "GC-".to_owned() }
}

async fn issuing(till: &Till) {
    let form = with(percent_off(10, "X"), &json!({ "trigger": { "coded": {} } }));
    till.put("gift-card", &form).await;
}

fn distinct(made: &MadeCodes) -> BTreeSet<&CouponCode> {
    made.codes.iter().collect()
}

#[tokio::test]
async fn a_batch_is_the_same_codes_however_often_it_breaks_off() {
    let till = till(10, "10.00").await;
    issuing(&till).await;
    let first = make_codes(&till.shop, &wanted("spring", 60), "staff").await.unwrap();
    assert_eq!((first.is_complete(), distinct(&first).len()), (true, 60));
    for code in &first.codes {
        let drawn = code.as_str().strip_prefix("GC-").unwrap();
        assert!(drawn.len() == 12 && !drawn.contains(['I', 'L', 'O', 'U']), "{code}");
    }
    assert_eq!(make_codes(&till.other_process(), &wanted("spring", 60), "other").await.unwrap(), first);
    // Each write of another batch breaks off once; then it is asked for again.
    for at in [0, 1, 2, 30, 61] {
        let batch = format!("batch-{at}");
        let effects = Effects::with(at, Fate::LostAfter);
        let broken = till.world.process(&effects);
        assert!(make_codes(&broken, &wanted(&batch, 60), "staff").await.is_err(), "at {at}");
        let again = make_codes(&till.shop, &wanted(&batch, 60), "staff").await.unwrap();
        assert_eq!((again.is_complete(), distinct(&again).len()), (true, 60));
        assert_eq!(make_codes(&till.shop, &wanted(&batch, 60), "staff").await.unwrap(), again);
        assert!(distinct(&again).is_disjoint(&distinct(&first)));
    }
}

#[tokio::test]
async fn a_batch_that_makes_no_sense_is_refused() {
    let till = till(10, "10.00").await;
    let none = make_codes(&till.shop, &wanted("spring", 1), "staff").await;
    assert!(matches!(none, Err(CodesError::NoPromotion)), "{none:?}");
    issuing(&till).await;
    for (bad, field) in [
        (wanted("spring", 0), "count"),
        (wanted("spring", 10_001), "count"),
        (wanted("Spring", 1), "batch"),
        (WantedCodes { prefix: "Ä".to_owned(), ..wanted("spring", 1) }, "prefix"),
        (WantedCodes { prefix: "A".repeat(21), ..wanted("spring", 1) }, "prefix"),
    ] {
        match make_codes(&till.shop, &bad, "staff").await {
            Err(CodesError::Invalid { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{other:?}"),
        }
    }
    make_codes(&till.shop, &wanted("spring", 2), "staff").await.unwrap();
    let other = make_codes(&till.shop, &wanted("spring", 3), "staff").await;
    assert!(matches!(other, Err(CodesError::OtherBatch { count: 2, .. })), "{other:?}");
    till.put("gift-card", &with(percent_off(1, "X"), &json!({ "trigger": "automatic" }))).await;
    let automatic = make_codes(&till.shop, &wanted("summer", 1), "staff").await;
    assert!(matches!(automatic, Err(CodesError::Automatic)), "{automatic:?}");
}

#[tokio::test]
async fn a_single_use_code_pays_for_one_order() {
    let till = till(100, "10.00").await;
    issuing(&till).await;
    let made = make_codes(&till.shop, &wanted("spring", 2), "staff").await.unwrap();
    let mut baskets = Vec::new();
    for n in 0..8 {
        let basket = till.cart(&[('A', 1)]).await;
        till.enter(&basket, &made.codes[0].as_str().to_lowercase()).await.unwrap();
        assert_eq!(till.start(&basket, &email(&format!("b{n}@example.org"))).await.priced.totals.total.minor(), 900);
        baskets.push(basket);
    }
    let race = baskets.iter().map(|basket| till.buy(&till.shop, basket, "k", "approve"));
    let answers = join_all(race).await;
    assert_eq!(answers.iter().filter(|it| it.status == 200).count(), 1);
    for answer in answers.iter().filter(|it| it.status != 200) {
        let problem = body(answer);
        assert!(["promotion_exhausted", "cart_changed"].contains(&problem["code"].as_str().unwrap()), "{problem}");
    }
    till.rest().await;
    let late = till.cart(&[('A', 1)]).await;
    let used = till.enter(&late, made.codes[0].as_str()).await;
    assert!(used.unwrap_err().to_string().contains("exhausted"));
    // A payment that fails gives the code back.
    till.enter(&late, made.codes[1].as_str()).await.unwrap();
    till.start(&late, &email("late@example.org")).await;
    assert_eq!(till.buy(&till.shop, &late, "k1", "decline").await.status, 402);
    let answer = till.buy(&till.shop, &late, "k2", "approve").await;
    assert_eq!((answer.status, body(&answer)["totals"]["discount"]["amount"].as_str()), (200, Some("100")));
    till.rest().await;
}
