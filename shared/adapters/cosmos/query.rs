//! Queries as SQL, paged by key: a cursor names the last item's place, so it outlives any process and any split of
//! a partition. Each indexed path has a composite index `(path, partition key, id)`.
use std::num::NonZeroU32;

use azure_data_cosmos::{
    ContainerClient, FeedScope, Query as Sql,
    options::{MaxItemCountHint, QueryOptions},
};
use futures_util::StreamExt as _;
use serde_json::Value;

use super::{Reads, charged, failure::failed, item::Item, reading, retry::Failed, unavailable};
use crate::shared::{
    adapters::keyset::{self, Key, Place},
    ports::{
        documents::{Container, Direction, Filter, Page, Query, Scope, Test},
        limits::PAGE_MAX_BYTES,
    },
};

/// Terms and what is bound to their parameters.
#[derive(Debug, Default)]
struct Statement {
    terms: Vec<String>,
    bound: Vec<Value>,
}

impl Statement {
    /// The name of a parameter with this value.
    fn bind(&mut self, value: Value) -> String {
        self.bound.push(value);
        format!("@p{}", self.bound.len())
    }
}

pub(super) async fn page(
    client: &ContainerClient,
    container: Container,
    reads: Reads,
    scope: Scope<'_>,
    query: &Query,
    now: i64,
) -> Result<Page, Failed> {
    let after = keyset::read(container, scope, query)?;
    let (text, bound) = select(container, query, after, now);
    let mut sql = Sql::from(text);
    for (index, value) in bound.into_iter().enumerate() {
        sql = sql.with_parameter(format!("@p{}", index + 1), value).map_err(unavailable)?;
    }
    let feed = match scope {
        Scope::Partition(partition) => FeedScope::partition(partition.to_owned()),
        Scope::Container => FeedScope::full_container(),
    };
    // One more than asked tells whether another page follows.
    let hint = u32::try_from(query.limit + 1).ok().and_then(NonZeroU32::new);
    let hint = hint.map_or(MaxItemCountHint::ServerDecides, MaxItemCountHint::Limit);
    let options = QueryOptions::default().with_max_item_count(hint).with_operation_options(reading(reads));
    let pages =
        client.query_items::<Value>(sql, feed, Some(options)).await.map_err(|err| failed(container.name(), &err))?;
    let mut pages = pages.into_pages();
    let (mut items, mut last, mut bytes) = (Vec::new(), None, 0);
    while let Some(page) = pages.next().await {
        let page = page.map_err(|err| failed(container.name(), &err))?;
        charged(page.headers());
        for value in page.into_items() {
            let item = Item::parse(container, value)?;
            bytes += item.body.to_string().len();
            if items.len() == query.limit || (bytes > PAGE_MAX_BYTES && !items.is_empty()) {
                let next = last.map(|place| keyset::write(container, scope, query, &place));
                return Ok(Page { items, next });
            }
            let key = query.order.and_then(|(path, _)| at(&item.body, path).and_then(Key::of));
            last = Some(Place { key, partition: item.partition.clone(), id: item.id.clone() });
            items.push(item.into_document());
        }
    }
    Ok(Page { items, next: None })
}

/// The statement and the values of its parameters `@p1`, `@p2`…
fn select(container: Container, query: &Query, after: Option<Place>, now: i64) -> (String, Vec<Value>) {
    let mut it = Statement::default();
    for filter in &query.filters {
        compare(&mut it, filter);
    }
    let now = it.bind(now.into());
    it.terms.push(format!("(NOT IS_DEFINED(c.expires) OR c.expires > {now})"));
    let partition = format!("c.{}", container.partition_key());
    let (down, way) = match query.order {
        Some((_, Direction::Descending)) => (true, "DESC"),
        _ => (false, "ASC"),
    };
    let key = query.order.map(|(path, _)| column(path));
    let mut order = vec![format!("{partition} {way}"), format!("c.id {way}")];
    if let Some(key) = &key {
        it.terms.push(format!("(IS_NUMBER({key}) OR IS_STRING({key}))"));
        order.insert(0, format!("{key} {way}"));
    }
    if let Some(after) = after {
        let term = beyond(&mut it, key.as_deref(), &partition, after, down);
        it.terms.push(term);
    }
    let (terms, order) = (it.terms.join(" AND "), order.join(", "));
    (format!("SELECT * FROM c WHERE {terms} ORDER BY {order}"), it.bound)
}

/// What lies beyond a place. Unlike types never compare, so the type that follows is named.
fn beyond(it: &mut Statement, key: Option<&str>, partition: &str, after: Place, down: bool) -> String {
    let sign = if down { "<" } else { ">" };
    let (p, i) = (it.bind(after.partition.into()), it.bind(after.id.into()));
    let tie = format!("({partition} {sign} {p} OR ({partition} = {p} AND c.id {sign} {i}))");
    let (Some(key), Some(place)) = (key, after.key) else { return tie };
    let other = match (&place, down) {
        (Key::Text(_), true) => format!(" OR IS_NUMBER({key})"),
        (Key::Whole(_) | Key::Real(_), false) => format!(" OR IS_STRING({key})"),
        _ => String::new(),
    };
    let k = it.bind(value(place));
    format!("({key} {sign} {k}{other} OR ({key} = {k} AND {tie}))")
}

fn compare(it: &mut Statement, filter: &Filter) {
    let column = column(filter.path);
    let (sign, value) = match &filter.test {
        Test::Equal(value) => ("=", value.clone()),
        Test::Less(value) => ("<", value.clone()),
        Test::AtMost(value) => ("<=", value.clone()),
        Test::AtLeast(value) => (">=", value.clone()),
        Test::Greater(value) => (">", value.clone()),
        Test::Contains(part) => {
            let part = it.bind(part.as_str().into());
            return it.terms.push(format!("CONTAINS({column}, {part})"));
        }
    };
    let value = it.bind(value);
    it.terms.push(format!("{column} {sign} {value}"));
}

/// A dotted path of the body. Indexed paths are plain names, none of them a word of SQL.
fn column(path: &str) -> String {
    format!("c.body.{path}")
}

fn at<'a>(body: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(body, |value, member| value.as_object()?.get(member))
}

fn value(key: Key) -> Value {
    match key {
        Key::Whole(whole) => whole.into(),
        Key::Real(bits) => f64::from_bits(bits).into(),
        Key::Text(text) => text.into(),
    }
}
