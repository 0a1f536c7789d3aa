//! Product cards in `Listings`: a projection of `Catalog` that lists are read from.
//!
//! Every published product has two cards: one in the partition of the whole shop, one in that of its
//! category, so that both lists are queries inside one partition. A card is a function of its product
//! alone, so writing it again changes nothing and all cards can be rebuilt.
use offpeak_domain::catalogue::{Product, id::ProductId, slug::Slug};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Stored, body, products::ProductRecord};
use crate::shared::ports::documents::{
    Container, Direction, Document, Documents, Filter, Query, Scope, StoreError, Test, Write,
};

/// The one channel so far; its partition holds every card.
const CHANNEL: &str = "web";

/// Digits of the largest amount, so that prices sort as text.
const PRICE_DIGITS: usize = 19;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CardDocument {
    /// The category's slug.
    category: String,
    /// Lower case, so that lists ignore case.
    title: String,
    /// The lowest price, padded with zeros.
    price: String,
    /// Lower case: what `q` is looked for in.
    text: String,
    product: ProductRecord,
}

impl Stored for CardDocument {
    const SCHEMA: &'static str = "card/1";
}

/// How a list is sorted; namesakes and equal prices follow the product's id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Title,
    TitleDescending,
    Price,
    PriceDescending,
}

/// Which cards, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardQuery {
    pub category: Option<Slug>,
    /// Each must occur in the title or the category's title, in any case.
    pub words: Vec<String>,
    pub sort: Sort,
    /// 1 to `PAGE_MAX`.
    pub limit: usize,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// Products of one page; may be short or empty while `next` is there.
#[derive(Clone, Debug, PartialEq)]
pub struct CardPage {
    pub products: Vec<Product>,
    pub next: Option<String>,
}

fn partitions(product: &Product) -> [String; 2] {
    [CHANNEL.to_owned(), partition(product.facts().category.slug())]
}

fn partition(category: &Slug) -> String {
    format!("{CHANNEL}:{category}")
}

/// Makes the cards what they should be for this product; writes only what differs. An earlier version's
/// category is left by [`withdraw`], which must come before the product is stored.
///
/// # Errors
/// `Exists` or `Changed` if another writer was faster, or what the port says.
pub async fn show(documents: &dyn Documents, product: &Product) -> Result<bool, StoreError> {
    if !product.is_published() {
        return withdraw(documents, product, None).await;
    }
    let body = body(&card(product))?;
    let mut changed = false;
    for partition in partitions(product) {
        changed |= put(documents, &partition, product.id(), &body).await?;
    }
    Ok(changed)
}

/// Takes away the cards of this version that its successor does not replace.
///
/// # Errors
/// `Changed` if another writer was faster, or what the port says.
pub async fn withdraw(
    documents: &dyn Documents,
    product: &Product,
    successor: Option<&Product>,
) -> Result<bool, StoreError> {
    let kept = successor.filter(|it| it.is_published()).map(partitions);
    let mut changed = false;
    for partition in partitions(product) {
        if kept.as_ref().is_none_or(|kept| !kept.contains(&partition)) {
            changed |= remove(documents, &partition, product.id()).await?;
        }
    }
    Ok(changed)
}

async fn put(documents: &dyn Documents, partition: &str, id: ProductId, body: &Value) -> Result<bool, StoreError> {
    let id = id.to_string();
    let write = match documents.read_latest(Container::Listings, partition, &id).await? {
        Some(have) if have.body == *body => return Ok(false),
        Some(have) => Write::Replace { id, body: body.clone(), etag: have.etag, ttl: None },
        None => Write::Create { id, body: body.clone(), ttl: None },
    };
    documents.write(Container::Listings, partition, vec![write]).await?;
    Ok(true)
}

async fn remove(documents: &dyn Documents, partition: &str, id: ProductId) -> Result<bool, StoreError> {
    let id = id.to_string();
    let Some(have) = documents.read_latest(Container::Listings, partition, &id).await? else { return Ok(false) };
    documents.write(Container::Listings, partition, vec![Write::Delete { id, etag: have.etag }]).await?;
    Ok(true)
}

fn card(product: &Product) -> CardDocument {
    let facts = product.facts();
    let title = facts.title.as_str().to_lowercase();
    CardDocument {
        category: facts.category.slug().to_string(),
        text: format!("{title} {}", facts.category.title().to_lowercase()),
        title,
        price: format!("{:0PRICE_DIGITS$}", product.price_from().minor()),
        product: ProductRecord::from(product),
    }
}

/// One page of published products.
///
/// # Errors
/// `Refused` for a cursor of another query, `Unreadable`, `Unavailable`.
pub async fn page(documents: &dyn Documents, cards: &CardQuery) -> Result<CardPage, StoreError> {
    let order = match cards.sort {
        Sort::Title => ("title", Direction::Ascending),
        Sort::TitleDescending => ("title", Direction::Descending),
        Sort::Price => ("price", Direction::Ascending),
        Sort::PriceDescending => ("price", Direction::Descending),
    };
    let filter = |word: &String| Filter { path: "text", test: Test::Contains(word.to_lowercase()) };
    let query = Query {
        filters: cards.words.iter().map(filter).collect(),
        order: Some(order),
        limit: cards.limit,
        after: cards.after.clone(),
    };
    let place = cards.category.as_ref().map_or_else(|| CHANNEL.to_owned(), partition);
    let page = documents.query(Container::Listings, Scope::Partition(&place), &query).await?;
    let products = page.items.into_iter().map(parse).collect::<Result<_, _>>()?;
    Ok(CardPage { products, next: page.next })
}

fn parse(document: Document) -> Result<Product, StoreError> {
    super::parse::<CardDocument>(document)?.value.product.parse()
}
