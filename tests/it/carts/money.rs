//! P7 and P8: what is charged is a total that the buyer has agreed to, and no number of it came from the buyer. What
//! any body may hold is tried in `abuse.rs`.
use std::collections::HashSet;

use http::Method;
use serde_json::{Value, json};

use super::till::{Cart, Dice, Till, lines, minor, put_settings};

const GOODS: &str = "sku,title,price,onHand\nA,Bell,5.00,9000\nB,Kite,7.50,9000\n";

fn pounds(minor: u64) -> Value {
    json!({ "amount": minor.to_string(), "currency": "GBP" })
}

/// Something a total depends on changes.
async fn change(till: &Till, dice: &mut Dice, round: u64) {
    match dice.throw(4) {
        0 => till.load(&format!("sku,title,price\nA,Bell,{}.{:02}\n", 1 + dice.throw(20), dice.throw(100))).await,
        1 => {
            let rate = dice.throw(300_000) + 1;
            till.settings(
                &json!({ "pricesIncludeTax": round.is_multiple_of(2), "taxes": [{ "rateMillionths": rate }] }),
            )
            .await;
        }
        2 => {
            let rate = json!({ "method": "standard", "title": "S", "price": pounds(dice.throw(900)) });
            till.settings(&json!({ "shipping": [rate] })).await;
        }
        _ => {
            let id = format!("sale-{}", dice.throw(3));
            let percent = 1 + dice.throw(60);
            let body = json!({
                "title": "Sale", "trigger": "automatic", "effect": { "order_percent": { "millionths": percent * 10_000 } },
            });
            let path = format!("/api/v1/manage/promotions/{id}");
            let client = till.instance().await;
            let call = client.call(Method::PUT, &path).header("authorization", "Bearer staff;owner");
            let answer = call.header("if-match", "*").json(&body).send().await;
            assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
        }
    }
}

/// P7: prices, taxes, shipping and promotions change at random between what is shown and what is paid. What is
/// charged is always a total that the buyer has sent.
#[tokio::test]
async fn p7_what_is_charged_is_always_a_total_that_was_agreed_to() {
    let till = Till::open(GOODS).await;
    let mut dice = Dice::new(7);
    let (mut refused, mut placed) = (0, 0);
    for round in 0..40 {
        let client = till.instance().await;
        let (cart, mut total) =
            Cart::at_checkout(&client, &[("A", 1 + u32::try_from(dice.throw(5)).unwrap()), ("B", 1)]).await;
        let mut agreed = HashSet::new();
        for attempt in 0..6 {
            if dice.throw(3) > 0 {
                change(&till, &mut dice, round).await;
            }
            agreed.insert(minor(&total));
            let answer = cart.complete(&client, &format!("key {attempt}"), &total, "approve").await;
            if answer.status == 200 {
                placed += 1;
                assert_eq!(answer.body["totals"]["total"], total);
                break;
            }
            refused += 1;
            total = answer.refused(409, "cart_changed").body["actualTotal"].clone();
        }
        let id = cart.id.replace("cart_", "chk_");
        let mine: Vec<_> = till.provider.books().into_iter().filter(|it| it.0 == id).collect();
        assert!(mine.iter().all(|it| agreed.contains(&it.1) && (it.2 == 0 || it.2 == it.1)), "{mine:?} {agreed:?}");
    }
    assert!(refused >= 10 && placed >= 20, "{refused} refused, {placed} placed");
}

/// P7: once the cart is locked, no change touches the amount.
#[tokio::test]
async fn p7_after_the_lock_nothing_alters_the_amount() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let (cart, total) = Cart::at_checkout(&client, &[("A", 3)]).await;
    cart.complete(&client, "bank", &total, "challenge").await.gave(202);
    let mut dice = Dice::new(3);
    for round in 0..12 {
        change(&till, &mut dice, round).await;
    }
    till.archive("A").await;
    let client = till.instance().await;
    assert_eq!(cart.get(&client, &cart.checkout()).await.gave(200).body["totals"]["total"], total);
    till.provider.approve_challenges();
    let order = cart.complete(&client, "bank", &total, "challenge").await.gave(200);
    assert_eq!(order.body["totals"]["total"], total);
    assert_eq!(till.provider.books(), [(cart.id.replace("cart_", "chk_"), minor(&total), minor(&total))]);
}

#[tokio::test]
async fn p7_without_an_expected_total_nothing_is_charged() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let (cart, total) = Cart::at_checkout(&client, &[("A", 1)]).await;
    let post = async |body: Value| {
        let call = client.call(Method::POST, &format!("{}/complete", cart.checkout()));
        call.header("x-cart-token", &cart.token).header("idempotency-key", "k").json(&body).send().await
    };
    let payment = json!({ "method": "approve" });
    post(json!({ "payment": payment })).await.refused(400, "invalid_body");
    post(json!({ "expectedTotal": null, "payment": payment })).await.refused(400, "invalid_body");
    let bare = post(json!({ "expectedTotal": 895, "payment": payment })).await;
    bare.refused(400, "invalid_body");
    for amount in ["", "8.95", "-1x", "NaN", "1e3", "99999999999999999999"] {
        let expected = json!({ "amount": amount, "currency": "GBP" });
        post(json!({ "expectedTotal": expected, "payment": payment })).await.refused(422, "validation_failed");
    }
    let foreign = json!({ "amount": total["amount"], "currency": "EUR" });
    post(json!({ "expectedTotal": foreign, "payment": payment })).await.refused(409, "cart_changed");
    assert!(till.provider.books().is_empty());
}

/// The same number would be another amount: while anything is priced in a currency, the store keeps it.
#[tokio::test]
async fn p11_the_currency_does_not_change_under_a_cart_with_a_code_on() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let promotion = json!({
        "title": "A pound off", "trigger": { "coded": { "codes": ["POUND"] } },
        "effect": { "order_fixed": { "amount": pounds(100) } },
    });
    let call = client.call(Method::PUT, "/api/v1/manage/promotions/pound");
    let call = call.header("authorization", "Bearer staff;owner").header("if-match", "*");
    call.json(&promotion).send().await.gave(200);
    let cart = Cart::with(&client, &[("A", 2)]).await;
    let code = client.call(Method::PUT, &format!("{}/coupons/POUND", cart.path()));
    code.header("x-cart-token", &cart.token).send().await.gave(200);
    let total = cart.start(&client).await.gave(201).body["totals"]["total"].clone();
    assert_eq!(total, pounds(900));
    for currency in ["JPY", "KWD"] {
        let price = json!({ "amount": "395", "currency": currency });
        let rate = json!({ "method": "standard", "title": "Standard", "price": price });
        let change = json!({ "currency": currency, "shipping": [rate] });
        put_settings(&client, &change).await.refused(422, "validation_failed");
    }
    let foreign = json!({ "amount": total["amount"], "currency": "JPY" });
    cart.complete(&client, "yen", &foreign, "approve").await.refused(409, "cart_changed");
    assert!(till.provider.books().is_empty(), "money moved");
    let order = cart.complete(&client, "pounds", &total, "approve").await.gave(200).body;
    assert_eq!((&order["totals"]["total"], minor(&order["totals"]["discount"])), (&total, 100));
}

/// P8: what is no number of units is refused, never wrapped, rounded or taken for another.
#[tokio::test]
async fn p8_quantities_at_the_edges_are_refused() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let cart = Cart::with(&client, &[("A", 2)]).await;
    let path = format!("{}/lines/A", cart.path());
    let put = async |text: &str| {
        let call = client.call(Method::PUT, &path).header("x-cart-token", &cart.token);
        call.text("application/json", format!("{{\"quantity\":{text}}}")).send().await
    };
    for number in [
        "-1",
        "-0.5",
        "1.5",
        "2.0",
        "1e2",
        "1e18",
        "1000",
        "4294967296",
        "4294967298",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551617",
        "1e400",
        "-9223372036854775809",
    ] {
        let refused = put(number).await;
        assert!(matches!(refused.status, 400 | 422), "{number}: {}", refused.text);
    }
    for text in ["NaN", "Infinity", "0x10", "1_000", "01", "+1", ""] {
        put(text).await.refused(400, "malformed_json");
    }
    for text in ["\"2\"", "null", "[2]", "{}", "true"] {
        put(text).await.refused(400, "invalid_body");
    }
    assert_eq!(lines(&cart.show(&client).await.gave(200).body), [("A".to_owned(), 2)]);
    put("999").await.gave(200);
}

/// The dearest cart there can be is priced to the last penny.
#[tokio::test]
async fn p8_the_largest_amounts_are_exact() {
    let till = Till::open("sku,title,price,onHand\nA,Gem,9999999999.99,9000\n").await;
    let client = till.instance().await;
    let cart = Cart::with(&client, &[("A", 999)]).await;
    let shown = cart.show(&client).await.gave(200);
    assert_eq!(minor(&shown.body["totals"]["total"]), 999_999_999_999 * 999);
    let total = cart.start(&client).await.gave(201).body["totals"]["total"].clone();
    let order = cart.complete(&client, "key", &total, "approve").await.gave(200);
    assert_eq!(order.body["payment"]["captured"], total);
}
