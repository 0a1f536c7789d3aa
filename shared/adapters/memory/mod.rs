//! Documents in this process's memory: for tests of operations, fast and without a disk. It keeps the
//! port's whole contract but for the word "durable"; the contract test holds it to the rest.
pub mod hub;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use serde_json::Value;

use super::keyset::{self, Key, Place};
use crate::shared::{
    ports::{
        clock::Clock,
        documents::{
            Container, Direction, Document, Documents, ETag, Filter, Page, Query, Scope, StoreError, Test, Write,
        },
        limits::{self, CheckedWrite, PAGE_MAX_BYTES},
    },
    telemetry::{StoreOp, store_op},
};

pub struct MemoryDocuments {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By container, partition and id.
    documents: BTreeMap<(Container, String, String), Stored>,
    /// By indexed path, partition and id of the documents that have anything there.
    indexed: BTreeMap<(Container, &'static str), BTreeSet<(String, String)>>,
    /// The last etag given out; never goes back.
    sequence: u64,
}

struct Stored {
    etag: ETag,
    body: Value,
    /// Of the body's JSON text.
    bytes: usize,
    /// Unix milliseconds.
    expires: Option<i128>,
}

impl Stored {
    fn is_there(&self, now: i128) -> bool {
        self.expires.is_none_or(|it| it > now)
    }
}

impl MemoryDocuments {
    pub fn new(clock: Arc<dyn Clock>) -> MemoryDocuments {
        MemoryDocuments { clock, state: Mutex::default() }
    }

    /// Unix milliseconds.
    fn now(&self) -> i128 {
        self.clock.now().unix_timestamp_nanos() / 1_000_000
    }

    /// A batch is checked as a whole before anything changes, so a panic never leaves half of one.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Documents for MemoryDocuments {
    async fn read(&self, container: Container, partition: &str, id: &str) -> Result<Option<Document>, StoreError> {
        store_op(StoreOp::Read);
        limits::check_read(partition, id)?;
        let now = self.now();
        let state = self.state();
        let found = state.documents.get(&(container, partition.to_owned(), id.to_owned()));
        Ok(found.filter(|it| it.is_there(now)).map(|it| document(partition, id, it)))
    }

    async fn write(&self, container: Container, partition: &str, writes: Vec<Write>) -> Result<Vec<ETag>, StoreError> {
        store_op(StoreOp::Write);
        let checked = limits::check_writes(partition, writes)?;
        let now = self.now();
        let mut state = self.state();
        for it in &checked {
            let found = state.documents.get(&(container, partition.to_owned(), it.write.id().to_owned()));
            check_condition(&it.write, found.filter(|found| found.is_there(now)))?;
        }
        Ok(checked.into_iter().map(|it| state.apply(container, partition, it, now)).collect())
    }

    async fn query(&self, container: Container, scope: Scope<'_>, query: &Query) -> Result<Page, StoreError> {
        let partition = match scope {
            Scope::Partition(partition) => Some(partition),
            Scope::Container => None,
        };
        store_op(StoreOp::Query);
        limits::check_query(container, partition, query)?;
        let after = keyset::read(container, scope, query)?;
        let now = self.now();
        let state = self.state();
        let mut rows: Vec<Row<'_>> = state
            .candidates(container, partition, query, after.as_ref())
            .filter(|(_, _, it)| it.is_there(now) && query.filters.iter().all(|filter| matches(filter, &it.body)))
            .filter_map(|(partition, id, stored)| Row::new(query, partition, id, stored))
            .filter(|row| after.as_ref().is_none_or(|place| row.compare(place, query).is_gt()))
            .collect();
        rows.sort_by(|one, two| one.compare(&two.place, query));
        Ok(page(container, scope, query, &rows))
    }
}

fn check_condition(write: &Write, found: Option<&Stored>) -> Result<(), StoreError> {
    match (write, found) {
        (Write::Create { id, .. }, Some(_)) => Err(StoreError::Exists { id: id.clone() }),
        (Write::Create { .. }, None) => Ok(()),
        (Write::Replace { etag, .. } | Write::Delete { etag, .. }, Some(found)) if found.etag == *etag => Ok(()),
        (Write::Replace { id, .. } | Write::Delete { id, .. }, _) => Err(StoreError::Changed { id: id.clone() }),
    }
}

/// Partition, id and what stands there.
type Candidates<'a> = Box<dyn Iterator<Item = (&'a str, &'a str, &'a Stored)> + 'a>;

impl State {
    /// At least the documents that a query may answer, and not many more.
    fn candidates<'a>(
        &'a self,
        container: Container,
        partition: Option<&'a str>,
        query: &Query,
        after: Option<&Place>,
    ) -> Candidates<'a> {
        let path = query.order.map(|(path, _)| path).or(query.filters.first().map(|it| it.path));
        let from = partition.unwrap_or_default().to_owned();
        if let Some(path) = path {
            let Some(places) = self.indexed.get(&(container, path)) else { return Box::new(std::iter::empty()) };
            let places = places.range((from, String::new())..);
            let places = places.take_while(move |(it, _)| partition.is_none_or(|partition| it == partition));
            return Box::new(places.filter_map(move |(partition, id)| {
                let stored = self.documents.get(&(container, partition.clone(), id.clone()))?;
                Some((partition.as_str(), id.as_str(), stored))
            }));
        }
        // Without an order, documents follow their keys.
        let from = after.map_or((from, String::new()), |place| (place.partition.clone(), place.id.clone()));
        let all = self.documents.range((container, from.0, from.1)..);
        let all = all.take_while(move |((in_container, in_partition, _), _)| {
            *in_container == container && partition.is_none_or(|it| it == in_partition)
        });
        Box::new(all.map(|((_, partition, id), stored)| (partition.as_str(), id.as_str(), stored)))
    }

    fn index(&mut self, (container, partition, id): &(Container, String, String), body: Option<&Value>) {
        for path in container.indexed() {
            let places = self.indexed.entry((*container, path)).or_default();
            let place = (partition.clone(), id.clone());
            if body.and_then(|it| at(it, path)).is_some() {
                places.insert(place);
            } else {
                places.remove(&place);
            }
        }
    }

    fn apply(&mut self, container: Container, partition: &str, checked: CheckedWrite, now: i128) -> ETag {
        let key = (container, partition.to_owned(), checked.write.id().to_owned());
        match checked.write {
            Write::Create { body, .. } | Write::Replace { body, .. } => {
                self.sequence += 1;
                let etag = ETag(format!("{:016x}", self.sequence));
                let expires = checked.ttl_s.map(|it| now + i128::from(it) * 1_000);
                self.index(&key, Some(&body));
                self.documents.insert(key, Stored { etag: etag.clone(), body, bytes: checked.text.len(), expires });
                etag
            }
            Write::Delete { .. } => {
                self.index(&key, None);
                self.documents.remove(&key);
                ETag(String::new())
            }
        }
    }
}

/// One match of a query and where it stands in the order.
struct Row<'a> {
    place: Place,
    stored: &'a Stored,
}

impl<'a> Row<'a> {
    /// `None` for a document that the order leaves out.
    fn new(query: &Query, partition: &str, id: &str, stored: &'a Stored) -> Option<Row<'a>> {
        let key = match query.order {
            Some((path, _)) => Some(Key::of(at(&stored.body, path)?)?),
            None => None,
        };
        Some(Row { place: Place { key, partition: partition.to_owned(), id: id.to_owned() }, stored })
    }

    fn compare(&self, place: &Place, query: &Query) -> Ordering {
        let by_key = match (&self.place.key, &place.key) {
            (Some(one), Some(two)) => one.compare(two),
            _ => Ordering::Equal,
        };
        let ascending =
            by_key.then_with(|| self.place.partition.cmp(&place.partition)).then_with(|| self.place.id.cmp(&place.id));
        match query.order {
            Some((_, Direction::Descending)) => ascending.reverse(),
            _ => ascending,
        }
    }
}

fn page(container: Container, scope: Scope<'_>, query: &Query, rows: &[Row<'_>]) -> Page {
    let mut items = Vec::new();
    let mut bytes = 0;
    for row in rows.iter().take(query.limit) {
        bytes += row.stored.bytes;
        if bytes > PAGE_MAX_BYTES && !items.is_empty() {
            break;
        }
        items.push(document(&row.place.partition, &row.place.id, row.stored));
    }
    let more = items.len() < rows.len();
    let last = items.len().checked_sub(1).filter(|_| more);
    let next = last.map(|it| keyset::write(container, scope, query, &rows[it].place));
    Page { items, next }
}

fn document(partition: &str, id: &str, stored: &Stored) -> Document {
    Document {
        partition: partition.to_owned(),
        id: id.to_owned(),
        etag: stored.etag.clone(),
        body: stored.body.clone(),
    }
}

/// The value at a dotted path.
fn at<'a>(body: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(body, |value, member| value.as_object()?.get(member))
}

fn matches(filter: &Filter, body: &Value) -> bool {
    let Some(have) = at(body, filter.path) else { return false };
    let ordering = |want: &Value| match (Key::of(have)?, Key::of(want)?) {
        (one @ Key::Text(_), two @ Key::Text(_)) => Some(one.compare(&two)),
        (Key::Text(_), _) | (_, Key::Text(_)) => None,
        (one, two) => Some(one.compare(&two)),
    };
    match &filter.test {
        Test::Equal(want @ Value::Bool(_)) => have == want,
        Test::Equal(want) => ordering(want).is_some_and(Ordering::is_eq),
        Test::Less(want) => ordering(want).is_some_and(Ordering::is_lt),
        Test::AtMost(want) => ordering(want).is_some_and(Ordering::is_le),
        Test::AtLeast(want) => ordering(want).is_some_and(Ordering::is_ge),
        Test::Greater(want) => ordering(want).is_some_and(Ordering::is_gt),
        Test::Contains(part) => have.as_str().is_some_and(|it| it.contains(part.as_str())),
    }
}
