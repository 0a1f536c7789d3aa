//! Messages of a queue: the request that carries them and what becomes of them after each answer.
use serde_json::{Value, json};

use super::{
    super::Case,
    rig::{Received, Rig},
};

/// The one request that a message of this body becomes.
fn delivered(more: &Value, body: &[u8]) -> (Rig, Received) {
    let rig = Rig::new().queue("OnOrder", more);
    let running = rig.start();
    running.send_message("m-1", body);
    let request = rig.await_received("OnOrder", 1).remove(0);
    running.stop();
    (rig, request)
}

/// Checks `"Data":{…}` of a request to the letter.
fn assert_data(request: &Received, data: &str) {
    assert!(request.text().starts_with(&format!("{{{data},\"Metadata\":{{")), "{}", request.text());
}

pub(super) async fn body(case: &Case) {
    let (_, request) = delivered(&json!({}), case.part("body").as_bytes());
    assert!(request.head.starts_with("POST /OnOrder "));
    let envelope = case.part("envelope");
    let data = &envelope[1..envelope.find(",\"Metadata\"").unwrap()];
    assert_data(&request, data);
    let wanted: Value = serde_json::from_str(envelope).unwrap();
    for (name, value) in wanted["Metadata"].as_object().unwrap() {
        let have = request.metadata(name);
        match name.as_str() {
            // The day and the ids are not under test, their form is.
            "EnqueuedTimeUtc" => assert_eq!(form(&have), form(value)),
            "sys" => {
                assert_eq!(have["MethodName"], value["MethodName"]);
                assert_eq!(form(&have["UtcNow"]), form(&value["UtcNow"]));
                assert_eq!(have["RandGuid"].as_str().unwrap().len(), 36);
            }
            _ => assert!(request.text().contains(&format!("\"{name}\":{value}")), "{name} in {}", request.text()),
        }
    }
}

/// Digits as 0.
fn form(value: &Value) -> String {
    value.as_str().unwrap().replace(|it: char| it.is_ascii_digit(), "0")
}

pub(super) async fn text(case: &Case) {
    let (_, request) = delivered(&json!({}), case.part("body").as_bytes());
    assert_data(&request, case.part("data"));
    let (_, empty) = delivered(&json!({}), b"");
    let names = |it: &Received| it.json()["Metadata"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&request), names(&empty), "nothing is promoted");
}

pub(super) async fn json_string(case: &Case) {
    let (_, request) = delivered(&json!({}), case.part("body").as_bytes());
    assert_data(&request, case.part("data"));
}

pub(super) async fn hidden_metadata(case: &Case) {
    let (_, request) = delivered(&json!({}), case.part("body").as_bytes());
    for piece in ["message id", "delivery count"] {
        assert!(request.text().contains(case.part(piece)), "{}", request.text());
    }
    assert_eq!(request.metadata(case.part("absent")), Value::Null);
    assert_eq!(request.metadata(case.part("kept"))["MethodName"], "OnOrder");
}

pub(super) async fn bytes(case: &Case) {
    let (name, value) = case.part("data type").split_once(':').unwrap();
    let (_, request) = delivered(&json!({name: value.trim_matches('"')}), &[1, 2, 3]);
    assert_data(&request, case.part("data"));
}

pub(super) async fn batch(case: &Case) {
    let many = json!({"name": "msgs", "cardinality": "many", "dataType": "string"});
    let rig = Rig::new().queue("OnOrder", &many).setting("AzureWebJobs.OnOrder.Disabled", "true");
    // Both are there before anyone listens.
    let running = rig.start();
    running.send_message("m-1", case.part("first body").as_bytes());
    running.send_message("m-2", case.part("second body").as_bytes());
    running.stop();
    assert_eq!(rig.received().iter().filter(|it| it.key == "OnOrder").count(), 0);
    let rig = rig.plain();
    let running = rig.start();
    let request = rig.await_received("OnOrder", 1).remove(0);
    assert_data(&request, case.part("data"));
    let metadata: Value = serde_json::from_str(&format!("{{{}}}", case.part("metadata"))).unwrap();
    for (name, value) in metadata.as_object().unwrap() {
        assert!(request.text().contains(&format!("\"{name}\":{value}")), "{}", request.text());
    }
    assert_eq!(request.metadata(case.part("absent")), Value::Null);
    running.stop();
}

/// The answer that a head and a body of the note make.
fn answer(head: &str, body: &str) -> Value {
    match head.split_once(' ') {
        Some((status, kind)) => {
            json!({"status": status.parse::<u16>().unwrap(), "headers": {"Content-Type": kind}, "body": body})
        }
        None => json!({"status": head.parse::<u16>().unwrap(), "body": body}),
    }
}

/// Sends one message and waits until it is completed after `answers`, the last of which is the success.
fn completed_after(rig: &Rig, answers: usize) {
    let running = rig.start();
    running.send_message("m-1", b"{}");
    let calls = rig.await_received("OnOrder", answers);
    for (count, call) in calls.iter().enumerate() {
        assert_eq!(call.metadata("DeliveryCount"), (count + 1).to_string(), "{}", call.text());
        assert_eq!(call.metadata("MessageId"), "\"m-1\"");
    }
    assert_eq!(running.await_empty_queue()["deadLetters"], 0);
    running.stop();
    assert_eq!(rig.received().iter().filter(|it| it.key == "OnOrder").count(), answers);
}

pub(super) async fn success(case: &Case) {
    let answer = answer(case.part("head"), case.part("answer"));
    let rig = Rig::new().queue("OnOrder", &json!({})).script(&json!({"answers": {"OnOrder": [answer]}}));
    completed_after(&rig, 1);
}

pub(super) async fn failure(case: &Case) {
    let failing = json!({"status": case.part("status").parse::<u16>().unwrap(),
        "headers": {"Content-Type": "application/json"}, "body": case.part("answer")});
    let answers = json!({"answers": {"OnOrder": [failing, answer("200 application/json", "{}")]}});
    let rig = Rig::new().queue("OnOrder", &json!({})).script(&answers);
    completed_after(&rig, 2);
    assert!(!rig.log().contains("OnOrder: x"), "{}", rig.log());
}

pub(super) async fn refused_shapes(case: &Case) {
    let mut answers: Vec<Value> = ["first", "second", "third"]
        .map(|it| answer(case.part(&format!("{it} head")), case.part(&format!("{it} answer"))))
        .to_vec();
    answers.push(answer("200 application/json", "{}"));
    let rig = Rig::new().queue("OnOrder", &json!({})).script(&json!({"answers": {"OnOrder": answers}}));
    completed_after(&rig, 4);
    assert_eq!(rig.starts().len(), 1);
}

pub(super) async fn empty_answers(case: &Case) {
    let answers = json!({"answers": {"OnOrder": [
        answer(case.part("first status"), ""),
        answer(&format!("{} application/json", case.part("second status")), ""),
        answer(case.part("third head"), case.part("third answer")),
        answer("200 application/json", "{}"),
    ]}});
    // By default: a protocol error, loud and at once.
    let rig = Rig::new().queue("OnOrder", &json!({})).script(&answers);
    let running = rig.start();
    running.send_message("m-1", b"{}");
    rig.await_received("OnOrder", 4);
    running.await_empty_queue();
    let status = running.get_json("/admin/host/status");
    let errors = status["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 3, "{status}");
    assert!(
        errors.iter().all(|it| it.as_str().unwrap().starts_with("Protocol error in function `OnOrder`")),
        "{status}"
    );
    running.stop();
    assert_eq!(rig.starts().len(), 1);

    // Faithful: the invocation hangs until the function time-out, then the process is started anew.
    let rig = Rig::new()
        .queue("OnOrder", &json!({}))
        .script(&answers)
        .host(&json!({"functionTimeout": "00:00:03"}))
        .arguments(&["--faithful"]);
    completed_after(&rig, 4);
    assert_eq!(rig.starts().len(), 4);
}

pub(super) async fn headers(case: &Case) {
    let rig = Rig::new().queue("OnOrder", &json!({}));
    let running = rig.start();
    running.send_message("m-1", b"{}");
    running.send_message("m-2", b"{}");
    let calls = rig.await_received("OnOrder", 2);
    running.stop();
    let id = |call: &Received| call.header(case.part("invocation id")).unwrap().to_owned();
    assert_ne!(id(&calls[0]), id(&calls[1]));
    for call in &calls {
        let groups: Vec<usize> = id(call).split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert!(call.header(case.part("host version")).unwrap().starts_with("4."));
        for piece in ["user agent", "content type", "framing"] {
            let (name, value) = case.part(piece).split_once(": ").unwrap();
            let have = call.header(name).unwrap();
            assert!(value.strip_suffix('…').map_or(have == value, |it| have.starts_with(it)), "{name}: {have}");
        }
        assert_eq!(call.header("content-length"), None);
    }
}

pub(super) async fn admin(case: &Case) {
    let rig = Rig::new().queue("OnOrder", &json!({})).timer("Tick", "0 0 0 1 1 *", &json!({}), &json!({}));
    let running = rig.start();
    let json = [("Content-Type", "application/json")];
    let asked = running.send(case.part("request"), &json, case.part("body").as_bytes());
    assert_eq!(asked.status, 202);
    let call = rig.await_received("OnOrder", 1).remove(0);
    assert!(call.text().contains(case.part("promoted")), "{}", call.text());
    assert!(call.text().starts_with("{\"Data\":{\"msg\":\""), "{}", call.text());
    assert_eq!(running.send("POST /admin/functions/Nobody", &json, case.part("body").as_bytes()).status, 404);
    assert_eq!(running.send(case.part("request"), &json, b"").status, 400);
    let asked = running.send("POST /admin/functions/Tick", &json, case.part("empty input").as_bytes());
    assert_eq!(asked.status, 202);
    let call = rig.await_received("Tick", 1).remove(0);
    assert_eq!(call.json()["Data"]["timer"]["IsPastDue"], false);
    running.stop();
}

pub(super) async fn dead_letter(case: &Case) {
    let rig = Rig::new().queue("OnOrder", &json!({})).script(&json!({"answers": {"OnOrder": [{"status": 500}]}}));
    let running = rig.start();
    running.send_message("m-1", b"{}");
    let calls = rig.await_received("OnOrder", 10);
    let queue = running.await_empty_queue();
    assert_eq!(queue["deadLetters"], 1);
    let counts: Vec<Value> = calls.iter().map(|it| it.metadata(case.part("metadata"))).collect();
    let expected: Vec<Value> = (1..=10).map(|it| json!(it.to_string())).collect();
    assert_eq!(counts, expected);
    let page = running.get_json("/dev/queues/orders/dead-letters");
    assert!(page.to_string().contains("MaxDeliveryCountExceeded"), "{page}");
    running.stop();
}
