//! What the port refuses, and that the largest allowed request is done.
use std::time::Duration;

use offpeak::shared::ports::{
    documents::{
        BATCH_MAX, Container, Direction, ETag, Filter, ITEM_MAX_BYTES, NUMBER_MAX, PAGE_MAX, Query, Scope, Test, Write,
    },
    limits::{FILTERS_MAX, TTL_MAX_S},
};
use serde_json::{Value, json};

use super::{Subject, create, named};

const IDEM: Container = Container::Idem;

pub(super) async fn all(subject: &Subject) {
    keys_have_a_shape(subject).await;
    batches_have_a_size(subject).await;
    bodies_have_a_size_and_whole_numbers(subject).await;
    ttls_have_bounds(subject).await;
    queries_keep_to_indexes(subject).await;
}

async fn refused(subject: &Subject, partition: &str, writes: Vec<Write>) {
    let shown: String = format!("{partition} {writes:?}").chars().take(200).collect();
    assert_eq!(subject.fail(IDEM, partition, writes).await, "refused", "{shown}");
}

async fn keys_have_a_shape(subject: &Subject) {
    let longest = "é".repeat(127) + "x";
    assert_eq!(longest.len(), 255);
    subject.put(IDEM, &longest, vec![create(&longest, json!({"n": 1}))]).await;
    assert_eq!(subject.get(IDEM, &longest, &longest).await.unwrap().body, json!({"n": 1}));
    let too_long = format!("{longest}x");
    for bad in ["", ".", "..", "a/b", "a\\b", "a?", "#a", "a\nb", "\0", too_long.as_str()] {
        refused(subject, "keys", vec![create(bad, json!({}))]).await;
        refused(subject, bad, vec![create("a", json!({}))]).await;
        refused(subject, "keys", vec![Write::Delete { id: bad.into(), etag: ETag("x".into()) }]).await;
        assert_eq!(named(&subject.store.read(IDEM, "keys", bad).await.unwrap_err()), "refused");
        assert_eq!(named(&subject.store.read(IDEM, bad, "a").await.unwrap_err()), "refused");
        let all = Query { limit: 1, ..Query::default() };
        assert_eq!(named(&subject.store.query(IDEM, Scope::Partition(bad), &all).await.unwrap_err()), "refused");
    }
}

async fn batches_have_a_size(subject: &Subject) {
    let batch = |count: usize| (0..count).map(|n| create(&format!("{n}"), json!({"n": n}))).collect::<Vec<_>>();
    refused(subject, "sizes", vec![]).await;
    refused(subject, "sizes", batch(BATCH_MAX + 1)).await;
    refused(subject, "sizes", vec![create("a", json!({})), create("b", json!({})), create("a", json!({}))]).await;
    let twice = vec![create("a", json!({})), Write::Delete { id: "a".into(), etag: ETag("x".into()) }];
    refused(subject, "sizes", twice).await;
    assert_eq!(subject.put(IDEM, "sizes", batch(BATCH_MAX)).await.len(), BATCH_MAX);
}

async fn bodies_have_a_size_and_whole_numbers(subject: &Subject) {
    // {"a":"…"} has eight bytes beside the text.
    let body = |bytes: usize| json!({"a": "x".repeat(bytes - 8)});
    refused(subject, "bodies", vec![create("large", body(ITEM_MAX_BYTES + 1))]).await;
    refused(
        subject,
        "bodies",
        vec![create("one", body(ITEM_MAX_BYTES / 2)), create("two", body(ITEM_MAX_BYTES / 2 + 1))],
    )
    .await;
    subject.put(IDEM, "bodies", vec![create("large", body(ITEM_MAX_BYTES))]).await;
    let halves = vec![create("one", body(ITEM_MAX_BYTES / 2)), create("two", body(ITEM_MAX_BYTES / 2))];
    subject.put(IDEM, "bodies", halves).await;
    assert_eq!(subject.get(IDEM, "bodies", "large").await.unwrap().body, body(ITEM_MAX_BYTES));

    for bad in [json!([]), json!("text"), json!(1), Value::Null] {
        refused(subject, "bodies", vec![create("shape", bad)]).await;
    }
    for bad in [json!(NUMBER_MAX + 1), json!(-NUMBER_MAX - 1), json!(u64::MAX), json!(i64::MIN), json!(1e16)] {
        refused(subject, "bodies", vec![create("number", json!({"deep": [{"n": bad}]}))]).await;
    }
    let deep = (0..200).fold(json!({}), |inner, _| json!({ "a": inner }));
    refused(subject, "bodies", vec![create("deep", deep)]).await;
}

async fn ttls_have_bounds(subject: &Subject) {
    for bad in [Duration::ZERO, Duration::from_secs(TTL_MAX_S + 1), Duration::MAX] {
        refused(subject, "ttls", vec![Write::Create { id: "a".into(), body: json!({}), ttl: Some(bad) }]).await;
    }
    let ttl = Some(Duration::from_secs(TTL_MAX_S));
    subject.put(IDEM, "ttls", vec![Write::Create { id: "a".into(), body: json!({}), ttl }]).await;
}

async fn queries_keep_to_indexes(subject: &Subject) {
    let all = Query { limit: PAGE_MAX, ..Query::default() };
    let by = |test: Test| Query { filters: vec![Filter { path: "category", test }], ..all.clone() };
    let one = by(Test::Equal(json!("x"))).filters;
    let many = std::iter::repeat_n(one, FILTERS_MAX + 1).flatten().collect();
    let bad = [
        Query { limit: 0, ..all.clone() },
        Query { limit: PAGE_MAX + 1, ..all.clone() },
        Query { order: Some(("colour", Direction::Ascending)), ..all.clone() },
        Query { filters: vec![Filter { path: "colour", test: Test::Equal(json!("red")) }], ..all.clone() },
        Query { filters: many, ..all.clone() },
        Query { after: Some("no cursor".into()), ..all.clone() },
        Query { after: Some(String::new()), ..all.clone() },
        by(Test::Equal(Value::Null)),
        by(Test::Equal(json!(["a"]))),
        by(Test::Less(json!({}))),
        by(Test::Greater(json!(true))),
        by(Test::Equal(json!(NUMBER_MAX + 1))),
    ];
    for query in bad {
        for scope in [Scope::Container, Scope::Partition("p")] {
            let error = subject.store.query(Container::Listings, scope, &query).await.unwrap_err();
            assert_eq!(named(&error), "refused", "{query:?}");
        }
    }
    let error = subject.store.query(IDEM, Scope::Container, &by(Test::Equal(json!("x")))).await.unwrap_err();
    assert_eq!(named(&error), "refused", "the path is indexed in another container only");
}
