//! The document store of one world: as a rule the memory adapter, which the contract test holds to Cosmos DB's
//! semantics (atomic batch in one partition, 409, 412, etags that never repeat, TTL), what every document was
//! before its last change, for reads that come too early, and faults put into it on purpose.
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use offpeak::shared::{
    adapters::memory::MemoryDocuments,
    ports::{
        clock::Clock,
        documents::{Container, Document, Documents, ETag, PAGE_MAX, Page, Query, Scope, StoreError, Write},
    },
};
use serde_json::Value;

use tokio::time::Instant;

use super::{
    local::{Kept, OnDisk},
    planted::Planted,
};

type Key = (Container, String, String);

pub(super) struct Store {
    documents: Box<dyn Documents>,
    before: Mutex<HashMap<Key, (Instant, Option<Document>)>>,
    planted: Planted,
    /// What was asked of the store, and when: two runs of one seed are the same if this is.
    trace: Mutex<Vec<(Duration, String)>>,
    began: Instant,
    /// What was free of each SKU, at each of its changes, once someone asked for it.
    watched: Mutex<Option<Vec<(Instant, String, i64)>>>,
    clock: Arc<dyn Clock>,
    /// How long each document was to be kept when it was last written.
    kept: Mutex<HashMap<Key, Duration>>,
}

/// How old a read may be.
const STALE_MAX: Duration = Duration::from_secs(5);
/// How long after its end a hold may still count somewhere: a clock that is behind, and the skew allowed for.
const LATE: i64 = 5;

impl Store {
    pub(super) fn new(clock: Arc<dyn Clock>, planted: Planted, kept: Kept) -> Store {
        let documents: Box<dyn Documents> = match kept {
            Kept::InMemory => Box::new(MemoryDocuments::new(Arc::clone(&clock))),
            Kept::OnDisk => Box::new(OnDisk::new(Arc::clone(&clock))),
        };
        Store {
            documents,
            before: Mutex::default(),
            planted,
            trace: Mutex::default(),
            began: Instant::now(),
            watched: Mutex::default(),
            clock,
            kept: Mutex::default(),
        }
    }

    fn note(&self, what: &str, container: Container, partition: &str, id: &str) {
        let asked = format!("{what} {} {partition} {id}", container.name());
        self.trace.lock().unwrap().push((self.began.elapsed(), asked));
    }

    /// One number for all that was asked so far.
    pub(super) fn course(&self) -> u64 {
        let trace = self.trace.lock().unwrap();
        let bytes =
            trace.iter().flat_map(|(at, asked)| [at.as_nanos().to_le_bytes().as_slice(), asked.as_bytes()].concat());
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// What was asked so far.
    pub(super) fn trace(&self) -> Vec<(Duration, String)> {
        self.trace.lock().unwrap().clone()
    }

    pub(super) async fn read(
        &self,
        container: Container,
        partition: &str,
        id: &str,
    ) -> Result<Option<Document>, StoreError> {
        self.note("read", container, partition, id);
        self.documents.read(container, partition, id).await
    }

    pub(super) async fn query(
        &self,
        container: Container,
        scope: Scope<'_>,
        query: &Query,
    ) -> Result<Page, StoreError> {
        self.documents.query(container, scope, query).await
    }

    pub(super) async fn write(
        &self,
        container: Container,
        partition: &str,
        writes: Vec<Write>,
    ) -> Result<Vec<ETag>, StoreError> {
        self.note("write", container, partition, writes.first().map_or("", Write::id));
        let mut found = Vec::with_capacity(writes.len());
        for write in &writes {
            let key = (container, partition.to_owned(), write.id().to_owned());
            found.push((key, self.documents.read(container, partition, write.id()).await?));
        }
        let seen = found.iter().map(|(_, it)| it.as_ref());
        let writes = self.planted.bend(writes, seen);
        let levels = self.free_in(&writes);
        let lives: Vec<_> = writes.iter().map(lives_for).collect();
        let etags = self.documents.write(container, partition, writes).await?;
        // What was refused never was.
        self.watched.lock().unwrap().iter_mut().for_each(|it| it.extend(levels.iter().cloned()));
        let now = Instant::now();
        for ((key, _), life) in found.iter().zip(lives) {
            let mut kept = self.kept.lock().unwrap();
            match life {
                Some(life) => kept.insert(key.clone(), life),
                None => kept.remove(key),
            };
        }
        self.before.lock().unwrap().extend(found.into_iter().map(|(key, it)| (key, (now, it))));
        Ok(etags)
    }

    /// What a document was before its last change; `None` unless that was a moment ago.
    pub(super) fn before(&self, container: Container, partition: &str, id: &str) -> Option<Option<Document>> {
        let key = (container, partition.to_owned(), id.to_owned());
        let before = self.before.lock().unwrap();
        before.get(&key).filter(|(at, _)| at.elapsed() < STALE_MAX).map(|(_, it)| it.clone())
    }

    /// How long a document was to be kept from its last write; `None`: for ever.
    pub(super) fn kept_for(&self, container: Container, partition: &str, id: &str) -> Option<Duration> {
        self.kept.lock().unwrap().get(&(container, partition.to_owned(), id.to_owned())).copied()
    }

    /// From now on every change of stock is remembered.
    pub(super) fn watch_stock(&self) {
        *self.watched.lock().unwrap() = Some(Vec::new());
    }

    /// What would be free by these writes.
    fn free_in(&self, writes: &[Write]) -> Vec<(Instant, String, i64)> {
        let free_by = |write: &Write| match write {
            Write::Replace { body, .. } if body["type"] == "level" => {
                let sku = body["sku"].as_str().unwrap().to_owned();
                Some((Instant::now(), sku, free(body, self.clock.now().unix_timestamp())))
            }
            _ => None,
        };
        writes.iter().filter_map(free_by).collect()
    }

    /// The least that was free of a SKU at any moment since then, by the level as it was written.
    pub(super) fn least_free(&self, sku: &str, since: Instant) -> i64 {
        let watched = self.watched.lock().unwrap();
        let watched: Vec<_> = watched.iter().flatten().filter(|(_, it, _)| it == sku).collect();
        let first = watched.partition_point(|(at, ..)| *at < since).saturating_sub(1);
        watched[first..].iter().map(|(_, _, free)| *free).min().unwrap_or(i64::MAX)
    }

    /// Every document of a container, by partition and id.
    pub(super) async fn everything(&self, container: Container) -> BTreeMap<(String, String), Value> {
        let mut all = BTreeMap::new();
        let mut query = Query { limit: PAGE_MAX, ..Query::default() };
        loop {
            let page = self.documents.query(container, Scope::Container, &query).await.unwrap();
            all.extend(page.items.into_iter().map(|it| ((it.partition, it.id), it.body)));
            match page.next {
                Some(next) => query.after = Some(next),
                None => return all,
            }
        }
    }
}

fn lives_for(write: &Write) -> Option<Duration> {
    match write {
        Write::Create { ttl, .. } | Write::Replace { ttl, .. } => *ttl,
        Write::Delete { .. } => None,
    }
}

/// Units that nobody holds and nobody has bought.
fn free(level: &Value, now: i64) -> i64 {
    let at = |level: &Value| {
        let number = |name: &str| level[name].as_i64().unwrap();
        let held = level["held"].as_object().unwrap().iter();
        let live = held.filter(|(minute, _)| minute.parse::<i64>().unwrap() * 60 > now - LATE);
        number("onHand") - number("allocated") - live.map(|(_, units)| units.as_i64().unwrap()).sum::<i64>()
    };
    level["locations"].as_object().unwrap().values().map(at).sum()
}
