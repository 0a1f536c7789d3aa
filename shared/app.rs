//! Composition root: settings in, app out; the one place that names adapters.
//!
//! Building it opens the store and connects to nothing: clients connect when first used, so the port
//! opens at once.
use std::{fs, path::PathBuf, sync::Arc};

use offpeak_domain::code::Code;

use crate::shared::{
    adapters::{
        broker_access::{Access, Broker, EntraTokens},
        cosmos::{Account, CosmosDocuments, Credential},
        event_hubs::{self, EventHubs},
        http_client::HttpClient,
        inventory_http::{self, InventoryHttp},
        mail_files::{self, MailFiles},
        mail_message::Sender,
        memory_cache::{MemoryCache, NoCache},
        object_storage::{self, Place, StoredObjects},
        oidc::Oidc,
        redis_cache::{self, RedisCache},
        sandbox_payments::SandboxPayments,
        service_bus::{self, ServiceBus},
        smtp::{self, Relay, Security, Smtp},
        sqlite::{OpenError, SqliteDocuments},
        stripe::Stripe,
        system::{RandomIds, SystemClock},
        tax_http::{self, TaxHttp},
    },
    config::{
        BrokerAccess, BusConfig, CacheConfig, Config, HubConfig, IdentityConfig, MailConfig, ObjectsConfig,
        PaymentsConfig, StoreConfig,
    },
    host::{
        admission::{Admit, Traffic, Visit},
        call::Call,
        problem::{Problem, chain},
    },
    operations::{
        Shop,
        merge_cart::Customer,
        rate_limits::{Kind, PerMinute},
        recommendations::{Cadence, Recommender},
    },
    ports::{
        Ports,
        bus::Bus,
        cache::{Cache, PATIENCE},
        documents::Documents,
        hub::Hub,
        identity::{Caller, Identity},
        inventory::InventoryFeed,
        mail::Mail,
        objects::Objects,
        payments::Payments,
        reach::Reach,
    },
};

/// How a role says that a customer belongs to a group.
const GROUP: &str = "group:";
/// Groups of one customer.
const GROUPS_MAX: usize = 20;

/// What every room is given.
pub struct App {
    pub shop: Shop,
    /// Where another system publishes what is on the shelves, if it does.
    pub inventory: Option<Arc<dyn InventoryFeed>>,
    pub rate_limits: Option<RateLimits>,
    /// What the settings name, for a check.
    pub dependencies: Vec<Dependency>,
    identity: Arc<dyn Identity>,
}

/// What a check asks.
pub struct Dependency {
    pub name: &'static str,
    /// As the settings call it.
    pub adapter: &'static str,
    /// What says where it is and who asks.
    pub settings: &'static str,
    pub reach: Arc<dyn Reach>,
}

/// Notes each adapter that is made.
#[derive(Default)]
struct Dependencies(Vec<Dependency>);

impl Dependencies {
    fn made<A: Reach + 'static>(&mut self, it: A, [name, adapter, settings]: [&'static str; 3]) -> Arc<A> {
        let it = Arc::new(it);
        let reach = Arc::clone(&it) as Arc<dyn Reach>;
        self.0.push(Dependency { name, adapter, settings, reach });
        it
    }
}

/// What a client may send, and how many proxies of ours stand between it and us.
#[derive(Clone, Copy, Debug)]
pub struct RateLimits {
    pub per_minute: PerMinute,
    pub hops: usize,
}

impl Admit for App {
    fn admit(&self, visit: &Visit<'_>) -> Result<(), Problem> {
        let Some(limits) = &self.rate_limits else { return Ok(()) };
        let kind = match visit.traffic {
            Traffic::Free => return Ok(()),
            _ if visit.method.is_safe() => Kind::Read,
            Traffic::Plain => Kind::Write,
            Traffic::Guess => Kind::Guess,
        };
        let (address, token) = (visit.address(limits.hops), visit.token());
        limits.per_minute.count(&self.shop.ports, kind, address, token).map_err(|too_many| {
            Problem::new(Code::TooManyAttempts, "These are too many requests in a minute. Slow down.")
                .retry_after(too_many.retry_after_s)
        })
    }
}

/// Why the app cannot be built from these settings.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("the document store cannot be opened")]
    Store(#[from] OpenError),
    #[error("{0}")]
    Setting(String),
}

impl App {
    /// # Errors
    /// [`AppError`].
    pub fn build(config: &Config) -> Result<App, AppError> {
        let client = HttpClient::default();
        let feed_client = client.clone();
        let clock = Arc::new(SystemClock);
        let mut all = Dependencies::default();
        let ports = Ports {
            documents: documents(&mut all, &config.store, clock.clone())?,
            bus: bus(&mut all, &config.bus, &client)?,
            hub: hub(&mut all, &config.hub, &client, clock.clone())?,
            cache: cache(&mut all, &config.cache, clock.clone())?,
            payments: payments(&mut all, &config.payments, &client)?,
            mail: mail(&mut all, &config.mail, clock.clone())?,
            objects: objects(&mut all, &config.objects, &client),
            taxes: Arc::new(TaxHttp::new(client.clone(), tax_http::PATIENCE)),
            clock,
            ids: Arc::new(RandomIds),
        };
        let IdentityConfig::Oidc { issuer, audience } = &config.identity;
        let identity = Oidc::new(client, issuer.as_str(), audience);
        let identity = all.made(identity, ["identity", "oidc", "OFFPEAK_IDENTITY_ISSUER"]);
        let mut shop = Shop::new(ports);
        shop.recommender = Recommender::in_folder(config.recommendations.folder.clone(), Cadence::default());
        shop.recommender.days = config.recommendations.days;
        let mut app = App::new(shop, identity);
        app.inventory = config.inventory.clone().map(|url| {
            let feed = InventoryHttp::new(feed_client, url, inventory_http::PATIENCE);
            all.made(feed, ["inventory", "http", "OFFPEAK_INVENTORY_URL"]) as Arc<dyn InventoryFeed>
        });
        app.dependencies = all.0;
        app.rate_limits = config.rate_limits.map(|it| RateLimits {
            per_minute: PerMinute { read: it.read, write: it.write, guess: it.guess },
            hops: it.hops,
        });
        Ok(app)
    }

    /// From parts that are made already.
    pub fn new(shop: Shop, identity: Arc<dyn Identity>) -> App {
        App { shop, inventory: None, rate_limits: None, dependencies: Vec::new(), identity }
    }

    /// The shopper who has signed in; groups stand as roles `group:NAME` in the token.
    ///
    /// # Errors
    /// `unauthenticated` without a valid token, `unavailable`.
    pub async fn customer(&self, call: &Call) -> Result<Customer, Problem> {
        let Some(token) = call.bearer() else {
            return Err(Problem::new(Code::Unauthenticated, "Send the shopper's token as Authorization: Bearer …"));
        };
        let Caller { subject, roles, .. } = self.identity.caller(token).await?;
        let mut groups: Vec<String> = roles.iter().filter_map(|it| it.strip_prefix(GROUP)).map(Into::into).collect();
        groups.sort();
        groups.dedup();
        groups.truncate(GROUPS_MAX);
        Ok(Customer { subject, groups })
    }

    /// The member of staff who calls, if the token gives them this scope.
    ///
    /// # Errors
    /// `unauthenticated` without a valid token, `forbidden` without the scope, `unavailable`.
    pub async fn staff(&self, call: &Call, scope: &str) -> Result<Caller, Problem> {
        let Some(token) = call.bearer() else {
            return Err(Problem::new(Code::Unauthenticated, "Send a staff token as Authorization: Bearer …"));
        };
        let caller = self.identity.caller(token).await?;
        if caller.may(scope) {
            Ok(caller)
        } else {
            Err(Problem::new(Code::Forbidden, format!("Your token needs the scope {scope} or the role owner.")))
        }
    }
}

fn payments(
    all: &mut Dependencies,
    config: &PaymentsConfig,
    client: &HttpClient,
) -> Result<Arc<dyn Payments>, AppError> {
    match config {
        PaymentsConfig::Sandbox { url, secret } => {
            let sandbox = SandboxPayments::new(client.clone(), url, &secret.0);
            Ok(all.made(sandbox.map_err(AppError::Setting)?, ["payments", "sandbox", "OFFPEAK_PAYMENTS_URL"]))
        }
        PaymentsConfig::Stripe { url, key, secrets } => {
            let secrets = secrets.iter().map(|it| it.0.clone()).collect();
            let stripe = Stripe::new(client.clone(), url, &key.0, secrets).map_err(AppError::Setting)?;
            Ok(all.made(stripe, ["payments", "stripe", "OFFPEAK_STRIPE_SECRET_KEY"]))
        }
    }
}

fn documents(
    all: &mut Dependencies,
    config: &StoreConfig,
    clock: Arc<SystemClock>,
) -> Result<Arc<dyn Documents>, AppError> {
    match config {
        StoreConfig::Sqlite { file } => {
            Ok(all.made(SqliteDocuments::open(file, clock)?, ["documents", "sqlite", "OFFPEAK_DATA"]))
        }
        StoreConfig::Cosmos { endpoint, database, regions, key, client_id } => {
            let credential = match key {
                Some(key) => Credential::Key(key.0.clone()),
                None => Credential::ManagedIdentity { client_id: client_id.clone() },
            };
            let (endpoint, database, regions) = (endpoint.clone(), database.clone(), regions.clone());
            let documents = CosmosDocuments::new(Account { endpoint, database, regions, credential }, clock);
            Ok(all.made(documents, ["documents", "cosmos", "OFFPEAK_COSMOS_ENDPOINT"]))
        }
    }
}

fn bus(all: &mut Dependencies, config: &BusConfig, client: &HttpClient) -> Result<Arc<dyn Bus>, AppError> {
    let BusConfig::ServiceBus { endpoint, access } = config;
    let access = access_to(Broker::ServiceBus, access)?;
    let bus = ServiceBus::new(client.clone(), endpoint.as_str(), access, service_bus::PATIENCE);
    let bus = bus.map_err(|err| AppError::Setting(format!("OFFPEAK_BUS_ENDPOINT: {err}")))?;
    Ok(all.made(bus, ["bus", "servicebus", "OFFPEAK_BUS_ENDPOINT"]))
}

fn hub(
    all: &mut Dependencies,
    config: &HubConfig,
    client: &HttpClient,
    clock: Arc<SystemClock>,
) -> Result<Arc<dyn Hub>, AppError> {
    let HubConfig::EventHubs { endpoint, access } = config;
    let access = access_to(Broker::EventHubs, access)?;
    let hub = EventHubs::new(client.clone(), endpoint.clone(), access, clock, event_hubs::PATIENCE);
    let hub = hub.map_err(|err| AppError::Setting(format!("OFFPEAK_HUB_ENDPOINT: {err}")))?;
    Ok(all.made(hub, ["hub", "eventhubs", "OFFPEAK_HUB_ENDPOINT"]))
}

fn access_to(broker: Broker, access: &BrokerAccess) -> Result<Access, AppError> {
    match access {
        BrokerAccess::Policy { name, key } => Ok(Access::Policy { name: name.clone(), key: key.0.clone() }),
        BrokerAccess::Identity { client_id } => {
            let tokens = EntraTokens::managed(broker, client_id.as_deref());
            let tokens = tokens.map_err(|err| AppError::Setting(format!("AZURE_CLIENT_ID: {err}")))?;
            Ok(Access::Identity(Arc::new(tokens)))
        }
    }
}

fn cache(all: &mut Dependencies, config: &CacheConfig, clock: Arc<SystemClock>) -> Result<Arc<dyn Cache>, AppError> {
    let (url, cluster, authority, identity) = match config {
        // What is within this process needs no check.
        CacheConfig::None => return Ok(Arc::new(NoCache)),
        CacheConfig::Memory => return Ok(Arc::new(MemoryCache::new(clock))),
        CacheConfig::Redis { url, cluster, authority, identity } => (url, *cluster, authority, identity),
    };
    let read = |file: &PathBuf| {
        fs::read(file).map_err(|err| AppError::Setting(format!("OFFPEAK_REDIS_CA {}: {err}", file.display())))
    };
    let identity = identity.as_ref().map(|it| redis_cache::Identity::Managed { client_id: it.client_id.clone() });
    let authority = authority.as_ref().map(read).transpose()?;
    let access = redis_cache::Access { url: url.0.clone(), cluster, authority, identity };
    let cache = RedisCache::new(&access, clock, PATIENCE);
    let cache = cache.map_err(|err| AppError::Setting(format!("OFFPEAK_REDIS_URL: {}", chain(&err))))?;
    Ok(all.made(cache, ["cache", "redis", "OFFPEAK_REDIS_URL"]))
}

fn mail(all: &mut Dependencies, config: &MailConfig, clock: Arc<SystemClock>) -> Result<Arc<dyn Mail>, AppError> {
    let sender = |from: &str| Sender::parse(from).map_err(|err| AppError::Setting(format!("OFFPEAK_MAIL_FROM: {err}")));
    match config {
        MailConfig::Files { folder, from } => {
            let files = MailFiles::new(folder.clone(), sender(from)?, clock, mail_files::PATIENCE);
            Ok(all.made(files, ["mail", "files", "OFFPEAK_DATA"]))
        }
        MailConfig::Smtp { host, port, security, credentials, from } => {
            let security = Security::parse(security)
                .ok_or_else(|| AppError::Setting("OFFPEAK_SMTP_SECURITY is not known".to_owned()))?;
            let credentials = credentials.clone().map(|(user, password)| (user, password.0));
            let relay = Relay { host: host.clone(), port: *port, security, credentials };
            let smtp = Smtp::new(relay, sender(from)?, clock, smtp::PATIENCE);
            Ok(all.made(smtp, ["mail", "smtp", "OFFPEAK_SMTP_HOST"]))
        }
    }
}

fn objects(all: &mut Dependencies, config: &ObjectsConfig, client: &HttpClient) -> Arc<dyn Objects> {
    let (place, called) = match config.clone() {
        ObjectsConfig::Folder { folder } => (Place::Folder(folder), ["objects", "folder", "OFFPEAK_DATA"]),
        ObjectsConfig::Azure { endpoint, container, key, client_id, identity } => {
            let credential = match key {
                Some(key) => object_storage::Credential::Key(key.0),
                None => object_storage::Credential::ManagedIdentity { client_id, endpoint: identity },
            };
            let account = object_storage::Account { endpoint, container, credential };
            (Place::Azure(account), ["objects", "azure", "OFFPEAK_OBJECTS_ENDPOINT"])
        }
    };
    all.made(StoredObjects::new(place, client.clone(), object_storage::PATIENCE), called)
}
