//! The one place that reads settings. Everything is read once, parsed to real types, and all faults are
//! reported together: the process starts fully configured or not at all.
//!
//! `OFFPEAK_MODE=local` (set by the dev host, never in the cloud) fills in an adapter for every port; without
//! it every port must name its own.
mod brokers;
mod cache;
mod objects;
mod rate_limits;
mod recommendations;

use std::{fmt, path::PathBuf};

use url::Url;

pub use brokers::{BrokerAccess, BusConfig, HubConfig};
pub use cache::{CacheConfig, RedisIdentity};
pub use objects::ObjectsConfig;
pub use rate_limits::RateLimitConfig;
pub use recommendations::RecommendationsConfig;

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
    pub hub: HubConfig,
    pub cache: CacheConfig,
    /// `None`: nobody is turned away.
    pub rate_limits: Option<RateLimitConfig>,
    pub payments: PaymentsConfig,
    pub identity: IdentityConfig,
    pub mail: MailConfig,
    pub objects: ObjectsConfig,
    pub recommendations: RecommendationsConfig,
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
            hub: reader.hub(),
            cache: reader.cache(),
            rate_limits: reader.rate_limits(),
            payments: reader.payments(),
            identity: reader.identity(),
            mail: reader.mail(),
            objects: reader.objects(),
            recommendations: reader.recommendations(),
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
        self.identity_or_emulator(&endpoint, key.as_ref(), ["OFFPEAK_COSMOS_ENDPOINT", "OFFPEAK_COSMOS_KEY"]);
        StoreConfig::Cosmos { endpoint, database, regions, key, client_id: self.text("AZURE_CLIENT_ID") }
    }

    /// An account takes the app's identity over TLS; a key is for an emulator on this machine.
    fn identity_or_emulator(&mut self, endpoint: &Url, key: Option<&Secret>, names: [&str; 2]) {
        let [endpoint_name, key_name] = names;
        let here = matches!(endpoint.host_str(), Some("127.0.0.1" | "localhost"));
        if key.is_some() && !here {
            let advice = "an account takes the app's managed identity, with a data role";
            self.faults.push(format!("{key_name} is for an emulator on this machine only: {advice}"));
        }
        if key.is_none() && *endpoint != nowhere() && endpoint.scheme() != "https" {
            self.faults.push(format!("{endpoint_name} is not https, so no token may be sent to it"));
        }
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
        if !self.local && issuer != nowhere() && issuer.scheme() != "https" {
            self.faults.push("OFFPEAK_IDENTITY_ISSUER is not https, so nobody knows whose keys it gives".to_owned());
        }
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
mod tests;
