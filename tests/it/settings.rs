//! The handler as Azure starts it: by settings alone, without local mode. What is missing is named; nothing has to be
//! reachable for it to start; what belongs to one machine is refused.
use std::{
    io::Write as _,
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
};

use serde_json::json;

use crate::{
    bus_contract::DevHost,
    cosmos::emulator::Emulator,
    given,
    shop::{buyer::Buyer, client::Client, wait_for},
};

/// Nobody listens there.
pub(crate) const NOWHERE: &str = "127.0.0.1:9";
const PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";
/// All that must be said in Azure, and no dependency is there.
pub(crate) fn complete() -> Vec<(String, String)> {
    let lines = include_str!("fixtures/azure.env").lines().filter_map(|it| it.split_once('='));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// With these settings and nothing else.
pub(crate) fn handler(settings: &[(String, String)]) -> Command {
    let mut command = Command::new(given::path(given::STAGE).join("handler"));
    command.env_clear().envs(settings.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
    command
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A handler that serves; ended with the test.
struct Serving {
    child: Child,
    client: Client,
}

impl Serving {
    fn start(settings: &[(String, String)]) -> Serving {
        let port = free_port();
        let child = handler(settings).env(PORT, port.to_string()).stdout(Stdio::null()).spawn().unwrap();
        wait_for("the port to open", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Serving { child, client: Client::new(&format!("http://127.0.0.1:{port}")) }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn each_setting_that_is_missing_is_named_and_nothing_starts() {
    let mut all = complete();
    all.push((PORT.to_owned(), free_port().to_string()));
    for (missing, _) in &all {
        let mut settings = all.clone();
        settings.retain(|(name, _)| name != missing);
        let Output { status, stderr, .. } = handler(&settings).output().unwrap();
        let text = String::from_utf8(stderr).unwrap();
        assert!(!status.success() && text.contains(&format!("{missing} is missing")), "{missing}: {text}");
    }
}

#[tokio::test]
async fn a_complete_configuration_starts_while_nothing_can_be_reached() {
    let serving = Serving::start(&complete());
    let answer = serving.client.post("/api/v1/carts", &json!({})).await.refused(503, "unavailable");
    assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
}

/// The sandbox and the dev host's issuer are for one machine: outside local mode neither money nor staff is made up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outside_local_mode_no_sandbox_pays_and_no_dev_token_opens() {
    let emulator = Emulator::start(&["North Europe"]);
    let mut settings = complete();
    let here = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    settings.retain(|(name, _)| !["OFFPEAK_STORE", "OFFPEAK_COSMOS_ENDPOINT"].contains(&name.as_str()));
    settings.extend(emulator.settings());
    settings.push(here("OFFPEAK_PAYMENTS_URL", &format!("http://{NOWHERE}/")));
    let mut goods = tempfile::NamedTempFile::new().unwrap();
    goods.write_all(b"sku,title,price\nMUG-1,Mug,7.99\n").unwrap();
    let mut import = handler(&settings);
    import.arg("import").arg(goods.path()).args(["--currency", "GBP", "--on-hand", "10"]);
    let Output { status, stderr, .. } = import.output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));

    let serving = Serving::start(&settings);
    let buyer = Buyer::at_checkout(&serving.client, &[("MUG-1", 1)]).await;
    let total = buyer.total().await;
    for method in ["sandbox_approve", "sandbox_decline", "sandbox_challenge"] {
        buyer.complete(method, &total, method).await.gave(422);
    }
    let dev = DevHost::start();
    let owner = json!({ "sub": "storekeeper", "roles": ["owner"] });
    let token = Client::new(&dev.endpoint).post("/dev/token", &owner).await.gave(200).at("/access_token").to_owned();
    let stock = serving.client.call(http::Method::GET, "/api/v1/manage/stock/MUG-1");
    stock.header("authorization", &format!("Bearer {token}")).send().await.refused(401, "unauthenticated");
}
