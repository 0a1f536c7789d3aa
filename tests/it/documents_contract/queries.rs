//! Filters, order, pages and cursors.
use std::collections::HashSet;

use offpeak::shared::ports::documents::{Container, Direction, Filter, Page, Query, Scope, Test};
use serde_json::{Value, json};

use super::{Subject, create, create_for, delete, named};

const LISTINGS: Container = Container::Listings;
const UP: Direction = Direction::Ascending;
const DOWN: Direction = Direction::Descending;

pub(super) async fn all(subject: &Subject) {
    filters_compare_like_with_like(subject).await;
    filters_join_and_look_in_one_partition(subject).await;
    order_is_by_value_then_key(subject).await;
    unordered_pages_follow_the_key(subject).await;
    what_lacks_the_path_is_left_out(subject).await;
    pages_survive_changes_between_them(subject).await;
    a_cursor_belongs_to_its_query(subject).await;
    large_items_make_short_pages(subject).await;
    expired_documents_are_not_found(subject).await;
}

fn query(filters: Vec<Filter>, order: Option<(&'static str, Direction)>) -> Query {
    Query { filters, order, limit: 100, after: None }
}

fn filter(path: &'static str, test: Test) -> Filter {
    Filter { path, test }
}

fn ids(page: &Page) -> Vec<&str> {
    page.items.iter().map(|it| it.id.as_str()).collect()
}

/// Every page of a query, as `partition:id`; no document may come twice.
async fn walk(subject: &Subject, scope: Scope<'_>, query: &Query) -> Vec<String> {
    let (mut found, mut query) = (Vec::new(), query.clone());
    loop {
        let page = subject.store.query(LISTINGS, scope, &query).await.unwrap();
        assert!(page.items.len() <= query.limit);
        found.extend(page.items.iter().map(|it| format!("{}:{}", it.partition, it.id)));
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len(), "a page repeats: {found:?}");
    found
}

async fn filters_compare_like_with_like(subject: &Subject) {
    let partition = "types";
    let values = [
        ("int", json!(5)),
        ("real", json!(5.5)),
        ("whole", json!(5.0)),
        ("minus", json!(-1)),
        ("text", json!("5")),
        ("word", json!("Lamp")),
        ("lower", json!("lamp")),
        ("accent", json!("lämp")),
        ("empty", json!("")),
        ("true", json!(true)),
        ("false", json!(false)),
        ("null", json!(null)),
        ("list", json!(["5"])),
        ("object", json!({"a": 5})),
    ];
    let mut writes: Vec<_> = values.iter().map(|(id, value)| create(id, json!({ "price": value }))).collect();
    writes.push(create("absent", json!({"other": 5})));
    subject.put(LISTINGS, partition, writes).await;
    let check = async |test: Test, want: &[&str]| {
        let asked = query(vec![filter("price", test.clone())], None);
        let page = subject.store.query(LISTINGS, Scope::Partition(partition), &asked).await.unwrap();
        let mut want = want.to_vec();
        want.sort_unstable();
        assert_eq!(ids(&page), want, "{test:?}");
    };
    check(Test::Equal(json!(5)), &["int", "whole"]).await;
    check(Test::Equal(json!(5.5)), &["real"]).await;
    check(Test::Equal(json!("5")), &["text"]).await;
    check(Test::Equal(json!("lamp")), &["lower"]).await;
    check(Test::Equal(json!("")), &["empty"]).await;
    check(Test::Equal(json!(true)), &["true"]).await;
    check(Test::Equal(json!(false)), &["false"]).await;
    check(Test::Equal(json!(1)), &[]).await;
    check(Test::Equal(json!("[\"5\"]")), &[]).await;
    check(Test::Less(json!(5)), &["minus"]).await;
    check(Test::AtMost(json!(5)), &["int", "whole", "minus"]).await;
    check(Test::AtLeast(json!(5)), &["int", "whole", "real"]).await;
    check(Test::Greater(json!(5)), &["real"]).await;
    check(Test::Less(json!("5")), &["empty"]).await;
    check(Test::AtMost(json!("Lamp")), &["empty", "text", "word"]).await;
    check(Test::AtLeast(json!("lamp")), &["lower", "accent"]).await;
    check(Test::Greater(json!("lamp")), &["accent"]).await;
    check(Test::Contains("am".into()), &["word", "lower"]).await;
    check(Test::Contains("ä".into()), &["accent"]).await;
    check(Test::Contains("L".into()), &["word"]).await;
    check(Test::Contains("%".into()), &[]).await;
    check(Test::Contains("5".into()), &["text"]).await;
    check(Test::Contains(String::new()), &["text", "word", "lower", "accent", "empty"]).await;
}

async fn filters_join_and_look_in_one_partition(subject: &Subject) {
    for (partition, id, category, price) in [
        ("join-a", "1", "join", 10),
        ("join-a", "2", "join", 30),
        ("join-a", "3", "else", 10),
        ("join-b", "1", "join", 10),
    ] {
        subject.put(LISTINGS, partition, vec![create(id, json!({"category": category, "price": price}))]).await;
    }
    let cheap = || {
        vec![
            filter("category", Test::Equal(json!("join"))),
            filter("price", Test::AtLeast(json!(5))),
            filter("price", Test::Less(json!(20))),
        ]
    };
    let within = subject.store.query(LISTINGS, Scope::Partition("join-a"), &query(cheap(), None)).await.unwrap();
    assert_eq!(ids(&within), ["1"]);
    for order in [None, Some(("price", UP)), Some(("title", DOWN))] {
        let found = walk(subject, Scope::Container, &query(cheap(), order)).await;
        let want: &[&str] = if order == Some(("title", DOWN)) { &[] } else { &["join-a:1", "join-b:1"] };
        assert_eq!(found, want);
    }
    let none = subject.store.query(LISTINGS, Scope::Partition("join-none"), &query(vec![], None)).await.unwrap();
    assert_eq!(none, Page { items: vec![], next: None });
}

async fn order_is_by_value_then_key(subject: &Subject) {
    let rows = [
        ("order-b", "x", json!(2)),
        ("order-a", "y", json!(2)),
        ("order-a", "x", json!(2)),
        ("order-a", "z", json!(10)),
        ("order-b", "y", json!(-3)),
        ("order-b", "z", json!(2.5)),
        ("order-a", "t", json!("10")),
        ("order-b", "u", json!("b")),
        ("order-b", "v", json!("a")),
        ("order-b", "w", json!("Z")),
        ("order-b", "q", json!("é")),
    ];
    for (partition, id, price) in rows {
        subject.put(LISTINGS, partition, vec![create(id, json!({"category": "order", "price": price}))]).await;
    }
    let want = ["b:y", "a:x", "a:y", "b:x", "b:z", "a:z", "a:t", "b:w", "b:v", "b:u", "b:q"];
    let mut want: Vec<String> = want.iter().map(|it| format!("order-{it}")).collect();
    for direction in [UP, DOWN] {
        for limit in [1, 2, 3, 4, 10, 11, 100] {
            let mine = vec![filter("category", Test::Equal(json!("order")))];
            let asked = Query { limit, ..query(mine, Some(("price", direction))) };
            assert_eq!(walk(subject, Scope::Container, &asked).await, want, "{direction:?} by {limit}");
            let within: Vec<&String> = want.iter().filter(|it| it.starts_with("order-b")).collect();
            let found = walk(subject, Scope::Partition("order-b"), &asked).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), within, "{direction:?} by {limit} in one partition");
        }
        want.reverse();
    }
}

async fn unordered_pages_follow_the_key(subject: &Subject) {
    for partition in ["key-b", "key-a"] {
        let batch = ["z", "a", "é", "Z", "10", "9"].map(|id| create(id, json!({"category": "key"})));
        subject.put(LISTINGS, partition, batch.into()).await;
    }
    let in_one = |partition: &str| ["10", "9", "Z", "a", "z", "é"].map(|id| format!("{partition}:{id}"));
    let want = [in_one("key-a"), in_one("key-b")].concat();
    for limit in [1, 5, 6, 12] {
        let mine = vec![filter("category", Test::Equal(json!("key")))];
        assert_eq!(walk(subject, Scope::Container, &Query { limit, ..query(mine, None) }).await, want);
        let plain = Query { limit, ..query(vec![], None) };
        assert_eq!(walk(subject, Scope::Partition("key-a"), &plain).await, in_one("key-a"));
    }
}

async fn what_lacks_the_path_is_left_out(subject: &Subject) {
    let bodies: [Value; 7] = [
        json!({"title": "b"}),
        json!({"title": 1}),
        json!({}),
        json!({"title": null}),
        json!({"title": true}),
        json!({"title": ["a"]}),
        json!({"title": {"a": 1}}),
    ];
    let writes = bodies.into_iter().enumerate().map(|(n, body)| create(&n.to_string(), body)).collect();
    subject.put(LISTINGS, "lacks", writes).await;
    let check = async |direction, want: [&str; 2]| {
        let asked = query(vec![], Some(("title", direction)));
        let page = subject.store.query(LISTINGS, Scope::Partition("lacks"), &asked).await.unwrap();
        assert_eq!((ids(&page).as_slice(), page.next.as_ref()), (want.as_slice(), None));
    };
    check(UP, ["1", "0"]).await;
    check(DOWN, ["0", "1"]).await;
}

async fn pages_survive_changes_between_them(subject: &Subject) {
    let partition = "moving";
    let body = |title: &str| json!({ "title": title });
    let writes = ["b", "d", "f", "h"].map(|it| create(it, body(it)));
    let etags = subject.put(LISTINGS, partition, writes.into()).await;
    let scope = Scope::Partition(partition);
    let mut asked = Query { limit: 2, ..query(vec![], Some(("title", UP))) };
    let first = subject.store.query(LISTINGS, scope, &asked).await.unwrap();
    assert_eq!(ids(&first), ["b", "d"]);
    // Before the place, at it and after it; and the document that the cursor names is deleted.
    subject.put(LISTINGS, partition, ["a", "c", "e", "g"].map(|it| create(it, body(it))).into()).await;
    subject
        .put(LISTINGS, partition, vec![create("d2", body("d")), create("c9", body("d")), delete("d", &etags[1])])
        .await;
    asked.after = first.next;
    assert_eq!(walk(subject, scope, &asked).await, ["d2", "e", "f", "g", "h"].map(|it| format!("moving:{it}")));
    let all = walk(subject, scope, &query(vec![], Some(("title", DOWN)))).await;
    assert_eq!(all, ["h", "g", "f", "e", "d2", "c9", "c", "b", "a"].map(|it| format!("moving:{it}")));
}

async fn a_cursor_belongs_to_its_query(subject: &Subject) {
    let writes = ["a", "b", "c"].map(|it| create(it, json!({"title": it, "category": "cursor"})));
    subject.put(LISTINGS, "cursor", writes.into()).await;
    let scope = Scope::Partition("cursor");
    let by_title = Query { limit: 1, ..query(vec![], Some(("title", UP))) };
    let next = subject.store.query(LISTINGS, scope, &by_title).await.unwrap().next;
    assert!(next.as_ref().is_some_and(|it| it.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))));
    let larger = Query { limit: 2, after: next.clone(), ..by_title.clone() };
    assert_eq!(ids(&subject.store.query(LISTINGS, scope, &larger).await.unwrap()), ["b", "c"]);
    let mine = vec![filter("category", Test::Equal(json!("cursor")))];
    let others = [
        (scope, Query { order: Some(("title", DOWN)), ..larger.clone() }),
        (scope, Query { order: Some(("price", UP)), ..larger.clone() }),
        (scope, Query { order: None, ..larger.clone() }),
        (scope, Query { filters: mine, ..larger.clone() }),
        (Scope::Container, larger.clone()),
        (Scope::Partition("other"), larger.clone()),
        (scope, Query { after: next.map(|it| it[1..].to_owned()), ..larger }),
    ];
    for (scope, other) in others {
        let error = subject.store.query(LISTINGS, scope, &other).await.unwrap_err();
        assert_eq!(named(&error), "refused", "{other:?}");
    }
}

async fn large_items_make_short_pages(subject: &Subject) {
    let filler = "x".repeat(1_500_000);
    for n in 0..5 {
        subject.put(LISTINGS, "short", vec![create(&n.to_string(), json!({"title": "t", "filler": filler}))]).await;
    }
    for order in [None, Some(("title", UP))] {
        let asked = query(vec![], order);
        let page = subject.store.query(LISTINGS, Scope::Partition("short"), &asked).await.unwrap();
        assert_eq!((page.items.len(), page.next.is_some()), (2, true), "four megabytes are enough for one page");
        assert_eq!(walk(subject, Scope::Partition("short"), &asked).await.len(), 5);
    }
}

async fn expired_documents_are_not_found(subject: &Subject) {
    let body = |id: &str| json!({"title": id, "category": "lapse"});
    let writes = vec![create("a", body("a")), create_for("b", body("b"), 5), create_for("c", body("c"), 50)];
    subject.put(LISTINGS, "lapse", writes).await;
    subject.clock.advance(5);
    for order in [None, Some(("title", UP))] {
        let asked = Query { limit: 1, ..query(vec![filter("category", Test::Equal(json!("lapse")))], order) };
        assert_eq!(walk(subject, Scope::Container, &asked).await, ["lapse:a", "lapse:c"]);
    }
}
