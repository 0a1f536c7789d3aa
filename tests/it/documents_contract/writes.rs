//! Point reads, conditional writes, batches, etags and expiry.
use std::{collections::HashSet, time::Duration};

use offpeak::shared::ports::documents::{Container, ETag, Write};
use serde_json::json;

use super::{Subject, create, create_for, delete, replace};

const CARTS: Container = Container::Carts;

pub(super) async fn all(subject: &Subject) {
    one_document_lives_and_dies(subject).await;
    a_write_names_what_it_saw(subject).await;
    containers_and_partitions_are_apart(subject).await;
    bodies_come_back_as_they_were(subject).await;
    a_batch_is_all_or_nothing(subject).await;
    a_batch_blames_its_first_failure(subject).await;
    etags_never_repeat(subject).await;
    what_has_expired_is_not_there(subject).await;
    a_ttl_counts_from_its_own_write(subject).await;
}

async fn one_document_lives_and_dies(subject: &Subject) {
    let partition = "life";
    assert_eq!(subject.get(CARTS, partition, "a").await, None);
    let first = subject.put(CARTS, partition, vec![create("a", json!({"n": 1}))]).await;
    let read = subject.get(CARTS, partition, "a").await.unwrap();
    assert_eq!((read.partition.as_str(), read.id.as_str(), &read.etag), (partition, "a", &first[0]));
    assert_eq!(read.body, json!({"n": 1}));
    let second = subject.put(CARTS, partition, vec![replace("a", json!({"n": 2}), &first[0])]).await;
    let read = subject.get(CARTS, partition, "a").await.unwrap();
    assert_eq!((read.body, &read.etag), (json!({"n": 2}), &second[0]));
    let gone = subject.put(CARTS, partition, vec![delete("a", &second[0])]).await;
    assert_eq!(gone, [ETag(String::new())], "a delete's etag is empty");
    assert_eq!(subject.get(CARTS, partition, "a").await, None);
}

async fn a_write_names_what_it_saw(subject: &Subject) {
    let partition = "seen";
    let etags = subject.put(CARTS, partition, vec![create("a", json!({"n": 1}))]).await;
    let newer = subject.put(CARTS, partition, vec![replace("a", json!({"n": 2}), &etags[0])]).await;
    let never = ETag("never".into());
    let empty = ETag(String::new());
    let loud = ETag(newer[0].0.to_uppercase() + "X");
    assert_eq!(subject.fail(CARTS, partition, vec![create("a", json!({}))]).await, "exists a");
    for stale in [&etags[0], &never, &empty, &loud] {
        assert_eq!(subject.fail(CARTS, partition, vec![replace("a", json!({}), stale)]).await, "changed a");
        assert_eq!(subject.fail(CARTS, partition, vec![delete("a", stale)]).await, "changed a");
    }
    for absent in [&newer[0], &never] {
        assert_eq!(subject.fail(CARTS, partition, vec![replace("b", json!({}), absent)]).await, "changed b");
        assert_eq!(subject.fail(CARTS, partition, vec![delete("b", absent)]).await, "changed b");
    }
    let read = subject.get(CARTS, partition, "a").await.unwrap();
    assert_eq!((read.body, &read.etag), (json!({"n": 2}), &newer[0]), "what was refused has changed nothing");
}

async fn containers_and_partitions_are_apart(subject: &Subject) {
    let places = [(CARTS, "apart"), (CARTS, "Apart"), (CARTS, "apart "), (Container::Idem, "apart")];
    for (n, (container, partition)) in places.into_iter().enumerate() {
        subject.put(container, partition, vec![create("a", json!({"n": n}))]).await;
    }
    for (n, (container, partition)) in places.into_iter().enumerate() {
        assert_eq!(subject.get(container, partition, "a").await.unwrap().body, json!({"n": n}));
        assert_eq!(subject.get(container, partition, "A").await, None, "ids are told apart by case");
    }
}

async fn bodies_come_back_as_they_were(subject: &Subject) {
    let body = json!({
        "empty": {}, "none": null, "yes": true, "list": [1, "two", [3.5]], "most": 9_007_199_254_740_992_i64,
        "least": -9_007_199_254_740_992_i64, "half": 0.5, "text": "quotes \" ' \\ \u{1F6D2} \u{0} \u{2028} é e\u{301}",
        "": "an empty name", "a.b": "a dotted name", "sql": "'); DROP TABLE carts; --",
    });
    for id in ["plain", "ключ-ключ", "\u{1F6D2}", "a b", "%_*'\";:@", "..."] {
        subject.put(CARTS, "шкаф 'x'", vec![create(id, body.clone())]).await;
        let read = subject.get(CARTS, "шкаф 'x'", id).await.unwrap();
        assert_eq!((read.id.as_str(), read.body), (id, body.clone()));
    }
}

async fn a_batch_is_all_or_nothing(subject: &Subject) {
    let partition = "batch";
    let kept = subject.put(CARTS, partition, vec![create("kept", json!({"n": 1})), create("old", json!({}))]).await;
    let stale = ETag("stale".into());
    let last_fails = vec![
        create("new", json!({})),
        replace("kept", json!({"n": 2}), &kept[0]),
        delete("old", &kept[1]),
        replace("kept too", json!({}), &stale),
    ];
    assert_eq!(subject.fail(CARTS, partition, last_fails).await, "changed kept too");
    assert_eq!(subject.get(CARTS, partition, "new").await, None);
    assert_eq!(subject.get(CARTS, partition, "kept").await.unwrap().etag, kept[0]);
    assert_eq!(subject.get(CARTS, partition, "old").await.unwrap().etag, kept[1]);

    let mixed = vec![create("new", json!({})), replace("kept", json!({"n": 2}), &kept[0]), delete("old", &kept[1])];
    let etags = subject.put(CARTS, partition, mixed).await;
    assert_eq!(subject.get(CARTS, partition, "new").await.unwrap().etag, etags[0], "etags answer in order");
    assert_eq!(subject.get(CARTS, partition, "kept").await.unwrap().etag, etags[1]);
    assert_eq!(subject.get(CARTS, partition, "old").await, None);
}

async fn a_batch_blames_its_first_failure(subject: &Subject) {
    let partition = "blame";
    subject.put(CARTS, partition, vec![create("a", json!({})), create("b", json!({}))]).await;
    let wrong = ETag("wrong".into());
    let both = vec![create("c", json!({})), create("b", json!({})), replace("a", json!({}), &wrong)];
    assert_eq!(subject.fail(CARTS, partition, both).await, "exists b");
    let other_way = vec![replace("a", json!({}), &wrong), create("b", json!({}))];
    assert_eq!(subject.fail(CARTS, partition, other_way).await, "changed a");
}

async fn etags_never_repeat(subject: &Subject) {
    let partition = "etags";
    let mut seen = HashSet::new();
    for _ in 0..5 {
        let created = subject.put(CARTS, partition, vec![create("a", json!({"same": 1}))]).await;
        assert!(seen.insert(created[0].clone()));
        let replaced = subject.put(CARTS, partition, vec![replace("a", json!({"same": 1}), &created[0])]).await;
        assert!(seen.insert(replaced[0].clone()), "the same body is a new version all the same");
        subject.clock.advance(-3_600);
        subject.put(CARTS, partition, vec![delete("a", &replaced[0])]).await;
        let stale = subject.put(CARTS, partition, vec![create("a", json!({"same": 1}))]).await;
        assert_eq!(subject.fail(CARTS, partition, vec![delete("a", &replaced[0])]).await, "changed a");
        assert!(seen.insert(stale[0].clone()), "a clock set back repeats nothing");
        subject.put(CARTS, partition, vec![delete("a", &stale[0])]).await;
    }
    subject.clock.advance(5 * 3_600);
    let batch = (0..20).map(|n| create(&format!("{n}"), json!({}))).collect();
    assert!(subject.put(CARTS, partition, batch).await.into_iter().all(|it| seen.insert(it)));
}

async fn what_has_expired_is_not_there(subject: &Subject) {
    let partition = "expiry";
    let etags = subject.put(CARTS, partition, vec![create_for("a", json!({"n": 1}), 60)]).await;
    subject.clock.advance(59);
    assert_eq!(subject.fail(CARTS, partition, vec![create("a", json!({}))]).await, "exists a");
    assert_eq!(subject.get(CARTS, partition, "a").await.unwrap().etag, etags[0]);
    subject.clock.advance(1);
    assert_eq!(subject.get(CARTS, partition, "a").await, None);
    assert_eq!(subject.fail(CARTS, partition, vec![replace("a", json!({}), &etags[0])]).await, "changed a");
    assert_eq!(subject.fail(CARTS, partition, vec![delete("a", &etags[0])]).await, "changed a");
    let again = subject.put(CARTS, partition, vec![create("a", json!({"n": 2}))]).await;
    assert_ne!(again, etags);
    subject.clock.advance(1_000_000);
    let read = subject.get(CARTS, partition, "a").await.unwrap();
    assert_eq!((read.body, &read.etag), (json!({"n": 2}), &again[0]), "the new one has no end");
}

async fn a_ttl_counts_from_its_own_write(subject: &Subject) {
    let partition = "ttl";
    let body = || json!({});
    let created = subject.put(CARTS, partition, vec![create_for("a", body(), 10), create_for("b", body(), 10)]).await;
    subject.clock.advance(8);
    let ttl = Some(Duration::from_secs(10));
    let longer = Write::Replace { id: "a".into(), body: body(), etag: created[0].clone(), ttl };
    subject.put(CARTS, partition, vec![longer, replace("b", body(), &created[1])]).await;
    subject.clock.advance(9);
    assert!(subject.get(CARTS, partition, "a").await.is_some(), "a replace begins the time anew");
    subject.clock.advance(1);
    assert!(subject.get(CARTS, partition, "a").await.is_none());
    subject.clock.advance(1_000_000);
    assert!(subject.get(CARTS, partition, "b").await.is_some(), "a replace without TTL stays");
}
