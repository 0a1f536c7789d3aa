//! The same adapter against the dev host's brokers: what was sent is in the queue that was named, once, or
//! waits for its time.
use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use offpeak::shared::ports::bus::{Bus as _, BusError, Message};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::macros::datetime;

use super::{bus, message, policy};
use crate::given;

/// A dev host without functions, so that messages stay where they are put.
pub(crate) struct DevHost {
    child: Child,
    pub(crate) endpoint: String,
    _folder: TempDir,
}

impl DevHost {
    pub(crate) fn start() -> DevHost {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        fs::create_dir(at("stage")).unwrap();
        fs::create_dir(at("data")).unwrap();
        fs::copy(root.join("host.json"), at("stage/host.json")).unwrap();
        fs::copy(given::path(given::STUB_HANDLER), at("stage/handler")).unwrap();
        fs::write(at("script"), "{}").unwrap();
        let mut command = Command::new(given::path(given::DEVHOST));
        command.arg("--stage").arg(at("stage")).arg("--data").arg(at("data")).args(["--port", "0"]);
        command.arg("--entities").arg(root.join("infra/bicep/entities.json"));
        command.env("STUB_SCRIPT", at("script")).env("STUB_RECORD", at("record"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.find_map(|it| it.unwrap().strip_prefix("ready ").map(str::to_owned));
        DevHost { child, endpoint: ready.expect("the dev host is ready"), _folder: folder }
    }

    /// Events of a hub that nobody has read.
    pub(crate) async fn events(&self, hub: &str) -> Value {
        self.depth(hub).await.0
    }

    /// Active and scheduled messages of one entity.
    async fn depth(&self, name: &str) -> (Value, Value) {
        let answer = reqwest::get(format!("{}/dev/queues", self.endpoint)).await.unwrap().text().await.unwrap();
        let queues: Value = serde_json::from_str(&answer).unwrap();
        let entity = queues["items"].as_array().unwrap().iter().find(|it| it["name"] == name).unwrap().clone();
        (entity["active"].clone(), entity["scheduled"].clone())
    }
}

impl Drop for DevHost {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait().map(drop)).unwrap();
    }
}

#[tokio::test]
async fn the_dev_host_takes_what_service_bus_would() {
    let host = DevHost::start();
    let bus = bus(&host.endpoint, policy());
    for _ in 0..3 {
        bus.send(&message()).await.unwrap();
    }
    assert_eq!(host.depth("mail").await, (json!(1), json!(0)), "a repeated id is one message");
    let later = Message {
        destination: "checkouts".into(),
        session: Some("chk_1".into()),
        scheduled: Some(datetime!(2999-01-01 00:00 UTC)),
        ..message()
    };
    bus.send(&later).await.unwrap();
    assert_eq!(host.depth("checkouts").await, (json!(0), json!(1)));
    bus.send(&Message { destination: "orders".into(), ..message() }).await.unwrap();
    let unknown = bus.send(&Message { destination: "nowhere".into(), ..message() }).await.unwrap_err();
    assert!(matches!(unknown, BusError::Refused(_)), "{unknown}");
    drop(host);
    let gone = bus.send(&message()).await.unwrap_err();
    assert!(matches!(gone, BusError::Unavailable(_)), "{gone}");
}
