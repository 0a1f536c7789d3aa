//! Listeners of queues: pushed at once, settled by the invocation's end, as many at once as host.json says.
use super::*;

#[tokio::test]
async fn a_message_is_pushed_with_its_facts_and_completed() {
    let bench = Bench::new().await;
    let script = Script::new(&[]);
    let _listeners = bench.listen(&[on_queue("send_email", "mail", false, Cardinality::One)], &script);
    let mut sent = message("m-1");
    sent.facts.subject = Some("order.placed".to_owned());
    sent.facts.properties.insert("tenant".to_owned(), serde_json::json!("t1"));
    bench.brokers.send("mail", sent).await.unwrap();
    let calls = script.after(1).await;
    let call = &calls[0];
    assert_eq!((call.binding.as_str(), text(call), call.promote), ("msg", "body of m-1", true));
    for (name, meta) in [
        ("MessageId", Meta::Text("m-1".to_owned())),
        ("DeliveryCount", Meta::Number(1)),
        ("SequenceNumber", Meta::Number(1)),
        ("EnqueuedTimeUtc", Meta::Moment(START)),
        ("Subject", Meta::Text("order.placed".to_owned())),
        ("Label", Meta::Text("order.placed".to_owned())),
        ("ApplicationProperties", Meta::Object(serde_json::json!({"tenant": "t1"}))),
        ("MessageActions", Meta::Object(serde_json::json!({}))),
    ] {
        assert_eq!(fact(call, name), &meta, "{name}");
    }
    assert!(call.metadata.iter().all(|(name, _)| name != "ContentType"), "absent facts are left out");
    until_depth(&bench, "mail", (0, 0, 0)).await;
}

#[tokio::test]
async fn a_message_that_always_fails_ends_as_a_dead_letter() {
    let bench = Bench::new().await;
    let script = Script::always(Act::Fail);
    let _listeners = bench.listen(&[on_queue("send_email", "mail", false, Cardinality::One)], &script);
    bench.send("mail", "a").await;
    until_depth(&bench, "mail", (0, 1, 0)).await;
    let counts: Vec<Meta> = script.calls().iter().map(|call| fact(call, "DeliveryCount").clone()).collect();
    assert_eq!(counts, [Meta::Number(1), Meta::Number(2), Meta::Number(3)]);
}

#[tokio::test]
async fn a_handler_that_is_down_gets_nothing_and_no_delivery_is_counted() {
    let bench = Bench::new().await;
    let script = Script::new(&[Act::NotCalled, Act::NotCalled]);
    script.up.send_replace(false);
    let _listeners = bench.listen(&[on_queue("send_email", "mail", false, Cardinality::One)], &script);
    bench.send("mail", "a").await;
    tokio::task::yield_now().await;
    assert_eq!(script.calls().len(), 0);
    script.up.send_replace(true);
    let calls = script.after(3).await;
    assert!(calls.iter().all(|call| fact(call, "DeliveryCount") == &Meta::Number(1)));
    until_depth(&bench, "mail", (0, 0, 0)).await;
}

#[tokio::test]
async fn sixteen_at_once_and_not_more() {
    let bench = Bench::new().await;
    let script = Script::always(Act::Hold);
    let _listeners = bench.listen(&[on_queue("send_email", "mail", false, Cardinality::One)], &script);
    for n in 0..20 {
        bench.send("mail", &format!("m-{n}")).await;
    }
    script.after(16).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(script.calls().len(), 16);
    script.permits.add_permits(1);
    script.after(17).await;
    script.permits.add_permits(19);
    until_depth(&bench, "mail", (0, 0, 0)).await;
}

#[tokio::test]
async fn a_batch_is_completed_or_abandoned_as_one() {
    let bench = Bench::new().await;
    for id in ["m-1", "m-2"] {
        bench.send("mail", id).await;
    }
    let script = Script::new(&[Act::Fail]);
    let _listeners = bench.listen(&[on_queue("send_email", "mail", false, Cardinality::Many)], &script);
    let calls = script.after(2).await;
    let both = TriggerValue::Texts(vec!["body of m-1".to_owned(), "body of m-2".to_owned()]);
    assert!(calls.iter().all(|call| call.value == both && !call.promote));
    assert_eq!(fact(&calls[0], "MessageIdArray"), &Meta::Array(serde_json::json!(["m-1", "m-2"])));
    assert_eq!(fact(&calls[0], "DeliveryCountArray"), &Meta::Array(serde_json::json!([1, 1])));
    assert_eq!(fact(&calls[1], "DeliveryCountArray"), &Meta::Array(serde_json::json!([2, 2])));
    until_depth(&bench, "mail", (0, 0, 0)).await;
}

#[tokio::test]
async fn a_scheduled_message_is_pushed_when_its_time_comes() {
    let bench = Bench::new().await;
    let script = Script::new(&[]);
    let _listeners = bench.listen(&[on_queue("resume", "mail", false, Cardinality::One)], &script);
    let due = Outgoing { scheduled_ms: Some(bench.brokers.now_ms() + 60_000), ..message("later") };
    bench.brokers.send("mail", due).await.unwrap();
    until_depth(&bench, "mail", (0, 0, 1)).await;
    assert_eq!(script.calls().len(), 0);
    bench.clock.set(START + time::Duration::seconds(60));
    bench.brokers.earlier.notify_one();
    script.after(1).await;
    until_depth(&bench, "mail", (0, 0, 0)).await;
}

#[tokio::test]
async fn a_schedule_in_the_near_future_needs_no_polling() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(crate::clock::SystemClock);
    let entities = Entities::parse(ENTITIES).unwrap();
    let brokers = Brokers::open(&folder.path().join("host.db"), entities, clock).await.unwrap();
    let script = Script::new(&[]);
    let invoker: Arc<dyn Invoke> = Arc::<Script>::clone(&script);
    let functions = [on_queue("resume", "mail", false, Cardinality::One)];
    let _listeners = listen(&brokers, &functions, &invoker, &Limits::default()).unwrap();
    let due_ms = brokers.now_ms() + 120;
    brokers.send("mail", Outgoing { scheduled_ms: Some(due_ms), ..message("soon") }).await.unwrap();
    script.after(1).await;
    assert!(brokers.now_ms() >= due_ms, "never early");
}

/// When the lock of the only message ends.
async fn lock_end(bench: &Bench) -> i64 {
    let read = |c: &rusqlite::Connection| {
        Ok::<_, crate::database::DatabaseError>(c.query_row("SELECT until FROM messages", [], |row| row.get(0))?)
    };
    bench.brokers.database.read(read).await.unwrap()
}

#[tokio::test]
async fn a_lock_is_renewed_while_the_invocation_runs() {
    let bench = Bench::new().await;
    let script = Script::always(Act::Hold);
    let _listeners = bench.listen(&[on_queue("slow", "brief", false, Cardinality::One)], &script);
    bench.send("brief", "a").await;
    script.after(1).await;
    let first = lock_end(&bench).await;
    // Renewals come by the machine's time, what they grant by the test's clock.
    bench.clock.set(START + time::Duration::milliseconds(900));
    for _ in 0..2_000 {
        if lock_end(&bench).await > first {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(lock_end(&bench).await - first, 900);
    bench.clock.set(START + time::Duration::milliseconds(1_500));
    script.permits.add_permits(1);
    until_depth(&bench, "brief", (0, 0, 0)).await;
    assert_eq!(script.calls().len(), 1);
}

#[tokio::test]
async fn functions_that_listen_to_nothing_declared_stop_the_start() {
    let bench = Bench::new().await;
    let invoker: Arc<dyn Invoke> = Script::new(&[]);
    for (function, word) in [
        (on_queue("f", "nope", false, Cardinality::One), "`nope`"),
        (on_queue("f", "mail", true, Cardinality::One), "isSessionsEnabled"),
        (on_queue("f", "stock", false, Cardinality::One), "requiresSession"),
    ] {
        let fault = listen(&bench.brokers, &[function], &invoker, &Limits::default()).unwrap_err();
        assert!(fault.to_string().contains(word), "{fault}");
    }
    let twice = [on_hub("a", Cardinality::Many, None), on_hub("b", Cardinality::Many, None)];
    assert!(listen(&bench.brokers, &twice, &invoker, &Limits::default()).is_err());
}
