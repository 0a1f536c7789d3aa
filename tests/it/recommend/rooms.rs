//! `GET /api/v1/recommendations`, over a socket.
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use offpeak::shared::{
    operations::{
        clicks::sessions::remember,
        stock::{Expected, set_on_hand},
    },
    ports::{
        Ports,
        cache::{Cache, CacheError, Kept},
    },
};
use offpeak_domain::{recommend::Kind, sku::Sku};
use serde_json::json;

use super::{Goods, builder, skus};

const CAMPERS: (&[&str], Kind) = (&["TENT", "MAT", "STOVE"], Kind::View);
const OFFICE: (&[&str], Kind) = (&["PRINTER", "TONER", "PAPER"], Kind::Purchase);

#[tokio::test]
async fn without_a_model_there_is_a_list_of_what_can_be_had() {
    let goods = Goods::new().await;
    let server = goods.open().await;
    let list = server.list("?surface=next&limit=50").await;
    assert_eq!((&list["modelVersion"], &list["surface"]), (&json!(null), &json!("next")));
    assert_eq!(skus(&list), ["MAT", "PAPER", "PRINTER", "STOVE", "TEE-S", "TENT", "TONER"], "each product once");
    assert_eq!(list["items"][0]["reason"], json!({ "kind": "listed" }));
    let product = &list["items"][0]["product"];
    assert_eq!((&product["slug"], &product["variants"][0]["price"]["amount"]), (&json!("mattress"), &json!("4000")));
    let camping = server.list("?surface=trending&category=camping&limit=4").await;
    assert_eq!(skus(&camping), ["MAT", "STOVE", "TENT", "PAPER"], "the category first, then the shop");
    assert_eq!(camping["items"][0]["reason"], json!({ "kind": "listed", "of": "camping" }));
    assert_eq!(server.skus("?surface=similar&sku=TEE-M&limit=3&category=").await, ["MAT", "PAPER", "PRINTER"]);
    assert_eq!(server.skus("?surface=cart&cart=MAT,STOVE&limit=1").await, ["PAPER"]);
    assert_eq!(server.skus("?surface=resume").await, Vec::<String>::new(), "nothing was seen");
    assert_eq!(server.skus("?surface=resume&seen=TENT,LAMP,NO-SUCH,TEE-S,MAT").await, ["TEE-S", "TENT"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_a_422_that_names_it() {
    let server = Goods::new().await.open().await;
    let (long, many) = ("x".repeat(129), vec!["A"; 51].join(","));
    for (bad, field) in [
        ("", "surface"),
        ("?surface=door", "surface"),
        ("?surface=next&sku=a%20b", "sku"),
        ("?surface=next&sku=A,B", "sku"),
        ("?surface=next&seen=A,,B", "seen"),
        (&format!("?surface=next&seen={}", vec!["A"; 21].join(",")), "seen"),
        (&format!("?surface=cart&cart={many}"), "cart"),
        (&format!("?surface=next&sessionId={long}"), "sessionId"),
        ("?surface=next&sessionId=a%0Ab", "sessionId"),
        ("?surface=next&category=%2F", "category"),
        ("?surface=next&limit=0", "limit"),
        ("?surface=next&limit=51", "limit"),
        ("?surface=next&limit=many", "limit"),
        ("?surface=next&consent=perhaps", "consent"),
    ] {
        let (status, problem) = server.get(bad).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{bad}: {problem}");
    }
    let (status, problem) = server.get("?surface=next&colour=red").await;
    assert_eq!((status, &problem["code"]), (400, &json!("invalid_parameter")));
}

#[tokio::test]
async fn what_a_session_has_seen_decides_and_what_it_may_not_be_used_for_does_not() {
    let goods = Goods::new().await;
    let model = goods.publish_model(builder(&[CAMPERS, CAMPERS, OFFICE, OFFICE, OFFICE])).await;
    let server = goods.open().await;
    server.until_model(&model).await;
    let list = server.list("?surface=next&seen=PRINTER,TENT&limit=2").await;
    assert_eq!(skus(&list), ["MAT", "STOVE"], "{list}");
    assert_eq!(list["items"][0]["reason"], json!({ "kind": "seen_with", "of": "TENT" }));

    remember(&goods.ports, "ann-0123-4567-89ab", &["PRINTER", "TENT"]).await;
    assert_eq!(server.skus("?surface=next&sessionId=ann-0123-4567-89ab&limit=2").await, ["MAT", "STOVE"]);
    assert_eq!(server.skus("?surface=next&sessionId=ann-0123-4567-89ab&sku=MAT&limit=1").await, ["STOVE"]);
    assert_eq!(server.skus("?surface=similar&sessionId=ann-0123-4567-89ab&limit=2").await, ["MAT", "STOVE"]);
    assert_eq!(server.skus("?surface=resume&sessionId=ann-0123-4567-89ab").await, ["PRINTER"]);
    let known = server.skus("?surface=next&sessionId=ann-0123-4567-89ab&sku=STOVE&limit=50").await;
    assert!(!known.contains(&"PRINTER".to_owned()), "it was seen: {known:?}");

    // Only the item at hand counts.
    let withheld = "&sessionId=ann-0123-4567-89ab&consent=false";
    assert_eq!(server.skus(&format!("?surface=resume{withheld}")).await, Vec::<String>::new());
    let said = server.skus("?surface=resume&seen=PRINTER,TENT&consent=false").await;
    assert_eq!(said, Vec::<String>::new(), "what the caller says was seen does not count either");
    let alone = server.skus("?surface=next&sku=STOVE&limit=50").await;
    assert_eq!(server.skus(&format!("?surface=next&sku=STOVE&limit=50{withheld}")).await, alone);
    assert!(alone.contains(&"PRINTER".to_owned()));
}

#[tokio::test]
async fn every_surface_has_its_own_list_and_reasons() {
    let goods = Goods::new().await;
    let model = goods.publish_model(builder(&[CAMPERS, CAMPERS, CAMPERS, OFFICE, OFFICE, OFFICE])).await;
    let server = goods.open().await;
    server.until_model(&model).await;
    let first = |list: serde_json::Value| (list["items"][0]["sku"].clone(), list["items"][0]["reason"].clone());
    let bought = |of: &str| json!({ "kind": "bought_with", "of": of });
    let together = server.list("?surface=together&sku=PRINTER&limit=2").await;
    assert_eq!(skus(&together).len(), 2);
    assert_eq!(first(together).1, bought("PRINTER"));
    let cart = server.list("?surface=cart&cart=PRINTER,TONER&limit=1").await;
    assert_eq!((skus(&cart), &cart["items"][0]["reason"]["kind"]), (vec!["PAPER".to_owned()], &json!("in_cart_with")));
    let trending = server.list("?surface=trending&category=office&limit=1").await;
    assert_eq!(first(trending), (json!("PAPER"), json!({ "kind": "trending_in", "of": "office" })));
    let similar = first(server.list("?surface=similar&sku=TENT").await);
    assert_eq!(similar, (json!("MAT"), json!({ "kind": "seen_with", "of": "TENT" })));
}

#[tokio::test]
async fn no_other_item_stands_for_one_that_the_model_does_not_know() {
    let goods = Goods::new().await;
    let model = goods.publish_model(builder(&[CAMPERS, CAMPERS, CAMPERS, OFFICE, OFFICE, OFFICE])).await;
    let server = goods.open().await;
    server.until_model(&model).await;
    for surface in ["together", "similar"] {
        let known = server.list(&format!("?surface={surface}&seen=TEE-M,PRINTER&limit=1")).await;
        let unknown = server.list(&format!("?surface={surface}&seen=PRINTER,TEE-M&limit=50")).await;
        assert_eq!(known["items"][0]["reason"]["of"], "PRINTER", "{surface}");
        let reasons: Vec<_> = unknown["items"].as_array().unwrap().iter().map(|it| &it["reason"]["kind"]).collect();
        assert!(reasons.iter().all(|it| **it == "trending" || **it == "listed"), "{surface}: {reasons:?}");
    }
}

#[tokio::test]
async fn what_is_in_it_for_anyone_is_put_together_once_and_no_session_is_in_it() {
    let goods = Goods::new().await;
    let model = goods.publish_model(builder(&[CAMPERS, CAMPERS, OFFICE, OFFICE, OFFICE])).await;
    let server = goods.open().await;
    server.until_model(&model).await;
    remember(&goods.ports, "ann-0123-4567-89ab", &["PRINTER", "TENT"]).await;
    let anyones = server.skus("?surface=next&sku=STOVE&limit=50").await;
    assert!(anyones.contains(&"PRINTER".to_owned()));
    // With a session it is another question, whoever asked before.
    for own in ["sku=STOVE&sessionId=ann-0123-4567-89ab", "sku=STOVE&seen=PRINTER", "seen=PRINTER,STOVE"] {
        let own = server.skus(&format!("?surface=next&{own}&limit=50")).await;
        assert!(!own.contains(&"PRINTER".to_owned()), "{own:?}");
    }
    assert_eq!(server.skus("?surface=next&seen=STOVE&limit=50").await, anyones);
    assert_eq!(server.skus("?surface=next&sku=STOVE&limit=1").await, anyones[..1]);
    // Nor what somebody has in the cart, which is hidden from nobody else.
    for (surface, hidden) in [("next&sku=STOVE", "PRINTER"), ("trending", "PRINTER"), ("similar&sku=TENT", "MAT")] {
        let asked = format!("?surface={surface}&limit=49");
        assert!(!server.skus(&format!("{asked}&cart={hidden}")).await.contains(&hidden.to_owned()), "{surface}");
        assert!(server.skus(&asked).await.contains(&hidden.to_owned()), "{surface}: hidden by another one's cart");
        assert!(!server.skus(&format!("{asked}&cart={hidden}")).await.contains(&hidden.to_owned()), "{surface}");
    }

    let newer = goods.publish_model(builder(&[CAMPERS, OFFICE, (&["STOVE", "TONER"], Kind::View)])).await;
    server.until_model(&newer).await;
    let list = server.list("?surface=next&sku=STOVE&limit=50").await;
    assert_eq!(list["modelVersion"], json!(newer), "what a model has answered goes with it");
}

#[tokio::test]
async fn what_cannot_be_had_or_is_not_sold_is_left_out_and_the_list_is_filled() {
    let goods = Goods::new().await;
    let lamps: (&[&str], Kind) = (&["TENT", "LAMP", "GONE", "TEE-S", "TEE-M", "not a sku", "MAT"], Kind::View);
    let model = goods.publish_model(builder(&[lamps, lamps, lamps])).await;
    let server = goods.open().await;
    server.until_model(&model).await;
    let list = server.skus("?surface=next&seen=TENT&limit=50").await;
    for absent in ["LAMP", "GONE", "TENT"] {
        assert!(!list.contains(&absent.to_owned()), "{list:?}");
    }
    assert_eq!(list.iter().filter(|it| it.starts_with("TEE")).count(), 1, "a product is shown once: {list:?}");
    assert_eq!(list.len(), 6, "all that is left: {list:?}");
}

#[tokio::test]
async fn of_a_product_the_variant_is_named_that_can_be_had() {
    let goods = Goods::new().await;
    let tees: (&[&str], Kind) = (&["TENT", "TEE-S"], Kind::View);
    let model = goods.publish_model(builder(&[tees, tees, tees])).await;
    for (sold_out, named) in [(None, "TEE-S"), (Some("TEE-S"), "TEE-M"), (Some("TEE-M"), "none")] {
        if let Some(sku) = sold_out {
            let sku = Sku::parse(sku).unwrap();
            set_on_hand(&goods.ports, &sku, 0, Expected::Any, "stocktake").await.unwrap();
        }
        // One that has read no card.
        let server = goods.open().await;
        server.until_model(&model).await;
        let list = server.skus("?surface=next&seen=TENT&limit=50").await;
        let tee = list.iter().find(|it| it.starts_with("TEE")).map_or("none", |it| it);
        assert_eq!(tee, named, "{list:?}");
    }
}

#[tokio::test]
async fn cards_are_read_once_and_then_by_nobody() {
    let goods = Goods::new().await;
    let model = goods.publish_model(builder(&[CAMPERS, OFFICE])).await;
    let server = goods.open().await;
    server.until_model(&model).await;
    let asked = "?surface=next&seen=TENT&limit=6";
    let list = server.list(asked).await;
    assert_eq!(skus(&list).len(), 6);
    let reads = goods.stand.store.reads();
    assert_eq!(server.list(asked).await, list);
    assert_eq!(goods.stand.store.reads(), reads, "a warm process asks no store");
}

#[tokio::test]
async fn without_the_store_what_was_shown_is_shown_on_and_nothing_is_made_up() {
    let goods = Goods::new().await;
    let model = goods.publish_model(builder(&[CAMPERS, OFFICE])).await;
    let server = goods.open().await;
    server.until_model(&model).await;
    let asked = "?surface=next&seen=TENT&limit=2";
    let list = server.list(asked).await;
    goods.stand.store.lose();
    assert_eq!(server.list(asked).await, list);
    let (status, problem) = goods.open().await.get(asked).await;
    assert_eq!((status, &problem["code"]), (503, &json!("unavailable")));
}

#[tokio::test]
async fn what_is_missing_without_the_store_leaves_a_short_list() {
    let goods = Goods::new().await;
    let server = goods.open().await;
    assert_eq!(server.skus("?surface=resume&seen=LAMP,MAT,TENT&limit=2").await, ["MAT"]);
    goods.stand.store.lose();
    let short = server.skus("?surface=resume&seen=PAPER,TONER,PRINTER,LAMP,MAT,TENT&limit=2").await;
    assert_eq!(short, ["MAT"], "of the others no card could be read");
}

#[tokio::test]
async fn a_store_that_never_answers_is_not_waited_for() {
    let goods = Goods::new().await;
    let model = goods.publish_model(builder(&[CAMPERS, OFFICE])).await;
    let patience = Duration::from_secs(2);
    let server = goods.open_within(goods.ports.clone(), patience).await;
    server.until_model(&model).await;
    let asked = "?surface=next&seen=TENT&limit=2";
    let list = server.list(asked).await;
    goods.stand.store.fall_silent();
    assert_eq!(server.list(asked).await, list, "what is known is shown at once");
    let longer = server.skus("?surface=resume&seen=PRINTER,TENT,MAT").await;
    assert!(longer.contains(&"TENT".to_owned()), "{longer:?}");
    let (status, problem) = goods.open_within(goods.ports.clone(), patience).await.get("?surface=next&limit=2").await;
    assert_eq!((status, &problem["code"]), (503, &json!("unavailable")), "nothing is known, and the request is over");
}

/// A cache that processes share, and how often it was asked.
struct Counted {
    inner: Arc<dyn Cache>,
    trips: AtomicUsize,
}

#[async_trait]
impl Cache for Counted {
    fn is_shared(&self) -> bool {
        true
    }

    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Kept>>, CacheError> {
        self.trips.fetch_add(1, Ordering::SeqCst);
        self.inner.get(keys).await
    }

    fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), CacheError> {
        self.inner.set(key, value, ttl)
    }

    async fn delete(&self, keys: &[String]) -> Result<(), CacheError> {
        self.inner.delete(keys).await
    }

    fn count(&self, key: &str, units: u64, window: Duration) -> u64 {
        self.inner.count(key, units, window)
    }

    async fn push(
        &self,
        key: &str,
        items: &[Bytes],
        keep: usize,
        ttl: Duration,
        patience: Duration,
    ) -> Result<Vec<Bytes>, CacheError> {
        self.trips.fetch_add(1, Ordering::SeqCst);
        self.inner.push(key, items, keep, ttl, patience).await
    }
}

#[tokio::test]
async fn what_another_process_has_read_costs_one_round_trip_and_the_session_another() {
    let goods = Goods::new().await;
    let model = goods.publish_model(builder(&[CAMPERS, CAMPERS])).await;
    let cache = Arc::new(Counted { inner: Arc::clone(&goods.ports.cache), trips: AtomicUsize::new(0) });
    let ports = Ports { cache: Arc::clone(&cache) as Arc<dyn Cache>, ..goods.ports.clone() };
    remember(&ports, "ann-0123-4567-89ab", &["TENT"]).await;
    let asked = "?surface=next&sessionId=ann-0123-4567-89ab&limit=2";
    let first = goods.open_with(ports.clone()).await;
    first.until_model(&model).await;
    let list = first.list(asked).await;
    assert_eq!(skus(&list), ["MAT", "STOVE"]);

    let other = goods.open_with(ports).await;
    let (reads, trips) = (goods.stand.store.reads(), cache.trips.load(Ordering::SeqCst));
    assert_eq!(other.list(asked).await, list);
    assert_eq!(goods.stand.store.reads(), reads, "nothing was read in the store");
    assert_eq!(cache.trips.load(Ordering::SeqCst), trips + 2);
}
