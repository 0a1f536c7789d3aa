//! A gift is goods: held, allocated and shipped like what is bought, and not given away when it is not there.
use offpeak::shared::documents::stock::read_levels;
use serde_json::json;

use super::till::{body, email, percent_off, till, with};

#[tokio::test]
async fn a_gift_is_held_like_what_is_bought_and_goes_with_its_condition() {
    let till = till(3, "10.00").await;
    let form = json!({
        "trigger": "automatic",
        "rules": [{ "minimum_units": { "units": 2, "goods": { "skus": [till.sku('A').as_str()] } } }],
        "effect": { "gift": { "sku": till.sku('B').as_str(), "units": 2 } },
    });
    till.put("free-kite", &with(percent_off(1, "X"), &form)).await;
    let basket = till.cart(&[('A', 2)]).await;
    let cart = till.show(&basket).await;
    assert_eq!((cart.priced.lines.len(), cart.priced.totals.total.minor()), (2, 2000));
    assert_eq!(till.set(&basket, 'A', 1).await.priced.lines.len(), 1, "the gift goes with its condition");
    till.set(&basket, 'A', 2).await;
    till.start(&basket, &email("ada@example.org")).await;
    let answer = till.buy(&till.shop, &basket, "k", "approve").await;
    let order = body(&answer);
    assert_eq!((answer.status, order["lines"].as_array().map(Vec::len)), (200, Some(2)), "{order}");
    assert_eq!(order["lines"][1]["giftOf"], "free-kite");
    let level = read_levels(till.world.documents.as_ref(), &till.sku('B')).await.unwrap().unwrap().value;
    assert_eq!(
        (level.allocated(), level.available(offpeak::shared::ports::clock::Clock::now(&*till.world.clock))),
        (2, 1)
    );
    // One is left: too few for another gift, so nobody is promised one.
    let next = till.cart(&[('A', 1)]).await;
    let other = till.other_process();
    let cart = offpeak::shared::operations::carts::get_cart(&other, next.id, &next.token).await.unwrap();
    assert_eq!(cart.priced.lines.len(), 1);
    till.rest().await;
}

#[tokio::test]
async fn a_gift_that_is_out_of_stock_is_said_so_and_not_promised() {
    let till = till(2, "10.00").await;
    let form = json!({
        "trigger": "automatic", "effect": { "gift": { "sku": till.sku('B').as_str(), "units": 2 } },
    });
    till.put("free-kite", &with(percent_off(1, "X"), &form)).await;
    // Somebody buys the gifts.
    let kites = till.cart(&[('B', 1)]).await;
    till.start(&kites, &email("bob@example.org")).await;
    assert_eq!(till.buy(&till.shop, &kites, "k", "approve").await.status, 200);
    let basket = till.cart(&[('A', 1)]).await;
    let seen = till.start(&basket, &email("ada@example.org")).await;
    let reasons: Vec<_> = seen.priced.skipped.iter().map(|it| it.reason.name()).collect();
    assert_eq!((seen.priced.lines.len(), reasons), (1, vec!["gift_unavailable"]));
    let answer = till.buy(&till.shop, &basket, "k", "approve").await;
    assert_eq!((answer.status, body(&answer)["lines"].as_array().map(Vec::len)), (200, Some(1)));
    till.rest().await;
}
