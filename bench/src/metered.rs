//! A store that says what its calls would cost in Cosmos DB: it stands before another one and adds nothing else.
//! An estimate, from each call's kind, bytes and indexed paths; see `cosmos::units`.
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use offpeak::shared::{
    adapters::cosmos::{
        asks_quorum,
        units::{self, Milliunits},
    },
    ports::documents::{Container, Document, Documents, ETag, Page, Query, Scope, StoreError, Write},
};
use serde_json::Value;

/// What stands around a body in an item: id, partition key, `_rid`, `_self`, `_etag`, `_ts` and their names.
const ENVELOPE_BYTES: u64 = 300;

/// What calls have cost, and how many there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    pub reads: Milliunits,
    pub writes: Milliunits,
    pub queries: Milliunits,
    pub calls: u64,
    /// A line for each document or query.
    pub lines: Vec<String>,
    /// What writes would add if replacing an item takes twice as much as making it, as the service's documentation
    /// says in another place than its table.
    pub replaced: Milliunits,
}

impl Cost {
    pub fn total(&self) -> Milliunits {
        self.reads + self.writes + self.queries
    }

    fn note(&mut self, what: &str, container: Container, id: &str, bytes: u64, units: Milliunits) {
        let (whole, tenths) = (units / 1_000, units % 1_000 / 100);
        self.lines.push(format!("{whole:>3}.{tenths} {what:<8}{} {id}, {bytes} bytes", container.name()));
    }
}

/// A store with a meter.
pub struct Metered<D> {
    store: D,
    cost: Mutex<Cost>,
}

impl<D> Metered<D> {
    pub fn new(store: D) -> Metered<D> {
        Metered { store, cost: Mutex::default() }
    }

    /// What was used since this was asked last.
    pub fn take(&self) -> Cost {
        std::mem::take(&mut *self.cost.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, of: impl FnOnce(&mut Cost)) {
        let mut cost = self.cost.lock().unwrap_or_else(PoisonError::into_inner);
        cost.calls += 1;
        of(&mut cost);
    }
}

fn bytes(body: &Value) -> u64 {
    ENVELOPE_BYTES + u64::try_from(body.to_string().len()).unwrap_or(u64::MAX / 2)
}

/// Paths that an item has of those that are indexed, and when it expires.
fn indexed(container: Container, body: &Value, expires: bool) -> u64 {
    let there = |path: &&&str| body.pointer(&format!("/{}", path.replace('.', "/"))).is_some();
    u64::try_from(container.indexed().iter().filter(there).count()).unwrap_or(0) + u64::from(expires)
}

fn asked(container: Container, units: Milliunits) -> Milliunits {
    if asks_quorum(container) { units * 2 } else { units }
}

impl<D> Metered<D> {
    /// What was found, read for so many times the units of the nearest copy.
    fn found(
        &self,
        container: Container,
        id: &str,
        answer: &Result<Option<Document>, StoreError>,
        of: impl Fn(Milliunits) -> Milliunits,
    ) {
        let found = answer.as_ref().ok().and_then(|it| it.as_ref()).map_or(0, |it| bytes(&it.body));
        self.add(|cost| {
            let units = of(units::read(found));
            cost.reads += units;
            cost.note("read", container, id, found, units);
        });
    }
}

#[async_trait]
impl<D: Documents> Documents for Metered<D> {
    async fn read(&self, container: Container, partition: &str, id: &str) -> Result<Option<Document>, StoreError> {
        let answer = self.store.read(container, partition, id).await;
        self.found(container, id, &answer, |it| asked(container, it));
        answer
    }

    async fn read_latest(
        &self,
        container: Container,
        partition: &str,
        id: &str,
    ) -> Result<Option<Document>, StoreError> {
        let answer = self.store.read_latest(container, partition, id).await;
        self.found(container, id, &answer, |it| it * 2);
        answer
    }

    async fn write(&self, container: Container, partition: &str, writes: Vec<Write>) -> Result<Vec<ETag>, StoreError> {
        self.add(|cost| {
            for write in &writes {
                let (what, bytes, indexed) = match write {
                    Write::Create { body, ttl, .. } => ("create", bytes(body), indexed(container, body, ttl.is_some())),
                    Write::Replace { body, ttl, .. } => {
                        ("replace", bytes(body), indexed(container, body, ttl.is_some()))
                    }
                    Write::Delete { .. } => ("delete", ENVELOPE_BYTES, 0),
                };
                let units = units::write(bytes, indexed);
                cost.writes += units;
                cost.replaced += if what == "replace" { units } else { 0 };
                cost.note(what, container, write.id(), bytes, units);
            }
        });
        self.store.write(container, partition, writes).await
    }

    async fn query(&self, container: Container, scope: Scope<'_>, query: &Query) -> Result<Page, StoreError> {
        let answer = self.store.query(container, scope, query).await;
        let found = answer.as_ref().map_or(0, |it| it.items.iter().map(|it| bytes(&it.body)).sum());
        self.add(|cost| {
            let units = asked(container, units::page(found));
            cost.queries += units;
            cost.note("query", container, "", found, units);
        });
        answer
    }
}
