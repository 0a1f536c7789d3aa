//! P13: what is taken off depends on the cart and the clock, never on the order of anything.
use serde_json::json;

use super::till::{Till, body, email, percent_off, till, with};

async fn three(till: &Till) {
    till.put("ten", &percent_off(10, "TEN")).await;
    till.put("five", &with(percent_off(5, "FIVE"), &json!({ "combinesWith": ["shipping"] }))).await;
    let lines = json!({ "effect": { "line_percent": { "millionths": 250_000, "goods": { "skus": [till.sku('B').as_str()] } } } });
    till.put("quarter", &with(percent_off(1, "QUARTER"), &lines)).await;
}

#[tokio::test]
async fn p13_neither_the_order_of_codes_nor_of_lines_nor_the_process_matters() {
    let till = till(100, "10.01").await;
    three(&till).await;
    let orders = [["TEN", "FIVE", "QUARTER"], ["QUARTER", "FIVE", "TEN"], ["FIVE", "TEN", "QUARTER"]];
    let lines = [[('A', 3), ('B', 1)], [('B', 1), ('A', 3)]];
    let mut seen = Vec::new();
    for codes in orders {
        for lines in &lines {
            let basket = till.cart(lines).await;
            for code in codes {
                till.enter(&basket, code).await.unwrap();
            }
            for shop in [&till.shop, &till.other_process()] {
                let cart = offpeak::shared::operations::carts::get_cart(shop, basket.id, &basket.token).await.unwrap();
                let mut applied: Vec<String> =
                    cart.priced.discounts.iter().map(|it| format!("{} {}", it.promotion, it.amount.minor())).collect();
                applied.push(cart.priced.totals.total.minor().to_string());
                let mut by_sku: Vec<String> =
                    cart.priced.lines.iter().map(|it| format!("{} {}", it.sku, it.discount.minor())).collect();
                by_sku.sort();
                seen.push((applied, by_sku));
            }
        }
    }
    assert!(seen[0].0.len() > 1, "{seen:?}");
    assert!(seen.iter().all(|it| *it == seen[0]), "{seen:#?}");
}

#[tokio::test]
async fn p13_buy_three_get_one_in_one_call_or_in_four() {
    let till = till(100, "9.99").await;
    let all = json!({
        "trigger": "automatic", "effect": { "buy_get": { "buyUnits": 3, "getUnits": 1 } },
    });
    till.put("four-for-three", &with(percent_off(1, "X"), &all)).await;
    let at_once = till.cart(&[('A', 4)]).await;
    let bit_by_bit = till.cart(&[('A', 1)]).await;
    let mut totals = vec![till.show(&bit_by_bit).await.priced.totals.total.minor()];
    for units in 2..=4 {
        totals.push(till.set(&bit_by_bit, 'A', units).await.priced.totals.total.minor());
    }
    assert_eq!(totals, [999, 1998, 2997, 2997]);
    assert_eq!(till.show(&at_once).await.priced.totals, till.show(&bit_by_bit).await.priced.totals);
}

#[tokio::test]
async fn p13_a_hundred_per_cent_ends_at_zero_and_is_ordered_for_nothing() {
    let till = till(100, "9.99").await;
    till.put("all", &percent_off(100, "ALL")).await;
    let shipping = json!({ "trigger": "automatic", "effect": "free_shipping" });
    till.put("shipping", &with(percent_off(1, "X"), &shipping)).await;
    till.put("more", &with(percent_off(50, "MORE"), &json!({ "priority": -1 }))).await;
    let basket = till.cart(&[('A', 3), ('B', 1)]).await;
    till.enter(&basket, "all").await.unwrap();
    till.enter(&basket, "more").await.unwrap();
    let seen = till.start(&basket, &email("ada@example.org")).await;
    assert_eq!(seen.priced.totals.total.minor(), 0);
    let answer = till.buy(&till.shop, &basket, "k", "approve").await;
    assert_eq!((answer.status, body(&answer)["totals"]["total"]["amount"].as_str()), (200, Some("0")));
    assert!(till.world.provider.ledger().is_empty(), "no payment for nothing");
    till.rest().await;
}

#[tokio::test]
async fn a_promotion_in_another_currency_is_passed_over() {
    let till = till(100, "10.00").await;
    let amount = json!({ "effect": { "order_fixed": { "amount": { "amount": "100", "currency": "GBP" } } } });
    till.put("pound", &with(percent_off(1, "POUND"), &amount)).await;
    let basket = till.cart(&[('A', 1)]).await;
    assert_eq!(till.enter(&basket, "pound").await.unwrap().priced.totals.total.minor(), 900);
    // The store changes its currency while the code is on: nothing is off, nothing fails, and it says why.
    let documents = till.world.documents.as_ref();
    let settings = offpeak::shared::documents::settings::read_settings(documents).await.unwrap().unwrap();
    let mut changed = settings.value.clone();
    changed.currency = offpeak_domain::money::Currency::parse("EUR").unwrap();
    changed.shipping.clear();
    let write = offpeak::shared::documents::settings::put_settings(&changed, Some(&settings.etag)).unwrap();
    let store = offpeak::shared::documents::settings::STORE;
    let container = offpeak::shared::ports::documents::Container::Stores;
    offpeak::shared::ports::documents::Documents::write(documents, container, store, vec![write]).await.unwrap();
    let other = till.other_process();
    let cart = offpeak::shared::operations::carts::get_cart(&other, basket.id, &basket.token).await.unwrap();
    assert_eq!((cart.priced.discounts.len(), cart.priced.totals.discount.minor()), (0, 0));
    let refused = till.try_put("pound", &with(percent_off(1, "POUND"), &amount)).await.err();
    assert!(refused.is_some_and(|err| err.to_string().starts_with("effect: ")));
}
