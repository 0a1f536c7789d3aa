//! Events of a hub: the request that carries them, and the checkpoint that moves whatever the answer was.
use serde_json::{Value, json};

use super::{super::Case, rig::Rig};

/// Bodies that only move the sequence number.
const TWELVE: [&str; 12] = ["x"; 12];

fn assert_data(text: &str, data: &str) {
    assert!(text.starts_with(&format!("{{{data},\"Metadata\":{{")), "{text}");
}

pub(super) async fn one(case: &Case) {
    let rig = Rig::new().hub("OnClick", &json!({}), &json!({}));
    let running = rig.start();
    // The note's event has number 12: twelve come before it.
    running.send_events(&TWELVE);
    running.send_events(&[case.part("body")]);
    let call = rig.await_received("OnClick", 13).remove(12);
    assert_data(call.text(), case.part("data"));
    assert!(call.text().contains(case.part("sequence")), "{}", call.text());
    assert!(call.text().contains(case.part("promoted")), "{}", call.text());
    let (name, rest) = case.part("partition").split_once(":{…").unwrap();
    let partition: Value = serde_json::from_str(&format!("{{{rest}")).unwrap();
    let context = call.metadata(name.trim_matches('"'));
    assert_eq!(context["PartitionId"], partition["PartitionId"]);
    running.stop();
}

pub(super) async fn many(case: &Case) {
    let many = json!({"name": "evs", "cardinality": "many", "dataType": "string"});
    let rig = Rig::new().hub("OnClick", &many, &json!({}));
    let running = rig.start();
    running.send_events(&TWELVE);
    let earlier = rig.await_received("OnClick", 1).len();
    running.send_events(&["{\"k\":1}", "{\"k\":2}"]);
    let call = rig.await_received("OnClick", earlier + 1).pop().unwrap();
    assert_data(call.text(), case.part("data"));
    assert!(call.text().contains(case.part("sequence")), "{}", call.text());
    running.stop();
}

pub(super) async fn checkpoint(_: &Case) {
    let many = json!({"name": "evs", "cardinality": "many", "dataType": "string"});
    let retry = json!({"retry": {"strategy": "fixedDelay", "maxRetryCount": 2, "delayInterval": "00:00:00.01"}});
    for (rest, calls) in [(json!({}), 1), (retry, 3)] {
        let failures = vec![json!({"status": 500}); calls];
        let success = json!({"headers": {"Content-Type": "application/json"}, "body": "{}"});
        let answers = [failures, vec![success]].concat();
        let rig = Rig::new().hub("OnClick", &many, &rest).script(&json!({"answers": {"OnClick": answers}}));
        let running = rig.start();
        running.send_events(&["first"]);
        rig.await_received("OnClick", calls);
        running.send_events(&["second"]);
        let seen: Vec<String> = rig
            .await_received("OnClick", calls + 1)
            .iter()
            .map(|it| it.json()["Data"]["evs"].as_str().unwrap().to_owned())
            .collect();
        let expected = [vec!["[\"first\"]".to_owned(); calls], vec!["[\"second\"]".to_owned()]].concat();
        assert_eq!(seen, expected);
        // The handler has it before the host has noted that.
        running.await_empty("clicks");
        running.stop();
        // The checkpoint lies behind both: a new host delivers only what is new.
        let running = rig.start();
        running.send_events(&["third"]);
        let calls = rig.await_received("OnClick", calls + 2);
        assert_eq!(calls.last().unwrap().json()["Data"]["evs"], "[\"third\"]");
        running.stop();
    }
}
