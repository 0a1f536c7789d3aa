//! P16: a guest signs in. Nothing is lost, nothing is there twice, and everything that is not as one would expect
//! is told, whatever both carts hold, however often and from wherever it is asked.
use serde_json::{Value, json};
use tokio::join;

use super::till::{Cart, Till, account, lines, put_settings};
use crate::shop::client::Answer;

const GOODS: &str = "sku,title,price,onHand\nA,Bell,5.00,90\nB,Kite,7.50,90\nC,Drum,1.00,90\nX,Gone soon,2.00,0\n";

const STRATEGIES: [&str; 4] = ["sum", "keep_customer", "keep_guest", "max"];

/// What each strategy makes of two numbers; an empty cart is never what is kept.
fn wanted(strategy: &str, guest: u64, own: u64, guest_empty: bool, own_empty: bool) -> u64 {
    match strategy {
        "max" => guest.max(own),
        "keep_customer" if !own_empty => own,
        "keep_guest" if !guest_empty => guest,
        _ => guest + own,
    }
}

/// The answer without what differs by device.
fn result(answer: &Answer) -> (Value, Value, Vec<(String, u64)>) {
    (answer.body["cart"]["id"].clone(), answer.body["report"].clone(), lines(&answer.body["cart"]))
}

#[tokio::test]
async fn p16_every_pair_of_carts_merges_by_every_strategy_once() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let guests: [&[(&str, u32)]; 4] = [&[], &[("A", 2)], &[("A", 2), ("B", 1)], &[("C", 4), ("X", 3)]];
    let customers: [Option<&[(&str, u32)]>; 4] = [None, Some(&[]), Some(&[("A", 5)]), Some(&[("B", 2), ("X", 1)])];
    let mut cases = 0;
    for strategy in STRATEGIES {
        for guest in guests {
            for customer in customers {
                cases += 1;
                let who = format!("shopper {cases}");
                let own = customer.unwrap_or_default();
                if customer.is_some() {
                    let cart = account(&client, &who).await;
                    for (sku, units) in own {
                        cart.put(&client, &format!("/lines/{sku}"), &json!({ "quantity": units })).await.gave(200);
                    }
                }
                let cart = Cart::with(&client, guest).await;
                let body = json!({ "strategy": strategy });
                // Two devices at once, then once more, with another strategy.
                let (one, two) = join!(cart.merge(&client, &who, &body), cart.merge(&client, &who, &body));
                let (one, two) = (one.gave(200), two.gave(200));
                let other = cart.merge(&client, &who, &json!({ "strategy": "sum" })).await.gave(200);
                assert_eq!(result(&one), result(&two), "{strategy} {guest:?} {customer:?}");
                assert_eq!(result(&one), result(&other), "{strategy} {guest:?} {customer:?}");
                assert_eq!(other.at("/strategy"), strategy);

                let units =
                    |of: &[(&str, u32)], sku: &str| u64::from(of.iter().find(|it| it.0 == sku).map_or(0, |it| it.1));
                let after = lines(&one.body["cart"]);
                for sku in ["A", "B", "C", "X"] {
                    let (theirs, mine) = (units(guest, sku), units(own, sku));
                    let want = wanted(strategy, theirs, mine, guest.is_empty(), own.is_empty());
                    let have = after.iter().find(|it| it.0 == sku).map_or(0, |it| it.1);
                    assert_eq!(have, want, "{strategy} {guest:?} {customer:?} {sku}");
                    let told = one.body["report"].as_array().unwrap().iter().find(|it| it["sku"] == sku);
                    assert_eq!(told.is_some(), theirs + mine > 0);
                    if let Some(told) = told {
                        assert_eq!((told["guest"].as_u64(), told["customer"].as_u64()), (Some(theirs), Some(mine)));
                        assert_eq!(told["result"].as_u64(), Some(have));
                        let reason = match have {
                            it if it < theirs.max(mine) => json!("not_kept"),
                            it if it != theirs + mine && strategy != "max" => json!("not_kept"),
                            _ if sku == "X" && theirs > 0 && have > 0 => json!("sold_out"),
                            _ => Value::Null,
                        };
                        assert_eq!(told["reason"], reason, "{strategy} {guest:?} {customer:?} {told}");
                    }
                }
                closed(&till, &cart, one.at("/cart/id")).await;
            }
        }
    }
    assert_eq!(cases, 64);
}

/// The guest's token opens nothing of the customer's, and the guest's cart takes no change any more.
async fn closed(till: &Till, guest: &Cart, own: &str) {
    let client = till.instance().await;
    let with_guests_token = Cart { id: own.to_owned(), token: guest.token.clone() };
    with_guests_token.show(&client).await.refused(404, "not_found");
    with_guests_token.start(&client).await.refused(404, "not_found");
    let merged = guest.show(&client).await.gave(200);
    assert_eq!((merged.at("/state"), merged.at("/mergedInto")), ("merged", own));
    guest.put(&client, "/lines/A", &json!({ "quantity": 1 })).await.refused(409, "cart_merged");
    guest.start(&client).await.refused(409, "cart_merged");
    guest.merge(&client, "somebody else", &json!({})).await.refused(409, "cart_merged");
}

#[tokio::test]
async fn p16_two_guests_of_one_shopper_at_once_are_both_counted() {
    let till = Till::open(GOODS).await;
    let (one, two) = (till.instance().await, till.instance().await);
    for round in 0..20 {
        let who = format!("shopper {round}");
        let (phone, desk) = (Cart::with(&one, &[("A", 2)]).await, Cart::with(&two, &[("A", 3), ("B", 1)]).await);
        let nothing = json!({});
        let (first, second) = join!(phone.merge(&one, &who, &nothing), desk.merge(&two, &who, &nothing));
        assert_eq!(first.gave(200).at("/cart/id"), second.gave(200).at("/cart/id"));
        let own = account(&one, &who).await;
        let mut have = lines(&own.show(&two).await.gave(200).body);
        have.sort();
        assert_eq!(have, [("A".to_owned(), 5), ("B".to_owned(), 1)]);
    }
}

/// A process that dies at any write of a merge; whoever comes next finishes it.
#[tokio::test]
async fn p16_a_merge_that_was_cut_off_is_finished_by_the_next_call() {
    let mut cut_off = 0;
    for writes in 0..8 {
        let till = Till::open(GOODS).await;
        let client = till.instance().await;
        let own = account(&client, "ada").await;
        own.put(&client, "/lines/A", &json!({ "quantity": 1 })).await.gave(200);
        // Earlier guests, so that the cart has to let go of the oldest report.
        for _ in 0..3 {
            Cart::with(&client, &[("B", 1)]).await.merge(&client, "ada", &json!({})).await.gave(200);
        }
        let guest = Cart::with(&client, &[("A", 2), ("C", 3)]).await;
        till.store.allow_writes(writes);
        let first = guest.merge(&client, "ada", &json!({})).await;
        till.store.allow_all();
        cut_off += u32::from(first.status != 200);
        let again = guest.merge(&till.instance().await, "ada", &json!({})).await.gave(200);
        let want = [("A".to_owned(), 3), ("B".to_owned(), 3), ("C".to_owned(), 3)];
        assert_eq!(lines(&again.body["cart"]), want, "after {writes} writes");
        assert_eq!(again.body["report"].as_array().unwrap().len(), 3);
    }
    assert!(cut_off >= 2, "{cut_off}");
}

#[tokio::test]
async fn p16_what_is_capped_archived_or_too_much_is_told() {
    let till = Till::open(GOODS).await;
    let limits = json!({ "limits": { "perSku": 50, "perCart": null, "skus": [{ "sku": "A", "min": 1, "max": 6 }] } });
    till.settings(&limits).await;
    let client = till.instance().await;
    let own = account(&client, "ada").await;
    own.put(&client, "/lines/A", &json!({ "quantity": 4 })).await.gave(200);
    let guest = Cart::with(&client, &[("A", 5), ("C", 2)]).await;
    till.archive("C").await;
    let merged = guest.merge(&till.instance().await, "ada", &json!({})).await.gave(200);
    let report = json!([
        { "sku": "A", "guest": 5, "customer": 4, "result": 6, "reason": "capped" },
        { "sku": "C", "guest": 2, "customer": 0, "result": 0, "reason": "archived" },
    ]);
    assert_eq!(merged.body["report"], report);
}

#[tokio::test]
async fn p16_a_cart_that_is_paid_for_or_ordered_is_left_alone() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    // The guest stands at the bank.
    let (guest, total) = Cart::at_checkout(&client, &[("A", 1)]).await;
    guest.complete(&client, "k", &total, "challenge").await.gave(202);
    guest.merge(&client, "ada", &json!({})).await.refused(409, "cart_locked");
    till.provider.approve_challenges();
    guest.complete(&client, "k", &total, "challenge").await.gave(200);
    guest.merge(&client, "ada", &json!({})).await.refused(409, "cart_ordered");

    // The customer stands at the bank: the guest's cart stays open until that is over, then goes into a new one.
    let own = account(&client, "bob").await;
    own.put(&client, "/lines/B", &json!({ "quantity": 1 })).await.gave(200);
    let total = own.start(&client).await.gave(201).body["totals"]["total"].clone();
    own.complete(&client, "k", &total, "challenge").await.gave(202);
    let guest = Cart::with(&client, &[("C", 2)]).await;
    guest.merge(&client, "bob", &json!({})).await.refused(409, "cart_locked");
    assert_eq!(guest.show(&client).await.at("/state"), "open");
    till.provider.approve_challenges();
    own.complete(&client, "k", &total, "challenge").await.gave(200);
    let merged = guest.merge(&client, "bob", &json!({})).await.gave(200);
    assert_ne!(merged.at("/cart/id"), own.id);
    assert_eq!(lines(&merged.body["cart"]), [("C".to_owned(), 2)]);
    assert_eq!(account(&client, "bob").await.id, merged.at("/cart/id"));
}

#[tokio::test]
async fn an_account_has_one_cart_on_every_device_and_its_token_alone_opens_it() {
    let till = Till::open(GOODS).await;
    let (phone, desk) = (till.instance().await, till.instance().await);
    let (one, two) = join!(account(&phone, "ada;group:trade"), account(&desk, "ada;group:trade"));
    assert_eq!((&one.id, &one.token), (&two.id, &two.token));
    assert_ne!(account(&phone, "bob").await.id, one.id);
    one.put(&phone, "/lines/A", &json!({ "quantity": 2 })).await.gave(200);
    assert_eq!(lines(&two.show(&desk).await.gave(200).body), [("A".to_owned(), 2)]);
    let merged = one.merge(&phone, "ada", &json!({})).await.gave(200);
    assert_eq!((merged.at("/cart/id"), &merged.body["report"]), (one.id.as_str(), &json!([])));
    one.merge(&phone, "bob", &json!({})).await.refused(404, "not_found");
    Cart::new(&phone).await.merge(&phone, "", &json!({})).await.refused(401, "unauthenticated");
    let other = json!({ "strategy": "all" });
    Cart::new(&phone).await.merge(&phone, "ada", &other).await.refused(422, "validation_failed");
    // It outlives a guest's, and an empty one's.
    till.clock.advance(89 * 86_400);
    assert_eq!(account(&phone, "ada").await.id, one.id);
    till.clock.advance(2 * 86_400);
    assert_ne!(account(&desk, "ada").await.id, one.id);
    put_settings(&phone, &json!({ "name": "Still open" })).await.gave(200);
}
