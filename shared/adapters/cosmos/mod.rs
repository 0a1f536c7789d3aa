//! Documents in Cosmos DB for NoSQL, by its SDK. The containers are made by the infrastructure; data is all that
//! the shop may touch.
//!
//! Reads ask a quorum of the nearest region for what was committed last, so that what one process wrote another
//! one sees; conditional writes decide in any case. Whoever waits, waits no longer than [`PATIENCE`].
mod failure;
mod item;
mod query;
mod write;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_data_cosmos::{
    AccountEndpoint, AccountReference, ContainerClient, CosmosClient, RoutingStrategy,
    options::{
        EndToEndOperationLatencyPolicy, OperationOptionsBuilder, ReadConsistencyStrategy, Region,
        ThrottlingRetryOptionsBuilder,
    },
};
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};
use tokio::sync::OnceCell;
use url::Url;

use self::{failure::failed, item::Item};
use crate::shared::{
    ports::{
        clock::Clock,
        documents::{Container, Document, Documents, ETag, Page, Query, Scope, StoreError, Write},
        limits,
    },
    telemetry::{StoreOp, store_op},
};

/// The longest that a call takes, with all that the SDK tries again in it; then it fails as unavailable.
const PATIENCE: Duration = Duration::from_secs(5);
/// Of [`PATIENCE`], what may pass in waiting because the service throttles.
const THROTTLED_MAX: Duration = Duration::from_secs(3);
const THROTTLED_TRIES: u32 = 9;

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
    /// Connected by the first call that needs it: a start does not wait for it.
    client: OnceCell<CosmosClient>,
    containers: [OnceCell<ContainerClient>; Container::ALL.len()],
}

impl CosmosDocuments {
    pub fn new(account: Account, clock: Arc<dyn Clock>) -> CosmosDocuments {
        CosmosDocuments { account, clock, client: OnceCell::new(), containers: Default::default() }
    }

    async fn container(&self, container: Container) -> Result<&ContainerClient, StoreError> {
        let index = Container::ALL.iter().position(|it| *it == container).unwrap_or_default();
        let opened = self.containers[index].get_or_try_init(|| self.open(container));
        in_time(opened).await
    }

    async fn open(&self, container: Container) -> Result<ContainerClient, StoreError> {
        let client = self.client.get_or_try_init(|| self.connect()).await?;
        let database = client.database_client(self.account.database.clone());
        database.container_client(container.name(), None).await.map_err(|err| failed(container, &err))
    }

    async fn connect(&self) -> Result<CosmosClient, StoreError> {
        let endpoint: AccountEndpoint = self.account.endpoint.as_str().parse().map_err(unavailable)?;
        let account = match &self.account.credential {
            Credential::Key(key) => AccountReference::with_authentication_key(endpoint, key.clone()),
            Credential::ManagedIdentity { client_id } => {
                let options = ManagedIdentityCredentialOptions {
                    user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                    ..ManagedIdentityCredentialOptions::default()
                };
                let identity = ManagedIdentityCredential::new(Some(options)).map_err(unavailable)?;
                AccountReference::with_credential(endpoint, identity)
            }
        };
        let throttled = ThrottlingRetryOptionsBuilder::new()
            .with_max_retry_count(THROTTLED_TRIES)
            .with_max_retry_wait_time(THROTTLED_MAX);
        let options = OperationOptionsBuilder::new()
            .with_read_consistency_strategy(ReadConsistencyStrategy::LatestCommitted)
            .with_session_capturing_disabled(true)
            .with_throttling_retry_options(throttled.build())
            .with_end_to_end_latency_policy(EndToEndOperationLatencyPolicy::new(PATIENCE));
        let regions = self.account.regions.iter().cloned().map(Region::new).collect();
        let builder = CosmosClient::builder().with_default_operation_options(options.build());
        builder.build(account, RoutingStrategy::PreferredRegions(regions)).await.map_err(|err| failed_account(&err))
    }

    /// Unix milliseconds.
    fn now(&self) -> i64 {
        i64::try_from(self.clock.now().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
    }
}

#[async_trait]
impl Documents for CosmosDocuments {
    async fn read(&self, container: Container, partition: &str, id: &str) -> Result<Option<Document>, StoreError> {
        store_op(StoreOp::Read);
        limits::check_read(partition, id)?;
        let client = self.container(container).await?;
        let found = in_time(item::read(client, container, partition, id)).await?;
        Ok(found.filter(|it| it.is_there(self.now())).map(Item::into_document))
    }

    async fn write(&self, container: Container, partition: &str, writes: Vec<Write>) -> Result<Vec<ETag>, StoreError> {
        store_op(StoreOp::Write);
        let checked = limits::check_writes(partition, writes)?;
        let client = self.container(container).await?;
        in_time(write::write(client, container, partition, checked, self.now())).await
    }

    async fn query(&self, container: Container, scope: Scope<'_>, query: &Query) -> Result<Page, StoreError> {
        let partition = match scope {
            Scope::Partition(partition) => Some(partition),
            Scope::Container => None,
        };
        store_op(StoreOp::Query);
        limits::check_query(container, partition, query)?;
        let client = self.container(container).await?;
        in_time(query::page(client, container, scope, query, self.now())).await
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {PATIENCE:?}")]
struct Slow;

async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(PATIENCE, answer).await.map_err(|_| unavailable(Slow))?
}

fn failed_account(error: &azure_data_cosmos::CosmosError) -> StoreError {
    failure::explained("the account", error)
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}
