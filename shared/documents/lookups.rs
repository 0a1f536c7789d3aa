//! Unique names in `Lookups`: a slug or a SKU and the product that has it. Creating the document is what
//! makes the name unique; a name, once given, is never given to another product. And the numbers of orders,
//! with the tries to guess who has one.
use std::time::Duration;

use offpeak_domain::{
    catalogue::{id::ProductId, slug::Slug},
    ids::OrderId,
    order::OrderNumber,
    sku::Sku,
};
use serde::{Deserialize, Serialize};

use super::{Seen, Stored, create, parse, put, replace};
use crate::shared::ports::documents::{Container, Documents, StoreError};

/// A name and its kind; also the document's partition and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    pub fn slug(slug: &Slug) -> Name {
        Name(format!("slug:{slug}"))
    }

    pub fn sku(sku: &Sku) -> Name {
        Name(format!("sku:{sku}"))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LookupDocument {
    product_id: String,
}

impl Stored for LookupDocument {
    const SCHEMA: &'static str = "lookup/1";
}

/// The product that has this name.
///
/// # Errors
/// `Unreadable` for an unknown shape, or what the port says.
pub async fn find(documents: &dyn Documents, name: &Name) -> Result<Option<ProductId>, StoreError> {
    let Some(document) = documents.read(Container::Lookups, &name.0, &name.0).await? else { return Ok(None) };
    let product_id = parse::<LookupDocument>(document)?.value.product_id;
    let unreadable = |reason: String| StoreError::Unreadable { id: name.0.clone(), reason };
    ProductId::parse(&product_id).map(Some).map_err(|err| unreadable(err.to_string()))
}

/// Gives the name to the product unless another has it; answers whose it is now. Safe to repeat.
///
/// # Errors
/// As [`find`].
pub async fn claim(documents: &dyn Documents, name: &Name, product: ProductId) -> Result<ProductId, StoreError> {
    let write = create(name.0.clone(), &LookupDocument { product_id: product.to_string() }, None)?;
    match documents.write(Container::Lookups, &name.0, vec![write]).await {
        Ok(_) => Ok(product),
        Err(StoreError::Exists { id }) => find(documents, name).await?.ok_or(StoreError::Changed { id }),
        Err(err) => Err(err),
    }
}

/// Most orders that share one number: 50 bits make even two unlikely.
const ORDERS_MAX: usize = 16;
/// How long tries to open an order by guessing are counted together.
const TRIES_KEPT: Duration = Duration::from_secs(3600);

/// The orders that have a number; the document's partition and id are the number's.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NumberDocument {
    orders: Vec<String>,
}

impl Stored for NumberDocument {
    const SCHEMA: &'static str = "order_number/1";
}

/// Failed tries to open the orders of a number.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TriesDocument {
    failed: u32,
}

impl Stored for TriesDocument {
    const SCHEMA: &'static str = "tries/1";
}

/// The orders of this number; as a rule one or none.
///
/// # Errors
/// As [`find`].
pub async fn find_orders(documents: &dyn Documents, number: &OrderNumber) -> Result<Vec<OrderId>, StoreError> {
    Ok(read_number(documents, &number_key(number)).await?.map(|seen| seen.value).unwrap_or_default())
}

/// Lets an order be found by its number. Safe to repeat.
///
/// # Errors
/// As [`find`]; `Changed` if another order of the same number was faster: repeat it.
pub async fn remember_order(documents: &dyn Documents, order: OrderId) -> Result<(), StoreError> {
    let key = number_key(&OrderNumber::of(order));
    let alone = create(key.clone(), &NumberDocument { orders: vec![order.to_string()] }, None)?;
    match documents.write(Container::Lookups, &key, vec![alone]).await {
        Err(StoreError::Exists { .. }) => {}
        done => return done.map(drop),
    }
    let Some(Seen { value: mut orders, etag }) = read_number(documents, &key).await? else {
        return Err(StoreError::Changed { id: key });
    };
    if orders.contains(&order) {
        return Ok(());
    }
    if orders.len() >= ORDERS_MAX {
        return Err(StoreError::Refused(format!("{key} names {ORDERS_MAX} orders already")));
    }
    orders.push(order);
    let document = NumberDocument { orders: orders.iter().map(ToString::to_string).collect() };
    let write = replace(key.clone(), &document, &etag, None)?;
    documents.write(Container::Lookups, &key, vec![write]).await.map(drop)
}

/// How often the orders of this number were asked for in vain lately.
///
/// # Errors
/// As [`find`].
pub async fn failed_tries(documents: &dyn Documents, number: &OrderNumber) -> Result<u32, StoreError> {
    let found = documents.read(Container::Lookups, &number_key(number), TRIES).await?;
    Ok(found.map(parse::<TriesDocument>).transpose()?.map_or(0, |seen| seen.value.failed))
}

/// Counts one more try in vain. One that is lost to another try at the same moment counts as that one.
///
/// # Errors
/// As [`find`].
pub async fn add_failed_try(documents: &dyn Documents, number: &OrderNumber) -> Result<(), StoreError> {
    let key = number_key(number);
    let seen = documents.read(Container::Lookups, &key, TRIES).await?.map(parse::<TriesDocument>).transpose()?;
    let failed = seen.as_ref().map_or(0, |it| it.value.failed).saturating_add(1);
    let write = put(TRIES, &TriesDocument { failed }, seen.as_ref().map(|it| &it.etag), Some(TRIES_KEPT))?;
    match documents.write(Container::Lookups, &key, vec![write]).await {
        Ok(_) | Err(StoreError::Changed { .. } | StoreError::Exists { .. }) => Ok(()),
        Err(err) => Err(err),
    }
}

const TRIES: &str = "tries";

fn number_key(number: &OrderNumber) -> String {
    format!("order:{}", number.as_str())
}

async fn read_number(documents: &dyn Documents, key: &str) -> Result<Option<Seen<Vec<OrderId>>>, StoreError> {
    let Some(document) = documents.read(Container::Lookups, key, key).await? else { return Ok(None) };
    let Seen { value, etag } = parse::<NumberDocument>(document)?;
    let unreadable = |reason: String| StoreError::Unreadable { id: key.to_owned(), reason };
    let orders = value.orders.iter().map(|it| OrderId::parse(it).map_err(|err| unreadable(err.to_string())));
    Ok(Some(Seen { value: orders.collect::<Result<_, _>>()?, etag }))
}
