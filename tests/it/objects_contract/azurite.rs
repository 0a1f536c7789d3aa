//! Azurite, which plays Azure Blob Storage on this machine; ended with the test.
use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use offpeak::shared::adapters::object_storage::{Account, Credential, Place};

use crate::given;

pub(crate) const CONTAINER: &str = "offpeak";
const ACCOUNT: &str = "devstoreaccount1";
/// The one that every emulator has. Source: Azurite, "Default Storage Account".
pub(super) const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
/// What that key signs, worked out by another program than ours.
const SIGNED: &str = "sv=2021-12-02&ss=b&srt=sco&sp=rwdlac&se=9999-12-31T00%3A00%3A00Z&spr=https%2Chttp\
                      &sig=rj4lWSpj9OTKaFtdCJktBLyV4BwJ8zoyYx9ejdH5drg%3D";

pub(crate) struct Azurite {
    child: Child,
    pub(super) endpoint: String,
}

impl Azurite {
    /// With an empty container.
    pub(crate) async fn start() -> Azurite {
        let mut command = Command::new("node");
        command.arg(given::path(given::AZURITE)).args(["--blobHost", "127.0.0.1", "--blobPort", "0"]);
        command.args(["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|it| it.split_once("successfully listens on ").map(|(_, url)| url.to_owned()));
        let endpoint = format!("{}/{ACCOUNT}", address.expect("Azurite has started").trim());
        // What it goes on to print is not read by anyone; a full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let azurite = Azurite { child, endpoint };
        azurite.make(CONTAINER).await;
        azurite
    }

    async fn make(&self, container: &str) {
        let url = format!("{}/{container}?restype=container&{SIGNED}", self.endpoint);
        let answer = reqwest::Client::new().put(url).header("content-length", "0").send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap_or_default());
    }

    pub(super) fn account(&self) -> Account {
        Account {
            endpoint: self.endpoint.parse().unwrap(),
            container: CONTAINER.to_owned(),
            credential: Credential::Key(KEY.to_owned()),
        }
    }

    pub(crate) fn place(&self) -> Place {
        Place::Azure(self.account())
    }

    /// What chooses it, as settings.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let named = [
            ("OFFPEAK_OBJECTS", "azure"),
            ("OFFPEAK_OBJECTS_ENDPOINT", self.endpoint.as_str()),
            ("OFFPEAK_OBJECTS_CONTAINER", CONTAINER),
            ("OFFPEAK_OBJECTS_KEY", KEY),
        ];
        named.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
