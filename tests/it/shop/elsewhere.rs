//! The path of the README's tour with every dependency outside the process, chosen by settings alone: Cosmos DB's
//! emulator, a Redis server, Azurite, a mail server and localstripe.
use http::Method;
use serde_json::json;

use super::{
    Options, Shop,
    buyer::{Buyer, count_stock, skus, staff, stock},
};
use crate::{
    cache_contract::{server::Redis, soon},
    cosmos::emulator::Emulator,
    mail_contract::Server,
    objects_contract::azurite::Azurite,
    payments::stripe::{KEY, LocalStripe, SECRET},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_path_works_on_services_that_settings_choose() {
    let (cosmos, redis, azurite) = (Emulator::start(&["North Europe"]), Redis::start(), Azurite::start().await);
    let (stripe, mut mail) = (LocalStripe::start(), Server::start());
    let chosen = [
        ("OFFPEAK_CACHE", "redis".to_owned()),
        ("OFFPEAK_REDIS_URL", redis.url()),
        ("OFFPEAK_PAYMENTS", "stripe".to_owned()),
        ("OFFPEAK_PAYMENTS_URL", stripe.url.clone()),
        ("OFFPEAK_STRIPE_SECRET_KEY", KEY.to_owned()),
        ("OFFPEAK_STRIPE_WEBHOOK_SECRETS", SECRET.to_owned()),
        ("OFFPEAK_MAIL", "smtp".to_owned()),
        ("OFFPEAK_SMTP_HOST", "127.0.0.1".to_owned()),
        ("OFFPEAK_SMTP_PORT", mail.port.to_string()),
        ("OFFPEAK_SMTP_SECURITY", "none".to_owned()),
    ];
    let mut settings: Vec<_> = chosen.map(|(name, value)| (name.to_owned(), value)).into();
    settings.extend(cosmos.settings());
    settings.extend(azurite.settings());
    let shop = Shop::start(&Options { settings, ..Options::default() });
    let heard = format!("{}/api/v1/payments/webhooks/stripe", shop.url);
    stripe.post("_config/webhooks/w1", &[("url", &heard), ("secret", SECRET)]).await;

    let sku = skus(&shop.client, 1).await.pop().unwrap();
    count_stock(&shop.client, &sku, 40).await.gave(200);
    let page = shop.client.get("/api/v1/products?limit=1").await.gave(200);
    let slug = page.at("/items/0/slug").to_owned();
    for _ in 0..2 {
        shop.client.get(&format!("/api/v1/products/{slug}")).await.gave(200);
    }
    let buyer = Buyer::with(&shop.client, &[(sku.as_str(), 2)]).await;
    buyer.start("ada@example.com").await.gave(201);
    let total = buyer.total().await;
    let card = stripe.card("4242424242424242").await;
    let pay = json!({ "expectedTotal": total, "payment": { "method": card.method, "token": card.token } });
    let complete = || {
        let call = buyer.call(Method::POST, &format!("{}/complete", buyer.checkout_path()));
        call.header("idempotency-key", "once").json(&pay).send()
    };
    let order = complete().await.gave(200);
    assert_eq!((order.at("/lifecycle"), order.at("/paymentStatus")), ("placed", "captured"));
    let again = complete().await.gave(200);
    assert_eq!((again.header("idempotent-replayed"), &again.text), ("true", &order.text));

    assert_eq!(buyer.show(&buyer.order_path()).await.gave(200).at("/lifecycle"), "placed");
    let path = format!("/api/v1/manage{}", &buyer.order_path()["/api/v1".len()..]);
    let bearer = format!("Bearer {}", staff(&shop.client).await);
    let seen = shop.client.call(Method::GET, &path).header("authorization", &bearer).send().await.gave(200);
    assert_eq!(seen.at("/fulfilmentStatus"), "unfulfilled");
    let level = stock(&shop.client, &sku).await;
    assert_eq!((&level["onHand"], &level["allocated"]), (&json!(40), &json!(2)));
    let letter = tokio::task::spawn_blocking(move || mail.seen()).await.unwrap();
    assert_eq!(letter["to"], "ada@example.com");
    assert!(letter["text"].as_str().unwrap().contains(order.at("/number")), "{letter}");
    // A list is kept for seconds, so it is asked for again.
    soon(|| async {
        shop.client.get("/api/v1/products?limit=1").await.gave(200);
        redis.cli(&["dbsize"]).trim() != "0"
    })
    .await;
    shop.stop("INT");
}
