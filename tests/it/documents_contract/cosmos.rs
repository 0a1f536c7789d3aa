//! Cosmos DB: the port's contract against the SDK's own emulator over HTTP.
use std::sync::Arc;

use offpeak::shared::{
    adapters::cosmos::CosmosDocuments,
    ports::{clock::Clock, documents::Container},
};

use super::{HandClock, Subject, documents_contract};
use crate::cosmos::emulator::Emulator;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cosmos_keeps_the_contract() {
    let emulator = Emulator::start(&["East US"]);
    let clock = HandClock::new();
    let store = CosmosDocuments::new(emulator.account(), Arc::clone(&clock) as Arc<dyn Clock>);
    documents_contract(&Subject { store: Arc::new(store), clock }).await;
}

/// What an account must have is read by people, from a table.
#[test]
fn the_documented_containers_are_the_ports() {
    let rows = include_str!("../../../docs/COSMOS.md").lines().filter_map(|line| line.strip_prefix("| `"));
    let rows: Vec<String> = rows.filter(|it| it.contains("| `/")).map(|it| it.replace(['`', '|', ','], " ")).collect();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let documented: Vec<_> = rows.iter().map(|it| words(it)).collect();
    let declared = Container::ALL.map(|it| {
        let key = format!("/{}", it.partition_key());
        words(&format!("{} {key} {}", it.name(), it.indexed().join(" ")))
    });
    assert_eq!(documented, declared);
}
