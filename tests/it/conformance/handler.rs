//! The B and H cases against `shared::host` on a socket: the test plays the Functions host, and rooms that
//! only write down what reached them play the app.
use std::time::Duration;

use offpeak::shared::host::{
    limits::Limits,
    room::{Event, Message, Tick},
};
use serde_json::{Value, json};

use super::{Case, runs};
use crate::host::{
    probe::{Answer, Running, Seen, invocation, start},
    victim::{Victim, free_port},
};

runs! {
    B1 => readiness,
    B2 => timer,
    B3 => message_bytes,
    B4 => message_of_text,
    B5 => message_of_a_json_string,
    B6 => message_hiding_its_metadata,
    B7 => message_of_bytes,
    B8 => message_batch,
    B9 => one_event,
    B10 => event_batch,
    B17 => retries,
    B22 => success,
    B33 => failure,
    B34 => never_a_shape_the_host_refuses,
    B35 => never_an_empty_success,
    H36 => unknown_malformed_panicking,
    H37 => killed_and_started_again,
}

/// What the note leaves out where it is not under test.
const SYS: &str = r#""sys":{"MethodName":"F","UtcNow":"2024-05-01T10:00:01.0000001Z","RandGuid":"1c7a4f0e-1111-4222-8333-444455556666"}"#;

/// An envelope of the note's pieces.
fn envelope(data: &str, metadata: &[&str]) -> String {
    let mut members = metadata.to_vec();
    members.push(SYS);
    format!("{{{data},\"Metadata\":{{{}}}}}", members.join(","))
}

/// A piece without the mark of what is not under test.
fn filled(piece: &str) -> String {
    piece.replace(",…", "").replace('…', "")
}

/// The host takes this for a success: section 4.1.
fn assert_success(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = answer.json();
    assert!(body.is_object(), "{body}");
    assert!(body["Outputs"].is_object(), "{body}");
    assert!(body["Logs"].as_array().unwrap().iter().all(Value::is_string), "{body}");
}

async fn received(function: &str, envelope: &str) -> Vec<Seen> {
    let host = start(Limits::default()).await;
    assert_success(&host.invoke(function, envelope).await);
    host.seen()
}

fn message(body: &str, message_id: Option<&str>) -> Seen {
    let (body, message_id) = (body.as_bytes().to_vec(), message_id.map(str::to_owned));
    Seen::Message(Message { body, message_id, delivery_count: 1 })
}

async fn readiness(case: &Case) {
    let host = start(Limits::default()).await;
    let answer = host.send(format!("{}\r\nHost: 127.0.0.1\r\n\r\n", case.part("request"))).await;
    assert_eq!(answer.status.to_string(), case.part("status"));
    assert_eq!(host.seen(), []);
}

async fn timer(case: &Case) {
    let function = case.part("request").strip_prefix("POST /").unwrap();
    let seen = received(function, case.part("envelope")).await;
    assert_eq!(seen, [Seen::Tick(Tick { is_past_due: true, retry_count: 0 })]);
}

async fn message_bytes(case: &Case) {
    let seen = received("OnOrder", case.part("envelope")).await;
    assert_eq!(seen, [message(case.part("body"), Some("m-1"))]);
}

async fn message_of_text(case: &Case) {
    let seen = received("OnOrder", &envelope(case.part("data"), &[])).await;
    assert_eq!(seen, [message(case.part("body"), None)]);
}

async fn message_of_a_json_string(case: &Case) {
    let seen = received("OnOrder", &envelope(case.part("data"), &[])).await;
    assert_eq!(seen, [message(case.part("body"), None)]);
    assert_eq!(case.part("body").chars().count(), 7);
}

/// The sender's own `MessageId` and `DeliveryCount` stand where the broker's should. The first cannot be told
/// from a real one; the second is a string where a real one is a number, and is not believed.
async fn message_hiding_its_metadata(case: &Case) {
    let twice = json!(json!(case.part("body")).to_string());
    let metadata = [case.part("message id"), case.part("delivery count")];
    let seen = received("OnOrder", &envelope(&format!("\"Data\":{{\"msg\":{twice}}}"), &metadata)).await;
    assert_eq!(seen, [message(case.part("body"), Some("evil"))]);
}

async fn message_of_bytes(case: &Case) {
    let seen = received("OnBytes", &envelope(case.part("data"), &[])).await;
    assert_eq!(seen, [message("\u{1}\u{2}\u{3}", None)]);
}

async fn message_batch(case: &Case) {
    let seen = received("OnOrders", &envelope(case.part("data"), &[case.part("metadata")])).await;
    let expected = [message(case.part("first body"), Some("m-1")), message(case.part("second body"), Some("m-2"))];
    assert_eq!(seen, expected);
}

async fn one_event(case: &Case) {
    let partition = filled(case.part("partition"));
    let metadata = [case.part("sequence"), &partition, case.part("promoted")];
    let seen = received("OnClick", &envelope(case.part("data"), &metadata)).await;
    let body = case.part("body").as_bytes().to_vec();
    let partition = Some("0".to_owned());
    assert_eq!(seen, [Seen::Events(vec![Event { body, sequence_number: Some(12), partition }])]);
}

async fn event_batch(case: &Case) {
    let seen = received("OnClicks", &envelope(case.part("data"), &[case.part("sequence")])).await;
    let event = |body: &[u8], number| Event { body: body.to_vec(), sequence_number: Some(number), partition: None };
    assert_eq!(seen, [Seen::Events(vec![event(br#"{"k":1}"#, 12), event(br#"{"k":2}"#, 13)])]);
}

async fn retries(case: &Case) {
    let first = filled(case.part("retry context"));
    for retry_count in 0..3 {
        let context = first.replace("\"RetryCount\":0", &format!("\"RetryCount\":{retry_count}"));
        let seen = received("Tick", &envelope(r#""Data":{"timer":{"IsPastDue":false}}"#, &[&context])).await;
        assert_eq!(seen, [Seen::Tick(Tick { is_past_due: false, retry_count })]);
    }
}

/// The handler's success is the one that the case shows, with every member there may be.
async fn success(case: &Case) {
    let host = start(Limits::default()).await;
    let answer = host.invoke("Tick", &envelope(r#""Data":{"timer":{"IsPastDue":false}}"#, &[])).await;
    assert_success(&answer);
    let head = format!("{} {}", answer.status, answer.header("content-type").unwrap());
    assert_eq!(head, case.part("head"));
    let shown: Value = serde_json::from_str(case.part("answer")).unwrap();
    assert!(shown.as_object().unwrap().iter().all(|(name, value)| answer.json()[name] == *value));
}

async fn failure(case: &Case) {
    let host = start(Limits { invocation_time: Duration::from_millis(50), ..Limits::default() }).await;
    for (body, status) in [("fail", case.part("status")), ("panic", "500"), ("hang", "503")] {
        let answer = host.invoke("OnOrder", &order(body)).await;
        assert_eq!(answer.status.to_string(), status, "{body}");
        answer.problem();
    }
    // A batch fails as a whole, and what came before the failure has been worked on.
    let data = r#""Data":{"msgs":"[\"first\",\"fail\",\"last\"]"}"#;
    assert_eq!(host.invoke("OnOrders", &envelope(data, &[])).await.status, 500);
    assert_eq!(host.seen(), [message("first", None)]);
}

fn order(body: &str) -> String {
    envelope(&format!(r#""Data":{{"msg":"\"{body}\""}}"#), &[])
}

/// Whatever is sent, a 2xx to an invocation is JSON of the right shape.
async fn never_a_shape_the_host_refuses(case: &Case) {
    let host = start(Limits::default()).await;
    for (_, answer) in every_kind_of_input(&host).await {
        let head = format!("{} {}", answer.status, answer.header("content-type").unwrap_or_default());
        assert_ne!(head, case.part("first head"));
        if head == case.part("second head") {
            assert_ne!(answer.text(), case.part("second answer"));
            assert_ne!(answer.text(), case.part("third answer"));
            assert_success(&answer);
        }
    }
}

async fn never_an_empty_success(case: &Case) {
    let host = start(Limits::default()).await;
    for (input, answer) in every_kind_of_input(&host).await {
        assert_ne!(answer.status.to_string(), case.part("first status"), "{input}");
        let status = answer.status.to_string();
        assert!(status != case.part("second status") || !answer.body.is_empty(), "{input}");
        assert_ne!(answer.text(), case.part("third answer"), "{input}");
        assert!(!(200..300).contains(&answer.status) || answer.status == 200, "{input}");
    }
}

/// Right and wrong invocations of every function, and of none.
async fn every_kind_of_input(host: &Running) -> Vec<(String, Answer)> {
    let good = [
        ("Tick", envelope(r#""Data":{"timer":{"IsPastDue":false}}"#, &[])),
        ("OnOrder", order("x")),
        ("OnOrders", envelope(r#""Data":{"msgs":"[]"}"#, &[])),
        ("OnBytes", envelope(r#""Data":{"msg":""}"#, &[])),
        ("OnClicks", envelope(r#""Data":{"evs":"[\"\"]"}"#, &[])),
    ];
    let wrong = ["", "null", "{}", "[]", "\"\"", "{\"Data\":null}", "{\"Data\":{}}", "{\"Data\":{\"msg\":null}}", "{"];
    let mut inputs: Vec<(&str, String)> = good.to_vec();
    for function in ["Tick", "OnOrder", "OnOrders", "OnBytes", "OnClick", "OnClicks", "Unknown", "items", ""] {
        inputs.extend(wrong.iter().map(|envelope| (function, (*envelope).to_owned())));
    }
    inputs.extend(["fail", "panic"].map(|body| ("OnOrder", order(body))));
    let mut answers = Vec::new();
    for (function, envelope) in inputs {
        answers.push((format!("POST /{function} {envelope}"), host.invoke(function, &envelope).await));
    }
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
        let bytes = String::from_utf8(invocation("Tick", &good[0].1)).unwrap();
        let answer = host.send(bytes.replacen("POST", method, 1)).await;
        answers.push((format!("{method} /Tick"), answer));
    }
    answers
}

async fn unknown_malformed_panicking(case: &Case) {
    let host = start(Limits::default()).await;
    let unknown = case.part("request").strip_prefix("POST /").unwrap();
    assert_eq!(host.invoke(unknown, &order("x")).await.status, 404);
    assert_eq!(host.invoke("OnOrder", "{\"Data\":").await.status, 400);
    assert_eq!(host.invoke("OnOrder", &order("panic")).await.status, 500);
    assert_success(&host.invoke("OnOrder", &order("x")).await);
}

async fn killed_and_started_again(_: &Case) {
    let port = free_port();
    for _ in 0..3 {
        let victim = Victim::start(port);
        let mut wire = victim.reach().await;
        wire.write(invocation("OnOrder", &order("x"))).await;
        assert_success(&wire.answer().await.unwrap());
        // Killed with an invocation in the middle; the next one binds the port at once.
        wire.write(invocation("OnOrder", &order("hang"))).await;
        drop(victim);
        assert!(wire.answer().await.is_none());
    }
}
