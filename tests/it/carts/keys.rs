//! P3: an idempotency key names one thing that is done once. Its answer is kept for a day and given again byte for
//! byte; what is not final is never kept.
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use tokio::join;

use super::till::{Cart, Till, minor};

const GOODS: &str = "sku,title,price,onHand\nA,Bell,5.00,500\n";

#[tokio::test]
async fn p3_a_key_is_for_one_request_of_one_buyer() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let (cart, total) = Cart::at_checkout(&client, &[("A", 1)]).await;
    let first = cart.complete(&client, "key", &total, "approve").await.gave(200);
    assert_eq!(first.header("idempotent-replayed"), "");
    let again = cart.complete(&till.instance().await, "key", &total, "approve").await.gave(200);
    assert_eq!((again.text, again.headers["idempotent-replayed"].to_str().unwrap()), (first.text.clone(), "true"));
    cart.complete(&client, "key", &total, "decline").await.refused(422, "idempotency_key_reused");
    let less = json!({ "amount": "1", "currency": "GBP" });
    cart.complete(&client, "key", &less, "approve").await.refused(422, "idempotency_key_reused");
    // The same key of another buyer is another key.
    let (other, total) = Cart::at_checkout(&client, &[("A", 2)]).await;
    let order = other.complete(&client, "key", &total, "approve").await.gave(200);
    assert_ne!(order.at("/id"), first.at("/id"));
    assert_eq!(till.provider.books().len(), 2);
}

#[tokio::test]
async fn p3_without_a_key_nothing_is_done() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let (cart, total) = Cart::at_checkout(&client, &[("A", 1)]).await;
    let body = json!({ "expectedTotal": total, "payment": { "method": "approve" } });
    let call = || {
        let call = client.call(Method::POST, &format!("{}/complete", cart.checkout()));
        call.header("x-cart-token", &cart.token).json(&body)
    };
    call().send().await.refused(400, "idempotency_key_missing");
    call().header("idempotency-key", "").send().await.refused(400, "invalid_parameter");
    call().header("idempotency-key", &"x".repeat(256)).send().await.refused(400, "invalid_parameter");
    assert!(till.provider.books().is_empty());
    call().header("idempotency-key", &"x".repeat(255)).send().await.gave(200);
}

#[tokio::test]
async fn p3_while_the_first_runs_the_second_is_told_when_to_ask() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let (cart, total) = Cart::at_checkout(&client, &[("A", 1)]).await;
    let second = async {
        // The first stands at the provider.
        till.provider.waiting.acquire().await.unwrap().forget();
        let busy = cart.complete(&client, "key", &total, "wait").await.refused(409, "completion_in_progress");
        assert!(busy.header("retry-after").parse::<u32>().unwrap() > 0);
        cart.put(&client, "/lines/A", &json!({ "quantity": 2 })).await.refused(409, "cart_locked");
        till.provider.gate.add_permits(1);
    };
    let (first, ()) = join!(cart.complete(&client, "key", &total, "wait"), second);
    let first = first.gave(200);
    assert_eq!(cart.complete(&client, "key", &total, "wait").await.gave(200).text, first.text);
}

#[tokio::test]
async fn p3_what_is_final_is_kept_for_a_day_and_then_the_key_is_new() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let (cart, total) = Cart::at_checkout(&client, &[("A", 1)]).await;
    let declined = cart.complete(&client, "key", &total, "decline").await.refused(402, "payment_declined");
    till.clock.advance(24 * 3600 - 60);
    let again = cart.complete(&client, "key", &total, "decline").await.gave(402);
    assert_eq!((again.header("idempotent-replayed"), &again.text), ("true", &declined.text));
    cart.complete(&client, "key", &total, "approve").await.refused(422, "idempotency_key_reused");
    till.clock.advance(120);
    cart.complete(&client, "key", &total, "approve").await.gave(200);

    // 409 and 422 are final as well: the same key gets the same answer, also once it could be done.
    let (cart, total) = Cart::at_checkout(&client, &[("A", 1)]).await;
    let wrong = json!({ "amount": (minor(&total) + 1).to_string(), "currency": "GBP" });
    let changed = cart.complete(&client, "wrong", &wrong, "approve").await.refused(409, "cart_changed");
    assert_eq!(cart.complete(&client, "wrong", &wrong, "approve").await.gave(409).text, changed.text);
    till.archive("A").await;
    let gone = cart.complete(&client, "gone", &total, "approve").await.refused(422, "validation_failed");
    assert_eq!(gone.at("/problems/0/code"), "unavailable");
    assert_eq!(cart.complete(&client, "gone", &total, "approve").await.gave(422).header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn p3_what_is_not_final_is_never_kept() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    // 202: the buyer comes back with the same key.
    let (cart, total) = Cart::at_checkout(&client, &[("A", 1)]).await;
    cart.complete(&client, "bank", &total, "challenge").await.gave(202);
    let again = cart.complete(&client, "bank", &total, "challenge").await.gave(202);
    assert_eq!(again.header("idempotent-replayed"), "");
    till.provider.approve_challenges();
    cart.complete(&client, "bank", &total, "challenge").await.gave(200);
    // 503: the provider is away, then back.
    let (cart, total) = Cart::at_checkout(&client, &[("A", 1)]).await;
    till.provider.is_away.store(true, Ordering::SeqCst);
    let away = cart.complete(&client, "away", &total, "away").await.refused(503, "unavailable");
    assert!(!away.header("retry-after").is_empty());
    till.provider.is_away.store(false, Ordering::SeqCst);
    till.clock.advance(11);
    cart.complete(&client, "away", &total, "away").await.gave(200);
    // 503: the store is away.
    let (cart, total) = Cart::at_checkout(&client, &[("A", 1)]).await;
    till.store.allow_writes(0);
    cart.complete(&client, "dark", &total, "approve").await.refused(503, "unavailable");
    till.store.allow_all();
    cart.complete(&client, "dark", &total, "approve").await.gave(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p3_two_hundred_at_once_with_one_key_make_one_order() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let (cart, total) = Cart::at_checkout(&client, &[("A", 3)]).await;
    let posts = (0..200).map(|_| async {
        loop {
            let answer = cart.complete(&client, "one", &total, "approve").await;
            match answer.status {
                409 => assert_eq!(answer.at("/code"), "completion_in_progress"),
                _ => return answer.gave(200).text,
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    let answers = join_all(posts).await;
    assert!(answers.iter().all(|it| *it == answers[0]));
    let books = till.provider.books();
    assert_eq!(books.len(), 1, "{books:?}");
    assert_eq!((books[0].1, books[0].2), (minor(&total), minor(&total)));
}
