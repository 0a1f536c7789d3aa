//! Published products, a page at a time: by category, by words, sorted by title or price.
use offpeak_domain::{
    catalogue::{Product, slug::Slug},
    sku::Sku,
};
use serde::Serialize;

use super::{offers::Catalogue, product_view::ProductView, sha256};
use crate::shared::{
    documents::listings::{self, CardPage, CardQuery, Sort},
    ports::{
        Ports,
        documents::{PAGE_MAX, StoreError},
    },
};

/// Products on a page unless the caller says otherwise.
const LIMIT_DEFAULT: usize = 20;
/// Longest `q`, in characters, and most words in it.
const QUERY_MAX: usize = 100;
const WORDS_MAX: usize = 8;
/// Longest cursor: a title, a category and an id, in base 64.
const CURSOR_MAX: usize = 4_096;
/// Empty pages skipped before the caller is asked to come again.
const EMPTY_PAGES_MAX: usize = 10;

/// What is asked for, as text. An empty value is as if it were not there, so that a form may send all its fields.
#[derive(Clone, Debug, Default)]
pub struct ListProducts {
    pub category: Option<String>,
    pub q: Option<String>,
    pub sort: Option<String>,
    pub limit: Option<String>,
    pub after: Option<String>,
}

/// A page; `next` is the cursor of the next one.
#[derive(Clone, Debug, Serialize)]
pub struct ProductsPage {
    pub items: Vec<ProductView>,
    #[serde(rename = "nextAfter")]
    pub next: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ListProductsError {
    #[error("{name}: {reason}")]
    Parameter { name: &'static str, reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ListProductsError {
    /// The same once more, for each of several callers who shared one read.
    pub(super) fn again(&self) -> ListProductsError {
        match self {
            ListProductsError::Parameter { name, reason } => {
                ListProductsError::Parameter { name, reason: reason.clone() }
            }
            ListProductsError::Store(err) => ListProductsError::Store(err.again()),
        }
    }
}

/// An unknown category is an empty list: a shelf may be cleared while someone looks at it.
///
/// # Errors
/// [`ListProductsError`].
pub async fn list_products(
    ports: &Ports,
    catalogue: &Catalogue,
    asked: &ListProducts,
) -> Result<ProductsPage, ListProductsError> {
    read_list(ports, catalogue, query(asked)?).await
}

/// Under which name a list is kept. What is looked for by words has none: there is no end of words.
pub(super) fn name_of_list(query: &CardQuery) -> Option<String> {
    let CardQuery { category, words, sort, limit, after } = query;
    let category = category.as_ref().map(Slug::as_str).unwrap_or_default();
    // A cursor is longer than a name may be.
    let after = after.as_deref().map(sha256).unwrap_or_default();
    words.is_empty().then(|| format!("list/1:{category}:{sort:?}:{limit}:{after}"))
}

/// Without a query the answer is empty.
pub(super) async fn read_list(
    ports: &Ports,
    catalogue: &Catalogue,
    query: Option<CardQuery>,
) -> Result<ProductsPage, ListProductsError> {
    let Some(query) = query else { return Ok(ProductsPage { items: Vec::new(), next: None }) };
    let page = first_page_with_products(ports, query).await?;
    let skus: Vec<Sku> =
        page.products.iter().flat_map(|it| &it.facts().variants).map(|variant| variant.sku.clone()).collect();
    let availability = catalogue.availability(&skus).await?;
    let mut rest = availability.as_slice();
    let view = |product: &Product| {
        let (own, others) = rest.split_at(product.facts().variants.len().min(rest.len()));
        rest = others;
        ProductView::new(product, own)
    };
    Ok(ProductsPage { items: page.products.iter().map(view).collect(), next: page.next })
}

/// `None` if the answer is empty whatever is stored.
pub(super) fn query(asked: &ListProducts) -> Result<Option<CardQuery>, ListProductsError> {
    let given = |value: &Option<String>| value.clone().filter(|it| !it.trim().is_empty());
    let bad = |name, reason: String| Err(ListProductsError::Parameter { name, reason });
    let sort = match given(&asked.sort).as_deref() {
        None | Some("title") => Sort::Title,
        Some("-title") => Sort::TitleDescending,
        Some("price") => Sort::Price,
        Some("-price") => Sort::PriceDescending,
        Some(_) => return bad("sort", "one of title, -title, price, -price".to_owned()),
    };
    let limit = match given(&asked.limit) {
        None => LIMIT_DEFAULT,
        Some(text) => match text.parse() {
            Ok(limit) if (1..=PAGE_MAX).contains(&limit) => limit,
            _ => return bad("limit", format!("a whole number from 1 to {PAGE_MAX}")),
        },
    };
    let q = given(&asked.q).unwrap_or_default();
    let words: Vec<String> = q.split_whitespace().map(str::to_owned).collect();
    if q.chars().count() > QUERY_MAX || words.len() > WORDS_MAX {
        return bad("q", format!("at most {WORDS_MAX} words in {QUERY_MAX} characters"));
    }
    let after = given(&asked.after);
    if after.as_ref().is_some_and(|it| it.len() > CURSOR_MAX) {
        return bad("after", "not a cursor of this list".to_owned());
    }
    // A category's title finds it as well as its slug.
    let category = match given(&asked.category).map(|it| Slug::from_title(&it)) {
        None => None,
        Some(Some(slug)) => Some(slug),
        Some(None) => return Ok(None),
    };
    Ok(Some(CardQuery { category, words, sort, limit, after }))
}

/// A store may answer an empty page with a cursor; callers should not have to.
async fn first_page_with_products(ports: &Ports, mut query: CardQuery) -> Result<CardPage, ListProductsError> {
    let mut skipped = 0;
    loop {
        let asked_after = query.after.is_some() && skipped == 0;
        let page = match listings::page(ports.documents.as_ref(), &query).await {
            // The only part of the query that comes from the caller as it is.
            Err(StoreError::Refused(_)) if asked_after => {
                return Err(ListProductsError::Parameter {
                    name: "after",
                    reason: "not a cursor of this list; start again without it".to_owned(),
                });
            }
            page => page?,
        };
        if !page.products.is_empty() || page.next.is_none() || skipped == EMPTY_PAGES_MAX {
            return Ok(page);
        }
        skipped += 1;
        query.after = page.next;
    }
}
