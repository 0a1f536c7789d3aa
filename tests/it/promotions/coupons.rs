//! Codes on a cart: which go on, which do not, and what guessing costs.
use offpeak::shared::{
    documents::carts::read_cart,
    operations::{
        carts::CartError,
        promotions::coupons::{CouponError, TRIES_MAX, WINDOW, remove_code},
    },
    ports::clock::Clock as _,
};
use offpeak_domain::cart::CartRefusal;
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::till::{Basket, Till, body, code, email, percent_off, till, with};

/// The reason why a code is refused; the cart must be as it was.
async fn refused(till: &Till, basket: &Basket, text: &str) -> String {
    let before = read_cart(till.world.documents.as_ref(), basket.id).await.unwrap();
    let done = till.enter(basket, text).await;
    assert_eq!(read_cart(till.world.documents.as_ref(), basket.id).await.unwrap(), before, "{text} changed the cart");
    match done {
        Err(CouponError::Refused { reason }) => reason.name().to_owned(),
        other => panic!("{text}: {other:?}"),
    }
}

#[tokio::test]
async fn a_code_goes_on_once_whatever_its_case() {
    let till = till(10, "10.00").await;
    till.put("ten", &percent_off(10, "Summer-10")).await;
    let basket = till.cart(&[('A', 1)]).await;
    let cart = till.enter(&basket, "summer-10").await.unwrap();
    assert_eq!((cart.priced.totals.discount.minor(), cart.priced.totals.total.minor()), (100, 900));
    let again = till.enter(&basket, "SUMMER-10").await.unwrap();
    assert_eq!((again.cart.codes.len(), again.etag == cart.etag), (1, true), "a repeat writes nothing");
    let off = remove_code(&till.shop, basket.id, &basket.token, &code("sUmMeR-10"), None).await.unwrap();
    assert_eq!((off.cart.codes.len(), off.priced.totals.discount.minor()), (0, 0));
    remove_code(&till.shop, basket.id, &basket.token, &code("summer-10"), None).await.unwrap();
    let wrong = Basket { token: "0".repeat(32), ..basket };
    assert!(matches!(till.enter(&wrong, "summer-10").await, Err(CouponError::Cart(CartError::NotFound))));
}

#[tokio::test]
async fn foreign_expired_early_and_unknown_codes_leave_the_cart_as_it_was() {
    let till = till(10, "10.00").await;
    let now = till.world.clock.now();
    let at = |hours: i64| (now + time::Duration::hours(hours)).format(&Rfc3339).unwrap();
    till.put("early", &with(percent_off(10, "EARLY"), &json!({ "from": at(1) }))).await;
    till.put("late", &with(percent_off(10, "LATE"), &json!({ "from": at(-2), "until": at(-1) }))).await;
    let trade = json!({ "rules": [{ "customer_group": { "groups": ["trade"] } }] });
    till.put("trade", &with(percent_off(10, "TRADE"), &trade)).await;
    let minimum = json!({ "rules": [{ "minimum_spend": { "amount": { "amount": "2500", "currency": "GBP" } } }] });
    till.put("rich", &with(percent_off(10, "RICH"), &minimum)).await;
    let basket = till.cart(&[('A', 1)]).await;
    assert_eq!(refused(&till, &basket, "EARLY").await, "not_yet");
    assert_eq!(refused(&till, &basket, "LATE").await, "expired");
    // A code that is for others cannot be told from one that is nobody's.
    let (unknown, foreign) = (refused(&till, &basket, "NOBODY").await, refused(&till, &basket, "TRADE").await);
    assert_eq!((unknown.as_str(), foreign.as_str()), ("unknown_code", "unknown_code"));
    // One that only needs more goods goes on, says so, and works once there is enough.
    let cart = till.enter(&basket, "rich").await.unwrap();
    assert_eq!(cart.priced.totals.discount.minor(), 0);
    assert_eq!(cart.priced.skipped.iter().map(|it| it.reason.name()).collect::<Vec<_>>(), ["below_minimum"]);
    assert_eq!(till.set(&basket, 'A', 3).await.priced.totals.discount.minor(), 300);
}

#[tokio::test]
async fn a_cart_holds_ten_codes() {
    let till = till(10, "10.00").await;
    let codes: Vec<String> = (0..11).map(|n| format!("C{n}")).collect();
    for (n, text) in codes.iter().enumerate() {
        till.put(&format!("p{n}"), &percent_off(1, text)).await;
    }
    let basket = till.cart(&[('A', 1)]).await;
    for text in &codes[..10] {
        till.enter(&basket, text).await.unwrap();
    }
    let eleventh = till.enter(&basket, &codes[10]).await;
    let full = matches!(eleventh, Err(CouponError::Cart(CartError::Refused(CartRefusal::TooManyCodes))));
    assert!(full, "{eleventh:?}");
    // One code opens one promotion.
    let twice = till.try_put("other", &percent_off(5, "c3")).await;
    assert!(twice.unwrap_err().to_string().contains("opens the promotion p3"));
}

#[tokio::test]
async fn guessing_is_counted_for_a_cart_and_an_hour() {
    let till = till(10, "10.00").await;
    till.put("ten", &percent_off(10, "REAL")).await;
    let basket = till.cart(&[('A', 1)]).await;
    for n in 0..TRIES_MAX {
        if n == 10 {
            till.enter(&basket, "real").await.unwrap();
        }
        assert_eq!(refused(&till, &basket, &format!("GUESS-{n}")).await, "unknown_code");
    }
    remove_code(&till.shop, basket.id, &basket.token, &code("real"), None).await.unwrap();
    for text in ["one-more", "real"] {
        match till.enter(&basket, text).await {
            Err(CouponError::TooManyTries { retry_after_s }) => assert!((1..=3600).contains(&retry_after_s)),
            other => panic!("{text}: {other:?}"),
        }
    }
    // Another cart, and the same one an hour later.
    let other = till.cart(&[('A', 1)]).await;
    till.enter(&other, "real").await.unwrap();
    till.world.clock.advance(i64::try_from(WINDOW.as_secs()).unwrap());
    till.enter(&basket, "real").await.unwrap();
}

#[tokio::test]
async fn a_code_that_ends_while_it_is_on_the_cart_is_not_charged_with() {
    let till = till(10, "10.00").await;
    let until = (till.world.clock.now() + time::Duration::minutes(5)).format(&Rfc3339).unwrap();
    till.put("short", &with(percent_off(50, "SHORT"), &json!({ "until": until }))).await;
    let basket = till.cart(&[('A', 1)]).await;
    till.enter(&basket, "short").await.unwrap();
    till.start(&basket, &email("ada@example.org")).await;
    let total = till.total(&basket).await;
    assert_eq!(total.minor(), 500);
    till.world.clock.advance(300);
    // The buyer still believes the old total.
    let (cart, checkout, token) = (basket.id, basket.id.checkout(), basket.token.clone());
    let buyer = crate::saga::world::Buyer { cart, token, checkout, total, lines: Vec::new() };
    let answer = Box::pin(crate::saga::acts::call(&till.shop, &buyer, "k1", "approve")).await.unwrap();
    assert_eq!((answer.status, body(&answer)["code"].as_str()), (409, Some("cart_changed")));
    let answer = till.buy(&till.shop, &basket, "k2", "approve").await;
    assert_eq!((answer.status, body(&answer)["totals"]["total"]["amount"].as_str()), (200, Some("1000")));
    till.rest().await;
}
