//! `handler --check`: it reaches what the settings name, says of each dependency that cannot be used which one it is and
//! what to put right, and shows no secret.
use std::{path::Path, sync::Arc};

use offpeak::shared::{
    adapters::{sqlite::SqliteDocuments, system::SystemClock},
    documents::settings::{STORE, put_settings},
    ports::documents::{Container, Documents as _},
};
use offpeak_domain::{
    money::Currency,
    store::{StoreSettings, TaxProvider},
};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    bus_contract::DevHost,
    cache_contract::server::Redis,
    cosmos::emulator::Emulator,
    mail_contract::Server,
    objects_contract::azurite::Azurite,
    payments::{
        stripe::{KEY, LocalStripe, SECRET},
        stub::Stub,
    },
    settings::{NOWHERE, complete, handler},
};

type Settings = Vec<(String, String)>;

fn named<const N: usize>(settings: [(&str, &str); N]) -> Settings {
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// A folder, the dev host, and nothing else.
fn local(dev: &DevHost, folder: &Path) -> Settings {
    let folder = folder.to_str().unwrap();
    named([("OFFPEAK_MODE", "local"), ("OFFPEAK_DATA", folder), ("OFFPEAK_DEVHOST_URL", &dev.endpoint)])
}

/// What a check says, and whether its exit code is 0.
struct Checked {
    text: String,
    is_ok: bool,
}

impl Checked {
    /// With these settings, of which later ones replace earlier ones.
    async fn with(settings: &[&[(String, String)]]) -> Checked {
        let mut command = handler(&settings.concat());
        command.arg("--check");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        Checked { text, is_ok: output.status.success() }
    }

    fn row(&self, dependency: &str) -> &str {
        let row = self.text.lines().find(|it| it.split_whitespace().next() == Some(dependency));
        row.unwrap_or_else(|| panic!("no row {dependency}: {}", self.text))
    }

    /// Dependencies that cannot be used.
    fn failed(&self) -> Vec<&str> {
        let rows = self.text.lines().filter(|it| it.contains("  failed  "));
        rows.filter_map(|it| it.split_whitespace().next()).collect()
    }

    fn all_ok(&self, dependencies: usize) {
        assert!(self.is_ok && self.failed().is_empty(), "{}", self.text);
        assert_eq!(self.text.lines().last(), Some(format!("all {dependencies} can be used").as_str()), "{}", self.text);
    }

    /// Nothing but this cannot be used, and its row says so with these words.
    fn only_failed(&self, dependency: &str, words: &str) {
        assert!(!self.is_ok, "{}", self.text);
        assert_eq!(self.failed(), [dependency], "{}", self.text);
        assert!(self.row(dependency).contains(words), "{words}: {}", self.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_one_machine_each_dependency_that_cannot_be_used_is_named() {
    let (dev, folder) = (DevHost::start(), TempDir::new().unwrap());
    let here = local(&dev, folder.path());
    let well = Checked::with(&[&here]).await;
    well.all_ok(7);
    for words in ["documents sqlite OFFPEAK_DATA ok", "bus servicebus OFFPEAK_BUS_ENDPOINT ok"] {
        let row = well.row(words.split(' ').next().unwrap()).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(row.starts_with(words), "{row}");
    }

    let dead = format!("http://{NOWHERE}/");
    for (setting, dependency) in [
        ("OFFPEAK_BUS_ENDPOINT", "bus"),
        ("OFFPEAK_HUB_ENDPOINT", "hub"),
        ("OFFPEAK_PAYMENTS_URL", "payments"),
        ("OFFPEAK_IDENTITY_ISSUER", "identity"),
        ("OFFPEAK_INVENTORY_URL", "inventory"),
    ] {
        let one_dead = named([(setting, dead.as_str())]);
        Checked::with(&[&here, &one_dead]).await.only_failed(dependency, setting);
    }
    for (name, dependency) in [("mail", "mail"), ("objects", "objects")] {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join(name), "a file where a folder is meant to be").unwrap();
        Checked::with(&[&local(&dev, folder.path())]).await.only_failed(dependency, "OFFPEAK_DATA");
    }
}

/// A tax service is named by the store's own settings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tax_service_is_asked_if_the_store_has_one() {
    let (dev, folder) = (DevHost::start(), TempDir::new().unwrap());
    let here = local(&dev, folder.path());
    let answer = json!({ "lines": [{ "id": "CHECK", "rateMillionths": 200_000 }] });
    let service = Stub::start(move |_| Some((200, answer.clone()))).await;
    let store = |url: String| {
        let plain = StoreSettings::plain(Currency::parse("GBP").unwrap());
        StoreSettings { tax_provider: Some(TaxProvider { url }), ..plain }
    };
    let documents = SqliteDocuments::open(&folder.path().join("store.db"), Arc::new(SystemClock)).unwrap();
    let first = put_settings(&store(service.url.clone()), None).unwrap();
    let etags = documents.write(Container::Stores, STORE, vec![first]).await.unwrap();
    Checked::with(&[&here]).await.all_ok(8);
    assert_eq!(service.sent().len(), 1);

    let dead = put_settings(&store(format!("http://{NOWHERE}/rates?key=s3cret")), etags.first()).unwrap();
    documents.write(Container::Stores, STORE, vec![dead]).await.unwrap();
    let checked = Checked::with(&[&here]).await;
    checked.only_failed("taxes", "the store's settings");
    assert!(!checked.text.contains("s3cret"), "{}", checked.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn among_services_each_that_cannot_be_used_is_named_and_no_secret_is_shown() {
    let (cosmos, redis, azurite) = (Emulator::start(&["North Europe"]), Redis::start(), Azurite::start().await);
    let (stripe, mail, dev, folder) =
        (LocalStripe::start(), Server::start(), DevHost::start(), TempDir::new().unwrap());
    let mut here = local(&dev, folder.path());
    here.extend(cosmos.settings());
    here.extend(azurite.settings());
    let (redis, port) = (redis.url(), mail.port.to_string());
    here.extend(named([
        ("OFFPEAK_CACHE", "redis"),
        ("OFFPEAK_REDIS_URL", &redis),
        ("OFFPEAK_PAYMENTS", "stripe"),
        ("OFFPEAK_PAYMENTS_URL", &stripe.url),
        ("OFFPEAK_STRIPE_SECRET_KEY", KEY),
        ("OFFPEAK_STRIPE_WEBHOOK_SECRETS", SECRET),
        ("OFFPEAK_MAIL", "smtp"),
        ("OFFPEAK_SMTP_HOST", "127.0.0.1"),
        ("OFFPEAK_SMTP_PORT", &port),
        ("OFFPEAK_SMTP_SECURITY", "none"),
    ]));
    let well = Checked::with(&[&here]).await;
    well.all_ok(8);

    let (http, redis, wrong) = (format!("http://{NOWHERE}/"), format!("redis://{NOWHERE}"), "redis://:s3cret@");
    let password = redis.replace("redis://", wrong).replace(NOWHERE, well_at(&here, "OFFPEAK_REDIS_URL"));
    let mut seen = vec![well];
    for (setting, value, dependency, words) in [
        ("OFFPEAK_COSMOS_DATABASE", "elsewhere", "documents", "OFFPEAK_COSMOS_DATABASE"),
        ("OFFPEAK_REDIS_URL", redis.as_str(), "cache", "OFFPEAK_REDIS_URL"),
        ("OFFPEAK_REDIS_URL", password.as_str(), "cache", "the password in OFFPEAK_REDIS_URL"),
        ("OFFPEAK_OBJECTS_ENDPOINT", http.as_str(), "objects", "OFFPEAK_OBJECTS_ENDPOINT"),
        ("OFFPEAK_OBJECTS_CONTAINER", "elsewhere", "objects", "OFFPEAK_OBJECTS_CONTAINER"),
        ("OFFPEAK_PAYMENTS_URL", http.as_str(), "payments", "OFFPEAK_PAYMENTS_URL"),
        ("OFFPEAK_SMTP_PORT", "9", "mail", "OFFPEAK_SMTP_PORT"),
        ("OFFPEAK_SMTP_SECURITY", "starttls", "mail", "OFFPEAK_SMTP_SECURITY"),
    ] {
        let other = named([(setting, value)]);
        let checked = Checked::with(&[&here, &other]).await;
        checked.only_failed(dependency, words);
        seen.push(checked);
    }
    cosmos.order("refuse 403 5300");
    let refused = Checked::with(&[&here]).await;
    refused.only_failed("documents", "Data Contributor");
    seen.push(refused);

    let secrets = here.iter().filter(|(name, _)| name.contains("KEY") || name.contains("SECRET"));
    let secrets: Vec<_> = secrets.map(|(_, value)| value.as_str()).chain(["s3cret"]).collect();
    assert_eq!(secrets.len(), 5);
    for checked in &seen {
        assert!(secrets.iter().all(|it| !checked.text.contains(it)), "{}", checked.text);
    }
}

/// Host and port of an address among these settings.
fn well_at<'a>(settings: &'a [(String, String)], name: &str) -> &'a str {
    let (_, address) = settings.iter().rfind(|(it, _)| it == name).unwrap();
    address.split("//").nth(1).unwrap().trim_end_matches('/')
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_azure_what_is_missing_is_named_and_so_is_all_that_cannot_be_reached() {
    let mut two_missing = complete();
    two_missing.retain(|(name, _)| !["OFFPEAK_SMTP_HOST", "OFFPEAK_COSMOS_ENDPOINT"].contains(&name.as_str()));
    let checked = Checked::with(&[&two_missing]).await;
    assert!(!checked.is_ok);
    for name in ["OFFPEAK_SMTP_HOST is missing", "OFFPEAK_COSMOS_ENDPOINT is missing"] {
        assert!(checked.text.contains(name), "{name}: {}", checked.text);
    }

    let checked = Checked::with(&[&complete(), &named([("OFFPEAK_PAYMENTS_URL", "http://127.0.0.1:9/")])]).await;
    assert!(!checked.is_ok);
    let all = ["documents", "bus", "hub", "cache", "payments", "mail", "objects", "identity"];
    assert_eq!(checked.failed(), all, "{}", checked.text);
    assert_eq!(checked.text.lines().last(), Some("8 of 8 cannot be used"), "{}", checked.text);
}
