//! A store that is not checked in one answer's time is a job: messages drive it on, in whatever process they reach.
use serde_json::{Value, json};

use super::{GOODS, QUIET_S, ROOM, ask, deliver, findings, invariant, look, order};
use crate::{
    carts::till::{Cart, Till},
    shop::client::{Answer, Client},
};

const CHECKOUTS: u64 = 120;
/// Longer than an answer may take, so that each slice is one page.
const SLOW_S: i64 = 16;
/// Far more pieces than the job has.
const PIECES_MAX: usize = 50;

/// Two pages of purchases, two of them orders; then the store becomes slow.
async fn large() -> Till {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    for _ in 2..CHECKOUTS {
        Cart::at_checkout(&client, &[("B", 1)]).await;
    }
    order(&client).await;
    order(&client).await;
    till.clock.advance(QUIET_S);
    till.sent_to("jobs");
    till.store.be_slow(SLOW_S);
    till
}

/// A job that has begun, and where it is shown.
async fn begun(client: &Client) -> (Answer, String) {
    let answer = ask(client, &json!({})).await.gave(202);
    let path = answer.header("location").to_owned();
    assert_eq!(path, format!("{ROOM}/{}", answer.at("/job/id")));
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
    (answer, path)
}

fn is_whole(report: &Value) {
    assert_eq!((&report["ok"], &report["purchases"], &report["busy"]), (&json!(true), &json!(CHECKOUTS), &json!(0)));
    let checked = |name: &str| invariant(report, name)["checked"].as_u64().unwrap();
    assert_eq!(["I1", "I2", "I3", "I4", "I7"].map(checked), [2, 2, CHECKOUTS, CHECKOUTS, CHECKOUTS], "{report}");
    assert_eq!((&report["job"]["done"], &report["job"]["phase"]), (&json!(true), &json!("done")));
    assert!(report["job"]["cursor"].is_null() && findings(report).is_empty(), "{report}");
}

/// Each message reaches a process that has just started; some of them die in the middle, all messages come twice.
#[tokio::test]
async fn messages_drive_a_job_on_whatever_process_they_reach() {
    let till = large().await;
    let (first, path) = begun(&till.instance().await).await;
    assert_eq!((&first.body["purchases"], &first.body["job"]["done"]), (&json!(100), &json!(false)));
    assert_eq!(first.at("/job/phase"), "purchases");
    assert!(!first.at("/job/cursor").is_empty() && !first.at("/job/startedAt").is_empty());
    let mut old: Vec<Value> = Vec::new();
    for _ in 0..PIECES_MAX {
        let Some(message) = till.sent_to("jobs").pop() else { break };
        let before = look(&till.instance().await, &path).await.gave(202);
        // It dies before anything of its piece is stored: the message comes again.
        till.store.be_slow(0);
        till.store.allow_writes(0);
        assert!(!deliver(&till.instance().await, &message).await);
        till.store.allow_all();
        till.store.be_slow(SLOW_S);
        let same = look(&till.instance().await, &path).await.gave(202);
        assert_eq!(same.text, before.text);
        assert!(deliver(&till.instance().await, &message).await);
        let after = look(&till.instance().await, &path).await;
        assert_ne!(after.text, before.text);
        // Once more, late: nothing of it is done again.
        let next = till.sent_to("jobs");
        assert!(deliver(&till.instance().await, &message).await);
        assert_eq!(look(&till.instance().await, &path).await.text, after.text);
        assert!(till.sent_to("jobs").is_empty());
        old.push(after.body["job"]["phase"].clone());
        till.requeue(next);
    }
    assert_eq!(old, [json!("stock"), json!("promotions"), json!("done")]);
    is_whole(&look(&till.instance().await, &path).await.gave(200).body);
}

/// The broker has lost what it was given: whoever asks how far the job is drives it on, and sets messages going again.
#[tokio::test]
async fn a_question_drives_a_job_on_when_messages_stop() {
    let till = large().await;
    let client = till.instance().await;
    let (first, path) = begun(&client).await;
    assert_eq!(till.sent_to("jobs").len(), 1, "and it is lost");
    till.clock.advance(30);
    assert_eq!(look(&client, &path).await.gave(202).text, first.text, "it may still be on its way");
    till.clock.advance(31);
    let driven = look(&client, &path).await.gave(202);
    assert_eq!((driven.at("/job/phase"), &driven.body["purchases"]), ("stock", &json!(CHECKOUTS)));
    let next = till.sent_to("jobs");
    assert_eq!(next.len(), 1, "messages go on from there");
    assert!(deliver(&client, &next[0]).await);
    assert_eq!(look(&client, &path).await.gave(202).at("/job/phase"), "promotions");
    till.sent_to("jobs");
    till.clock.advance(61);
    is_whole(&look(&client, &path).await.gave(200).body);
    till.clock.advance(61);
    is_whole(&look(&client, &path).await.gave(200).body);
    assert!(till.sent_to("jobs").is_empty());
}

/// It only reads: a question like one that is being worked on is a job of its own, and both find the same.
#[tokio::test]
async fn a_second_question_is_a_second_job() {
    let till = large().await;
    let client = till.instance().await;
    let (paths, mut reports) = ([begun(&client).await.1, begun(&client).await.1], Vec::new());
    assert_ne!(paths[0], paths[1]);
    for _ in 0..PIECES_MAX {
        let messages = till.sent_to("jobs");
        if messages.is_empty() {
            break;
        }
        for message in messages {
            assert!(deliver(&client, &message).await);
        }
    }
    for path in paths {
        let report = look(&client, &path).await.gave(200).body;
        is_whole(&report);
        reports.push(report["invariants"].clone());
    }
    assert_eq!(reports[0], reports[1]);
    look(&client, &format!("{ROOM}/job_01JZ0000000000000000000000")).await.refused(404, "not_found");
    let unreadable = look(&client, &format!("{ROOM}/7")).await;
    assert!((400..=404).contains(&unreadable.status), "{}", unreadable.text);
}
