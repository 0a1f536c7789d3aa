//! The one storage port: JSON documents in named containers, each in a logical partition.
//!
//! It promises only what Cosmos DB for NoSQL and SQLite can both promise: point read, create (409),
//! replace and delete guarded by etag (412), an atomic batch inside one partition, filtered and ordered
//! queries with a cursor, and expiry by TTL. No transaction is wider than one partition. Both adapters
//! enforce the smaller limit of the two.
use std::{fmt, time::Duration};

use async_trait::async_trait;
use serde_json::Value;

/// Writes in one batch. Source: Cosmos DB transactional batch limits.
pub const BATCH_MAX: usize = 100;
/// Bytes of JSON in one batch, and in one document. Source: Cosmos DB service quotas, 2 MB a request and an item,
/// less what stands around the bodies: ids, partition keys and versions.
pub const BATCH_MAX_BYTES: usize = 2 * 1024 * 1024 - 192 * 1024;
pub const ITEM_MAX_BYTES: usize = BATCH_MAX_BYTES;
/// Length of an id or partition key in bytes.
pub const ID_MAX_BYTES: usize = 255;
/// Items on one page of a query.
pub const PAGE_MAX: usize = 100;
/// Cosmos DB numbers are IEEE doubles: integers beyond this lose digits, so they are refused.
pub const NUMBER_MAX: i64 = 1 << 53;

/// The containers, their partition keys and the paths that may be filtered or ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Container {
    /// `/storeId`: the store's settings.
    Stores,
    /// `/productId`: product with its variants.
    Catalog,
    /// `/key`: slug or SKU to id; unique by create.
    Lookups,
    /// `/channelCategory`: product cards, a projection of `Catalog`.
    Listings,
    /// `/stockKey`: stock levels and holds of one SKU.
    Stock,
    /// `/cartId`: one cart.
    Carts,
    /// `/checkoutId`: everything about one purchase: checkout, attempts, order, outbox.
    Purchases,
    /// `/key`: what must be noted once: stock messages that were set aside.
    Idem,
    /// `/storeId`: promotions and price lists.
    Promotions,
    /// `/promoKey`: one pool of uses: its counter, its customers, its claims. See `documents::promo_use`.
    PromoUse,
    /// `/jobId`: how far a long piece of work has come.
    Jobs,
}

impl Container {
    pub const ALL: [Container; 11] = [
        Container::Stores,
        Container::Catalog,
        Container::Lookups,
        Container::Listings,
        Container::Stock,
        Container::Carts,
        Container::Purchases,
        Container::Idem,
        Container::Promotions,
        Container::PromoUse,
        Container::Jobs,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Container::Stores => "stores",
            Container::Catalog => "catalog",
            Container::Lookups => "lookups",
            Container::Listings => "listings",
            Container::Stock => "stock",
            Container::Carts => "carts",
            Container::Purchases => "purchases",
            Container::Idem => "idem",
            Container::Promotions => "promotions",
            Container::PromoUse => "promo_use",
            Container::Jobs => "jobs",
        }
    }

    /// The member that an item's partition key stands in, as Cosmos DB and the infrastructure name it.
    pub const fn partition_key(self) -> &'static str {
        match self {
            Container::Stores | Container::Promotions => "storeId",
            Container::Catalog => "productId",
            Container::Lookups | Container::Idem => "key",
            Container::Listings => "channelCategory",
            Container::Stock => "stockKey",
            Container::Carts => "cartId",
            Container::Purchases => "checkoutId",
            Container::PromoUse => "promoKey",
            Container::Jobs => "jobId",
        }
    }

    /// Paths (dotted, from the body's root) that a query may filter or order by.
    pub const fn indexed(self) -> &'static [&'static str] {
        match self {
            Container::Listings => &["category", "title", "price", "published", "text"],
            Container::Purchases => &["due", "sent", "timeline", "type"],
            Container::Promotions | Container::PromoUse => &["type"],
            Container::Stock => &["moved", "type"],
            _ => &[],
        }
    }
}

/// A version of one document. Never repeats, also not after delete and create.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ETag(pub String);

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A document as read.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub partition: String,
    pub id: String,
    pub etag: ETag,
    /// Always a JSON object.
    pub body: Value,
}

/// One conditional write. `ttl` counts from this write; without it the document stays.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Fails with [`StoreError::Exists`] if the id is taken (an expired document does not count).
    Create { id: String, body: Value, ttl: Option<Duration> },
    /// Fails with [`StoreError::Changed`] if the document is gone or has another etag.
    Replace { id: String, body: Value, etag: ETag, ttl: Option<Duration> },
    /// Fails like `Replace`.
    Delete { id: String, etag: ETag },
}

impl Write {
    pub fn id(&self) -> &str {
        match self {
            Write::Create { id, .. } | Write::Replace { id, .. } | Write::Delete { id, .. } => id,
        }
    }
}

/// How a field is compared. Strings compare by code point; numbers by value; unlike types never match, and
/// null, objects and arrays match nothing. A boolean can only be `Equal`.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    Equal(Value),
    Less(Value),
    AtMost(Value),
    AtLeast(Value),
    Greater(Value),
    /// The field is a string that contains this one, to the letter.
    Contains(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// One of the container's indexed paths.
    pub path: &'static str,
    pub test: Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

/// Which documents, in which order. An unordered query follows (partition, id), and so do ties, in the
/// direction of the order: pages never repeat or skip. Numbers come before strings; documents that hold
/// neither at the ordered path are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    pub filters: Vec<Filter>,
    pub order: Option<(&'static str, Direction)>,
    /// 1 to [`PAGE_MAX`].
    pub limit: usize,
    /// `next` of the page before; opaque, valid for the same query only.
    pub after: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// May be short or even empty while `next` is there.
    pub items: Vec<Document>,
    pub next: Option<String>,
}

/// Where a query looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    Partition(&'a str),
    /// Every partition; only for lists by an indexed path, never on a shopper's hot path.
    Container,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// 409: a document with this id is there already.
    #[error("document {id} exists already")]
    Exists { id: String },
    /// 412: the document is gone or is not the version that was seen.
    #[error("document {id} has changed")]
    Changed { id: String },
    /// The request breaks a limit or a rule of this port: our own fault.
    #[error("the store refuses the request: {0}")]
    Refused(String),
    /// A stored document is of a shape that this version does not know.
    #[error("document {id} cannot be read: {reason}")]
    Unreadable { id: String, reason: String },
    /// Try again later. A write may or may not have happened.
    #[error("the document store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// The same once more, for each of several callers who shared one request.
    #[must_use]
    pub fn again(&self) -> StoreError {
        match self {
            StoreError::Exists { id } => StoreError::Exists { id: id.clone() },
            StoreError::Changed { id } => StoreError::Changed { id: id.clone() },
            StoreError::Refused(reason) => StoreError::Refused(reason.clone()),
            StoreError::Unreadable { id, reason } => StoreError::Unreadable { id: id.clone(), reason: reason.clone() },
            StoreError::Unavailable(cause) => StoreError::Unavailable(cause.to_string().into()),
        }
    }
}

#[async_trait]
pub trait Documents: Send + Sync {
    /// One document by its key; expired documents are not there.
    ///
    /// # Errors
    /// `Refused` for a bad key, `Unavailable`.
    async fn read(&self, container: Container, partition: &str, id: &str) -> Result<Option<Document>, StoreError>;

    /// The same as it was committed last, for whoever is to change it or to charge for it: of what shoppers look at,
    /// [`Documents::read`] may answer from a copy that is behind, and a change of that would be refused until the copy
    /// has caught up. A store without such copies has nothing to add; one around another store hands it on.
    ///
    /// # Errors
    /// As [`Documents::read`].
    async fn read_latest(
        &self,
        container: Container,
        partition: &str,
        id: &str,
    ) -> Result<Option<Document>, StoreError> {
        self.read(container, partition, id).await
    }

    /// All writes or none, durable when it returns. Answers the new etag of each write in order; a
    /// delete's is the empty etag. No id may stand twice in one batch.
    ///
    /// # Errors
    /// Any [`StoreError`]; `Exists` and `Changed` name the first write that failed.
    async fn write(&self, container: Container, partition: &str, writes: Vec<Write>) -> Result<Vec<ETag>, StoreError>;

    /// One page.
    ///
    /// # Errors
    /// `Refused` for a path without index, a bad limit or a cursor of another query; `Unavailable`.
    async fn query(&self, container: Container, scope: Scope<'_>, query: &Query) -> Result<Page, StoreError>;
}
