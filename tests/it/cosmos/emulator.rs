//! An account of the SDK's own emulator, over HTTP, on this machine: what the document port's adapter is held to.
use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
};

use offpeak::shared::{
    adapters::{
        cosmos::{Account, CosmosDocuments, Credential},
        system::SystemClock,
    },
    ports::documents::Container,
};
use serde_json::json;
use url::Url;

use crate::given;

const DATABASE: &str = "offpeak";
/// Any key will do: the emulator looks at none.
const KEY: &str = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==";

/// An emulated account, ended with the test.
pub(crate) struct Emulator {
    child: Child,
    line: Mutex<(ChildStdin, Lines<BufReader<ChildStdout>>)>,
    url: Url,
}

impl Emulator {
    /// With these regions, the write region first, and containers as the port has them.
    pub(crate) fn start(regions: &[&str]) -> Emulator {
        Emulator::replicating(regions, 0)
    }

    /// What is written in one region is in the others so much later.
    pub(crate) fn replicating(regions: &[&str], delay_ms: u64) -> Emulator {
        let containers: Vec<_> = Container::ALL
            .iter()
            .map(|it| json!({ "name": it.name(), "partition_key": format!("/{}", it.partition_key()) }))
            .collect();
        let account = json!({
            "regions": regions, "database": DATABASE, "containers": containers, "partitions": 3,
            "replication_ms": delay_ms
        });
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(account.to_string().as_bytes()).unwrap();
        let mut command = Command::new(given::path(given::COSMOS_EMULATOR));
        command.arg(file.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = answers.next().expect("the emulator has started").unwrap();
        let url = ready.strip_prefix("ready ").unwrap().parse().unwrap();
        let line = Mutex::new((child.stdin.take().unwrap(), answers));
        Emulator { child, line, url }
    }

    /// One of the program's orders (`tests/cosmos_emulator/orders.rs`); answers its answer.
    pub(crate) fn order(&self, words: &str) -> String {
        let mut line = self.line.lock().unwrap();
        writeln!(line.0, "{words}").unwrap();
        line.1.next().unwrap_or_else(|| panic!("`{words}` ended the emulator")).unwrap()
    }

    /// How much of something there has been.
    pub(crate) fn count(&self, words: &str) -> u64 {
        self.order(words).parse().unwrap()
    }

    /// What chooses it, as settings.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let named =
            [("OFFPEAK_STORE", "cosmos"), ("OFFPEAK_COSMOS_ENDPOINT", self.url.as_str()), ("OFFPEAK_COSMOS_KEY", KEY)];
        named.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// The same for an app that is nearest to this region.
    pub(crate) fn settings_near(&self, region: &str) -> Vec<(String, String)> {
        let mut settings = self.settings();
        settings.push(("OFFPEAK_COSMOS_REGIONS".to_owned(), region.to_owned()));
        settings
    }

    pub(crate) fn account(&self) -> Account {
        Account {
            endpoint: self.url.clone(),
            database: DATABASE.to_owned(),
            regions: Vec::new(),
            credential: Credential::Key(KEY.to_owned()),
        }
    }

    pub(crate) fn documents(&self) -> CosmosDocuments {
        CosmosDocuments::new(self.account(), Arc::new(SystemClock))
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
