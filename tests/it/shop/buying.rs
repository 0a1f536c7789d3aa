//! The main job, from a product to a paid order with its mail, and every way a payment can go.
use std::{process::Command, time::Duration};

use http::Method;
use serde_json::{Value, json};

use super::{
    Options, Shop,
    buyer::{Buyer, count_stock, mails, payments, skus, stock, wait_for_mails},
};
use crate::given;

fn minor(money: &Value) -> i64 {
    money["amount"].as_str().unwrap().parse().unwrap()
}

/// One shop for all of them: starting one costs more than buying in it.
#[tokio::test]
async fn a_cart_becomes_a_paid_order() {
    let shop = Shop::start(&Options::default());
    a_purchase_from_product_to_mail(&shop).await;
    a_repeat_is_the_same_answer(&shop).await;
    a_declined_payment_leaves_the_cart_open(&shop).await;
    a_challenge_is_met_and_completed(&shop).await;
    a_challenge_that_is_refused_is_a_decline(&shop).await;
    another_way_to_pay_replaces_a_challenge(&shop).await;
    a_lost_answer_charges_once(&shop).await;
    a_wrong_total_charges_nothing(&shop).await;
    a_price_that_rose_is_shown_before_it_is_charged(&shop).await;
    what_is_sold_out_is_refused_with_what_is_left(&shop).await;
    events_sent_again_change_nothing(&shop).await;
    shop.stop("INT");
}

/// What a broker has lost is sent again from the outbox; whoever had seen it drops it. The mailbox is emptied,
/// so that only the purchase's inbox can tell, and the broker forgets which ids it has seen.
async fn events_sent_again_change_nothing(shop: &Shop) {
    let orders = payments(&shop.client).await.iter().filter(|it| it["captured"] != "0").count();
    assert_eq!(wait_for_mails(&shop.client, orders).await.len(), orders);
    for mail in std::fs::read_dir(shop.data().path().join("mail")).unwrap() {
        std::fs::remove_file(mail.unwrap().path()).unwrap();
    }
    forget_duplicates(shop);
    let mut resend = Command::new(given::path(given::STAGE).join("handler"));
    resend.args(["resend", "2026-01-01T00:00:00Z"]).env("OFFPEAK_MODE", "local").env("OFFPEAK_DEVHOST_URL", &shop.url);
    let output = resend.env("OFFPEAK_DATA", shop.data().path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("events again"), "{text}");
    let settled = |queues: &Value| {
        let queue = |name: &str| queues["items"].as_array().unwrap().iter().find(|it| it["name"] == name).cloned();
        queue("mail").is_some_and(|it| it["active"] == 0 && it["deadLetters"] == 0)
    };
    let mut looks = 0;
    while !settled(&shop.client.get("/dev/queues").await.gave(200).body) {
        looks += 1;
        assert!(looks < 400, "the events sent again are not worked off");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(mails(&shop.client).await.len(), 0);
}

/// The broker's duplicate window, as if it were over.
fn forget_duplicates(shop: &Shop) {
    let broker = rusqlite::Connection::open(shop.data().path().join("host.db")).unwrap();
    assert!(broker.execute("DELETE FROM seen", []).unwrap() > 0);
}

async fn a_purchase_from_product_to_mail(shop: &Shop) {
    let client = &shop.client;
    client.get("/api/health/ready").await.gave(200);
    let list = client.get("/api/v1/products?limit=2").await.gave(200);
    let slug = list.at("/items/0/slug");
    let product = client.get(&format!("/api/v1/products/{slug}")).await.gave(200);
    let sku = product.at("/variants/0/sku");
    count_stock(client, sku, 50).await.gave(200);

    let buyer = Buyer::with(client, &[(sku, 2)]).await;
    let cart = buyer.show(&buyer.cart_path()).await.gave(200);
    assert_eq!((cart.header("cache-control"), product.header("cache-control")), ("no-store", "public, max-age=10"));
    assert_eq!(minor(&cart.body["totals"]["subtotal"]), 2 * minor(&product.body["variants"][0]["price"]));
    let checkout = buyer.start("ada@example.com").await.gave(201);
    assert_eq!(buyer.start("ada@example.com").await.gave(200).at("/id"), checkout.at("/id"));
    let total = &checkout.body["totals"]["total"];
    let order = buyer.complete("first", total, "sandbox_approve").await.gave(200);
    assert_eq!((order.at("/lifecycle"), order.at("/paymentStatus")), ("placed", "captured"));
    let totals = &order.body["totals"];
    let sum = minor(&totals["subtotal"]) + minor(&totals["shipping"]) + minor(&totals["tax"]);
    assert_eq!((minor(&totals["total"]), minor(total)), (sum, sum));

    assert_eq!(buyer.show(&buyer.order_path()).await.gave(200).at("/number"), order.at("/number"));
    assert_eq!(buyer.show(&buyer.checkout_path()).await.gave(200).at("/state"), "placed");
    buyer.line(sku, &json!({ "quantity": 1 })).await.refused(409, "cart_ordered");
    buyer.start("ada@example.com").await.refused(409, "cart_ordered");
    let level = stock(client, sku).await;
    assert_eq!((&level["allocated"], &level["held"], &level["available"]), (&json!(2), &json!(0), &json!(48)));
    let mail = wait_for_mails(client, 1).await;
    assert_eq!(mail[0]["to"].as_str().unwrap(), "ada@example.com");
    assert!(mail[0]["subject"].as_str().unwrap().contains(order.at("/number")), "{mail:?}");
    assert!(mail[0]["text"].as_str().unwrap().contains("Total:"), "{mail:?}");
}

async fn a_repeat_is_the_same_answer(shop: &Shop) {
    let sku = &skus(&shop.client, 1).await[0];
    let buyer = Buyer::at_checkout(&shop.client, &[(sku, 1)]).await;
    let total = buyer.total().await;
    let first = buyer.complete("again", &total, "sandbox_approve").await.gave(200);
    let second = buyer.complete("again", &total, "sandbox_approve").await.gave(200);
    assert_eq!((second.text, first.header("idempotent-replayed")), (first.text.clone(), ""));
    assert_eq!(second.headers["idempotent-replayed"], "true");
    buyer.complete("again", &total, "sandbox_decline").await.refused(422, "idempotency_key_reused");
    // Another key cannot make another order either.
    let other = buyer.complete("another key", &total, "sandbox_approve").await.gave(200);
    assert_eq!(other.at("/id"), first.at("/id"));
}

async fn a_declined_payment_leaves_the_cart_open(shop: &Shop) {
    let sku = &skus(&shop.client, 1).await[0];
    let before = stock(&shop.client, sku).await;
    let buyer = Buyer::at_checkout(&shop.client, &[(sku, 1)]).await;
    let total = buyer.total().await;
    let declined = buyer.complete("poor", &total, "sandbox_decline").await.refused(402, "payment_declined");
    let replay = buyer.complete("poor", &total, "sandbox_decline").await.gave(402);
    assert_eq!((replay.text.as_str(), replay.header("idempotent-replayed")), (declined.text.as_str(), "true"));
    assert_eq!(stock(&shop.client, sku).await, before);
    buyer.show(&buyer.order_path()).await.refused(404, "not_found");
    buyer.line(sku, &json!({ "quantity": 2 })).await.gave(200);
    let total = buyer.total().await;
    buyer.complete("rich", &total, "sandbox_approve").await.gave(200);
}

/// What a buyer does in a browser: open the page, press a button.
async fn answer_challenge(shop: &Shop, url: &str, answer: &str) {
    let path = url.strip_prefix(&shop.url).expect("the page is the dev host's");
    let page = shop.client.get(path).await.gave(200);
    assert!(page.text.contains("Approve") && page.text.contains("Decline"), "{}", page.text);
    let form =
        shop.client.call(Method::POST, path).text("application/x-www-form-urlencoded", format!("answer={answer}"));
    form.send().await.gave(200);
}

async fn a_challenge_is_met_and_completed(shop: &Shop) {
    let sku = &skus(&shop.client, 1).await[0];
    let buyer = Buyer::at_checkout(&shop.client, &[(sku, 1)]).await;
    let total = buyer.total().await;
    let action = buyer.complete("bank", &total, "sandbox_challenge").await.gave(202);
    let again = buyer.complete("bank", &total, "sandbox_challenge").await.gave(202);
    assert_eq!(again.body, action.body);
    assert_eq!(buyer.show(&buyer.checkout_path()).await.gave(200).at("/state"), "action_required");
    buyer.line(sku, &json!({ "quantity": 3 })).await.refused(409, "cart_locked");
    answer_challenge(shop, action.at("/action/url"), "approve").await;
    let order = buyer.complete("bank", &total, "sandbox_challenge").await.gave(200);
    assert_eq!(order.at("/paymentStatus"), "captured");
}

async fn a_challenge_that_is_refused_is_a_decline(shop: &Shop) {
    let sku = &skus(&shop.client, 1).await[0];
    let buyer = Buyer::at_checkout(&shop.client, &[(sku, 1)]).await;
    let total = buyer.total().await;
    let action = buyer.complete("bank", &total, "sandbox_challenge").await.gave(202);
    answer_challenge(shop, action.at("/action/url"), "decline").await;
    buyer.complete("bank", &total, "sandbox_challenge").await.refused(402, "payment_declined");
    assert_eq!(buyer.show(&buyer.cart_path()).await.gave(200).at("/state"), "open");
}

async fn another_way_to_pay_replaces_a_challenge(shop: &Shop) {
    let sku = &skus(&shop.client, 1).await[0];
    let buyer = Buyer::at_checkout(&shop.client, &[(sku, 1)]).await;
    let total = buyer.total().await;
    buyer.complete("bank", &total, "sandbox_challenge").await.gave(202);
    buyer.complete("card", &total, "sandbox_approve").await.gave(200);
    let id = buyer.checkout_path().rsplit('/').next().unwrap().to_owned();
    let mine: Vec<_> = payments(&shop.client).await.into_iter().filter(|it| it["checkoutId"] == id.as_str()).collect();
    let statuses: Vec<_> = mine.iter().map(|it| it["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["voided", "authorised"], "{mine:?}");
    assert_eq!(mine[0]["captured"], "0");
}

async fn a_lost_answer_charges_once(shop: &Shop) {
    let sku = &skus(&shop.client, 1).await[0];
    let buyer = Buyer::at_checkout(&shop.client, &[(sku, 1)]).await;
    let total = buyer.total().await;
    buyer.insist("lost", &total, "sandbox_timeout").await.gave(200);
    let id = buyer.checkout_path().rsplit('/').next().unwrap().to_owned();
    let mine: Vec<_> = payments(&shop.client).await.into_iter().filter(|it| it["checkoutId"] == id.as_str()).collect();
    assert_eq!(mine.len(), 1);
    assert_eq!(mine[0]["captured"], total["amount"]);
}

async fn a_wrong_total_charges_nothing(shop: &Shop) {
    let sku = &skus(&shop.client, 1).await[0];
    let buyer = Buyer::at_checkout(&shop.client, &[(sku, 1)]).await;
    let total = buyer.total().await;
    let wrong = json!({ "amount": "1", "currency": total["currency"] });
    let refused = buyer.complete("cheap", &wrong, "sandbox_approve").await.refused(409, "cart_changed");
    assert_eq!((&refused.body["expectedTotal"], &refused.body["actualTotal"]), (&wrong, &total));
    assert!(refused.body["changedLines"].is_array());
    let id = buyer.checkout_path().rsplit('/').next().unwrap().to_owned();
    assert!(payments(&shop.client).await.iter().all(|it| it["checkoutId"] != id.as_str()));
}

/// P7: the price rises between the checkout and the payment.
async fn a_price_that_rose_is_shown_before_it_is_charged(shop: &Shop) {
    import(shop, "sku,title,price,onHand\nRISING-1,Rising loaf,5.00,10\n");
    let buyer = Buyer::at_checkout(&shop.client, &[("RISING-1", 2)]).await;
    let total = buyer.total().await;
    import(shop, "sku,title,price,onHand\nRISING-1,Rising loaf,6.00,10\n");
    let refused = buyer.complete("old price", &total, "sandbox_approve").await.refused(409, "cart_changed");
    let more = json!({ "amount": (minor(&total) + 200).to_string(), "currency": "GBP" });
    assert_eq!((&refused.body["expectedTotal"], &refused.body["actualTotal"]), (&total, &more));
    let pounds = |amount: &str| json!({ "amount": amount, "currency": "GBP" });
    let line = json!([{ "sku": "RISING-1", "was": pounds("500"), "now": pounds("600") }]);
    assert_eq!(refused.body["changedLines"], line);
    let order = buyer.complete("new price", &more, "sandbox_approve").await.gave(200);
    assert_eq!(order.body["payment"]["captured"], more);
}

/// Loads a price list into the running shop.
fn import(shop: &Shop, list: &str) {
    let file = shop.data().path().join("list.csv");
    std::fs::write(&file, list).unwrap();
    let mut import = Command::new(given::path(given::STAGE).join("handler"));
    import.arg("import").arg(&file).env("OFFPEAK_MODE", "local").env("OFFPEAK_DATA", shop.data().path());
    let output = import.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn what_is_sold_out_is_refused_with_what_is_left(shop: &Shop) {
    let sku = skus(&shop.client, 2).await.pop().unwrap();
    count_stock(&shop.client, &sku, 2).await.gave(200);
    let buyer = Buyer::at_checkout(&shop.client, &[(&sku, 3)]).await;
    let total = buyer.total().await;
    let refused = buyer.complete("three", &total, "sandbox_approve").await.refused(409, "out_of_stock");
    assert_eq!(refused.body["availability"], json!([{ "sku": sku, "requested": 3, "available": 2 }]));
    buyer.line(&sku, &json!({ "quantity": 2 })).await.gave(200);
    let total = buyer.total().await;
    buyer.complete("two", &total, "sandbox_approve").await.gave(200);
    assert_eq!(stock(&shop.client, &sku).await["available"], json!(0));
}
