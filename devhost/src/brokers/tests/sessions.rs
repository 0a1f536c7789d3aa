//! Sessions: one receiver each, in order, also when a message fails.
use super::*;

fn of(session: &str, id: &str) -> Outgoing {
    Outgoing { session: Some(session.to_owned()), ..message(id) }
}

#[tokio::test]
async fn a_session_is_handled_in_order_and_a_failure_is_tried_before_the_next() {
    let bench = Bench::new().await;
    for id in ["a1", "a2", "a3"] {
        bench.brokers.send("stock", of("a", id)).await.unwrap();
    }
    bench.brokers.send("stock", of("b", "b1")).await.unwrap();
    let script = Script::new(&[Act::Fail]);
    let one_session = Limits { concurrent_sessions: 1, ..Limits::default() };
    let invoker: Arc<dyn Invoke> = Arc::<Script>::clone(&script);
    let function = on_queue("apply", "stock", true, Cardinality::One);
    let listeners = listen(&bench.brokers, &[function], &invoker, &one_session).unwrap();
    let calls = script.after(5).await;
    let bodies: Vec<&str> = calls.iter().map(text).collect();
    assert_eq!(bodies, ["body of a1", "body of a1", "body of a2", "body of a3", "body of b1"]);
    assert_eq!(fact(&calls[1], "DeliveryCount"), &Meta::Number(2));
    assert_eq!(fact(&calls[1], "SessionId"), &Meta::Text("a".to_owned()));
    assert_eq!(fact(&calls[1], "PartitionKey"), &Meta::Text("a".to_owned()));
    until_depth(&bench, "stock", (0, 0, 0)).await;
    drop(listeners);
}

#[tokio::test]
async fn sessions_run_beside_each_other_and_never_twice() {
    let bench = Bench::new().await;
    let script = Script::always(Act::Hold);
    let function = on_queue("apply", "stock", true, Cardinality::One);
    let _listeners = bench.listen(&[function], &script);
    for id in ["a1", "a2"] {
        bench.brokers.send("stock", of("a", id)).await.unwrap();
    }
    for id in ["b1", "b2"] {
        bench.brokers.send("stock", of("b", id)).await.unwrap();
    }
    let first = script.after(2).await;
    let mut bodies: Vec<&str> = first.iter().map(text).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, ["body of a1", "body of b1"], "one message of each session at once");
    script.permits.add_permits(4);
    script.after(4).await;
    until_depth(&bench, "stock", (0, 0, 0)).await;
    assert_eq!(script.calls().len(), 4);
}

#[tokio::test]
async fn a_lost_session_goes_on_with_its_oldest_message() {
    let bench = Bench::new().await;
    for id in ["a1", "a2"] {
        bench.brokers.send("stock", of("a", id)).await.unwrap();
    }
    let settings = bench.brokers.settings("stock").unwrap();
    let session = |bench: &Bench| {
        let (brokers, rules, now_ms) = (Arc::clone(&bench.brokers), settings.clone(), bench.brokers.now_ms());
        async move {
            brokers.database.write(move |c| statements::acquire_session(c, "stock", &rules, now_ms)).await.unwrap()
        }
    };
    let next = |bench: &Bench, held: statements::SessionLock| {
        let (brokers, rules, now_ms) = (Arc::clone(&bench.brokers), settings.clone(), bench.brokers.now_ms());
        async move {
            brokers.database.write(move |c| statements::acquire_in_session(c, "stock", &held, &rules, now_ms, 1)).await
        }
    };
    let held = session(&bench).await.unwrap();
    assert_eq!(session(&bench).await, None, "a held session has one receiver");
    assert_eq!(ids(&next(&bench, held.clone()).await.unwrap()), ["a1"]);
    bench.at(60).await;
    let new = session(&bench).await.unwrap();
    assert!(next(&bench, held).await.is_err(), "the old receiver gets nothing");
    let again = next(&bench, new).await.unwrap();
    assert_eq!((ids(&again), again[0].delivery_count), (vec!["a1"], 2));
}
