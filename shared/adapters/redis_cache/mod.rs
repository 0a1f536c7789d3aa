//! A cache that all processes share, in Redis: one server or a cluster.
//!
//! Nothing connects before it is used, and no call waits for a connection: a task of our own connects, takes along
//! what nobody waits for (values to keep, counts), and after a failure asks until it is answered again. Meanwhile
//! every call fails at once. So an absent, slow or flushed Redis costs a request the adapter's patience at most, and a
//! process [`breaker::FAILURES_MAX`] such requests.
mod breaker;
mod entra;
mod keeper;
mod link;
mod reach;
mod tally;
mod unsent;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use azure_credentials::credentials::TokenCredential;
use bytes::Bytes;
use redis::{Cmd, Value};
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

use self::{
    breaker::Breaker,
    entra::Entra,
    keeper::Note,
    link::{Link, command},
    tally::Tallies,
    unsent::Unsent,
};
use crate::shared::{
    adapters::managed_identity::managed_identity,
    ports::{
        cache::{Cache, CacheError, Kept, check_key, check_keys, check_push, check_set},
        clock::Clock,
    },
    telemetry,
};

/// What nobody waits for and is not sent yet; more is dropped.
const NOTES_MAX: usize = 1_024;

/// Where Redis is and who asks.
#[derive(Clone)]
pub struct Access {
    /// `rediss://HOST:PORT`, or `redis://` without TLS; a password only for a server on this machine.
    pub url: String,
    /// Whether keys are spread over the nodes of a cluster, as Azure Managed Redis does under its OSS policy.
    pub cluster: bool,
    /// PEM of the authority that signed the server's certificate; the machine's own list without it.
    pub authority: Option<Vec<u8>>,
    pub identity: Option<Identity>,
}

/// Who asks by tokens of Entra ID instead of a password.
#[derive(Clone)]
pub enum Identity {
    /// The identity that Azure gives to the app; `client_id` if it has several.
    Managed { client_id: Option<String> },
    /// Tokens from elsewhere.
    Tokens(Arc<dyn TokenCredential>),
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

/// The settings cannot lead to a server.
#[derive(Debug, thiserror::Error)]
#[error("Redis cannot be reached by these settings")]
pub struct AccessError(#[source] Box<dyn std::error::Error + Send + Sync>);

pub struct RedisCache {
    shared: Arc<Shared>,
    notes: mpsc::Sender<Note>,
    /// For the keeper, which takes it when the cache is first used.
    unheard: Mutex<Option<mpsc::Receiver<Note>>>,
    started: AtomicBool,
}

/// What calls and the keeper have in common.
struct Shared {
    /// Longest wait of one call.
    patience: Duration,
    connector: link::Connector,
    link: Mutex<Option<Link>>,
    breaker: Breaker,
    /// The link is gone.
    broken: Notify,
    tallies: Tallies,
    unsent: Unsent,
}

impl RedisCache {
    /// Connects to nothing yet. No call will wait longer than `patience`, which is
    /// [`PATIENCE`](crate::shared::ports::cache::PATIENCE) for whoever serves requests.
    ///
    /// # Errors
    /// [`AccessError`] for an address that is none or an identity that cannot be.
    pub fn new(access: &Access, clock: Arc<dyn Clock>, patience: Duration) -> Result<RedisCache, AccessError> {
        let credentials = match &access.identity {
            None => None,
            Some(Identity::Tokens(tokens)) => Some(Arc::clone(tokens)),
            Some(Identity::Managed { client_id }) => {
                Some(managed_identity(client_id.as_deref()).map_err(AccessError)? as Arc<dyn TokenCredential>)
            }
        };
        let entra = credentials.map(|it| Entra::new(it, clock));
        let connector = link::Connector::new(access, entra).map_err(|err| AccessError(err.into()))?;
        let (notes, unheard) = mpsc::channel(NOTES_MAX);
        let shared = Shared {
            patience,
            connector,
            link: Mutex::default(),
            breaker: Breaker::default(),
            broken: Notify::new(),
            tallies: Tallies::default(),
            unsent: Unsent::default(),
        };
        Ok(RedisCache {
            shared: Arc::new(shared),
            notes,
            unheard: Mutex::new(Some(unheard)),
            started: AtomicBool::new(false),
        })
    }

    /// The link if there is one. The first call begins to connect.
    #[expect(clippy::disallowed_methods, reason = "what is lost with the keeper was to be forgotten anyway")]
    fn link(&self) -> Option<Link> {
        if !self.started.load(Ordering::Relaxed)
            && let Some(notes) = self.unheard.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            self.started.store(true, Ordering::Relaxed);
            tokio::spawn(keeper::keep(Arc::clone(&self.shared), notes));
        }
        self.shared.link().clone()
    }

    /// One round trip, each part about one key.
    async fn ask(&self, parts: Vec<Vec<Cmd>>, patience: Duration) -> Result<Vec<Vec<Value>>, CacheError> {
        let Some(link) = self.link() else { return Err(unavailable("it is not connected")) };
        telemetry::cache_trip();
        self.shared.exchange(&link, parts, patience.min(self.shared.patience)).await
    }
}

impl Shared {
    fn link(&self) -> MutexGuard<'_, Option<Link>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(
        &self,
        link: &Link,
        parts: Vec<Vec<Cmd>>,
        patience: Duration,
    ) -> Result<Vec<Vec<Value>>, CacheError> {
        let (given_up, err) = match timeout(patience, link.exchange(parts)).await {
            Ok(Ok(answers)) => {
                self.breaker.answered();
                return Ok(answers);
            }
            Ok(Err(err)) => (self.breaker.failed(link::is_gone(&err)), unavailable(err)),
            Err(late) => (self.breaker.failed(false), unavailable(late)),
        };
        if given_up {
            self.give_up(link, &err);
        }
        Err(err)
    }

    /// Asks no more by this link; the keeper makes another.
    fn give_up(&self, link: &Link, err: &CacheError) {
        let mut present = self.link();
        if present.as_ref().is_some_and(|it| it.number == link.number) {
            *present = None;
            let opened = telemetry::CACHE_OPENED.add();
            let error = crate::shared::ports::chain(err);
            tracing::warn!(cache.breaker.opened = opened, error, "The cache fails; the shop goes on without it.");
            self.broken.notify_one();
        }
    }
}

fn unavailable(err: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CacheError {
    CacheError::Unavailable(err.into())
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[async_trait]
impl Cache for RedisCache {
    fn is_shared(&self) -> bool {
        true
    }

    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Kept>>, CacheError> {
        check_keys(keys)?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let parts = keys.iter().map(|key| vec![command("GET", key), command("PTTL", key)]).collect();
        let answers = self.ask(parts, self.shared.patience).await?;
        Ok(answers.into_iter().map(kept).collect())
    }

    fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), CacheError> {
        check_set(key, &value, ttl)?;
        if self.link().is_some()
            && self.shared.unsent.keep(key, value, ttl)
            && self.notes.try_send(Note::Set { key: key.to_owned() }).is_err()
        {
            // A full queue means that the cache is slow: then nothing is kept.
            self.shared.unsent.take(key);
        }
        Ok(())
    }

    async fn delete(&self, keys: &[String]) -> Result<(), CacheError> {
        check_keys(keys)?;
        if keys.is_empty() {
            return Ok(());
        }
        keys.iter().for_each(|key| drop(self.shared.unsent.take(key)));
        let parts = keys.iter().map(|key| vec![command("DEL", key)]).collect();
        self.ask(parts, self.shared.patience).await.map(drop)
    }

    fn count(&self, key: &str, units: u64, window: Duration) -> u64 {
        if check_key(key).is_err() {
            return units;
        }
        let is_linked = self.link().is_some();
        let (total, is_first) = self.shared.tallies.add(key, units, window);
        if is_linked && is_first && self.notes.try_send(Note::Count { key: key.to_owned() }).is_err() {
            self.shared.tallies.keep_to_ourselves(key);
        }
        total
    }

    async fn push(
        &self,
        key: &str,
        items: &[Bytes],
        keep: usize,
        ttl: Duration,
        patience: Duration,
    ) -> Result<Vec<Bytes>, CacheError> {
        check_push(key, items, keep, ttl)?;
        let mut part = Vec::new();
        if !items.is_empty() {
            let items: Vec<&[u8]> = items.iter().map(|item| &item[..]).collect();
            let first = -i64::try_from(keep).unwrap_or(i64::MAX);
            part.extend([command("RPUSH", (key, items)), command("LTRIM", (key, first, -1))]);
            part.push(command("PEXPIRE", (key, ms(ttl))));
        }
        part.push(command("LRANGE", (key, 0, -1)));
        let answers = self.ask(vec![part], patience).await?;
        let list = answers.into_iter().next().and_then(|mut part| part.pop());
        let Some(Value::Array(items)) = list else { return Err(unavailable("the list is none")) };
        Ok(items.into_iter().filter_map(bytes).collect())
    }
}

fn bytes(value: Value) -> Option<Bytes> {
    match value {
        Value::BulkString(bytes) => Some(bytes.into()),
        _ => None,
    }
}

/// What `GET` and `PTTL` answer. A value that lapsed between the two, or lapses never, is not there.
fn kept(part: Vec<Value>) -> Option<Kept> {
    let mut part = part.into_iter();
    let value = part.next().and_then(bytes)?;
    let Some(Value::Int(left)) = part.next() else { return None };
    let left = u64::try_from(left).ok().filter(|it| *it > 0)?;
    Some(Kept { value, left: Duration::from_millis(left) })
}
