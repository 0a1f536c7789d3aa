//! An external tax service: what it says is what is shown and charged; without it a cart shows an estimate and
//! nothing is charged.
use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use super::till::{Cart, Till, minor};

const GOODS: &str = "sku,title,price,onHand,taxClass\nA,Bell,10.00,90,standard\nB,Book,10.00,90,zero\n";

/// A service that takes ten per cent of everything but books, once it is told to answer.
struct Service {
    url: String,
    /// Millionths for what is not a book.
    rate: AtomicU32,
    is_broken: AtomicBool,
    asked: Mutex<Vec<Value>>,
}

impl Service {
    async fn start(running: &mut JoinSet<()>) -> Arc<Service> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/rates", listener.local_addr().unwrap());
        let (rate, is_broken) = (AtomicU32::new(100_000), AtomicBool::new(false));
        let service = Arc::new(Service { url, rate, is_broken, asked: Mutex::default() });
        let shared = Arc::clone(&service);
        running.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let answer = service_fn(move |request| answer(Arc::clone(&shared), request));
                    http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await.ok();
                });
            }
        });
        service
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

async fn answer(service: Arc<Service>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body: Value = serde_json::from_slice(&request.into_body().collect().await.unwrap().to_bytes()).unwrap();
    service.asked.lock().unwrap().push(body.clone());
    let rate = service.rate.load(Ordering::SeqCst);
    let line = |it: &Value| match it["taxClass"].as_str() {
        Some("zero") => json!({ "id": it["id"], "rateMillionths": 0, "reason": "exempt" }),
        _ => json!({ "id": it["id"], "rateMillionths": rate }),
    };
    let mut lines: Vec<_> = body["lines"].as_array().unwrap().iter().map(line).collect();
    if service.is_broken.load(Ordering::SeqCst) {
        // Says nothing of the last line: no answer at all.
        lines.pop();
    }
    let shipping = body["shipping"].is_object().then(|| json!({ "rateMillionths": rate }));
    let answer = json!({ "lines": lines, "shipping": shipping }).to_string();
    Ok(Response::new(Full::new(Bytes::from(answer))))
}

async fn taxed_by(till: &Till, url: &str) {
    till.settings(&json!({ "pricesIncludeTax": false, "taxProvider": { "url": url } })).await;
}

#[tokio::test]
async fn the_services_rates_are_shown_and_charged() {
    let mut running = JoinSet::new();
    let service = Service::start(&mut running).await;
    let till = Till::open(GOODS).await;
    taxed_by(&till, &service.url).await;
    let client = till.instance().await;
    let cart = Cart::with(&client, &[("A", 2), ("B", 1)]).await;
    let shown = cart.show(&client).await.gave(200);
    assert_eq!((minor(&shown.body["totals"]["tax"]), &shown.body["taxEstimated"]), (200, &json!(false)));
    let checkout = cart.start(&client).await.gave(201);
    let total = &checkout.body["totals"]["total"];
    assert_eq!(minor(&checkout.body["totals"]["tax"]), 200 + minor(&checkout.body["totals"]["shipping"]) / 10);
    assert_eq!(checkout.at("/lines/1/taxReason"), "exempt");
    let before = service.count();
    let order = cart.complete(&client, "key", total, "approve").await.gave(200);
    assert_eq!(order.body["totals"]["total"], *total);
    assert_eq!(service.count(), before, "the same question has its answer for a while");
    let asked = service.asked.lock().unwrap().last().unwrap().clone();
    assert_eq!(asked["destination"], json!({ "country": "GB", "region": null, "postalCode": "LS1 1AA" }));
    assert_eq!(asked["lines"][0], json!({ "id": "A", "taxClass": "standard", "quantity": 2, "amount": "2000" }));
}

#[tokio::test]
async fn without_an_answer_a_cart_shows_an_estimate_and_nothing_is_charged() {
    let mut running = JoinSet::new();
    let service = Service::start(&mut running).await;
    service.is_broken.store(true, Ordering::SeqCst);
    let till = Till::open(GOODS).await;
    till.settings(&json!({ "taxes": [{ "country": "GB", "rateMillionths": 200_000 }] })).await;
    taxed_by(&till, &service.url).await;
    let client = till.instance().await;
    let cart = Cart::with(&client, &[("A", 1)]).await;
    let shown = cart.show(&client).await.gave(200);
    assert_eq!((minor(&shown.body["totals"]["tax"]), &shown.body["taxEstimated"]), (200, &json!(true)));
    assert_eq!(shown.at("/problems/0/code"), "tax_estimated");
    let total = cart.start(&client).await.gave(201).body["totals"]["total"].clone();
    let away = cart.complete(&client, "key", &total, "approve").await.refused(503, "unavailable");
    assert!(away.header("retry-after").parse::<u32>().unwrap() > 0);
    assert!(till.provider.books().is_empty());
    assert_eq!(cart.show(&client).await.gave(200).at("/state"), "open");

    // Nobody listens at all: the same.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    taxed_by(&till, &nowhere).await;
    cart.complete(&client, "key", &total, "approve").await.refused(503, "unavailable");

    // The service is back: the key was not used up, but the total is another one now.
    service.is_broken.store(false, Ordering::SeqCst);
    taxed_by(&till, &service.url).await;
    let changed = cart.complete(&client, "key", &total, "approve").await.refused(409, "cart_changed");
    let order = cart.complete(&client, "new key", &changed.body["actualTotal"], "approve").await.gave(200);
    assert_eq!(order.body["totals"]["tax"], changed_tax(&order.body));
}

/// Ten per cent of everything.
fn changed_tax(order: &Value) -> Value {
    let base = minor(&order["totals"]["subtotal"]) + minor(&order["totals"]["shipping"]);
    json!({ "amount": (base / 10).to_string(), "currency": "GBP" })
}

#[tokio::test]
async fn every_zero_has_its_reason() {
    let till = Till::open(GOODS).await;
    till.settings(&json!({ "taxes": [
        { "country": "GB", "class": "zero", "rateMillionths": 0, "reason": "zero_rated" },
        { "country": "GB", "class": "standard", "rateMillionths": 200_000 },
        { "country": "FR", "rateMillionths": 0, "reason": "export" },
    ] }))
    .await;
    let client = till.instance().await;
    let cart = Cart::with(&client, &[("A", 1), ("B", 1)]).await;
    let reasons = |body: &Value| -> Vec<Value> {
        body["lines"].as_array().unwrap().iter().map(|it| it["taxReason"].clone()).collect()
    };
    assert_eq!(reasons(&cart.start(&client).await.gave(201).body), [Value::Null, json!("zero_rated")]);
    for (country, reason) in [("FR", "export"), ("NZ", "no_rule")] {
        let address = json!({ "name": "Ada", "line1": "1", "city": "X", "postalCode": "1", "country": country });
        let call = client.call(http::Method::PUT, &cart.checkout()).header("x-cart-token", &cart.token);
        let seen = call.json(&json!({ "shippingAddress": address })).send().await.gave(200);
        assert_eq!(reasons(&seen.body), [json!(reason), json!(reason)]);
    }
}
