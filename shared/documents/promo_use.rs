//! Container `promo_use`, one partition per pool of uses: `counter`, `customer:<key>` and `claim:<order>`,
//! changed together in one batch, so that the counter is always the number of live claims.
//!
//! A pool is a promotion (`promo:<id>`), a single-use code (`code:<hash>`, see `coupon_codes`) or a customer
//! (`customer:<key>`: the orders of one person, which is what tells a first order). Only a promotion's pool
//! counts by customer; the claims of the others name none. Beside a customer's claims lies `bought`: what they have
//! of SKUs that are limited by customer, changed in the same batch as the claim.
use offpeak_domain::{
    allowance::Bought,
    ids::OrderId,
    sku::Sku,
    uses::{UseClaim, UseState},
};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{Seen, Stored, parse, put, sku_text};
use crate::shared::ports::documents::{
    Container, Document, Documents, ETag, Filter, PAGE_MAX, Page, Query, Scope, StoreError, Test, Write,
};

/// How long a released claim is kept: longer than any run that it shuts out may sleep.
const RELEASED_KEPT: Duration = Duration::days(30);

const COUNTER: &str = "counter";
const BOUGHT: &str = "bought";

/// The key of a pool: its partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolKey(String);

impl PoolKey {
    /// By the promotion's id.
    pub fn promotion(id: &str) -> PoolKey {
        PoolKey(format!("promo:{id}"))
    }

    /// By the hash of a single-use code.
    pub fn code(hash: &str) -> PoolKey {
        PoolKey(format!("code:{hash}"))
    }

    /// By the customer's key.
    pub fn customer(key: &str) -> PoolKey {
        PoolKey(format!("customer:{key}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether many customers use it.
    pub fn is_shared(&self) -> bool {
        self.0.starts_with("promo:")
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CountDocument {
    r#type: String,
    live: u32,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

impl Stored for CountDocument {
    const SCHEMA: &'static str = "use_count/1";
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClaimDocument {
    r#type: String,
    order_id: String,
    /// The first of the customer's keys; empty where there is none.
    customer: String,
    /// The second: of who was signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    fence: u32,
    state: String,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

impl Stored for ClaimDocument {
    const SCHEMA: &'static str = "use_claim/1";
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BoughtDocument {
    r#type: String,
    entries: Vec<BoughtEntry>,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BoughtEntry {
    order_id: String,
    #[serde(with = "sku_text")]
    sku: Sku,
    units: u32,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
}

impl Stored for BoughtDocument {
    const SCHEMA: &'static str = "bought/1";
}

/// How many live claims the pool has, or those of one customer; 0 where nothing was ever claimed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub live: u32,
    pub seen: Option<ETag>,
}

/// # Errors
/// As the port's.
pub async fn read_counter(documents: &dyn Documents, pool: &PoolKey) -> Result<Count, StoreError> {
    read_count(documents, pool, COUNTER).await
}

/// # Errors
/// As the port's.
pub async fn read_customer(documents: &dyn Documents, pool: &PoolKey, customer: &str) -> Result<Count, StoreError> {
    read_count(documents, pool, &customer_id(customer)).await
}

async fn read_count(documents: &dyn Documents, pool: &PoolKey, id: &str) -> Result<Count, StoreError> {
    let Some(document) = documents.read(Container::PromoUse, pool.as_str(), id).await? else {
        return Ok(Count::default());
    };
    let Seen { value, etag } = parse::<CountDocument>(document)?;
    Ok(Count { live: value.live, seen: Some(etag) })
}

/// What a customer has of limited SKUs.
///
/// # Errors
/// As the port's.
pub async fn read_bought(documents: &dyn Documents, pool: &PoolKey) -> Result<(Vec<Bought>, Option<ETag>), StoreError> {
    let Some(document) = documents.read(Container::PromoUse, pool.as_str(), BOUGHT).await? else {
        return Ok((Vec::new(), None));
    };
    let Seen { value, etag } = bought_of(document)?;
    Ok((value, Some(etag)))
}

fn bought_of(document: Document) -> Result<Seen<Vec<Bought>>, StoreError> {
    let Seen { value, etag } = parse::<BoughtDocument>(document)?;
    let unreadable = |reason: String| StoreError::Unreadable { id: BOUGHT.to_owned(), reason };
    let bought = |it: BoughtEntry| {
        let order = OrderId::parse(&it.order_id).map_err(|err| unreadable(err.to_string()))?;
        Ok::<_, StoreError>(Bought { order, sku: it.sku, units: it.units, at: it.at, until: it.until })
    };
    Ok(Seen { value: value.entries.into_iter().map(bought).collect::<Result<_, _>>()?, etag })
}

/// # Errors
/// As [`put_counter`].
pub fn put_bought(bought: &[Bought], seen: Option<&ETag>, now: OffsetDateTime) -> Result<Write, StoreError> {
    let entry = |it: &Bought| BoughtEntry {
        order_id: it.order.to_string(),
        sku: it.sku.clone(),
        units: it.units,
        at: it.at,
        until: it.until,
    };
    let entries = bought.iter().map(entry).collect();
    put(BOUGHT, &BoughtDocument { r#type: BOUGHT.to_owned(), entries, updated_at: now }, seen, None)
}

/// # Errors
/// As the port's.
pub async fn read_claim(
    documents: &dyn Documents,
    pool: &PoolKey,
    order: OrderId,
) -> Result<Option<Seen<UseClaim>>, StoreError> {
    let found = documents.read(Container::PromoUse, pool.as_str(), &claim_id(order)).await?;
    found.map(claim_of).transpose()
}

fn claim_of(document: Document) -> Result<Seen<UseClaim>, StoreError> {
    let id = document.id.clone();
    let Seen { value, etag } = parse::<ClaimDocument>(document)?;
    let unreadable = |reason: String| StoreError::Unreadable { id: id.clone(), reason };
    let order = OrderId::parse(&value.order_id).map_err(|err| unreadable(err.to_string()))?;
    let state = match value.state.as_str() {
        "live" => UseState::Live,
        "released" => UseState::Released,
        other => return Err(unreadable(format!("claim state `{other}`"))),
    };
    let customers = Some(value.customer).filter(|it| !it.is_empty()).into_iter().chain(value.account).collect();
    Ok(Seen { value: UseClaim { order, customers, fence: value.fence, state }, etag })
}

/// # Errors
/// `Refused` if the value has no JSON form.
pub fn put_counter(live: u32, seen: Option<&ETag>, now: OffsetDateTime) -> Result<Write, StoreError> {
    put_count(COUNTER, COUNTER, live, seen, now)
}

/// # Errors
/// As [`put_counter`].
pub fn put_customer(customer: &str, live: u32, seen: Option<&ETag>, now: OffsetDateTime) -> Result<Write, StoreError> {
    put_count(&customer_id(customer), "customer", live, seen, now)
}

fn put_count(id: &str, kind: &str, live: u32, seen: Option<&ETag>, now: OffsetDateTime) -> Result<Write, StoreError> {
    put(id, &CountDocument { r#type: kind.to_owned(), live, updated_at: now }, seen, None)
}

/// # Errors
/// As [`put_counter`].
pub fn put_claim(claim: &UseClaim, seen: Option<&ETag>, now: OffsetDateTime) -> Result<Write, StoreError> {
    let (state, kept) = match claim.state {
        UseState::Live => ("live", None),
        UseState::Released => ("released", Some(RELEASED_KEPT.unsigned_abs())),
    };
    let document = ClaimDocument {
        r#type: "claim".to_owned(),
        order_id: claim.order.to_string(),
        customer: claim.customers.first().cloned().unwrap_or_default(),
        account: claim.customers.get(1).cloned(),
        fence: claim.fence,
        state: state.to_owned(),
        updated_at: now,
    };
    put(claim_id(claim.order), &document, seen, kept)
}

/// One batch on one pool.
///
/// # Errors
/// As the port's.
pub async fn write(documents: &dyn Documents, pool: &PoolKey, writes: Vec<Write>) -> Result<Vec<ETag>, StoreError> {
    documents.write(Container::PromoUse, pool.as_str(), writes).await
}

/// One document of a pool, for whoever checks them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Counter {
        live: u32,
    },
    Customer {
        key: String,
        live: u32,
    },
    Claim(UseClaim),
    /// What a customer has of limited SKUs.
    Bought(Vec<Bought>),
}

/// One page of the documents of one pool, or of the counters of all pools, with their pools.
#[derive(Clone, Debug)]
pub struct Entries {
    pub entries: Vec<(PoolKey, Entry)>,
    pub next: Option<String>,
}

/// Every pool's counter: the list of pools.
///
/// # Errors
/// As the port's.
pub async fn counters(documents: &dyn Documents, after: Option<String>) -> Result<Entries, StoreError> {
    let filter = Filter { path: "type", test: Test::Equal(COUNTER.into()) };
    let query = Query { filters: vec![filter], order: None, limit: PAGE_MAX, after };
    entries(documents.query(Container::PromoUse, Scope::Container, &query).await?)
}

/// All that one pool holds.
///
/// # Errors
/// As the port's.
pub async fn pool(documents: &dyn Documents, key: &PoolKey, after: Option<String>) -> Result<Entries, StoreError> {
    let query = Query { filters: Vec::new(), order: None, limit: PAGE_MAX, after };
    entries(documents.query(Container::PromoUse, Scope::Partition(key.as_str()), &query).await?)
}

fn entries(page: Page) -> Result<Entries, StoreError> {
    let mut entries = Vec::with_capacity(page.items.len());
    for document in page.items {
        let key = PoolKey(document.partition.clone());
        let id = document.id.clone();
        let entry = if let Some(customer) = id.strip_prefix("customer:") {
            Entry::Customer { key: customer.to_owned(), live: parse::<CountDocument>(document)?.value.live }
        } else if id == COUNTER {
            Entry::Counter { live: parse::<CountDocument>(document)?.value.live }
        } else if id.starts_with("claim:") {
            Entry::Claim(claim_of(document)?.value)
        } else if id == BOUGHT {
            Entry::Bought(bought_of(document)?.value)
        } else {
            // Other documents of the same partition are not uses.
            continue;
        };
        entries.push((key, entry));
    }
    Ok(Entries { entries, next: page.next })
}

fn customer_id(customer: &str) -> String {
    format!("customer:{customer}")
}

fn claim_id(order: OrderId) -> String {
    format!("claim:{order}")
}
