//! Cosmos DB: the port's contract against the SDK's own emulator over HTTP.
use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use offpeak::shared::{
    adapters::cosmos::{Account, CosmosDocuments, Credential},
    ports::{clock::Clock, documents::Container},
};
use serde_json::json;
use url::Url;

use super::{HandClock, Subject, documents_contract};
use crate::given;

const DATABASE: &str = "offpeak";
/// Any key will do: the emulator looks at none.
const KEY: &str = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==";

/// An emulated account, ended with the test.
pub(crate) struct Emulator {
    child: Child,
    urls: Vec<Url>,
}

impl Emulator {
    /// With these regions, the write region first, and containers as the port has them.
    pub(crate) fn start(regions: &[&str]) -> Emulator {
        let containers: Vec<_> = Container::ALL
            .iter()
            .map(|it| json!({ "name": it.name(), "partition_key": format!("/{}", it.partition_key()) }))
            .collect();
        let account = json!({ "regions": regions, "database": DATABASE, "containers": containers, "partitions": 3 });
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(account.to_string().as_bytes()).unwrap();
        let mut command = Command::new(given::path(given::COSMOS_EMULATOR));
        command.arg(file.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let ready = BufReader::new(child.stdout.take().unwrap()).lines().next().expect("the emulator has started");
        let ready = ready.unwrap();
        let urls = ready.strip_prefix("ready ").unwrap().split(' ').map(|it| it.parse().unwrap()).collect();
        Emulator { child, urls }
    }

    /// What chooses it, as settings.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let named = [
            ("OFFPEAK_STORE", "cosmos"),
            ("OFFPEAK_COSMOS_ENDPOINT", self.urls[0].as_str()),
            ("OFFPEAK_COSMOS_KEY", KEY),
        ];
        named.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    fn account(&self) -> Account {
        Account {
            endpoint: self.urls[0].clone(),
            database: DATABASE.to_owned(),
            regions: Vec::new(),
            credential: Credential::Key(KEY.to_owned()),
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

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
