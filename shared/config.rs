//! The one place that reads settings. Everything is read once, parsed to real types, and all faults are
//! reported together: the process starts fully configured or not at all.
//!
//! `OFFPEAK_MODE=local` (set by the dev host, never in the cloud) fills in an adapter for every port; without
//! it every port must name its own.
use std::{fmt, path::PathBuf};

use url::Url;

/// Every setting the handler knows, parsed.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the host expects the handler to listen; `None` for subcommands that do not serve.
    pub port: Option<u16>,
    /// Filter of log lines, e.g. `info`.
    pub log: String,
    /// On one machine: counts store operations in an answer header.
    pub local: bool,
    pub store: StoreConfig,
    pub bus: BusConfig,
    pub cache: CacheConfig,
    pub payments: PaymentsConfig,
    pub identity: IdentityConfig,
    pub mail: MailConfig,
    /// A feed that says what is on the shelves; none unless it is named.
    pub inventory: Option<Url>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreConfig {
    /// One file on this machine.
    Sqlite { file: PathBuf },
    /// An account of Cosmos DB for NoSQL; `regions` the nearest first. A `key` is an emulator's; without one the app's
    /// managed identity asks, `client_id` if it has several.
    Cosmos { endpoint: Url, database: String, regions: Vec<String>, key: Option<Secret>, client_id: Option<String> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusConfig {
    /// The Service Bus REST endpoint at `endpoint`, signed with a shared access key.
    ServiceBus { endpoint: Url, key_name: String, key: Secret },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheConfig {
    /// Nothing is shared or counted.
    None,
    /// Each process for itself.
    Memory,
    /// A server or a cluster. `authority` is a file of PEM. Without a password in the URL, and not on this machine, the
    /// app's managed identity asks, `client_id` if it has several.
    Redis { url: Secret, cluster: bool, authority: Option<PathBuf>, identity: Option<RedisIdentity> },
}

/// The app's managed identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisIdentity {
    pub client_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentsConfig {
    /// The dev host's provider, and what it signs webhooks with.
    Sandbox { url: Url, secret: Secret },
    /// `secrets` are the webhook's; while one is exchanged for another both are here.
    Stripe { url: Url, key: Secret, secrets: Vec<Secret> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityConfig {
    Oidc { issuer: Url, audience: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailConfig {
    /// `.eml` files in a folder.
    Files { folder: PathBuf, from: String },
    /// A mail server that relays for us; `security` is `none`, `starttls` or `implicit`.
    Smtp { host: String, port: u16, security: String, credentials: Option<(String, Secret)>, from: String },
}

/// Source: docs.stripe.com/api, "base URL".
const STRIPE: &str = "https://api.stripe.com/";

/// Where mail is handed in. Source: RFC 6409.
const SUBMISSION_PORT: u16 = 587;

/// Text that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Everything that is wrong, one line each.
#[derive(Debug, thiserror::Error)]
#[error("the settings are not complete:\n  {}", .0.join("\n  "))]
pub struct ConfigFaults(pub Vec<String>);

impl Config {
    /// # Errors
    /// [`ConfigFaults`], all of them.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn from_env() -> Result<Config, ConfigFaults> {
        Config::read(&|name| std::env::var(name).ok())
    }

    /// From any source of settings; an empty value counts as absent.
    ///
    /// # Errors
    /// [`ConfigFaults`], all of them.
    pub fn read(source: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigFaults> {
        let mut reader = Reader { source, local: false, faults: Vec::new() };
        let local = match reader.text("OFFPEAK_MODE").as_deref() {
            None => false,
            Some("local") => true,
            Some(other) => reader.fault(format!("OFFPEAK_MODE is `{other}`; it is `local` or not set at all")),
        };
        reader.local = local;
        let port = reader.text("FUNCTIONS_CUSTOMHANDLER_PORT").and_then(|text| match text.parse() {
            Ok(port) => Some(port),
            Err(_) => reader.fault(format!("FUNCTIONS_CUSTOMHANDLER_PORT is `{text}`, not a port number")),
        });
        let config = Config {
            port,
            log: reader.text("OFFPEAK_LOG").unwrap_or_else(|| "info".to_owned()),
            local,
            store: reader.store(),
            bus: reader.bus(),
            cache: reader.cache(),
            payments: reader.payments(),
            identity: reader.identity(),
            mail: reader.mail(),
            inventory: reader.inventory(),
        };
        if reader.faults.is_empty() { Ok(config) } else { Err(ConfigFaults(reader.faults)) }
    }
}

/// Collects faults while it reads; what it returns after a fault is never used.
struct Reader<'a> {
    source: &'a dyn Fn(&str) -> Option<String>,
    local: bool,
    faults: Vec<String>,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> Option<String> {
        (self.source)(name).map(|it| it.trim().to_owned()).filter(|it| !it.is_empty())
    }

    fn fault<T: Default>(&mut self, fault: String) -> T {
        self.faults.push(fault);
        T::default()
    }

    /// Which adapter a port uses: named, or the local one in local mode.
    fn adapter(&mut self, name: &str, purpose: &str, local: &str, known: &[&str]) -> String {
        match self.text(name) {
            Some(adapter) if known.contains(&adapter.as_str()) => adapter,
            Some(other) => self.fault(format!("{name} is `{other}`; this version knows {}", known.join(", "))),
            None if self.local => local.to_owned(),
            None => self.fault(format!("{name} is missing: name the adapter for {purpose} ({})", known.join(", "))),
        }
    }

    /// Adapters that would take an order without money, or a mail nowhere, are for one machine only.
    fn only_local(&mut self, name: &str, adapter: &str, toy: &str) {
        if !self.local && adapter == toy {
            self.faults.push(format!("{name} is `{toy}`, which is for OFFPEAK_MODE=local only"));
        }
    }

    fn required(&mut self, name: &str, purpose: &str) -> String {
        match self.text(name) {
            Some(text) => text,
            None => self.fault(format!("{name} is missing: {purpose}")),
        }
    }

    fn url(&mut self, name: &str, text: &str) -> Url {
        text.parse().unwrap_or_else(|_| {
            if !text.is_empty() {
                self.faults.push(format!("{name} is not a URL"));
            }
            nowhere()
        })
    }

    /// A setting that in local mode follows from the dev host's address.
    fn url_or_devhost(&mut self, name: &str, path: &str, purpose: &str) -> Url {
        if let Some(text) = self.text(name) {
            return self.url(name, &text);
        }
        if !self.local {
            self.faults.push(format!("{name} is missing: {purpose}"));
            return nowhere();
        }
        // A subcommand (import) runs without a dev host; a port without one is unreachable, not wrong.
        let devhost = self.text("OFFPEAK_DEVHOST_URL").unwrap_or_else(|| "http://127.0.0.1:7071".to_owned());
        let devhost = self.url("OFFPEAK_DEVHOST_URL", &devhost);
        devhost.join(path).unwrap_or(devhost)
    }

    fn data(&mut self, name: &str, purpose: &str) -> PathBuf {
        PathBuf::from(self.required(name, purpose))
    }

    fn store(&mut self) -> StoreConfig {
        let adapter = self.adapter("OFFPEAK_STORE", "documents", "sqlite", &["sqlite", "cosmos"]);
        match adapter.as_str() {
            "cosmos" => self.cosmos(),
            "sqlite" => StoreConfig::Sqlite {
                file: self.data("OFFPEAK_DATA", "the folder that holds store.db").join("store.db"),
            },
            _ => StoreConfig::Sqlite { file: PathBuf::new() },
        }
    }

    fn cosmos(&mut self) -> StoreConfig {
        let purpose = "the account, https://NAME.documents.azure.com/";
        let endpoint = self.required("OFFPEAK_COSMOS_ENDPOINT", purpose);
        let endpoint = self.url("OFFPEAK_COSMOS_ENDPOINT", &endpoint);
        let database = self.text("OFFPEAK_COSMOS_DATABASE").unwrap_or_else(|| "offpeak".to_owned());
        let regions = self.text("OFFPEAK_COSMOS_REGIONS").unwrap_or_default();
        let regions = regions.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect();
        let key = self.text("OFFPEAK_COSMOS_KEY").map(Secret);
        let here = matches!(endpoint.host_str(), Some("127.0.0.1" | "localhost"));
        if key.is_some() && !here {
            let advice = "an account takes the app's managed identity, with a data role";
            self.faults.push(format!("OFFPEAK_COSMOS_KEY is for an emulator on this machine only: {advice}"));
        }
        if key.is_none() && endpoint != nowhere() && endpoint.scheme() != "https" {
            self.faults.push("OFFPEAK_COSMOS_ENDPOINT is not https, so no token may be sent to it".to_owned());
        }
        StoreConfig::Cosmos { endpoint, database, regions, key, client_id: self.text("AZURE_CLIENT_ID") }
    }

    fn bus(&mut self) -> BusConfig {
        let adapter = self.adapter("OFFPEAK_BUS", "messages out", "servicebus", &["servicebus"]);
        if adapter.is_empty() {
            return BusConfig::ServiceBus { endpoint: nowhere(), key_name: String::new(), key: Secret(String::new()) };
        }
        let endpoint = self.url_or_devhost("OFFPEAK_BUS_ENDPOINT", "/", "https://NAMESPACE.servicebus.windows.net");
        let (key_name, key) = if self.local {
            // The dev host checks no key.
            ("local".to_owned(), "local".to_owned())
        } else {
            let key_name = self.required("OFFPEAK_BUS_KEY_NAME", "the shared access policy's name");
            (key_name, self.required("OFFPEAK_BUS_KEY", "the shared access policy's key"))
        };
        BusConfig::ServiceBus { endpoint, key_name, key: Secret(key) }
    }

    fn cache(&mut self) -> CacheConfig {
        let known = ["memory", "redis", "none"];
        match self.adapter("OFFPEAK_CACHE", "what may be forgotten", "memory", &known).as_str() {
            "redis" => self.redis(),
            "memory" => CacheConfig::Memory,
            _ => CacheConfig::None,
        }
    }

    fn redis(&mut self) -> CacheConfig {
        let text = self.required("OFFPEAK_REDIS_URL", "the server, rediss://HOST:PORT");
        let url = self.url("OFFPEAK_REDIS_URL", &text);
        let here = matches!(url.host_str(), Some("127.0.0.1" | "localhost"));
        match url.scheme() {
            "rediss" => {}
            "redis" if here => {}
            "redis" => self.faults.push("OFFPEAK_REDIS_URL is without TLS; it is rediss://HOST:PORT".to_owned()),
            _ if url == nowhere() => {}
            _ => self.faults.push("OFFPEAK_REDIS_URL is not rediss://HOST:PORT".to_owned()),
        }
        if url.password().is_some() && !here {
            let advice = "a service takes the app's managed identity";
            self.faults.push(format!("OFFPEAK_REDIS_URL has a password, for a server on this machine only: {advice}"));
        }
        let cluster = match self.text("OFFPEAK_REDIS_CLUSTER").as_deref() {
            None | Some("off") => false,
            Some("on") => true,
            Some(other) => self.fault(format!("OFFPEAK_REDIS_CLUSTER is `{other}`; it is `on` or `off`")),
        };
        let authority = self.text("OFFPEAK_REDIS_CA").map(PathBuf::from);
        let identity = (!here).then(|| RedisIdentity { client_id: self.text("AZURE_CLIENT_ID") });
        CacheConfig::Redis { url: Secret(text), cluster, authority, identity }
    }

    fn payments(&mut self) -> PaymentsConfig {
        let adapter = self.adapter("OFFPEAK_PAYMENTS", "the payment provider", "sandbox", &["sandbox", "stripe"]);
        self.only_local("OFFPEAK_PAYMENTS", &adapter, "sandbox");
        match adapter.as_str() {
            "stripe" => {
                let url = self.text("OFFPEAK_PAYMENTS_URL").unwrap_or_else(|| STRIPE.to_owned());
                let url = self.url("OFFPEAK_PAYMENTS_URL", &url);
                let key = Secret(self.required("OFFPEAK_STRIPE_SECRET_KEY", "the account's key, sk_…"));
                let purpose = "the webhook's secrets, whsec_…, separated by commas";
                let secrets = self.required("OFFPEAK_STRIPE_WEBHOOK_SECRETS", purpose);
                let secrets = secrets.split(',').map(str::trim).filter(|it| !it.is_empty());
                PaymentsConfig::Stripe { url, key, secrets: secrets.map(|it| Secret(it.to_owned())).collect() }
            }
            "sandbox" => {
                let url = self.url_or_devhost("OFFPEAK_PAYMENTS_URL", "/", "the dev host's address");
                // Without it, as in a subcommand, no webhook is believed.
                let secret = Secret(self.text("OFFPEAK_SANDBOX_WEBHOOK_SECRET").unwrap_or_default());
                PaymentsConfig::Sandbox { url, secret }
            }
            _ => PaymentsConfig::Sandbox { url: nowhere(), secret: Secret(String::new()) },
        }
    }

    fn identity(&mut self) -> IdentityConfig {
        let adapter = self.adapter("OFFPEAK_IDENTITY", "tokens of staff", "oidc", &["oidc"]);
        if adapter.is_empty() {
            return IdentityConfig::Oidc { issuer: nowhere(), audience: String::new() };
        }
        let issuer = self.url_or_devhost("OFFPEAK_IDENTITY_ISSUER", "/dev/identity", "the issuer's URL, as in `iss`");
        let audience = match self.text("OFFPEAK_IDENTITY_AUDIENCE") {
            Some(audience) => audience,
            None if self.local => "offpeak".to_owned(),
            None => self.fault("OFFPEAK_IDENTITY_AUDIENCE is missing: this API's name, as in `aud`".to_owned()),
        };
        IdentityConfig::Oidc { issuer, audience }
    }

    fn inventory(&mut self) -> Option<Url> {
        let text = self.text("OFFPEAK_INVENTORY_URL")?;
        Some(self.url("OFFPEAK_INVENTORY_URL", &text))
    }

    fn mail(&mut self) -> MailConfig {
        let adapter = self.adapter("OFFPEAK_MAIL", "mail to shoppers", "files", &["files", "smtp"]);
        self.only_local("OFFPEAK_MAIL", &adapter, "files");
        let from = match self.text("OFFPEAK_MAIL_FROM") {
            Some(from) => from,
            None if self.local => "Offpeak <shop@offpeak.example>".to_owned(),
            None => self.fault("OFFPEAK_MAIL_FROM is missing: the sender, as `Name <address>`".to_owned()),
        };
        match adapter.as_str() {
            "smtp" => {
                let host = self.required("OFFPEAK_SMTP_HOST", "the mail server that relays for us");
                let port = match self.text("OFFPEAK_SMTP_PORT").map(|it| it.parse()) {
                    None => SUBMISSION_PORT,
                    Some(Ok(port)) => port,
                    Some(Err(_)) => self.fault("OFFPEAK_SMTP_PORT is not a port number".to_owned()),
                };
                let security = self.text("OFFPEAK_SMTP_SECURITY").unwrap_or_else(|| "starttls".to_owned());
                if !["none", "starttls", "implicit"].contains(&security.as_str()) {
                    self.faults.push("OFFPEAK_SMTP_SECURITY is `none`, `starttls` or `implicit`".to_owned());
                }
                let user = self.text("OFFPEAK_SMTP_USER");
                let credentials =
                    user.map(|user| (user, Secret(self.required("OFFPEAK_SMTP_PASSWORD", "the relay's password"))));
                MailConfig::Smtp { host, port, security, credentials, from }
            }
            "files" => {
                let folder = self.data("OFFPEAK_DATA", "the folder that holds mail/").join("mail");
                MailConfig::Files { folder, from }
            }
            _ => MailConfig::Files { folder: PathBuf::new(), from },
        }
    }
}

/// Stands where a fault was noted; never used.
fn nowhere() -> Url {
    Url::parse("http://127.0.0.1:9/").unwrap_or_else(|_| unreachable!("it is a URL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Config, ConfigFaults> {
        Config::read(&|name| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn without_local_mode_every_adapter_is_missed_at_once() {
        let faults = read(&[]).unwrap_err().0;
        for name in
            ["OFFPEAK_STORE", "OFFPEAK_BUS", "OFFPEAK_CACHE", "OFFPEAK_PAYMENTS", "OFFPEAK_IDENTITY", "OFFPEAK_MAIL"]
        {
            assert!(faults.iter().any(|fault| fault.starts_with(&format!("{name} is missing"))), "{name}: {faults:?}");
        }
    }

    #[test]
    fn local_mode_needs_only_a_folder() {
        let faults = read(&[("OFFPEAK_MODE", "local")]).unwrap_err().0;
        assert!(faults.iter().all(|fault| fault.starts_with("OFFPEAK_DATA is missing")), "{faults:?}");
        let settings =
            [("OFFPEAK_MODE", "local"), ("OFFPEAK_DATA", "d"), ("OFFPEAK_DEVHOST_URL", "http://127.0.0.1:99")];
        let config = read(&settings).unwrap();
        assert_eq!(config.store, StoreConfig::Sqlite { file: "d/store.db".into() });
        let IdentityConfig::Oidc { issuer, .. } = config.identity;
        assert_eq!(issuer.as_str(), "http://127.0.0.1:99/dev/identity");
    }

    #[test]
    fn cosmos_takes_an_identity_and_on_this_machine_a_key() {
        let local = [("OFFPEAK_MODE", "local"), ("OFFPEAK_DATA", "d"), ("OFFPEAK_STORE", "cosmos")];
        let check = |settings: &[(&str, &str)], fault: Option<&str>| match (read(&[&local, settings].concat()), fault) {
            (Ok(config), None) => {
                let StoreConfig::Cosmos { regions, .. } = &config.store else { panic!("{:?}", config.store) };
                assert_eq!(*regions, ["North Europe", "West Europe"]);
                assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
            }
            (Err(faults), Some(fault)) => {
                assert!(matches!(&faults.0[..], [one] if one.starts_with(fault)), "{faults:?}");
            }
            (read, fault) => panic!("{read:?} is not {fault:?}"),
        };
        let regions = ("OFFPEAK_COSMOS_REGIONS", "North Europe, West Europe");
        let (cloud, here) = ("https://shop.documents.azure.com/", "http://127.0.0.1:8081/");
        let (endpoint, key) = ("OFFPEAK_COSMOS_ENDPOINT", ("OFFPEAK_COSMOS_KEY", "hunter2"));
        check(&[(endpoint, cloud), regions], None);
        check(&[(endpoint, here), key, regions], None);
        check(&[(endpoint, cloud), key], Some("OFFPEAK_COSMOS_KEY is for an emulator"));
        check(&[(endpoint, here)], Some("OFFPEAK_COSMOS_ENDPOINT is not https"));
        check(&[("OFFPEAK_COSMOS_KEY", "")], Some("OFFPEAK_COSMOS_ENDPOINT is missing"));
    }

    #[test]
    fn redis_takes_an_identity_and_on_this_machine_a_password() {
        let local = [("OFFPEAK_MODE", "local"), ("OFFPEAK_DATA", "d"), ("OFFPEAK_CACHE", "redis")];
        let check = |url: &str, cluster: &str, fault: Option<&str>| {
            let settings = [("OFFPEAK_REDIS_URL", url), ("OFFPEAK_REDIS_CLUSTER", cluster)];
            match (read(&[&local[..], &settings].concat()), fault) {
                (Ok(config), None) => {
                    let CacheConfig::Redis { identity, .. } = &config.cache else { panic!("{:?}", config.cache) };
                    assert_eq!(identity.is_some(), !url.contains("127.0.0.1"), "{url}");
                    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
                }
                (Err(faults), Some(fault)) => {
                    assert!(matches!(&faults.0[..], [one] if one.starts_with(fault)), "{faults:?}");
                }
                (read, fault) => panic!("{read:?} is not {fault:?}"),
            }
        };
        check("rediss://shop.redis.azure.net:10000", "on", None);
        check("redis://:hunter2@127.0.0.1:6379", "", None);
        check("redis://127.0.0.1:6379", "off", None);
        check("redis://shop.example:6379", "", Some("OFFPEAK_REDIS_URL is without TLS"));
        check("rediss://:hunter2@shop.example:6380", "", Some("OFFPEAK_REDIS_URL has a password"));
        check("https://shop.example", "", Some("OFFPEAK_REDIS_URL is not rediss"));
        check("", "", Some("OFFPEAK_REDIS_URL is missing"));
        check("redis://127.0.0.1", "maybe", Some("OFFPEAK_REDIS_CLUSTER is `maybe`"));
    }

    #[test]
    fn stripe_needs_its_key_and_the_secrets_of_its_webhook() {
        let settings = [("OFFPEAK_MODE", "local"), ("OFFPEAK_DATA", "d"), ("OFFPEAK_PAYMENTS", "stripe")];
        let faults = read(&settings).unwrap_err().0;
        assert_eq!(faults.len(), 2, "{faults:?}");
        let secrets =
            [("OFFPEAK_STRIPE_SECRET_KEY", "sk_test_1"), ("OFFPEAK_STRIPE_WEBHOOK_SECRETS", "whsec_1, whsec_2")];
        let config = read(&[&settings[..], &secrets[..]].concat()).unwrap();
        let PaymentsConfig::Stripe { url, secrets, .. } = &config.payments else { panic!("{:?}", config.payments) };
        assert_eq!((url.as_str(), secrets.len()), ("https://api.stripe.com/", 2));
        assert!(!format!("{config:?}").contains("_1"), "{config:?}");
    }

    #[test]
    fn a_wrong_value_is_named_and_a_secret_is_not_shown() {
        let faults = read(&[
            ("OFFPEAK_MODE", "cloud"),
            ("OFFPEAK_STORE", "oracle"),
            ("OFFPEAK_PAYMENTS", "sandbox"),
            ("OFFPEAK_MAIL", "files"),
            ("FUNCTIONS_CUSTOMHANDLER_PORT", "x"),
        ])
        .unwrap_err()
        .0;
        for part in [
            "OFFPEAK_MODE is `cloud`",
            "OFFPEAK_STORE is `oracle`",
            "FUNCTIONS_CUSTOMHANDLER_PORT is `x`",
            "OFFPEAK_PAYMENTS is `sandbox`, which",
            "OFFPEAK_MAIL is `files`, which",
        ] {
            assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:?}");
        }
        assert_eq!(format!("{:?}", Secret("hunter2".to_owned())), "(secret)");
    }
}
