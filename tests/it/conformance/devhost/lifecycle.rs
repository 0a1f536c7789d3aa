//! Start, readiness, crashes and restarts of the handler.
use serde_json::{Value, json};

use super::{super::Case, rig::Rig};

pub(super) async fn readiness(case: &Case) {
    let rig = Rig::new()
        .timer("Tick", "0 0 0 1 1 *", &json!({"runOnStartup": true}), &json!({}))
        .script(&json!({"starts": [{"bindAfterMs": 100}]}));
    let running = rig.start();
    rig.await_received("Tick", 1);
    let seen = rig.received();
    assert_eq!(seen[0].head.lines().next(), Some(case.part("request")));
    let port = rig.starts()[0]["environment"]["FUNCTIONS_CUSTOMHANDLER_PORT"].as_str().unwrap().to_owned();
    assert_eq!(seen[0].header("host"), Some(format!("127.0.0.1:{port}").as_str()));
    assert_eq!(seen[0].header("x-azure-functions-invocationid"), None);
    let answered = super::wire::exchange(port.parse().unwrap(), "GET /", &[], b"");
    assert_eq!(answered.status.to_string(), case.part("status"));
    running.stop();
}

/// The ports of all starts so far.
fn ports(rig: &Rig) -> Vec<String> {
    let port = |start: &Value| start["environment"]["FUNCTIONS_CUSTOMHANDLER_PORT"].as_str().unwrap().to_owned();
    rig.starts().iter().map(port).collect()
}

/// An app whose `break` ends the handler with this exit code.
fn breakable(code: i32) -> Rig {
    Rig::new()
        .http("Break", "break", "anonymous")
        .http("Fine", "fine", "anonymous")
        .script(&json!({"answers": {"/api/break": [{"exit": code}]}}))
}

pub(super) async fn crashes(_: &Case) {
    let rig = breakable(1);
    let running = rig.start();
    for crash in 1..=3 {
        assert_eq!(running.get("/api/break").status, 500, "crash {crash}");
        if crash < 3 {
            assert_eq!(running.get("/api/fine").status, 200, "after crash {crash}");
        }
    }
    assert_eq!(running.exit_code(), Some(86));
    let ports = ports(&rig);
    assert_eq!(ports.len(), 3);
    assert!(ports.iter().all(|it| *it == ports[0]), "{ports:?}");
    assert!(rig.log().contains("Exceeded http worker restart retry count. Shutting down Functions Host"));

    let rig = breakable(0);
    let running = rig.start();
    assert_eq!(running.get("/api/break").status, 500);
    assert_eq!(running.get("/api/fine").status, 500);
    assert_eq!(rig.starts().len(), 1);
    running.stop();

    let rig = breakable(200);
    let running = rig.start();
    for _ in 0..5 {
        assert_eq!(running.get("/api/break").status, 500);
        assert_eq!(running.get("/api/fine").status, 200);
    }
    assert_eq!(rig.starts().len(), 6);
    running.stop();
}

pub(super) async fn silent_start(_: &Case) {
    let timeout = json!({"customHandler": {"enableProxyingHttpRequest": true, "initializationTimeout": "00:00:05"}});
    let rig = breakable(1).host(&timeout).script(&json!({
        "starts": [{"neverBind": true}, {}],
        "answers": {"/api/break": [{"exit": 1}]},
    }));
    let running = rig.start();
    assert!(rig.log().contains("Initializing HttpWorker timed out."), "{}", rig.log());
    assert_eq!(rig.starts().len(), 2);
    // It counted as one error: the second crash after it is the third.
    assert_eq!(running.get("/api/break").status, 500);
    assert_eq!(running.get("/api/fine").status, 200);
    assert_eq!(running.get("/api/break").status, 500);
    assert_eq!(running.exit_code(), Some(86));
}

/// Everything that ends with the dev host, however it ends.
#[tokio::test]
async fn a_dev_host_that_is_killed_takes_its_handler_along() {
    let rig = Rig::new().http("Fine", "fine", "anonymous").arguments(&["--flex", "2"]);
    let running = rig.start();
    assert_eq!(running.get("/api/fine").status, 200);
    let processes: Vec<u64> = rig.starts().iter().map(|it| it["start"].as_u64().unwrap()).collect();
    assert_eq!(processes.len(), 2);
    drop(running);
    for process in processes {
        let gone = || {
            let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            (status.is_empty() || status.contains(") Z ")).then_some(())
        };
        rig.eventually("the end of a handler", gone);
    }
}

#[tokio::test]
async fn flex_gives_each_function_its_own_process_and_folder() {
    let rig = Rig::new()
        .http("Fine", "fine", "anonymous")
        .queue("OnOrder", &json!({}))
        .timer("Tick", "0 0 0 1 1 *", &json!({"runOnStartup": true}), &json!({}))
        .arguments(&["--flex", "3"]);
    let running = rig.start();
    for _ in 0..6 {
        assert_eq!(running.get("/api/fine").status, 200);
    }
    running.send_message("m-1", b"{}");
    let processes = |key: &str, count: usize| {
        let mut seen: Vec<u64> = rig.await_received(key, count).iter().map(|it| it.process).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    };
    let (http, queue, timer) = (processes("/api/fine", 6), processes("OnOrder", 1), processes("Tick", 1));
    assert_eq!((http.len(), queue.len(), timer.len()), (3, 1, 1));
    assert!(!http.contains(&queue[0]) && !http.contains(&timer[0]) && queue != timer);
    let mut folders: Vec<String> = rig.starts().iter().map(|it| it["folder"].to_string()).collect();
    folders.sort();
    folders.dedup();
    assert_eq!(folders.len(), 5);
    running.stop();
}
