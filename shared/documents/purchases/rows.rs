//! Everything a purchase's partition holds beside its checkout and its order, for whoever checks it; and the
//! lists of purchases that such a check walks through.
use offpeak_domain::ids::CheckoutId;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::shared::ports::documents::{
    Container, Direction, Document, Documents, Filter, PAGE_MAX, Query, Scope, StoreError, Test,
};

/// Pages of one purchase; far more than any purchase has.
const PAGES_MAX: usize = 50;

/// Members that say when a document was last changed.
const TIMES: [&str; 4] = ["updatedAt", "at", "placedAt", "createdAt"];

/// What was found, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurchaseRows {
    /// Ids of the events in the outbox, sent or not.
    pub events: Vec<String>,
    /// Numbers in the timeline.
    pub timeline: Vec<u32>,
    /// The orders that keys were answered with.
    pub answered_orders: Vec<String>,
    /// The latest change of anything.
    pub changed_at: OffsetDateTime,
}

impl PurchaseRows {
    fn add(&mut self, document: &Document) {
        let text = |name: &str| document.body.get(name).and_then(Value::as_str);
        for at in TIMES.iter().filter_map(|name| OffsetDateTime::parse(text(name)?, &Rfc3339).ok()) {
            self.changed_at = self.changed_at.max(at);
        }
        if let Some(event) = document.id.strip_prefix("outbox:") {
            self.events.push(event.to_owned());
        } else if let Some(number) = document.id.strip_prefix("timeline:") {
            self.timeline.extend(number.parse::<u32>().ok());
        } else if document.id.starts_with("answer:") && document.body.get("status").and_then(Value::as_u64) == Some(200)
        {
            let answer = text("body").and_then(|it| serde_json::from_str::<Value>(it).ok());
            let order = answer.as_ref().and_then(|it| it.get("id")).and_then(Value::as_str);
            self.answered_orders.extend(order.filter(|it| it.starts_with("ord_")).map(ToOwned::to_owned));
        }
    }
}

/// The whole partition of a purchase, in a few pages.
///
/// # Errors
/// As the port's.
pub async fn read_rows(documents: &dyn Documents, id: CheckoutId) -> Result<PurchaseRows, StoreError> {
    let mut rows = PurchaseRows {
        events: Vec::new(),
        timeline: Vec::new(),
        answered_orders: Vec::new(),
        changed_at: OffsetDateTime::UNIX_EPOCH,
    };
    let partition = id.to_string();
    let mut query = Query { limit: PAGE_MAX, ..Query::default() };
    for _ in 0..PAGES_MAX {
        let page = documents.query(Container::Purchases, Scope::Partition(&partition), &query).await?;
        page.items.iter().for_each(|it| rows.add(it));
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    Ok(rows)
}

/// A page of all checkouts, in the order of their ids.
///
/// # Errors
/// As the port's.
pub async fn checkout_ids(
    documents: &dyn Documents,
    after: Option<String>,
) -> Result<(Vec<CheckoutId>, Option<String>), StoreError> {
    let filters = vec![Filter { path: "type", test: Test::Equal("checkout".into()) }];
    ids(documents, Query { filters, order: None, limit: PAGE_MAX, after }).await
}

/// A page of the checkouts whose events wait to be sent.
///
/// # Errors
/// As the port's.
pub async fn waiting_ids(
    documents: &dyn Documents,
    after: Option<String>,
) -> Result<(Vec<CheckoutId>, Option<String>), StoreError> {
    let filters = vec![Filter { path: "due", test: Test::AtLeast("".into()) }];
    ids(documents, Query { filters, order: Some(("due", Direction::Ascending)), limit: PAGE_MAX, after }).await
}

async fn ids(documents: &dyn Documents, query: Query) -> Result<(Vec<CheckoutId>, Option<String>), StoreError> {
    let page = documents.query(Container::Purchases, Scope::Container, &query).await?;
    let id = |it: Document| {
        CheckoutId::parse(&it.partition)
            .map_err(|err| StoreError::Unreadable { id: it.partition.clone(), reason: err.to_string() })
    };
    Ok((page.items.into_iter().map(id).collect::<Result<_, _>>()?, page.next))
}
