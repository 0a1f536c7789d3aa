//! More than one region: what is written is read at once through any process, and a region may be lost.
use std::{pin::pin, sync::Arc};

use futures_util::StreamExt as _;
use offpeak::shared::{
    adapters::{
        cosmos::{Account, CosmosDocuments},
        system::SystemClock,
    },
    operations::offers::Catalogue,
    ports::{
        chain,
        documents::{Container, Documents as _, StoreError, Write},
    },
};
use offpeak_domain::sku::Sku;
use serde_json::json;

use super::{arrive, create, emulator::Emulator, insist, sold};
use crate::{
    catalogue::stand::Stand,
    shop::{
        Options, Shop,
        buyer::{Buyer, count_stock, skus},
    },
};

const EAST: &str = "East US";
const WEST: &str = "West US";
/// Longer than a line takes to be added and asked for.
const BEHIND_MS: u64 = 250;
/// Longer than any test takes.
const NEVER_MS: u64 = 3_600_000;
const LINES: usize = 1_000;
const CHECKOUTS: usize = 200;
/// Calls that may fail before a silent region is left: one that finds the clients too young to be given up, and one
/// that gives them up.
const SILENCED_MAX: usize = 2;

fn shop_near(emulator: &Emulator, region: &str) -> Shop {
    Shop::start(&Options { settings: emulator.settings_near(region), ..Options::default() })
}

/// Two shops, each in a region of its own, on one account. A cart is where money begins, so it is read where it is
/// written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_added_through_one_handler_is_seen_through_the_other() {
    let emulator = Emulator::replicating(&[EAST, WEST], BEHIND_MS);
    let (east, west) = (shop_near(&emulator, EAST), shop_near(&emulator, WEST));
    let sku = skus(&east.client, 1).await.pop().unwrap();
    count_stock(&east.client, &sku, 1_000_000).await.gave(200);
    let mut seen = 0;
    for round in 0..LINES {
        let (one, other) = if round % 2 == 0 { (&east, &west) } else { (&west, &east) };
        let buyer = Buyer::new(&one.client).await;
        let quantity = 1 + round % 9;
        buyer.line(&sku, &json!({ "quantity": quantity })).await.gave(200);
        let across = Buyer { client: other.client.clone(), ..buyer };
        let cart = across.show(&across.cart_path()).await.gave(200).body;
        seen += usize::from(cart["lines"][0]["quantity"] == json!(quantity));
    }
    assert_eq!(seen, LINES);
    east.stop("INT");
    west.stop("INT");
}

/// What shoppers look at is read in the nearest region, but not by who changes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_catalogue_is_changed_as_it_is_written_however_far_behind_the_nearest_region_is() {
    let emulator = Emulator::replicating(&[EAST, WEST], NEVER_MS);
    let near = Account { regions: vec![WEST.to_owned()], ..emulator.account() };
    let (east, west) = (emulator.documents(), CosmosDocuments::new(near, Arc::new(SystemClock)));
    for container in [Container::Catalog, Container::Listings] {
        east.write(container, "a", create("one")).await.unwrap();
        assert_eq!(west.read(container, "a", "one").await.unwrap(), None, "{container:?}: the region is not behind");
        let taken = west.write(container, "a", create("one")).await;
        assert!(matches!(&taken, Err(StoreError::Exists { id }) if id == "one"), "{container:?}: {taken:?}");
        let one = west.read_latest(container, "a", "one").await.unwrap().unwrap();
        let next = Write::Replace { id: one.id, body: json!({ "type": "next" }), etag: one.etag, ttl: None };
        west.write(container, "a", vec![next]).await.unwrap();
        let one = west.read_latest(container, "a", "one").await.unwrap().unwrap();
        assert_eq!(one.body["type"], "next", "{container:?}");
    }
    // Each loads the same catalogue when it opens.
    let (east, west) = (shop_near(&emulator, EAST), shop_near(&emulator, WEST));
    east.stop("INT");
    west.stop("INT");
}

/// What is charged is what is written, whatever the nearest region still says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_is_priced_as_the_catalogue_was_written_last() {
    let emulator = Emulator::replicating(&[EAST, WEST], NEVER_MS);
    let near = Account { regions: vec![WEST.to_owned()], ..emulator.account() };
    let stand = |account| {
        let store = CosmosDocuments::new(account, Arc::new(SystemClock));
        Stand::on(Arc::new(store), Arc::new(SystemClock))
    };
    let (east, west) = (stand(emulator.account()), stand(near));
    let mugs = [Sku::parse("MUG").unwrap()];
    for price in ["5.00", "9.00"] {
        east.load(&format!("sku,title,price\nMUG,Mug,{price}\n")).await;
        let catalogue = Catalogue::new(west.ports.clone());
        assert_eq!(catalogue.offers(&mugs).await.unwrap(), [None], "the region is not behind");
        let offer = catalogue.offers_latest(&mugs).await.unwrap().pop().unwrap().unwrap();
        assert_eq!(offer.price.to_string(), format!("{price} GBP"));
    }
}

/// An answer of a region that is behind is worse than a late one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_money_hangs_on_is_not_read_elsewhere_because_it_is_late() {
    let emulator = Emulator::replicating(&[EAST, WEST], NEVER_MS);
    let store = emulator.documents();
    store.write(Container::Stock, "a", create("level")).await.unwrap();
    emulator.order(&format!("slow {EAST} 1500"));
    // The SDK asks another region after a second, and moves there after five answers that were quicker.
    for _ in 0..7 {
        assert!(store.read(Container::Stock, "a", "level").await.unwrap().is_some());
    }
}

/// Nor because the region that has it failed a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_money_hangs_on_is_not_read_elsewhere_because_its_region_failed() {
    let emulator = Emulator::replicating(&[EAST, WEST], NEVER_MS);
    let store = emulator.documents();
    store.write(Container::Stock, "a", create("level")).await.unwrap();
    emulator.order(&format!("refuse 503 0 {EAST}"));
    for _ in 0..12 {
        let read = store.read(Container::Stock, "a", "level").await;
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    }
    emulator.order("serve");
    for _ in 0..12 {
        assert!(store.read(Container::Stock, "a", "level").await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_a_region_lost_in_the_middle_of_checkouts_doubles_and_loses_no_order() {
    lose_a_region("offline").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_a_planned_failover_in_the_middle_of_checkouts_doubles_and_loses_no_order() {
    lose_a_region("failover").await;
}

async fn lose_a_region(how: &str) {
    let emulator = Emulator::replicating(&[EAST, WEST], 20);
    let shop = shop_near(&emulator, WEST);
    let sku = skus(&shop.client, 1).await.pop().unwrap();
    let units = CHECKOUTS / 2;
    count_stock(&shop.client, &sku, i64::try_from(units).unwrap()).await.gave(200);
    let buyers = arrive(&shop, &sku, CHECKOUTS).await;
    let total = buyers[0].total().await;

    // The first answers are there, most are not.
    let mut paying = pin!(insist(&buyers, &total));
    let mut answers: Vec<_> = paying.by_ref().take(CHECKOUTS / 10).collect().await;
    emulator.order(&match how {
        "failover" => format!("failover {WEST}"),
        _ => format!("offline {EAST}"),
    });
    answers.extend(paying.collect::<Vec<_>>().await);
    let mut orders: Vec<_> = answers.iter().filter(|it| it.status == 200).map(|it| it.at("/id").to_owned()).collect();
    orders.sort_unstable();
    orders.dedup();
    assert_eq!(orders.len(), units);
    for buyer in &buyers {
        let checkout = buyer.show(&buyer.checkout_path()).await.gave(200).body;
        let placed = orders.iter().any(|it| buyer.order_path().ends_with(it.as_str()));
        assert_eq!(checkout["state"] == "placed", placed, "{checkout}");
    }
    sold(&shop, &sku, units).await;
    shop.stop("INT");
}

/// Nothing says that the region is gone: connections stay and calls are not answered. Who is nearest to it leaves it
/// too, for what is read in the nearest region.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_answers_no_more_is_left() {
    let emulator = Emulator::replicating(&[EAST, WEST], 20);
    let near = Account { regions: vec![EAST.to_owned(), WEST.to_owned()], ..emulator.account() };
    let store = CosmosDocuments::new(near, Arc::new(SystemClock));
    for container in [Container::Carts, Container::Catalog] {
        store.write(container, "a", create("before")).await.unwrap();
    }
    emulator.order(&format!("mute {EAST}"));

    for container in [Container::Carts, Container::Catalog] {
        let mut silenced = 0;
        // Each under its own name: whether a write without an answer was done is not known.
        while let Err(error) = store.write(container, "a", create(&format!("try-{silenced}"))).await {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            assert!(chain(&error).contains("OFFPEAK_COSMOS_ENDPOINT"), "{}", chain(&error));
            silenced += 1;
            assert!(silenced <= SILENCED_MAX, "{container:?}: {}", chain(&error));
        }
        for id in ["before", &format!("try-{silenced}")] {
            assert!(store.read(container, "a", id).await.unwrap().is_some(), "{container:?} {id}");
        }
    }
}
