//! `verify` in a running shop: more purchases than one answer takes are a job that outlives the processes it is worked
//! on in, and `cargo xtask verify` waits for it and names what is wrong.
use std::{path::Path, process::Command, sync::Arc};

use futures_util::{StreamExt as _, stream};
use http::Method;
use offpeak::shared::{
    adapters::{sqlite::SqliteDocuments, system::SystemClock},
    ports::documents::{Container, Document, Documents, Query, Scope, Write},
};
use serde_json::{Value, json};
use ulid::Ulid;

use super::{
    Options, Shop,
    buyer::{Buyer, skus},
    client::{Answer, Client},
    wait_for,
};
use crate::given;

/// More than an answer takes.
const PLANTED: u128 = 10_200;
/// Quiet for long.
const LONG_AGO: &str = "2026-01-01T00:00:00Z";
const ROOM: &str = "/api/v1/manage/verify";

async fn token(client: &Client) -> String {
    let body = json!({ "sub": "auditor", "scopes": ["read_reports"] });
    client.post("/dev/token", &body).await.gave(200).at("/access_token").to_owned()
}

async fn ask(client: &Client, method: Method, path: &str) -> Answer {
    client.call(method, path).header("authorization", &format!("Bearer {}", token(client).await)).send().await
}

/// Puts copies of the one checkout there is beside it, and loses a unit of one SKU.
async fn plant(store: &Path, sku: &str) {
    let documents = &SqliteDocuments::open(store, Arc::new(SystemClock)).unwrap();
    let query = Query { limit: 100, ..Query::default() };
    let page = documents.query(Container::Purchases, Scope::Container, &query).await.unwrap();
    let checkout = page.items.into_iter().find(|it| it.id == "checkout").unwrap();
    let copies = (1..=PLANTED).map(|n| {
        let (partition, mut body) = (format!("chk_{}", Ulid::from(n)), checkout.body.clone());
        body["checkoutId"] = partition.clone().into();
        body["updatedAt"] = LONG_AGO.into();
        let write = Write::Create { id: "checkout".to_owned(), body, ttl: None };
        async move { documents.write(Container::Purchases, &partition, vec![write]).await.unwrap() }
    });
    stream::iter(copies).buffer_unordered(256).for_each(async |_| {}).await;
    let Document { id, etag, mut body, .. } =
        documents.read(Container::Stock, sku, "level:main").await.unwrap().unwrap();
    let on_hand = &mut body["locations"]["main"]["onHand"];
    *on_hand = json!(on_hand.as_i64().unwrap() - 1);
    let write = Write::Replace { id, body, etag, ttl: None };
    documents.write(Container::Stock, sku, vec![write]).await.unwrap();
}

/// What `xtask verify` prints, and whether the store is in order.
pub(crate) fn xtask_verify(url: &str) -> (String, bool) {
    let output = Command::new(given::path(given::XTASK)).args(["verify", "--url", url]).output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_store_is_checked_by_a_job_that_outlives_its_processes() {
    let shop = Shop::start(&Options::default());
    let sku = skus(&shop.client, 1).await.remove(0);
    Buyer::at_checkout(&shop.client, &[(&sku, 1)]).await;
    let report = ask(&shop.client, Method::POST, ROOM).await.gave(200).body;
    assert_eq!(
        (&report["ok"], &report["purchases"], &report["busy"]),
        (&json!(true), &json!(1), &json!(1)),
        "{report}"
    );
    let url = shop.url.clone();
    let (told, is_ok) = tokio::task::spawn_blocking(move || xtask_verify(&url)).await.unwrap();
    assert!(
        is_ok && told.starts_with("1 purchases\n1 subjects were changing") && told.contains("\nI1 holds "),
        "{told}"
    );

    let data = shop.data();
    assert!(shop.stop("INT").success());
    plant(&data.path().join("store.db"), &sku).await;
    let shop = Shop::open(Arc::clone(&data), &Options::default());
    let begun = ask(&shop.client, Method::POST, ROOM).await.gave(202);
    let path = begun.header("location").to_owned();
    assert_eq!(path, format!("{ROOM}/{}", begun.at("/job/id")));
    // Whoever works on it dies, and then everything.
    shop.kill_handlers();
    assert!(shop.stop("TERM").success());
    let shop = Shop::open(data, &Options::default());
    let runtime = tokio::runtime::Handle::current();
    let report = tokio::task::block_in_place(|| {
        wait_for("the end of the job", || {
            let answer = runtime.block_on(ask(&shop.client, Method::GET, &path));
            (answer.status == 200).then_some(answer.body)
        })
    });
    assert_eq!((&report["job"]["done"], &report["purchases"]), (&json!(true), &json!(PLANTED + 1)), "{report}");
    let stock: &Value = &report["invariants"][0];
    assert_eq!((&report["ok"], &stock["id"], &stock["ok"]), (&json!(false), &json!("I1"), &json!(false)), "{report}");
    assert_eq!(stock["violations"][0]["subject"], sku.as_str());

    let url = shop.url.clone();
    let (told, is_ok) = tokio::task::spawn_blocking(move || xtask_verify(&url)).await.unwrap();
    assert!(!is_ok && told.contains("\nI1 BROKEN") && told.contains(&format!("   {sku}: ")), "{told}");
    assert!(told.contains(&format!("{} purchases\n", PLANTED + 1)), "{told}");
    shop.stop("INT");
}
