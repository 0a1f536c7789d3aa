//! The rooms of stock over a socket, as the host and `curl` would use them.
use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use offpeak::{
    functions::ROOMS,
    shared::{
        app::App,
        documents::settings::{STORE, put_settings, read_settings},
        host::{
            limits::Limits,
            server::{bind, serve},
            table::Table,
        },
        operations::apply_stock_update::PATIENT_DELIVERIES,
        ports::{
            documents::Container,
            identity::{Caller, Identity, IdentityError},
        },
    },
};
use offpeak_domain::stock::StockLocation;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::shelf::{place, shop};

/// A token is the list of its scopes.
struct Staff;

#[async_trait]
impl Identity for Staff {
    async fn caller(&self, token: &str) -> Result<Caller, IdentityError> {
        let scopes = token.split('+').map(str::to_owned).collect();
        Ok(Caller { subject: "ada".to_owned(), roles: Vec::new(), scopes })
    }
}

struct Server {
    url: String,
    client: Client,
    _serving: JoinSet<()>,
}

/// Status, etag, body.
type Answer = (u16, String, Value);

impl Server {
    /// A shop with one SKU and the locations `main` and `far`.
    async fn start() -> Server {
        let shop = shop("sku,title,price\nJUG,Jug,1.00\n").await;
        let documents = shop.ports.documents.as_ref();
        let mut seen = read_settings(documents).await.unwrap().unwrap();
        let far = StockLocation { name: place("far"), priority: 1, pickup: true, title: "Far".to_owned() };
        seen.value.stock.locations.push(far);
        let write = put_settings(&seen.value, Some(&seen.etag)).unwrap();
        documents.write(Container::Stores, STORE, vec![write]).await.unwrap();
        let app = Arc::new(App::new(shop, Arc::new(Staff)));
        let listener = bind(0, Duration::ZERO).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let table = Arc::new(Table::new(ROOMS, "api").unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            serve(listener, table, app, Limits::default()).await;
        });
        Server { url, client: Client::new(), _serving: serving }
    }

    async fn staff(&self, method: Method, path: &str, if_match: Option<&str>, body: Option<Value>) -> Answer {
        let mut call = self.client.request(method, format!("{}/api/v1/manage/{path}", self.url));
        call = call.header("authorization", "Bearer read_stock+write_stock");
        if let Some(etag) = if_match {
            call = call.header("if-match", etag);
        }
        if let Some(body) = body {
            call = call.header("content-type", "application/json").body(body.to_string());
        }
        let answer = call.send().await.unwrap();
        let etag = answer.headers().get("etag").map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default();
        let status = answer.status().as_u16();
        (status, etag, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }

    async fn count(&self, if_match: Option<&str>, body: Value) -> Answer {
        self.staff(Method::PUT, "stock/JUG", if_match, Some(body)).await
    }

    /// As the host hands a message over; whether it was taken.
    async fn message(&self, body: &Value) -> bool {
        self.delivered(&body.to_string(), 1).await
    }

    /// The same for any text, the so manieth time.
    async fn delivered(&self, body: &str, count: u32) -> bool {
        // A string trigger's data is JSON text of the message's text.
        let data = Value::from(body).to_string();
        let envelope = json!({ "Data": { "message": data }, "Metadata": { "DeliveryCount": count.to_string(), "MessageId": "\"m1\"" } });
        let call = self.client.post(format!("{}/apply_stock_update", self.url)).body(envelope.to_string());
        let call = call.header("x-azure-functions-invocationid", "1c7a4f0e-1111-4222-8333-444455556666");
        call.header("content-type", "application/json").send().await.unwrap().status().is_success()
    }
}

#[tokio::test]
async fn staff_count_each_location_and_see_why_a_level_is_what_it_is() {
    let server = Server::start().await;
    let (status, etag, body) = server.count(Some("*"), json!({ "location": "far", "onHand": 4, "safety": 1 })).await;
    assert_eq!(status, 200);
    let far = json!({ "location": "far", "onHand": 4, "allocated": 0, "held": 0, "available": 3, "safety": 1,
        "backorderLimit": 0 });
    assert_eq!((&body["levels"][0], &body["levels"][1]["onHand"]), (&far, &json!(7)));
    let (status, etag, body) = server.count(Some(&etag), json!({ "location": "main", "backorderLimit": null })).await;
    assert_eq!(
        (status, &body["levels"][1]["backorderLimit"], &body["levels"][1]["onHand"]),
        (200, &Value::Null, &json!(7))
    );
    assert_eq!(server.count(Some("\"stale\""), json!({ "location": "main", "onHand": 1 })).await.0, 412);
    assert_eq!(server.count(None, json!({ "location": "main", "onHand": 1 })).await.0, 428);
    for bad in [
        json!({ "location": "moon", "onHand": 1 }),
        json!({ "location": "far" }),
        json!({ "location": "far", "onHand": -1 }),
        json!({ "location": "far", "safety": 1.5 }),
        json!({ "location": "far", "backorderLimit": 1e18 }),
        json!({ "location": "far", "onHand": i64::MAX }),
    ] {
        assert_eq!(server.count(Some("*"), bad.clone()).await.0, 422, "{bad}");
    }
    assert_eq!(server.staff(Method::GET, "stock/JUG", None, None).await.1, etag, "what is refused changes nothing");

    let (status, _, page) = server.staff(Method::GET, "stock/JUG/movements?limit=2", None, None).await;
    assert_eq!((status, page["items"][1]["cause"].as_str()), (200, Some("ada")));
    let change = json!([{ "location": "far", "onHand": 4, "allocated": 0 }]);
    assert_eq!((&page["items"][1]["kind"], &page["items"][1]["changes"]), (&json!("stocktake"), &change));
    let next = format!("stock/JUG/movements?limit=2&after={}", page["nextAfter"].as_str().unwrap());
    let (_, _, page) = server.staff(Method::GET, &next, None, None).await;
    assert_eq!((page["items"].as_array().unwrap().len(), &page["nextAfter"]), (1, &Value::Null));
    for bad in ["limit=0", "limit=101", "after=elsewhere"] {
        let path = format!("stock/JUG/movements?{bad}");
        let status = server.staff(Method::GET, &path, None, None).await.0;
        assert!([400, 422].contains(&status), "{bad}: {status}");
    }
}

#[tokio::test]
async fn a_message_is_taken_once_and_a_bad_one_is_set_aside() {
    let server = Server::start().await;
    let good = json!({ "sku": "JUG", "location": "main", "source": "wms", "version": 2, "kind": "absolute",
        "quantity": 30, "at": "2026-01-01T00:00:00Z" });
    for _ in 0..3 {
        assert!(server.message(&good).await);
    }
    let relative = json!({ "sku": "JUG", "location": "main", "source": "wms", "version": 3, "kind": "relative",
        "quantity": -4, "at": "2026-01-01T00:01:00Z" });
    assert!(server.message(&relative).await && server.message(&relative).await && server.message(&good).await);
    let (_, _, body) = server.staff(Method::GET, "stock/JUG", None, None).await;
    assert_eq!(body["levels"][0]["onHand"], 26);
    let bad = [
        ("sku", json!("")),
        ("location", json!("")),
        ("source", json!("a b")),
        ("version", json!(0)),
        ("version", json!(1.5)),
        ("kind", json!("guess")),
        ("quantity", json!(1e30)),
        ("at", json!("yesterday")),
        ("more", json!(1)),
    ];
    let bent = |member: &str, value: &Value| {
        let mut bad = good.clone();
        bad["version"] = json!(9);
        bad[member] = value.clone();
        bad
    };
    // What can never be applied is taken from the queue at once, however often it comes.
    for (member, value) in &bad {
        let bad = bent(member, value);
        assert!(server.message(&bad).await && server.message(&bad).await, "{bad}");
    }
    assert!(server.delivered("no JSON", 1).await && server.delivered("", 1).await);
    // What a product or a location may follow for comes again a few times.
    for (member, value) in [("sku", json!("NOBODY")), ("location", json!("moon"))] {
        let early = bent(member, &value).to_string();
        assert!(!server.delivered(&early, 1).await && !server.delivered(&early, PATIENT_DELIVERIES - 1).await);
        assert!(server.delivered(&early, PATIENT_DELIVERIES).await);
    }
    let (_, _, page) = server.staff(Method::GET, "rejected-stock-updates?limit=100", None, None).await;
    let items = page["items"].as_array().unwrap();
    assert_eq!((items.len(), &page["nextAfter"]), (bad.len() + 4, &Value::Null), "each once: {page}");
    let of = |part: &str| items.iter().find(|it| it["body"].as_str().unwrap().contains(part)).unwrap();
    assert!(of("NOBODY")["reason"].as_str().unwrap().starts_with("SKU NOBODY is in no product"), "{page}");
    assert_eq!((&of("NOBODY")["deliveries"], &of("NOBODY")["messageId"]), (&json!(PATIENT_DELIVERIES), &json!("m1")));
    assert!(of("no JSON")["reason"].as_str().unwrap().starts_with("the message cannot be read: "), "{page}");
    let (_, _, first) = server.staff(Method::GET, "rejected-stock-updates?limit=1", None, None).await;
    let next = format!("rejected-stock-updates?limit=100&after={}", first["nextAfter"].as_str().unwrap());
    let (_, _, rest) = server.staff(Method::GET, &next, None, None).await;
    assert_eq!(rest["items"].as_array().unwrap().len(), items.len() - 1);
    for bad in ["limit=0", "limit=101", "after=elsewhere"] {
        let status = server.staff(Method::GET, &format!("rejected-stock-updates?{bad}"), None, None).await.0;
        assert!([400, 422].contains(&status), "{bad}: {status}");
    }
    // Corrected and numbered anew, it is applied.
    assert!(server.message(&bent("quantity", &json!(26))).await);
    let (_, _, after) = server.staff(Method::GET, "stock/JUG", None, None).await;
    assert_eq!(after, body);
}
