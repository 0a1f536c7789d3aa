//! What the service refuses is said in words that name the setting or the role to put right, and nothing is taken for
//! an answer that is none.
use std::sync::Arc;

use offpeak::shared::{
    adapters::{
        cosmos::{Account, CosmosDocuments, Credential},
        system::SystemClock,
    },
    ports::{
        chain,
        documents::{Container, Documents, StoreError},
    },
};

use super::{create, emulator::Emulator};
use crate::shop::{Goods, Options, Shop, wait_for};

/// Status, sub-status and a word of the advice. Source of the numbers: Cosmos DB, "HTTP status codes".
const REFUSALS: [(u16, u32, &str); 8] = [
    (401, 0, "OFFPEAK_COSMOS_KEY"),
    (401, 0, "clock"),
    (403, 5300, "Data Contributor"),
    (403, 1014, "a logical partition holds"),
    (404, 1003, "OFFPEAK_COSMOS_DATABASE"),
    (429, 3200, "request units"),
    (449, 0, "OFFPEAK_COSMOS_ENDPOINT"),
    (500, 0, "OFFPEAK_COSMOS_ENDPOINT"),
];

fn said(error: &StoreError) -> String {
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    chain(error)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_names_what_to_put_right_and_is_over_with_its_cause() {
    let emulator = Emulator::start(&["North Europe"]);
    let store = emulator.documents();
    store.write(Container::Carts, "a", create("there")).await.unwrap();
    for (status, sub, advice) in REFUSALS {
        emulator.order(&format!("refuse {status} {sub}"));
        let read = said(&store.read(Container::Carts, "a", "there").await.unwrap_err());
        assert!(read.contains(advice), "{status}/{sub}: {read}");
        assert!(!read.contains("C2y6yDjf5"), "the key is told: {read}");
        let two = [create("one"), create("two")].concat();
        let write = said(&store.write(Container::Carts, "a", two).await.unwrap_err());
        assert!(write.contains(advice), "{status}/{sub}: {write}");
    }
    emulator.order("serve");
    assert!(store.read(Container::Carts, "a", "there").await.unwrap().is_some());
    assert!(store.read(Container::Carts, "a", "one").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_the_service_finds_too_large_is_our_fault() {
    let emulator = Emulator::start(&["North Europe"]);
    let store = emulator.documents();
    emulator.order("refuse 413 0");
    let error = store.write(Container::Carts, "a", create("large")).await.unwrap_err();
    assert!(matches!(&error, StoreError::Refused(why) if why.contains("large")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_not_there_is_named_by_its_setting() {
    let account = Account {
        endpoint: "http://127.0.0.1:9/".parse().unwrap(),
        database: "offpeak".to_owned(),
        regions: Vec::new(),
        credential: Credential::Key("a2V5".to_owned()),
    };
    let store = CosmosDocuments::new(account, Arc::new(SystemClock));
    let error = said(&store.read(Container::Carts, "a", "b").await.unwrap_err());
    assert!(error.contains("OFFPEAK_COSMOS_ENDPOINT"), "{error}");
}

/// A database that was never made: what is asked for is not "not there", the shop says 503 and its log says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_without_its_database_says_so() {
    let emulator = Emulator::start(&["North Europe"]);
    let mut settings = emulator.settings();
    settings.push(("OFFPEAK_COSMOS_DATABASE".to_owned(), "elsewhere".to_owned()));
    let shop = Shop::start(&Options { goods: Goods::None, settings, ..Options::default() });
    let answer = shop.client.get("/api/v1/products/anything").await.refused(503, "unavailable");
    assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
    let told = || shop.log().iter().any(|it| it.contains("OFFPEAK_COSMOS_DATABASE")).then_some(());
    wait_for("the log to name the setting", told);
    shop.stop("INT");
}
