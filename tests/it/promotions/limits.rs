//! P12: limits under concurrent completions, through the whole saga.
use futures_util::{StreamExt as _, future::join_all, stream};
use offpeak::shared::{
    documents::promo_use::PoolKey,
    documents::purchases::read_order,
    operations::{
        merge_cart::Customer,
        promotions::{claims, uses::used_by_others},
    },
};
use offpeak_domain::order::Lifecycle;
use serde_json::json;

use super::check::{check_order, check_uses};
use super::till::{Basket, body, email, percent_off, till, with};

/// Baskets that have the code; all have been promised the discount before the first of them pays.
const BUYERS: usize = 1_000;
/// Completions under way at any moment, over eight processes.
const AT_ONCE: usize = 100;
const LIMIT: u32 = 100;

#[tokio::test]
async fn p12_a_limit_of_a_hundred_holds_against_a_thousand_completions() {
    let till = till(10_000, "10.00").await;
    till.put("hundred", &with(percent_off(10, "HUNDRED"), &json!({ "uses": { "total": LIMIT } }))).await;
    let mut baskets: Vec<Basket> = Vec::new();
    let mut promised = Vec::new();
    for n in 0..BUYERS {
        let basket = till.cart(&[('A', 1)]).await;
        till.enter(&basket, "hundred").await.unwrap();
        let seen = till.start(&basket, &email(&format!("buyer{n}@example.org"))).await;
        assert_eq!(seen.priced.totals.total.minor(), 900);
        promised.push(seen.priced.totals.total);
        baskets.push(basket);
    }
    let processes: Vec<_> = (0..8).map(|_| till.other_process()).collect();
    // One in ten pays with a card that is declined, after the use was claimed.
    let race = baskets.iter().enumerate().map(|(n, basket)| {
        let method = if n % 10 == 3 { "decline" } else { "approve" };
        let shop = &processes[n % processes.len()];
        let (till, total) = (&till, promised[n]);
        async move { till.buy_at(shop, basket, &format!("k{n}"), method, total).await }
    });
    let answers: Vec<_> = stream::iter(race).buffer_unordered(AT_ONCE).collect().await;
    let mut refused = 0;
    for answer in &answers {
        match (answer.status, body(answer)["code"].as_str()) {
            (200 | 402, _) => {}
            (409, Some("promotion_exhausted")) => {
                assert_eq!(body(answer)["promotion"], "hundred");
                refused += 1;
            }
            // Priced again without it before anything was claimed.
            (409, Some("cart_changed")) => refused += 1,
            other => panic!("{other:?}: {}", body(answer)),
        }
    }
    assert!(refused >= BUYERS - 300, "{refused} were refused");
    till.rest().await;
    // Uses that declined buyers gave back are there for others: now all are taken.
    for (n, basket) in baskets.iter().enumerate() {
        let pool = PoolKey::promotion("hundred");
        if used_by_others(&till.shop.ports, &pool, None).await.unwrap() == LIMIT {
            break;
        }
        till.buy(&till.shop, basket, &format!("again{n}"), "approve").await;
    }
    till.rest().await;
    let documents = till.world.documents.as_ref();
    let mut discounted = 0;
    for basket in &baskets {
        let Some(order) = read_order(documents, basket.id.checkout()).await.unwrap() else { continue };
        assert_eq!(check_order(documents, &order.value).await.unwrap(), Vec::<String>::new());
        let live = order.value.lifecycle == Lifecycle::Placed;
        discounted += u32::from(live && !order.value.priced.discounts.is_empty());
    }
    assert_eq!(discounted, LIMIT);
    // Whoever comes now is priced without it, and buys.
    let late = till.cart(&[('A', 1)]).await;
    let entered = till.enter(&late, "hundred").await;
    assert!(entered.unwrap_err().to_string().contains("exhausted"));
}

#[tokio::test]
async fn p12_one_use_for_one_person_under_any_spelling() {
    let till = till(100, "10.00").await;
    till.put("once", &with(percent_off(10, "ONCE"), &json!({ "uses": { "perCustomer": 1 } }))).await;
    let spellings = ["ada@example.org", "Ada@Example.ORG", "ada+shop@example.org"];
    let mut baskets = Vec::new();
    for spelling in spellings {
        let basket = till.cart(&[('A', 1)]).await;
        till.enter(&basket, "once").await.unwrap();
        assert_eq!(till.start(&basket, &email(spelling)).await.priced.totals.total.minor(), 900);
        baskets.push(basket);
    }
    let race = baskets.iter().map(|basket| till.buy(&till.shop, basket, "k", "approve"));
    let placed: Vec<bool> = join_all(race).await.iter().map(|it| it.status == 200).collect();
    assert_eq!(placed.iter().filter(|it| **it).count(), 1, "{placed:?}");
    till.rest().await;
    // The others are shown the price without it, and why; another person has their own use.
    let other = baskets.iter().zip(&placed).find(|(_, placed)| !**placed).unwrap().0;
    assert_eq!(till.total(other).await.minor(), 1000);
    assert_eq!(till.buy(&till.shop, other, "k2", "approve").await.status, 200);
    let bob = till.cart(&[('A', 1)]).await;
    till.enter(&bob, "once").await.unwrap();
    assert_eq!(till.start(&bob, &email("bob@example.org")).await.priced.totals.total.minor(), 900);
    assert_eq!(till.buy(&till.shop, &bob, "k", "approve").await.status, 200);
    till.rest().await;
}

#[tokio::test]
async fn p12_a_cancelled_order_gives_its_use_back_once() {
    let till = till(100, "10.00").await;
    till.put("one", &with(percent_off(10, "ONE"), &json!({ "uses": { "total": 1 } }))).await;
    let first = till.cart(&[('A', 1)]).await;
    till.enter(&first, "one").await.unwrap();
    till.start(&first, &email("ada@example.org")).await;
    assert_eq!(till.buy(&till.shop, &first, "k", "approve").await.status, 200);
    till.rest().await;
    let documents = till.world.documents.as_ref();
    let order = read_order(documents, first.id.checkout()).await.unwrap().unwrap().value;
    for _ in 0..3 {
        let (ports, id) = (&till.shop.ports, first.id.checkout());
        claims::release(ports, id, claims::FOR_GOOD, &order.priced, &order.buyer).await.unwrap();
    }
    let pool = PoolKey::promotion("one");
    assert_eq!(used_by_others(&till.shop.ports, &pool, None).await.unwrap(), 0);
    // The check sees an order that lives without its claim: that is how a lost claim would show.
    assert_eq!(check_order(documents, &order).await.unwrap().len(), 2);
    let second = till.cart(&[('A', 1)]).await;
    till.enter(&second, "one").await.unwrap();
    till.start(&second, &email("bob@example.org")).await;
    assert_eq!(till.buy(&till.shop, &second, "k", "approve").await.status, 200);
    assert_eq!(check_uses(documents).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_first_order_is_one_order() {
    let till = till(100, "10.00").await;
    let rule = json!({ "trigger": "automatic", "rules": ["first_order"] });
    till.put("welcome", &with(percent_off(20, "X"), &rule)).await;
    let mut baskets = Vec::new();
    for _ in 0..2 {
        let basket = till.cart(&[('A', 1)]).await;
        assert_eq!(till.start(&basket, &email("ada@example.org")).await.priced.totals.total.minor(), 800);
        baskets.push(basket);
    }
    let race = baskets.iter().map(|basket| till.buy(&till.shop, basket, "k", "approve"));
    let placed = join_all(race).await.iter().filter(|it| it.status == 200).count();
    assert_eq!(placed, 1, "two first orders at once");
    till.rest().await;
    let later = till.cart(&[('A', 1)]).await;
    let seen = till.start(&later, &email("ADA+x@example.org")).await;
    assert_eq!(seen.priced.totals.total.minor(), 1000);
    // An order without the promotion is an order too.
    let bob = till.cart(&[('B', 1)]).await;
    till.put("welcome", &with(percent_off(20, "X"), &json!({}))).await;
    till.start(&bob, &email("bob@example.org")).await;
    assert_eq!(till.buy(&till.shop, &bob, "k", "approve").await.status, 200);
    till.put("welcome", &with(percent_off(20, "X"), &rule)).await;
    let bob = till.cart(&[('A', 1)]).await;
    assert_eq!(till.start(&bob, &email("bob@example.org")).await.priced.totals.total.minor(), 1000);
    till.rest().await;
}

#[tokio::test]
async fn p12_one_use_for_one_account_under_any_address() {
    let till = till(100, "10.00").await;
    till.put("once", &with(percent_off(10, "ONCE"), &json!({ "uses": { "perCustomer": 1 } }))).await;
    let ada = Customer { subject: "ada".to_owned(), groups: Vec::new() };
    let guest = till.cart(&[('A', 1)]).await;
    let signed_in = till.sign_in(&guest, &ada).await;
    till.enter(&signed_in, "once").await.unwrap();
    till.start(&signed_in, &email("ada@example.org")).await;
    assert_eq!(till.buy(&till.shop, &signed_in, "k", "approve").await.status, 200);
    till.rest().await;
    // Signed in with another address, and with the address alone, the use is taken: no price was promised.
    let guest = till.cart(&[('A', 1)]).await;
    let again = till.sign_in(&guest, &ada).await;
    assert!(till.enter(&again, "once").await.unwrap_err().to_string().contains("exhausted"));
    let alone = till.cart(&[('A', 1)]).await;
    till.enter(&alone, "once").await.unwrap();
    assert_eq!(till.start(&alone, &email("ada@example.org")).await.priced.totals.total.minor(), 1000);
    // Signed in here and as a guest there, both promised the discount: one has it.
    let bob = Customer { subject: "bob".to_owned(), groups: Vec::new() };
    let guest = till.cart(&[('A', 1)]).await;
    let baskets = [till.sign_in(&guest, &bob).await, till.cart(&[('A', 1)]).await];
    for basket in &baskets {
        till.enter(basket, "once").await.unwrap();
        assert_eq!(till.start(basket, &email("bob@example.org")).await.priced.totals.total.minor(), 900);
    }
    let race = baskets.iter().map(|basket| till.buy(&till.shop, basket, "k", "approve"));
    let placed = join_all(race).await.iter().filter(|it| it.status == 200).count();
    assert_eq!(placed, 1);
    till.rest().await;
}
