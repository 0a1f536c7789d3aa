//! Queries as SQL. The columns of indexed paths hold numbers, then text, then booleans as blobs (see
//! `schema.rs`), so a range that stays within one type also bounds the index scan.
use rusqlite::{Connection, params_from_iter, types::Value as Bound, types::ValueRef};
use serde_json::Value;

use super::{reader, schema::column, unavailable};
use crate::shared::{
    adapters::keyset::{self, Key, Place},
    ports::{
        documents::{Container, Direction, Filter, Page, Query, Scope, StoreError, Test},
        limits::PAGE_MAX_BYTES,
    },
};

/// One statement with what is bound to its `?`, in order.
#[derive(Debug)]
struct Statement {
    terms: Vec<String>,
    bound: Vec<Bound>,
}

impl Statement {
    fn term(&mut self, sql: impl Into<String>, bound: impl IntoIterator<Item = Bound>) {
        self.terms.push(sql.into());
        self.bound.extend(bound);
    }
}

/// One page. The request has passed the port's limits; `now` in Unix milliseconds.
pub(super) fn page(
    connection: &Connection,
    container: Container,
    scope: Scope<'_>,
    query: &Query,
    now: i64,
) -> Result<Page, StoreError> {
    let after = keyset::read(container, scope, query)?;
    let (sql, bound) = select(container, scope, query, after, now);
    let mut statement = connection.prepare_cached(&sql).map_err(unavailable)?;
    let mut rows = statement.query(params_from_iter(bound)).map_err(unavailable)?;
    let (mut items, mut last, mut bytes, mut more) = (Vec::new(), None, 0, false);
    while let Some(row) = rows.next().map_err(unavailable)? {
        bytes += row.get_ref(3).map_err(unavailable)?.as_str().map_err(unavailable)?.len();
        if items.len() == query.limit || (bytes > PAGE_MAX_BYTES && !items.is_empty()) {
            more = true;
            break;
        }
        let document = reader::document(row)?;
        let key = key(row.get_ref(4).map_err(unavailable)?);
        last = Some(Place { key, partition: document.partition.clone(), id: document.id.clone() });
        items.push(document);
    }
    let next = last.filter(|_| more).map(|place| keyset::write(container, scope, query, &place));
    Ok(Page { items, next })
}

/// The statement and its parameters. Its rows begin with partition, id, etag, body and the ordered value.
fn select(
    container: Container,
    scope: Scope<'_>,
    query: &Query,
    after: Option<Place>,
    now: i64,
) -> (String, Vec<Bound>) {
    let mut it = Statement { terms: Vec::new(), bound: Vec::new() };
    let within = matches!(scope, Scope::Partition(_));
    if let Scope::Partition(partition) = scope {
        it.term("partition = ?", [Bound::Text(partition.to_owned())]);
    }
    let walk = Walk::of(query, after.is_some());
    for filter in &query.filters {
        compare(&mut it, filter, &walk);
    }
    let (key, order) = match query.order {
        Some((path, _)) => {
            let key = column(path);
            // Numbers and strings only; blobs are booleans, and the place of a page before is never one.
            it.term(format!("{key} {}", if walk.resumed && walk.down { "IS NOT NULL" } else { "< x''" }), []);
            let way = if walk.down { "DESC" } else { "ASC" };
            let order = format!("{key} {way}, partition {way}, id {way}");
            (key, order)
        }
        None => ("NULL".to_owned(), "partition, id".to_owned()),
    };
    if let Some(after) = after {
        let place = [
            after.key.map(|it| (key.as_str(), bound_key(it))),
            (!within).then_some(("partition", Bound::Text(after.partition))),
            Some(("id", Bound::Text(after.id))),
        ];
        let (names, bound): (Vec<_>, Vec<_>) = place.into_iter().flatten().unzip();
        let (marks, names) = (vec!["?"; names.len()].join(", "), names.join(", "));
        it.term(format!("({names}) {} ({marks})", if walk.down { "<" } else { ">" }), bound);
    }
    it.term("(expires IS NULL OR expires > ?)", [Bound::Integer(now)]);
    // One more than asked tells whether another page follows.
    let limit = query.limit + 1;
    let (table, terms) = (container.name(), it.terms.join(" AND "));
    let sql =
        format!("SELECT partition, id, etag, body, {key} FROM {table} WHERE {terms} ORDER BY {order} LIMIT {limit}");
    (sql, it.bound)
}

/// How a query's index is walked, and so which terms the planner should not bound a scan by. A plus before a
/// column hides a term from the planner and leaves its meaning.
struct Walk {
    path: Option<&'static str>,
    down: bool,
    /// From a place, which is a closer bound than any filter on the side that it lies on.
    resumed: bool,
}

impl Walk {
    fn of(query: &Query, resumed: bool) -> Walk {
        let down = matches!(query.order, Some((_, Direction::Descending)));
        Walk { path: query.order.map(|(path, _)| path), down, resumed }
    }

    /// The column of a filter as the left side of a comparison.
    fn column(&self, path: &str, sign: &str) -> String {
        let behind = if self.down { sign.starts_with('<') } else { sign.starts_with('>') };
        let plain = match self.path {
            // Another index than the order's would be read to its end and sorted for every page.
            Some(ordered) => path == ordered && !(self.resumed && behind),
            None => true,
        };
        format!("{}{}", if plain { "" } else { "+" }, column(path))
    }
}

/// Adds one filter. A range ends where its type ends: text begins at `''`, blobs at `x''`.
fn compare(it: &mut Statement, filter: &Filter, walk: &Walk) {
    let (sign, value) = match &filter.test {
        Test::Equal(value) => ("=", value),
        Test::Less(value) => ("<", value),
        Test::AtMost(value) => ("<=", value),
        Test::AtLeast(value) => (">=", value),
        Test::Greater(value) => (">", value),
        Test::Contains(part) => {
            end_at_type(it, filter.path, ">=", "''", walk);
            end_at_type(it, filter.path, "<", "x''", walk);
            return it.term(format!("instr({}, ?) > 0", column(filter.path)), [Bound::Text(part.clone())]);
        }
    };
    it.term(format!("{} {sign} ?", walk.column(filter.path, sign)), [bound(value)]);
    match (sign, value) {
        (">" | ">=", Value::Number(_)) => end_at_type(it, filter.path, "<", "''", walk),
        (">" | ">=", Value::String(_)) => end_at_type(it, filter.path, "<", "x''", walk),
        ("<" | "<=", Value::String(_)) => end_at_type(it, filter.path, ">=", "''", walk),
        _ => {}
    }
}

fn end_at_type(it: &mut Statement, path: &str, sign: &str, end: &str, walk: &Walk) {
    it.term(format!("{} {sign} {end}", walk.column(path, sign)), []);
}

/// The value as the column holds it.
fn bound(value: &Value) -> Bound {
    match (value, Key::of(value)) {
        (Value::Bool(yes), _) => Bound::Blob(vec![u8::from(*yes)]),
        (_, Some(key)) => bound_key(key),
        // Equal to nothing; the port's limits let no such value through.
        (_, None) => Bound::Null,
    }
}

fn bound_key(key: Key) -> Bound {
    match key {
        Key::Whole(whole) => Bound::Integer(whole),
        Key::Real(bits) => Bound::Real(f64::from_bits(bits)),
        Key::Text(text) => Bound::Text(text),
    }
}

fn key(value: ValueRef<'_>) -> Option<Key> {
    match value {
        ValueRef::Integer(whole) => Some(Key::Whole(whole)),
        ValueRef::Real(double) => Some(Key::Real(double.to_bits())),
        ValueRef::Text(text) => std::str::from_utf8(text).ok().map(|it| Key::Text(it.to_owned())),
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::shared::adapters::sqlite::schema;

    /// How SQLite would run the second page of a query.
    fn plan(container: Container, scope: Scope<'_>, query: &Query) -> String {
        let folder = tempfile::tempdir().unwrap();
        let connection = schema::open_writer(&folder.path().join("store.db"), Duration::from_secs(1)).unwrap();
        let key = query.order.map(|_| Key::Text("m".into()));
        let place = Place { key, partition: "p".into(), id: "i".into() };
        let (sql, bound) = select(container, scope, query, Some(place), 0);
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let details = statement.query_map(params_from_iter(bound), |row| row.get::<_, String>(3)).unwrap();
        details.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    /// `bound` says what the scan of the index `by` begins and ends with.
    fn check(container: Container, scope: Scope<'_>, query: &Query, by: &str, bound: &[&str]) {
        let plan = plan(container, scope, query);
        let terms = plan.strip_prefix(&format!("SEARCH {} USING INDEX {by} (", container.name()));
        let terms = terms.unwrap_or_else(|| panic!("{plan} is not by {by}"));
        assert!(bound.iter().all(|it| terms.contains(it)), "{plan} is not bounded by {bound:?}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan} sorts");
    }

    fn equal(path: &'static str) -> Filter {
        Filter { path, test: Test::Equal("a".into()) }
    }

    #[test]
    fn ordered_pages_walk_an_index_and_never_sort() {
        let (ascending, descending) = (Direction::Ascending, Direction::Descending);
        let by = |path, direction, filters| Query { filters, order: Some((path, direction)), limit: 20, after: None };
        let category = Scope::Partition("web|lamps");
        for (direction, sign) in [(ascending, ">"), (descending, "<")] {
            let within = ["partition=?", &format!("(k_title,id){sign}(?,?)")];
            let everywhere = [format!("(k_price,partition,id){sign}(?,?,?)")];
            let plain = by("title", direction, vec![]);
            check(Container::Listings, category, &plain, "listings_k_title_p", &within);
            let plain = by("price", direction, vec![]);
            check(Container::Listings, Scope::Container, &plain, "listings_k_price", &[&everywhere[0]]);
            let filtered = by("title", direction, vec![equal("published"), equal("text")]);
            check(Container::Listings, category, &filtered, "listings_k_title_p", &within);
        }
        let due = Filter { path: "due", test: Test::AtMost("2026".into()) };
        let sweep = by("due", ascending, vec![due]);
        let bound = ["(k_due,partition,id)>(?,?,?)", "k_due<?"];
        check(Container::Purchases, Scope::Container, &sweep, "purchases_k_due", &bound);
    }

    #[test]
    fn unordered_pages_follow_a_key() {
        let all = Query { limit: 20, ..Query::default() };
        let key = "sqlite_autoindex_carts_1";
        check(Container::Carts, Scope::Partition("p"), &all, key, &["partition=?", "id>?"]);
        check(Container::Carts, Scope::Container, &all, key, &["(partition,id)>(?,?)"]);
        let lamps = Query { filters: vec![equal("category")], limit: 20, ..Query::default() };
        check(Container::Listings, Scope::Container, &lamps, "listings_k_category", &["k_category=?"]);
        let bound = ["partition=?", "k_category=?", "id>?"];
        check(Container::Listings, Scope::Partition("p"), &lamps, "listings_k_category_p", &bound);
    }

    #[test]
    fn statements_are_few() {
        // What differs between two pages of one query is bound, not spelled, so that it is prepared once.
        let query = |title: &str| Query {
            filters: vec![Filter { path: "title", test: Test::Equal(title.into()) }],
            limit: 20,
            ..Query::default()
        };
        let sql = |title: &str, partition: &str| {
            select(Container::Listings, Scope::Partition(partition), &query(title), None, 1).0
        };
        assert_eq!(Arc::<str>::from(sql("a", "p")), Arc::from(sql("b'; --", "q")));
    }
}
