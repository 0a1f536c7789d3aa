//! Law: for any documents and any query, the two adapters answer the same pages in the same order. What the
//! contract's examples forget, this finds.
use std::sync::atomic::{AtomicU32, Ordering};

use offpeak::shared::{
    adapters::{memory::MemoryDocuments, sqlite::SqliteDocuments},
    ports::documents::{Container, Direction, Documents, Filter, Query, Scope, Test, Write},
};
use proptest::{
    collection::vec,
    prelude::{Just, ProptestConfig, Strategy, any, prop_oneof},
    sample::select,
    test_runner::{FileFailurePersistence, TestCaseError, TestRunner},
};
use serde_json::{Value, json};

use super::{HandClock, create};

const LISTINGS: Container = Container::Listings;
const PATHS: [&str; 2] = ["price", "title"];
const PARTITIONS: [&str; 2] = ["a", "b"];

/// One document: its partition, and what stands at the two paths, if anything.
type Row = (usize, Option<Value>, Option<Value>);

/// Few enough that equal values, ties and unlike types meet often.
fn value() -> impl Strategy<Value = Value> {
    let values = [
        json!(-1),
        json!(0),
        json!(1),
        json!(1.0),
        json!(1.5),
        json!(9_007_199_254_740_992_i64),
        json!(9_007_199_254_740_991_i64),
        json!(0.1),
        json!(1e-7),
        json!(""),
        json!("1"),
        json!("a"),
        json!("ab"),
        json!("B"),
        json!("é"),
        json!("\u{1F6D2}"),
        json!("\u{FFFD}"),
    ];
    select(values.to_vec())
}

fn stored() -> impl Strategy<Value = Option<Value>> {
    let others = [json!(true), json!(false), json!(null), json!([1]), json!({"a": "a"})];
    prop_oneof![8 => value().prop_map(Some), 2 => select(others.to_vec()).prop_map(Some), 1 => Just(None)]
}

fn test() -> impl Strategy<Value = Test> {
    prop_oneof![
        prop_oneof![value(), any::<bool>().prop_map(Value::Bool)].prop_map(Test::Equal),
        value().prop_map(Test::Less),
        value().prop_map(Test::AtMost),
        value().prop_map(Test::AtLeast),
        value().prop_map(Test::Greater),
        select(vec!["", "a", "B", "1", "\u{1F6D2}"]).prop_map(|it| Test::Contains(it.to_owned())),
    ]
}

fn query() -> impl Strategy<Value = Query> {
    let filter = (select(PATHS.to_vec()), test()).prop_map(|(path, test)| Filter { path, test });
    let direction = select(vec![Direction::Ascending, Direction::Descending]);
    let order = proptest::option::weighted(0.8, (select(PATHS.to_vec()), direction));
    (vec(filter, 0..3), order, 1_usize..6).prop_map(|(filters, order, limit)| Query {
        filters,
        order,
        limit,
        after: None,
    })
}

#[test]
fn both_adapters_answer_alike() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteDocuments::open(&folder.path().join("store.db"), HandClock::new()).unwrap();
    let memory = MemoryDocuments::new(HandClock::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = ProptestConfig {
        cases: 150,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    };
    let case = AtomicU32::new(0);
    let rows = vec((0..PARTITIONS.len(), stored(), stored()), 0..14);
    let law = |(rows, queries): (Vec<Row>, Vec<Query>)| {
        let case = format!("case {}", case.fetch_add(1, Ordering::SeqCst));
        runtime.block_on(async {
            fill(&sqlite, &case, &rows).await;
            fill(&memory, &case, &rows).await;
            for query in &queries {
                for partition in [None, Some(PARTITIONS[0])] {
                    let (one, two) =
                        (walk(&sqlite, &case, partition, query).await, walk(&memory, &case, partition, query).await);
                    if one != two {
                        return Err(TestCaseError::fail(format!("{query:?} in {partition:?}: {one:?} is not {two:?}")));
                    }
                }
            }
            Ok(())
        })
    };
    TestRunner::new(config).run(&(rows, vec(query(), 4)), law).unwrap();
}

async fn fill(store: &dyn Documents, case: &str, rows: &[Row]) {
    for (number, name) in PARTITIONS.into_iter().enumerate() {
        let mine = rows.iter().enumerate().filter(|(_, row)| row.0 == number);
        let batch: Vec<Write> = mine.map(|(n, row)| create(&n.to_string(), body(case, row))).collect();
        if !batch.is_empty() {
            store.write(LISTINGS, &format!("{case} {name}"), batch).await.unwrap();
        }
    }
}

fn body(case: &str, (_, price, title): &Row) -> Value {
    let mut body = json!({ "category": case });
    for (path, value) in PATHS.iter().zip([price, title]) {
        if let Some(value) = value {
            body[path] = value.clone();
        }
    }
    body
}

/// All pages of a query within the case, page by page.
async fn walk(store: &dyn Documents, case: &str, partition: Option<&str>, query: &Query) -> Vec<Vec<String>> {
    let partition = partition.map(|it| format!("{case} {it}"));
    let scope = partition.as_deref().map_or(Scope::Container, Scope::Partition);
    let mut query = query.clone();
    query.filters.push(Filter { path: "category", test: Test::Equal(json!(case)) });
    let mut pages = Vec::new();
    loop {
        let page = store.query(LISTINGS, scope, &query).await.unwrap();
        pages.push(page.items.iter().map(|it| format!("{}/{} {}", it.partition, it.id, it.body)).collect());
        match page.next {
            Some(next) => query.after = Some(next),
            None => return pages,
        }
    }
}
