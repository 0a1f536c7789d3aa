//! Hubs: partitions, positions, checkpoints also after failure, retention.
use super::*;
use crate::brokers::hubs::{Event, NewEvent, fetch, prune};

async fn send(bench: &Bench, key: Option<&str>, bodies: &[&str]) {
    let events = bodies
        .iter()
        .map(|body| NewEvent { key: key.map(str::to_owned), body: body.as_bytes().to_vec(), ..NewEvent::default() })
        .collect();
    bench.brokers.send_events("clicks", events).await.unwrap();
}

async fn partitions(bench: &Bench, group: &'static str) -> Vec<Vec<Event>> {
    bench
        .brokers
        .database
        .read(move |c| (0..4).map(|partition| fetch(c, "clicks", group, partition, 100)).collect::<Result<_, _>>())
        .await
        .unwrap()
}

fn bodies(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| std::str::from_utf8(&event.body).unwrap()).collect()
}

async fn waiting(bench: &Bench, group: &'static str) -> usize {
    partitions(bench, group).await.iter().map(Vec::len).sum()
}

async fn until_passed(bench: &Bench) {
    for _ in 0..2_000 {
        if waiting(bench, "$Default").await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the checkpoint did not move");
}

#[tokio::test]
async fn a_key_stays_in_its_partition_and_turns_spread_the_rest() {
    let bench = Bench::new().await;
    send(&bench, Some("u1"), &["a"]).await;
    send(&bench, Some("u1"), &["b", "c"]).await;
    let bench = bench.restart().await;
    send(&bench, Some("u1"), &["d"]).await;
    let filled: Vec<Vec<Event>> =
        partitions(&bench, "$Default").await.into_iter().filter(|events| !events.is_empty()).collect();
    assert_eq!(filled.len(), 1);
    assert_eq!(bodies(&filled[0]), ["a", "b", "c", "d"]);
    let positions: Vec<(i64, i64)> = filled[0].iter().map(|event| (event.sequence, event.offset)).collect();
    assert_eq!(positions, [(0, 0), (1, 1), (2, 2), (3, 3)]);
    for body in ["w", "x", "y", "z"] {
        send(&bench, None, &[body]).await;
    }
    assert!(partitions(&bench, "$Default").await.iter().all(|events| !events.is_empty()));
}

#[tokio::test]
async fn the_checkpoint_moves_after_a_failure_too() {
    let bench = Bench::new().await;
    send(&bench, Some("u1"), &["a", "b"]).await;
    let script = Script::new(&[Act::Fail]);
    let listeners = bench.listen(&[on_hub("ingest", Cardinality::Many, None)], &script);
    let calls = script.after(1).await;
    assert_eq!(calls[0].value, TriggerValue::Texts(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(fact(&calls[0], "SequenceNumberArray"), &Meta::Array(serde_json::json!([0, 1])));
    send(&bench, Some("u1"), &["c"]).await;
    let calls = script.after(2).await;
    assert_eq!(calls[1].value, TriggerValue::Texts(vec!["c".to_owned()]));
    until_passed(&bench).await;
    drop(listeners);
    let bench = bench.restart().await;
    assert_eq!(waiting(&bench, "$Default").await, 0, "what was passed stays passed");
    assert_eq!(waiting(&bench, "learn").await, 3, "groups read each for themselves");
}

#[tokio::test]
async fn with_cardinality_one_a_failed_event_does_not_stop_the_next() {
    let bench = Bench::new().await;
    send(&bench, Some("u1"), &["a", "b"]).await;
    let script = Script::new(&[Act::Fail]);
    let _listeners = bench.listen(&[on_hub("ingest", Cardinality::One, None)], &script);
    let calls = script.after(2).await;
    assert_eq!(calls.iter().map(text).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(fact(&calls[1], "SequenceNumber"), &Meta::Number(1));
    assert_eq!(fact(&calls[1], "PartitionKey"), &Meta::Text("u1".to_owned()));
}

#[tokio::test]
async fn a_handler_that_was_not_called_keeps_the_events() {
    let bench = Bench::new().await;
    send(&bench, Some("u1"), &["a"]).await;
    let script = Script::new(&[Act::NotCalled]);
    let _listeners = bench.listen(&[on_hub("ingest", Cardinality::Many, None)], &script);
    let calls = script.after(2).await;
    assert_eq!(calls[0].value, calls[1].value);
}

#[tokio::test]
async fn retention_forgets_and_numbers_go_on() {
    let bench = Bench::new().await;
    send(&bench, Some("u1"), &["old"]).await;
    bench.at(3_600).await;
    send(&bench, Some("u1"), &["new"]).await;
    let (entities, now_ms) = (Arc::clone(&bench.brokers.entities), bench.brokers.now_ms());
    bench.brokers.database.write(move |c| prune(c, &entities, now_ms)).await.unwrap();
    let kept: Vec<Event> = partitions(&bench, "$Default").await.into_iter().flatten().collect();
    assert_eq!((bodies(&kept), kept[0].sequence), (vec!["new"], 1));
}

#[tokio::test]
async fn a_batch_waits_for_more_events_but_not_for_ever() {
    let bench = Bench::new().await;
    let listening = |wait: Duration, script: &Arc<Script>| {
        let invoker: Arc<dyn Invoke> = Arc::<Script>::clone(script);
        let limits = Limits { event_batch_min: 3, event_wait: wait, ..Limits::default() };
        listen(&bench.brokers, &[on_hub("ingest", Cardinality::Many, None)], &invoker, &limits).unwrap()
    };
    let texts = |all: &[&str]| TriggerValue::Texts(all.iter().map(|it| (*it).to_owned()).collect());
    let script = Script::new(&[]);
    let patient = listening(Duration::from_secs(600), &script);
    send(&bench, Some("u1"), &["a", "b"]).await;
    send(&bench, Some("u1"), &["c"]).await;
    assert_eq!(script.after(1).await[0].value, texts(&["a", "b", "c"]));
    until_passed(&bench).await;
    drop(patient);
    let script = Script::new(&[]);
    send(&bench, Some("u1"), &["d", "e"]).await;
    let _hasty = listening(Duration::from_millis(1), &script);
    assert_eq!(script.after(1).await[0].value, texts(&["d", "e"]));
}
