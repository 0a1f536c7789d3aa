//! One SKU on a store that counts what it is asked and can fail on purpose, as one or several processes see it.
use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use offpeak::shared::{
    adapters::memory::MemoryDocuments,
    documents::stock::read_books,
    operations::{
        Shop,
        stock::{self, Expected},
    },
    ports::{
        Ports,
        clock::Clock,
        documents::{Container, Document, Documents, ETag, Page, Query, Scope, StoreError, Write},
    },
};
use offpeak_domain::{
    ids::CheckoutId,
    sku::Sku,
    stock::{Allocation, Count, Levels, Location, Rule, check_i1},
};
use time::{Duration, OffsetDateTime};
use ulid::Ulid;

use crate::{catalogue::stand::Stand, documents_contract::HandClock};

/// What fails, one in so many; 0 never.
#[derive(Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) conflicts: u64,
    /// The answer of a write is lost, before or after it is made.
    pub(super) timeouts: u64,
}

pub(super) struct Shelf {
    pub(super) sku: Sku,
    pub(super) clock: Arc<HandClock>,
    pub(super) store: Arc<Store>,
}

pub(super) struct Store {
    inner: MemoryDocuments,
    pub(super) batches: AtomicUsize,
    pub(super) documents: AtomicUsize,
    pub(super) reads: AtomicUsize,
    faults: Faults,
    random: AtomicU64,
    /// After so many writes none is answered; the writing process stands still.
    pub(super) stands_after: AtomicI64,
}

/// A clock that goes before or after another.
struct Skewed(Arc<HandClock>, Duration);

impl Clock for Skewed {
    fn now(&self) -> OffsetDateTime {
        self.0.now() + self.1
    }
}

pub(super) fn place(name: &str) -> Location {
    Location::parse(name).unwrap()
}

pub(super) fn places(names: &[&str]) -> Allocation {
    Allocation::new(Rule::Priority, names.iter().map(|it| place(it)).collect())
}

pub(super) fn checkout(n: u128) -> CheckoutId {
    CheckoutId::new(Ulid::from_parts(1_800_000_000_000, n))
}

impl Shelf {
    pub(super) async fn new(stock: &[(&str, i64)]) -> Shelf {
        Shelf::failing(stock, Faults::default(), 0).await
    }

    pub(super) async fn failing(stock: &[(&str, i64)], faults: Faults, seed: u64) -> Shelf {
        let clock = HandClock::new();
        let store = Arc::new(Store {
            inner: MemoryDocuments::new(Arc::clone(&clock) as Arc<dyn Clock>),
            batches: AtomicUsize::new(0),
            documents: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            faults: Faults::default(),
            random: AtomicU64::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            stands_after: AtomicI64::new(i64::MAX),
        });
        let mut shelf = Shelf { sku: Sku::parse("JUG").unwrap(), clock, store };
        for (name, on_hand) in stock {
            let count = Count { on_hand: Some(*on_hand), ..Count::default() };
            shelf.count(name, count).await;
        }
        Arc::get_mut(&mut shelf.store).unwrap().faults = faults;
        shelf.forget();
        shelf
    }

    pub(super) fn forget(&self) {
        for counter in [&self.store.batches, &self.store.documents, &self.store.reads] {
            counter.store(0, Ordering::SeqCst);
        }
    }

    pub(super) async fn count(&self, name: &str, count: Count) {
        stock::count(&self.process(0), &self.sku, &place(name), count, Expected::Any, "test").await.unwrap();
    }

    /// A process whose clock differs by so many seconds.
    pub(super) fn process(&self, skew_s: i64) -> Ports {
        let clock = Arc::new(Skewed(Arc::clone(&self.clock), Duration::seconds(skew_s)));
        Stand::on(Arc::clone(&self.store) as Arc<dyn Documents>, clock).ports
    }

    pub(super) async fn levels(&self) -> Levels {
        stock::level(&self.process(0), &self.sku).await.unwrap().unwrap().value
    }

    /// (on hand, allocated, held, available), over all locations.
    pub(super) async fn sums(&self) -> (i64, i64, i64, i64) {
        let (levels, now) = (self.levels().await, self.clock.now());
        (levels.on_hand(), levels.allocated(), levels.live_holds(now), levels.available(now))
    }

    /// # Panics
    /// If the books do not add up.
    pub(super) async fn check(&self) {
        let books = read_books(&self.store.inner, &self.sku).await.unwrap();
        assert_eq!(check_i1(&books.levels, &books.holds, &books.entries, self.clock.now()), []);
    }

    pub(super) fn in_minutes(&self, minutes: i64) -> OffsetDateTime {
        self.clock.now() + Duration::minutes(minutes)
    }
}

impl Store {
    /// One in `every`.
    fn hits(&self, every: u64) -> bool {
        let next = |it: u64| {
            let it = it ^ (it << 13);
            let it = it ^ (it >> 7);
            Some(it ^ (it << 17))
        };
        let drawn = self.random.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).unwrap();
        every > 0 && (drawn >> 11).is_multiple_of(every)
    }
}

#[async_trait]
impl Documents for Store {
    async fn read(&self, container: Container, partition: &str, id: &str) -> Result<Option<Document>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.inner.read(container, partition, id).await
    }

    async fn write(&self, container: Container, partition: &str, writes: Vec<Write>) -> Result<Vec<ETag>, StoreError> {
        tokio::task::yield_now().await;
        self.batches.fetch_add(1, Ordering::SeqCst);
        self.documents.fetch_add(writes.len(), Ordering::SeqCst);
        if self.stands_after.fetch_sub(1, Ordering::SeqCst) <= 0 {
            std::future::pending::<()>().await;
        }
        if self.hits(self.faults.conflicts) {
            return Err(StoreError::Changed { id: writes[0].id().to_owned() });
        }
        let lost = self.hits(self.faults.timeouts);
        if lost && self.hits(2) {
            return Err(StoreError::Unavailable("no answer came".into()));
        }
        let done = self.inner.write(container, partition, writes).await;
        if lost { Err(StoreError::Unavailable("no answer came".into())) } else { done }
    }

    async fn query(&self, container: Container, scope: Scope<'_>, query: &Query) -> Result<Page, StoreError> {
        self.inner.query(container, scope, query).await
    }
}

/// A shop with these products, seven units of each at `main`.
pub(super) async fn shop(csv: &str) -> Shop {
    let stand = Stand::new();
    stand.load(csv).await;
    Shop::new(stand.ports)
}
