//! A shop in memory that counts what its store is asked, and can lose it in the middle of anything.
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use http::HeaderMap;
use offpeak::shared::{
    adapters::{
        memory::{MemoryDocuments, hub::MemoryHub},
        memory_cache::NoCache,
        object_storage::StoredObjects,
    },
    operations::import_catalogue::{ImportError, ImportOptions, ImportReport, import_catalogue, rows::Format},
    ports::{
        Ports,
        bus::{Bus, BusError, Message},
        clock::{Clock, Ids},
        documents::{Container, Document, Documents, ETag, PAGE_MAX, Page, Query, Scope, StoreError, Write},
        identity::{Caller, Identity, IdentityError},
        mail::{Letter, Mail, MailError},
        payments::{Authorise, Movement, Notice, Payment, PaymentError, PaymentName, Payments, Refunded, WebhookError},
        taxes::{TaxQuestion, Taxes, TaxesUnavailable},
    },
};
use offpeak_domain::{money::Currency, tax::ProvidedTaxes};
use serde_json::Value;
use time::OffsetDateTime;
use ulid::Ulid;

use crate::documents_contract::HandClock;

/// A shop whose store can be watched and cut off.
pub(crate) struct Stand {
    pub(crate) ports: Ports,
    pub(crate) store: Arc<Watched>,
}

impl Stand {
    pub(crate) fn new() -> Stand {
        let clock = HandClock::new() as Arc<dyn Clock>;
        Stand::on(Arc::new(MemoryDocuments::new(Arc::clone(&clock))), clock)
    }

    /// A shop on another store.
    pub(crate) fn on(documents: Arc<dyn Documents>, clock: Arc<dyn Clock>) -> Stand {
        let store = Arc::new(Watched {
            inner: documents,
            reads: AtomicI64::new(0),
            is_gone: AtomicBool::new(false),
            is_silent: AtomicBool::new(false),
            writes_left: AtomicI64::new(i64::MAX),
            late_every: AtomicI64::new(i64::MAX),
        });
        let nowhere = Arc::new(Nowhere);
        let ports = Ports {
            documents: Arc::clone(&store) as Arc<dyn Documents>,
            bus: Arc::clone(&nowhere) as Arc<dyn Bus>,
            hub: Arc::new(MemoryHub::default()),
            payments: Arc::clone(&nowhere) as Arc<dyn Payments>,
            mail: Arc::clone(&nowhere) as Arc<dyn Mail>,
            objects: Arc::new(StoredObjects::in_memory()),
            taxes: Arc::clone(&nowhere) as Arc<dyn Taxes>,
            cache: Arc::new(NoCache),
            clock,
            ids: nowhere,
        };
        Stand { ports, store }
    }

    pub(crate) async fn import(&self, csv: &str, options: &ImportOptions) -> Result<ImportReport, ImportError> {
        import_catalogue(&self.ports, csv.as_bytes(), Format::Csv, options).await
    }

    /// Loads in pounds, seven units of each SKU.
    pub(crate) async fn load(&self, csv: &str) -> ImportReport {
        self.import(csv, &pounds()).await.unwrap()
    }

    /// Every document's body, without what is written again by time alone.
    pub(crate) async fn everything(&self) -> BTreeMap<(Container, String, String), Value> {
        self.all().await.into_iter().map(|(key, document)| (key, document.body)).collect()
    }

    /// Every document with its version.
    pub(crate) async fn all(&self) -> BTreeMap<(Container, String, String), Document> {
        let mut all = BTreeMap::new();
        for container in Container::ALL {
            let mut query = Query { limit: PAGE_MAX, ..Query::default() };
            loop {
                let page = self.store.inner.query(container, Scope::Container, &query).await.unwrap();
                for document in page.items {
                    all.insert((container, document.partition.clone(), document.id.clone()), document);
                }
                match page.next {
                    Some(next) => query.after = Some(next),
                    None => break,
                }
            }
        }
        all
    }
}

pub(crate) fn pounds() -> ImportOptions {
    ImportOptions { currency: Some(Currency::parse("GBP").unwrap()), on_hand: Some(7), ..ImportOptions::default() }
}

pub(crate) struct Watched {
    inner: Arc<dyn Documents>,
    reads: AtomicI64,
    is_gone: AtomicBool,
    is_silent: AtomicBool,
    writes_left: AtomicI64,
    late_every: AtomicI64,
}

impl Watched {
    /// Reads and queries so far.
    pub(crate) fn reads(&self) -> i64 {
        self.reads.load(Ordering::SeqCst)
    }

    /// From now on nothing can be read.
    pub(crate) fn lose(&self) {
        self.is_gone.store(true, Ordering::SeqCst);
    }

    /// From now on nothing that is read is ever answered.
    pub(crate) fn fall_silent(&self) {
        self.is_silent.store(true, Ordering::SeqCst);
    }

    async fn readable(&self) -> Result<(), StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.is_silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.is_gone.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("the store was taken away".into()));
        }
        Ok(())
    }

    /// After this many more writes the store is gone.
    pub(crate) fn allow_writes(&self, writes: i64) {
        self.writes_left.store(writes, Ordering::SeqCst);
    }

    /// Every so many writes one is refused as too late.
    pub(crate) fn be_late_every(&self, writes: i64) {
        self.late_every.store(writes, Ordering::SeqCst);
    }

    pub(crate) fn writes_left(&self) -> i64 {
        self.writes_left.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Documents for Watched {
    async fn read(&self, container: Container, partition: &str, id: &str) -> Result<Option<Document>, StoreError> {
        self.readable().await?;
        // Gives other callers a turn, as a real store would.
        tokio::task::yield_now().await;
        self.inner.read(container, partition, id).await
    }

    async fn read_latest(
        &self,
        container: Container,
        partition: &str,
        id: &str,
    ) -> Result<Option<Document>, StoreError> {
        self.readable().await?;
        tokio::task::yield_now().await;
        self.inner.read_latest(container, partition, id).await
    }

    async fn write(&self, container: Container, partition: &str, writes: Vec<Write>) -> Result<Vec<ETag>, StoreError> {
        tokio::task::yield_now().await;
        let left = self.writes_left.fetch_sub(1, Ordering::SeqCst);
        if left <= 0 {
            return Err(StoreError::Unavailable("the store was taken away".into()));
        }
        if left % self.late_every.load(Ordering::SeqCst) == 0 && left != i64::MAX {
            return Err(StoreError::Unavailable("the store took too long".into()));
        }
        self.inner.write(container, partition, writes).await
    }

    async fn query(&self, container: Container, scope: Scope<'_>, query: &Query) -> Result<Page, StoreError> {
        self.readable().await?;
        self.inner.query(container, scope, query).await
    }
}

/// What the catalogue has no business with.
pub(crate) struct Nowhere;

#[async_trait]
impl Bus for Nowhere {
    async fn send(&self, _: &Message) -> Result<(), BusError> {
        Err(BusError::Refused("no bus here".to_owned()))
    }
}

#[async_trait]
impl Taxes for Nowhere {
    async fn rates(&self, _: &str, _: &TaxQuestion) -> Result<ProvidedTaxes, TaxesUnavailable> {
        Err(TaxesUnavailable("nobody is there".into()))
    }
}

#[async_trait]
impl Mail for Nowhere {
    async fn send(&self, _: &Letter) -> Result<(), MailError> {
        Err(MailError::Refused("no mail here".to_owned()))
    }
}

#[async_trait]
impl Identity for Nowhere {
    async fn caller(&self, _: &str) -> Result<Caller, IdentityError> {
        Err(IdentityError::Invalid("nobody is known here".to_owned()))
    }
}

fn no_payments<T>() -> Result<T, PaymentError> {
    Err(PaymentError::Refused("no payments here".to_owned()))
}

#[async_trait]
impl Payments for Nowhere {
    fn provider(&self) -> &'static str {
        "nowhere"
    }

    fn accepts(&self, _: &str) -> bool {
        false
    }

    async fn prepare(&self, _: &Authorise) -> Result<Option<String>, PaymentError> {
        no_payments()
    }

    async fn authorise(&self, _: &Authorise) -> Result<Payment, PaymentError> {
        no_payments()
    }

    async fn find(&self, _: &PaymentName) -> Result<Option<Payment>, PaymentError> {
        Ok(None)
    }

    async fn capture(&self, _: &PaymentName, _: &Movement) -> Result<Payment, PaymentError> {
        no_payments()
    }

    async fn void(&self, _: &PaymentName, _: &str) -> Result<Option<Payment>, PaymentError> {
        Ok(None)
    }

    async fn refund(&self, _: &PaymentName, _: &Movement) -> Result<Refunded, PaymentError> {
        no_payments()
    }

    async fn webhook(&self, _: &HeaderMap, _: &[u8], _: OffsetDateTime) -> Result<Notice, WebhookError> {
        Err(WebhookError::Unsigned)
    }
}

impl Ids for Nowhere {
    fn ulid(&self) -> Ulid {
        unreachable!("nothing in the catalogue is drawn")
    }

    fn token(&self) -> String {
        unreachable!("nothing in the catalogue is drawn")
    }
}
