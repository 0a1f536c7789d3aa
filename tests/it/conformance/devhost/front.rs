//! The public port: routes, keys, load errors, and the two ways to hand a request over.
use serde_json::{Value, json};

use super::{super::Case, rig::Rig};

pub(super) async fn forwarding(case: &Case) {
    let rig = Rig::new().http("Items", "items/{id}", "anonymous").arguments(&["--forwarding"]);
    let running = rig.start();
    let headers = [
        ("X-Mine", "kept"),
        ("Cookie", "a=b"),
        ("User-Agent", "caller/1"),
        ("Content-Type", "text/plain"),
        ("Content-Encoding", "identity"),
    ];
    let answer = running.send(case.part("request"), &headers, case.part("body").as_bytes());
    assert_eq!(answer.status, 200);
    let seen = rig.received().into_iter().find(|it| it.key.starts_with("/api")).unwrap();
    assert_eq!(seen.head.lines().next(), Some(format!("{} HTTP/1.1", case.part("seen request")).as_str()));
    assert_eq!(seen.text(), case.part("seen body"));
    for (name, value) in
        [("host", "shop.example:7071"), ("x-mine", "kept"), ("cookie", "a=b"), ("content-type", "text/plain")]
    {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    assert_eq!(seen.header("content-encoding"), None);
    assert!(seen.header("user-agent").unwrap().starts_with("caller/1 Azure-Functions-Host/4."));
    assert!(seen.header("X-Azure-Functions-HostVersion").unwrap().starts_with("4."));
    assert_eq!(seen.header("X-Azure-Functions-InvocationId").unwrap().len(), 36);
    running.stop();
}

pub(super) async fn chunked_uploads(case: &Case) {
    let query = case.part("query");
    let chunked = [("Transfer-Encoding", "chunked")];
    for (arguments, body, host, forwarded) in [
        (vec!["--forwarding"], "", Some("shop.example:7071"), None),
        (vec![], "hello world", None, Some("shop.example:7071")),
    ] {
        let rig = Rig::new().http("Items", "items", "anonymous").arguments(&arguments);
        let running = rig.start();
        let line = format!("POST /api/items?{query}");
        let answer = running.send(&line, &chunked, b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
        assert_eq!(answer.status, 200);
        let seen = rig.received().into_iter().find(|it| it.key == "/api/items").unwrap();
        assert_eq!(seen.text(), body);
        assert_eq!(seen.header(case.part("forwarded host")), forwarded);
        assert_eq!(seen.header("host") == host, host.is_some(), "{}", seen.head);
        let is_raw = seen.head.lines().next().unwrap().contains(&format!("?{query} "));
        assert_eq!(is_raw, forwarded.is_some(), "{}", seen.head);
        running.stop();
    }
}

/// The status for a request to `path` with the key of `function`, which opens that function only.
fn with_key_of(rig: &Rig, running: &super::rig::Running<'_>, function: &str, line: &str) -> u16 {
    let keys = rig.stored("keys.json");
    running.send(line, &[("x-functions-key", keys["functions"][function].as_str().unwrap())], b"").status
}

pub(super) async fn routes(case: &Case) {
    let (orders, route) = (case.part("function"), case.part("route"));
    // Which function was chosen shows in whose key opens the door.
    for (catch_all, chosen, other) in [
        (case.part("catch-all"), case.part("catch-all"), orders),
        (case.part("late catch-all"), orders, case.part("late catch-all")),
    ] {
        let rig = Rig::new()
            .http(catch_all, case.part("catch-all route"), "function")
            .http(orders, route, "function")
            .arguments(&["--auth"]);
        let running = rig.start();
        for request in [case.part("request"), case.part("other case")] {
            assert_eq!(with_key_of(&rig, &running, chosen, request), 200);
            assert_eq!(with_key_of(&rig, &running, other, request), 401);
        }
        running.stop();
    }
    let http = |methods: Value, route: &str| {
        let trigger =
            json!({"type": "httpTrigger", "direction": "in", "name": "req", "methods": methods, "route": route});
        json!({"bindings": [trigger, {"type": "http", "direction": "out", "name": "res"}]})
    };
    let rig = Rig::new().function(orders, &http(json!(["post"]), route));
    let running = rig.start();
    let refused = running.send(case.part("request"), &[], b"");
    assert_eq!((refused.status, refused.text().as_str()), (404, ""));
    assert_eq!(running.send("POST /api/orders/", &[], b"").status, 200);
    running.stop();
    let rig = Rig::new().function(orders, &http(json!(["get"]), case.part("constrained route")));
    let running = rig.start();
    assert_eq!(running.get(case.part("unfit path")).status, 404);
    assert_eq!(running.get("/api/orders/7").status, 200);
    running.stop();
}

pub(super) async fn keys(case: &Case) {
    let rig = Rig::new()
        .http("Orders", "orders", case.part("level"))
        .http("Other", "other", case.part("level"))
        .http("Secret", "secret", case.part("higher level"))
        .http("Open", "open", "anonymous")
        .arguments(&["--auth"]);
    let running = rig.start();
    let keys = rig.stored("keys.json");
    let (own, other) = (keys["functions"]["Orders"].as_str().unwrap(), keys["functions"]["Other"].as_str().unwrap());
    let (host, master) = (keys["host"].as_str().unwrap(), keys["master"].as_str().unwrap());
    let in_query = |key: &str| format!("GET /api/orders{}", case.part("key in query").replace("<key>", key));
    let header = |key: &'static str| [("x-functions-key", key)];
    let status = |line: &str, headers: &[(&str, &str)]| running.send(line, headers, b"").status;

    assert_eq!(status("GET /api/orders", &[]), 401);
    assert_eq!(rig.received().iter().filter(|it| it.key != "/").count(), 0);
    assert_eq!(status(&in_query(own), &[]), 200);
    assert_eq!(status(&in_query(own), &header("wrong")), 401);
    assert_eq!(status(&in_query(other), &[]), 401);
    assert_eq!(status(&in_query(host), &[]), 200);
    assert_eq!(status(&in_query(master), &[]), 200);
    assert_eq!(status("GET /api/secret", &[("x-functions-key", host)]), 401);
    assert_eq!(status("GET /api/secret", &[("x-functions-key", master)]), 200);
    assert_eq!(status("GET /api/open", &[]), 200);
    assert_eq!(status("GET /admin/host/status", &[("x-functions-key", host)]), 401);
    assert_eq!(status("GET /admin/host/status", &[("x-functions-key", master)]), 200);
    assert_eq!(status("GET /admin/host/ping", &[]), 200);
    running.stop();
}

pub(super) async fn load_errors(case: &Case) {
    let missing: Value = serde_json::from_str(&format!("{{{}}}", case.part("queue"))).unwrap();
    let rig = Rig::new().queue("OnOrder", &missing).http("Staff", case.part("route"), "anonymous").http(
        "Fine",
        "fine",
        "anonymous",
    );
    let running = rig.start();
    let status = running.get_json("/admin/host/status");
    let errors: Vec<&str> = status["errors"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors.iter().any(|it| it.contains("'OnOrder'") && it.contains(case.part("error"))), "{errors:?}");
    assert!(errors.iter().any(|it| it.contains("'Staff'") && it.contains("conflicts")), "{errors:?}");
    assert_eq!(running.get("/api/fine").status, 200);
    assert_eq!(running.get(&format!("/api/{}", case.part("route"))).status, 404);
    running.stop();
}

/// Not a case of the note, but of the issue: what is not played stops the start and is named.
#[tokio::test]
async fn a_binding_that_is_not_played_is_refused_by_name() {
    let documents = json!({"bindings": [{"type": "cosmosDBTrigger", "direction": "in", "name": "docs"}]});
    let rig = Rig::new().function("OnDocs", &documents).http("Fine", "fine", "anonymous");
    assert_eq!(rig.run_to_end(), Some(1));
    assert!(rig.log().contains("'OnDocs'") && rig.log().contains("cosmosDBTrigger"), "{}", rig.log());
    let rig = rig.arguments(&["--faithful"]);
    let running = rig.start();
    assert_eq!(running.get("/api/fine").status, 200);
    running.stop();
}
