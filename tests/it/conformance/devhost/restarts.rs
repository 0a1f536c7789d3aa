//! What callers see while the handler is away. Not cases of the note, but promises of the dev host that the cases stand on.
use std::{fs, thread};

use serde_json::json;

use super::{rig::Rig, wire::exchange};

fn app() -> Rig {
    Rig::new().http("Break", "break", "anonymous").http("Fine", "fine", "anonymous")
}

#[tokio::test]
async fn callers_wait_while_the_handler_starts_again() {
    let rig = app().script(&json!({
        "starts": [{}, {"bindAfterMs": 300}],
        "answers": {"/api/break": [{"exit": 1}]},
    }));
    let running = rig.start();
    assert_eq!(running.get("/api/break").status, 500);
    let port = running.port();
    let callers: Vec<_> =
        (0..20).map(|_| thread::spawn(move || exchange(port, "POST /api/fine", &[], b"{}").status)).collect();
    let statuses: Vec<u16> = callers.into_iter().map(|it| it.join().unwrap()).collect();
    assert_eq!(statuses, [200; 20]);
    assert_eq!(rig.starts().len(), 2);
    assert_eq!(rig.received().iter().filter(|it| it.key == "/api/fine").count(), 20, "none was sent twice");
    running.stop();
}

#[tokio::test]
async fn a_request_that_takes_too_long_ends_its_process() {
    let rig = app().script(&json!({"answers": {"/api/break": [{"delayMs": 60_000}]}})).host(&json!({
        "functionTimeout": "00:00:03",
        "customHandler": {"enableProxyingHttpRequest": true},
    }));
    let running = rig.start();
    let slow = running.get("/api/break");
    assert_eq!((slow.status, slow.text().as_str()), (500, ""));
    assert_eq!(running.get("/api/fine").status, 200);
    let processes: Vec<u64> = rig.starts().iter().map(|it| it["start"].as_u64().unwrap()).collect();
    assert_eq!(processes.len(), 2);
    assert_eq!(rig.await_received("/api/fine", 1)[0].process, processes[1]);
    running.stop();
}

#[tokio::test]
async fn an_answer_that_stalls_half_way_is_cut_and_costs_the_process() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let rig = app().script(&json!({"answers": {"/api/break": [{"raw": half}]}})).host(&json!({
        "functionTimeout": "00:00:03",
        "customHandler": {"enableProxyingHttpRequest": true},
    }));
    let running = rig.start();
    let cut = running.get("/api/break");
    assert_eq!((cut.status, cut.text().as_str()), (200, "half"));
    assert_eq!(running.get("/api/fine").status, 200);
    assert_eq!(rig.starts().len(), 2);
    running.stop();
}

#[tokio::test]
async fn a_lost_connection_is_the_hosts_own_500_and_the_process_lives() {
    let rig = app().script(&json!({"answers": {"/api/break": [{"close": true}]}}));
    let running = rig.start();
    let lost = running.send("POST /api/break", &[], b"{}");
    assert_eq!((lost.status, lost.text().as_str()), (500, ""));
    assert_eq!(
        rig.received().iter().filter(|it| it.key == "/api/break").count(),
        1,
        "it may have been seen, so it is not repeated"
    );
    assert_eq!(running.get("/api/fine").status, 200);
    assert_eq!(rig.starts().len(), 1);
    running.stop();
}

#[tokio::test]
async fn a_large_body_passes_and_a_larger_one_than_the_platform_takes_does_not() {
    let rig = app();
    let running = rig.start();
    let body = vec![b'x'; 5 * 1024 * 1024];
    assert_eq!(running.send("PUT /api/fine", &[], &body).status, 200);
    assert_eq!(rig.await_received("/api/fine", 1)[0].body.len(), body.len());
    let refused = running.send("GET /api/fine", &[("Content-Length", "104857601")], b"");
    assert_eq!(refused.status, 413);
    running.stop();
}

#[tokio::test]
async fn a_changed_program_is_started_again_without_counting() {
    let rig = app();
    let program = rig.program();
    let stub = fs::read_link(&program).unwrap();
    let copy = |name: &str| {
        let copied = program.with_file_name(name);
        fs::copy(&stub, &copied).unwrap();
        copied
    };
    fs::rename(copy("first"), &program).unwrap();
    let running = rig.start();
    fs::rename(copy("second"), &program).unwrap();
    rig.eventually("a second start", || (rig.starts().len() == 2).then_some(()));
    assert_eq!(running.get("/api/fine").status, 200);
    assert!(rig.log().contains("The handler's file has changed."));
    assert!(!rig.log().contains("failed"));
    running.stop();
}
