//! The books of a SKU page by page, for whoever checks them: a hot SKU has more movements than fit anywhere.
use offpeak_domain::{
    sku::Sku,
    stock::{Entry, Hold},
};

use super::{hold::parse_hold, movement::parse_movement};
use crate::shared::ports::documents::{
    Container, Document, Documents, Filter, PAGE_MAX, Query, Scope, StoreError, Test,
};

fn of_type(kind: &str, after: Option<String>) -> Query {
    let filters = vec![Filter { path: "type", test: Test::Equal(kind.into()) }];
    Query { filters, order: None, limit: PAGE_MAX, after }
}

/// A page of the SKUs that were ever counted.
///
/// # Errors
/// As the port's.
pub async fn counted_skus(
    documents: &dyn Documents,
    after: Option<String>,
) -> Result<(Vec<Sku>, Option<String>), StoreError> {
    let page = documents.query(Container::Stock, Scope::Container, &of_type("level", after)).await?;
    let sku = |it: Document| {
        Sku::parse(&it.partition)
            .map_err(|err| StoreError::Unreadable { id: it.partition.clone(), reason: err.to_string() })
    };
    Ok((page.items.into_iter().map(sku).collect::<Result<_, _>>()?, page.next))
}

/// A page of a SKU's movements, in no order that means anything.
///
/// # Errors
/// As the port's.
pub async fn movements_page(
    documents: &dyn Documents,
    sku: &Sku,
    after: Option<String>,
) -> Result<(Vec<Entry>, Option<String>), StoreError> {
    let page = documents.query(Container::Stock, Scope::Partition(sku.as_str()), &of_type("movement", after)).await?;
    Ok((page.items.into_iter().map(parse_movement).collect::<Result<_, _>>()?, page.next))
}

/// A page of a SKU's holds.
///
/// # Errors
/// As the port's.
pub async fn holds_page(
    documents: &dyn Documents,
    sku: &Sku,
    after: Option<String>,
) -> Result<(Vec<Hold>, Option<String>), StoreError> {
    let page = documents.query(Container::Stock, Scope::Partition(sku.as_str()), &of_type("hold", after)).await?;
    let holds = page.items.into_iter().map(|it| parse_hold(it).map(|seen| seen.value));
    Ok((holds.collect::<Result<_, _>>()?, page.next))
}
