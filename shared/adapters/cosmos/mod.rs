//! Documents in Cosmos DB for NoSQL, by its SDK. The containers are made by the infrastructure; data is all that
//! the shop may touch.
//!
//! Reads of carts, stock and money ask a quorum of the write region for what was committed last, so that what one
//! process wrote another one sees; so do reads before a change, and a write that looks at what is in its way.
//! Conditional writes decide in any case. Whoever waits, waits no longer than [`PATIENCE`].
mod failure;
mod item;
mod query;
mod retry;
pub mod units;
mod write;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use azure_data_cosmos::{
    AccountEndpoint, AccountReference, ContainerClient, CosmosClient, CosmosRuntime, RoutingStrategy,
    models::ResponseHeaders,
    options::{
        AvailabilityStrategy, EndToEndOperationLatencyPolicy, OperationOptions, OperationOptionsBuilder,
        PartitionFailoverOptions, ReadConsistencyStrategy, Region, ThrottlingRetryOptionsBuilder,
    },
};
use tokio::{sync::OnceCell, time::Instant};
use url::Url;

use self::{
    failure::failed,
    item::Item,
    retry::{Failed, insist},
};
use crate::shared::{
    adapters::managed_identity::managed_identity,
    ports::{
        clock::Clock,
        documents::{Container, Document, Documents, ETag, Page, Query, Scope, StoreError, Write},
        limits,
        reach::{self, Reach, Unreached},
    },
    telemetry::{StoreOp, store_charge, store_op},
};

/// The longest that a call takes, with all that the SDK tries again in it; then it fails as unavailable.
const PATIENCE: Duration = Duration::from_secs(5);
/// The part of it that the SDK has for one try: less, so that its own reason is told where it has one.
const TRY_PATIENCE: Duration = Duration::from_secs(4);
/// Clients younger than this are not given up.
const CONNECTED_FOR: Duration = Duration::from_secs(5);
/// What is named when the account itself refuses.
const ACCOUNT: &str = "the account";

/// Where the documents are and who asks for them.
#[derive(Clone, Debug)]
pub struct Account {
    pub endpoint: Url,
    pub database: String,
    /// The nearest first; without any the account's own order counts.
    pub regions: Vec<String>,
    pub credential: Credential,
}

#[derive(Clone)]
pub enum Credential {
    /// The identity that Azure gives to the app; `client_id` if it has several.
    ManagedIdentity { client_id: Option<String> },
    /// An emulator's.
    Key(String),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Credential::ManagedIdentity { client_id } => {
                f.debug_struct("ManagedIdentity").field("client_id", client_id).finish()
            }
            Credential::Key(_) => f.write_str("Key(secret)"),
        }
    }
}

pub struct CosmosDocuments {
    account: Account,
    clock: Arc<dyn Clock>,
    connected: Mutex<Arc<Connected>>,
}

/// Clients, connected by the first call that needs them: a start does not wait for it.
struct Connected {
    since: Instant,
    /// Remembers where the account's regions are, so it is as old as the clients.
    runtime: OnceCell<CosmosRuntime>,
    home: Client,
    near: Client,
}

impl Connected {
    fn new() -> Arc<Connected> {
        Arc::new(Connected {
            since: Instant::now(),
            runtime: OnceCell::new(),
            home: Client::default(),
            near: Client::default(),
        })
    }
}

/// With the containers that were opened through it.
#[derive(Default)]
struct Client {
    sdk: OnceCell<CosmosClient>,
    containers: [OnceCell<ContainerClient>; Container::ALL.len()],
}

impl CosmosDocuments {
    pub fn new(account: Account, clock: Arc<dyn Clock>) -> CosmosDocuments {
        CosmosDocuments { account, clock, connected: Mutex::new(Connected::new()) }
    }

    fn connected(&self) -> Arc<Connected> {
        Arc::clone(&self.connected.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One call, asked again while it is turned away, and [`PATIENCE`] for all of it.
    async fn ask<T, A>(
        &self,
        container: Container,
        reads: Reads,
        call: impl Fn(ContainerClient) -> A,
    ) -> Result<T, StoreError>
    where
        A: Future<Output = Result<T, Failed>>,
    {
        let at = self.connected();
        let asked = insist(|| async { call(self.open(&at, container, reads).await?).await });
        match tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(Failed::Lost(unavailable(Slow)))) {
            Ok(answer) => Ok(answer),
            Err(Failed::Lost(error)) => {
                self.forget(&at);
                Err(error)
            }
            Err(Failed::Turned { away: error, .. } | Failed::Ended(error)) => Err(error),
        }
    }

    /// Asks the account anew where its regions are: the SDK would go on with a region that is gone for minutes, as far
    /// as writes are concerned. Whoever comes second with the same clients has nothing to do, and new clients are left
    /// time to be of use, so that a service that is only slow is not asked for its regions by every call.
    fn forget(&self, gone: &Arc<Connected>) {
        let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&connected, gone) && gone.since.elapsed() >= CONNECTED_FOR {
            *connected = Connected::new();
        }
    }

    async fn open(&self, at: &Connected, container: Container, reads: Reads) -> Result<ContainerClient, Failed> {
        let client = match reads {
            Reads::Committed => &at.home,
            Reads::Near => &at.near,
        };
        let index = Container::ALL.iter().position(|it| *it == container).unwrap_or_default();
        let open = || async {
            let sdk = client.sdk.get_or_try_init(|| self.connect(at, reads)).await?;
            let database = sdk.database_client(self.account.database.clone());
            database.container_client(container.name(), None).await.map_err(|err| failed(container.name(), &err))
        };
        client.containers[index].get_or_try_init(open).await.cloned()
    }

    /// A client that reads in the write region; or, what may be old, in the nearest region that answers.
    async fn connect(&self, at: &Connected, reads: Reads) -> Result<CosmosClient, Failed> {
        let endpoint: AccountEndpoint = self.account.endpoint.as_str().parse().map_err(unavailable)?;
        let account = match &self.account.credential {
            Credential::Key(key) => AccountReference::with_authentication_key(endpoint, key.clone()),
            Credential::ManagedIdentity { client_id } => {
                let identity = managed_identity(client_id.as_deref()).map_err(StoreError::Unavailable)?;
                AccountReference::with_credential(endpoint, identity)
            }
        };
        // Ours are used: the SDK's have no spread, and none inside a batch.
        let throttled = ThrottlingRetryOptionsBuilder::new().with_max_retry_count(0);
        let mut options = OperationOptionsBuilder::new()
            .with_session_capturing_disabled(true)
            .with_throttling_retry_options(throttled.build())
            .with_end_to_end_latency_policy(EndToEndOperationLatencyPolicy::new(TRY_PATIENCE));
        let may_be_old = reads == Reads::Near;
        if !may_be_old {
            // What another region has may be old, so its answer is no substitute for one that is late or fails, and no
            // reads are moved there for a while, unless the account itself asks for that (per-partition failover).
            options = options
                .with_availability_strategy(AvailabilityStrategy::Disabled)
                .with_endpoint_unavailability_ttl(Duration::ZERO);
        }
        let failover = PartitionFailoverOptions::builder().with_circuit_breaker_enabled(may_be_old).build();
        let failover = failover.map_err(|err| failed(ACCOUNT, &err))?;
        let near = self.account.regions.iter().filter(|_| may_be_old);
        let regions = near.cloned().map(Region::new).collect();
        let runtime = at.runtime.get_or_try_init(|| CosmosRuntime::builder().build()).await;
        let runtime = runtime.map_err(|err| failed(ACCOUNT, &err))?.clone();
        let builder = CosmosClient::builder()
            .with_runtime(runtime)
            .with_default_operation_options(options.build())
            .with_partition_failover_options(failover);
        builder.build(account, RoutingStrategy::PreferredRegions(regions)).await.map_err(|err| failed(ACCOUNT, &err))
    }

    async fn read_by(
        &self,
        container: Container,
        reads: Reads,
        partition: &str,
        id: &str,
    ) -> Result<Option<Document>, StoreError> {
        store_op(StoreOp::Read);
        limits::check_read(partition, id)?;
        let read = |client| async move { item::read(&client, container, reads, partition, id).await };
        let found = self.ask(container, reads, read).await?;
        Ok(found.filter(|it| it.is_there(self.now())).map(Item::into_document))
    }

    /// Unix milliseconds.
    fn now(&self) -> i64 {
        i64::try_from(self.clock.now().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
    }
}

#[async_trait]
impl Documents for CosmosDocuments {
    async fn read(&self, container: Container, partition: &str, id: &str) -> Result<Option<Document>, StoreError> {
        self.read_by(container, Reads::of(container), partition, id).await
    }

    async fn read_latest(
        &self,
        container: Container,
        partition: &str,
        id: &str,
    ) -> Result<Option<Document>, StoreError> {
        self.read_by(container, Reads::Committed, partition, id).await
    }

    async fn write(&self, container: Container, partition: &str, writes: Vec<Write>) -> Result<Vec<ETag>, StoreError> {
        store_op(StoreOp::Write);
        let checked = limits::check_writes(partition, writes)?;
        let (writes, now) = (&checked, self.now());
        let write = |client| async move { write::write(&client, container, partition, writes, now).await };
        self.ask(container, Reads::Committed, write).await
    }

    async fn query(&self, container: Container, scope: Scope<'_>, query: &Query) -> Result<Page, StoreError> {
        let partition = match scope {
            Scope::Partition(partition) => Some(partition),
            Scope::Container => None,
        };
        store_op(StoreOp::Query);
        limits::check_query(container, partition, query)?;
        let (now, reads) = (self.now(), Reads::of(container));
        let page = |client| async move { query::page(&client, container, reads, scope, query, now).await };
        self.ask(container, reads, page).await
    }
}

#[async_trait]
impl Reach for CosmosDocuments {
    async fn reach(&self) -> Result<(), Unreached> {
        reach::documents(self).await
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {PATIENCE:?}; see OFFPEAK_COSMOS_ENDPOINT")]
struct Slow;

/// Where a read is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// By a quorum of the write region: what was committed last. Twice the request units of the other.
    Committed,
    /// By any replica of the nearest region: what a shopper looks at and money does not hang on.
    Near,
}

impl Reads {
    /// Unless the latest is asked for.
    const fn of(container: Container) -> Reads {
        match container {
            Container::Catalog | Container::Listings => Reads::Near,
            _ => Reads::Committed,
        }
    }
}

/// Does a read of this container ask a quorum, for twice the request units?
pub fn asks_quorum(container: Container) -> bool {
    Reads::of(container) == Reads::Committed
}

fn reading(reads: Reads) -> OperationOptions {
    let options = OperationOptionsBuilder::new();
    match reads {
        // A region that fails is not stood in for by another one, whose copy may be behind.
        Reads::Committed => options
            .with_read_consistency_strategy(ReadConsistencyStrategy::LatestCommitted)
            .with_max_failover_retry_count(0),
        Reads::Near => options.with_read_consistency_strategy(ReadConsistencyStrategy::Eventual),
    }
    .build()
}

/// Notes what the service says a call cost.
fn charged(headers: &ResponseHeaders) {
    if let Some(charge) = headers.request_charge() {
        store_charge(charge.value());
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}
