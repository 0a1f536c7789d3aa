//! `POST /v1/manage/verify` over HTTP: what is in order is found in order, planted damage is named once it is quiet,
//! and a large store is a job that any process can go on with.
mod at_once;
mod job;

use http::Method;
use offpeak::shared::ports::{
    bus::Message,
    documents::{Container, Document, Documents as _, Query, Scope, Write},
};
use serde_json::{Value, json};

use crate::{
    carts::till::{Cart, Till},
    shop::client::{Answer, Client},
};

const GOODS: &str = "sku,title,price,onHand\nA,Bell,5.00,9000\nB,Kite,7.50,9000\n";
const ROOM: &str = "/api/v1/manage/verify";
/// Longer than a purchase must have been quiet.
const QUIET_S: i64 = 121;

async fn ask(client: &Client, body: &Value) -> Answer {
    client.call(Method::POST, ROOM).header("authorization", "Bearer ada;read_reports").json(body).send().await
}

async fn look(client: &Client, path: &str) -> Answer {
    client.call(Method::GET, path).header("authorization", "Bearer ada;read_reports").send().await
}

/// As the host hands a message over; whether it was taken.
async fn deliver(client: &Client, message: &Message) -> bool {
    let data = Value::from(message.body.clone()).to_string();
    let envelope = json!({ "Data": { "message": data }, "Metadata": {} });
    let call = client.call(Method::POST, "/continue_job");
    let call = call.header("x-azure-functions-invocationid", "1c7a4f0e-1111-4222-8333-444455556666");
    call.json(&envelope).send().await.status == 200
}

/// An order placed and paid.
async fn order(client: &Client) -> Cart {
    let (cart, total) = Cart::at_checkout(client, &[("A", 2), ("B", 1)]).await;
    cart.complete(client, "buy", &total, "approve").await.gave(200);
    cart
}

/// The invariant of this name in a report.
fn invariant<'a>(report: &'a Value, name: &str) -> &'a Value {
    let all = report["invariants"].as_array().unwrap();
    all.iter().find(|it| it["id"] == name).unwrap()
}

/// Every finding: invariant, subject, detail.
fn findings(report: &Value) -> Vec<(String, String, String)> {
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    let all = report["invariants"].as_array().unwrap().iter();
    let of = |it: &Value| {
        let found = it["violations"].as_array().unwrap().clone();
        found.into_iter().map(|one| (text(&it["id"]), text(&one["subject"]), text(&one["detail"]))).collect::<Vec<_>>()
    };
    all.flat_map(of).collect()
}

/// Changes a document behind the shop's back.
async fn damage(till: &Till, container: Container, partition: &str, id: &str, change: impl Fn(&mut Value)) {
    let Document { id, etag, mut body, .. } = till.store.read(container, partition, id).await.unwrap().unwrap();
    change(&mut body);
    let write = Write::Replace { id, body, etag, ttl: None };
    till.store.write(container, partition, vec![write]).await.unwrap();
}

/// Takes documents of this partition away whose id begins so.
async fn lose(till: &Till, container: Container, partition: &str, prefix: &str) {
    let query = Query { limit: 100, ..Query::default() };
    let page = till.store.query(container, Scope::Partition(partition), &query).await.unwrap();
    let lost: Vec<_> = page.items.into_iter().filter(|it| it.id.starts_with(prefix)).collect();
    assert!(!lost.is_empty(), "there is no {prefix}");
    for Document { id, etag, .. } in lost {
        till.store.write(container, partition, vec![Write::Delete { id, etag }]).await.unwrap();
    }
}
