//! Queues and topics without listeners: order, locks, counts, schedules, windows, expiry, restarts.
use super::*;
use crate::brokers::message::BrokerError;
use crate::brokers::{MAX_DELIVERY_COUNT_EXCEEDED, SESSION_ID_IS_NULL, TTL_EXPIRED};

#[tokio::test]
async fn messages_come_in_order_under_a_lock_each() {
    let bench = Bench::new().await;
    for id in ["a", "b", "c"] {
        assert!(bench.send("mail", id).await);
    }
    let first = bench.take("mail", 2).await;
    assert_eq!(ids(&first), ["a", "b"]);
    assert_eq!(first[0].body, b"body of a");
    assert_eq!(ids(&bench.take("mail", 9).await), ["c"]);
    assert!(bench.complete(&first[0]).await);
    assert!(!bench.complete(&first[0]).await, "a lock settles once");
    bench.abandon(&first[1]).await;
    let again = bench.take("mail", 9).await;
    assert_eq!((ids(&again), again[0].delivery_count), (vec!["b"], 2));
}

#[tokio::test]
async fn an_id_is_accepted_once_within_the_window() {
    let bench = Bench::new().await;
    assert!(bench.send("mail", "a").await);
    assert!(bench.complete(&bench.take("mail", 1).await[0]).await);
    assert!(!bench.send("mail", "a").await, "also when it is completed");
    let scheduled = Outgoing { scheduled_ms: Some(bench.brokers.now_ms() + 3_600_000), ..message("b") };
    assert!(bench.brokers.send("mail", scheduled).await.unwrap());
    assert!(!bench.send("mail", "b").await, "also when it is scheduled");
    let bench = bench.restart().await;
    bench.at(599).await;
    assert!(!bench.send("mail", "a").await, "also after a restart");
    bench.at(600).await;
    assert!(bench.send("mail", "a").await, "and no longer");
    // Without a window every message counts.
    assert!(bench.send("gone", "a").await && bench.send("gone", "a").await);
}

#[tokio::test]
async fn fifty_senders_of_one_id_make_one_message() {
    let bench = Bench::new().await;
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let brokers = Arc::clone(&bench.brokers);
        senders.spawn(async move { brokers.send("mail", message("same")).await.unwrap() });
    }
    let accepted = senders.join_all().await.into_iter().filter(|accepted| *accepted).count();
    assert_eq!((accepted, bench.depth("mail").await), (1, (1, 0, 0)));
}

#[tokio::test]
async fn scheduled_messages_wait_also_through_a_restart() {
    let bench = Bench::new().await;
    let later = |id: &str, seconds: i64| Outgoing {
        scheduled_ms: Some(super::super::milliseconds(START) + seconds * 1_000),
        ..message(id)
    };
    bench.brokers.send("mail", later("late", 60)).await.unwrap();
    bench.brokers.send("mail", later("soon", 30)).await.unwrap();
    bench.brokers.send("orders", later("order", 30)).await.unwrap();
    bench.brokers.send("mail", later("past", -5)).await.unwrap();
    assert_eq!(bench.depth("mail").await, (1, 0, 2));
    assert_eq!((bench.depth("orders").await, bench.depth("orders/billing").await), ((0, 0, 1), (0, 0, 0)));
    let bench = bench.restart().await;
    bench.at(29).await;
    assert_eq!(bench.depth("mail").await, (1, 0, 2));
    bench.at(300).await;
    let taken = bench.take("mail", 9).await;
    assert_eq!(ids(&taken), ["past", "soon", "late"]);
    let enqueued = bench.brokers.now_ms();
    assert_eq!(taken[1].enqueued_ms, enqueued, "enqueued when it became visible");
    assert_eq!(ids(&bench.take("orders/billing", 9).await), ["order"]);
    assert_eq!(bench.depth("orders").await, (0, 0, 0));
}

#[tokio::test]
async fn a_lapsed_lock_is_a_delivery_and_settles_nothing() {
    let bench = Bench::new().await;
    bench.send("mail", "a").await;
    let lost = bench.take("mail", 1).await.remove(0);
    bench.at(59).await;
    assert_eq!(bench.take("mail", 1).await, []);
    let (one, settings, now_ms) = (lost.clone(), bench.brokers.settings("mail").unwrap(), bench.brokers.now_ms());
    bench
        .brokers
        .settle(move |c| statements::renew(c, "mail", one.sequence, &one.token, &settings, now_ms))
        .await
        .unwrap();
    bench.at(118).await;
    assert_eq!(bench.take("mail", 1).await, [], "renewed");
    bench.at(119).await;
    assert!(!bench.complete(&lost).await);
    let again = bench.take("mail", 1).await;
    assert_eq!(again[0].delivery_count, 2);
}

#[tokio::test]
async fn the_last_failure_makes_a_dead_letter_that_can_be_replayed() {
    let bench = Bench::new().await;
    bench.send("mail", "a").await;
    for count in 1..=3 {
        let taken = bench.take("mail", 1).await;
        assert_eq!(taken[0].delivery_count, count);
        // The last one by letting the lock lapse instead.
        if count < 3 { bench.abandon(&taken[0]).await } else { bench.at(60).await }
    }
    assert_eq!(bench.take("mail", 1).await, []);
    let letters = bench.brokers.dead_letters("mail", 0, 10).await.unwrap();
    assert_eq!((letters.len(), letters[0].reason.as_str()), (1, MAX_DELIVERY_COUNT_EXCEEDED));
    assert_eq!((letters[0].delivery_count, letters[0].body.as_slice()), (3, b"body of a".as_slice()));
    assert!(bench.brokers.replay("mail", letters[0].sequence).await.unwrap());
    assert!(!bench.brokers.replay("mail", letters[0].sequence).await.unwrap());
    let fresh = bench.take("mail", 1).await;
    assert_eq!((ids(&fresh), fresh[0].delivery_count), (vec!["a"], 1));
    assert!(fresh[0].sequence > letters[0].sequence);
}

#[tokio::test]
async fn a_wait_is_not_a_delivery() {
    let bench = Bench::new().await;
    bench.send("mail", "a").await;
    for _ in 0..5 {
        let one = bench.take("mail", 1).await.remove(0);
        assert_eq!(one.delivery_count, 1);
        bench.brokers.settle(move |c| statements::give_back(c, "mail", one.sequence, &one.token)).await.unwrap();
    }
}

#[tokio::test]
async fn a_restart_ends_locks_and_counts_them() {
    let bench = Bench::new().await;
    for id in ["a", "b"] {
        bench.send("mail", id).await;
    }
    let held = bench.take("mail", 1).await;
    let bench = bench.restart().await;
    assert!(!bench.complete(&held[0]).await);
    let again = bench.take("mail", 9).await;
    assert_eq!((ids(&again), again[0].delivery_count, again[1].delivery_count), (vec!["a", "b"], 2, 1));
}

#[tokio::test]
async fn expired_messages_die_or_vanish() {
    let bench = Bench::new().await;
    let brief = Outgoing { time_to_live_ms: Some(10_000), ..message("brief") };
    let long = Outgoing { time_to_live_ms: Some(i64::MAX), ..message("long") };
    for queue in ["short", "gone"] {
        bench.brokers.send(queue, brief.clone()).await.unwrap();
        bench.brokers.send(queue, long.clone()).await.unwrap();
    }
    bench.at(10).await;
    assert_eq!((bench.depth("short").await, bench.depth("gone").await), ((1, 1, 0), (1, 0, 0)));
    bench.at(60).await;
    assert_eq!((bench.depth("short").await, bench.depth("gone").await), ((0, 2, 0), (0, 0, 0)));
    assert_eq!(bench.brokers.dead_letters("short", 0, 1).await.unwrap()[0].reason, TTL_EXPIRED);
}

#[tokio::test]
async fn a_topic_reaches_every_subscription_and_each_settles_alone() {
    let bench = Bench::new().await;
    let sent = Outgoing { session: Some("s".to_owned()), ..message("o-1") };
    assert!(bench.brokers.send("orders", sent.clone()).await.unwrap());
    assert!(!bench.brokers.send("orders", sent).await.unwrap());
    bench.send("orders", "o-2").await;
    let billing = bench.take("orders/billing", 9).await;
    let search = bench.take("orders/search", 9).await;
    assert_eq!((ids(&billing), ids(&search)), (vec!["o-1", "o-2"], vec!["o-1", "o-2"]));
    bench.complete(&billing[0]).await;
    bench.abandon(&search[0]).await;
    assert_eq!(bench.depth("orders/billing").await, (1, 0, 0));
    assert_eq!(bench.depth("orders/search").await, (1, 1, 0));
    let homeless = bench.brokers.dead_letters("orders/stock", 0, 9).await.unwrap();
    assert_eq!((homeless.len(), homeless[0].reason.as_str()), (1, SESSION_ID_IS_NULL));
}

#[tokio::test]
async fn what_the_broker_refuses_leaves_nothing_behind() {
    let bench = Bench::new().await;
    assert!(matches!(bench.brokers.send("nope", message("a")).await, Err(BrokerError::UnknownEntity(_))));
    assert!(matches!(bench.brokers.send("stock", message("a")).await, Err(BrokerError::SessionRequired(_))));
    let large = Outgoing { body: vec![b'x'; 256 * 1024], ..message("a") };
    assert!(matches!(bench.brokers.send("mail", large).await, Err(BrokerError::TooLarge(_))));
    let long = Outgoing { message_id: Some("x".repeat(129)), ..message("a") };
    assert!(matches!(bench.brokers.send("mail", long).await, Err(BrokerError::Invalid(_))));
    // A refusal must not have eaten the id.
    assert!(bench.send("mail", "a").await);
}
