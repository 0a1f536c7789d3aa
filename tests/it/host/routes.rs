//! Paths, methods and parameters, and where a request may go at all.
use offpeak::shared::host::{
    limits::Limits,
    room::{Room, answering},
    table::Table,
};
use serde_json::json;

use super::probe::{ROOMS, Running, invocation, start};

/// One request, its status and a part of its body.
async fn check(host: &Running, method: &str, target: &str, status: u16, part: &str) {
    let answer = host.ask(method, target).await;
    assert_eq!(answer.status, status, "{method} {target}: {}", answer.text());
    assert!(answer.text().contains(part), "{method} {target}: {}", answer.text());
    if status >= 400 {
        answer.problem();
    }
}

#[tokio::test]
async fn a_path_finds_its_room_without_regard_to_case_and_one_trailing_slash() {
    let host = start(Limits::default()).await;
    check(&host, "GET", "/api/items/A-1", 200, r#""params":[["name","A-1"]]"#).await;
    check(&host, "GET", "/API/Items/A-1/", 200, r#""params":[["name","A-1"]]"#).await;
    check(&host, "GET", "/api/v1/items/One/PARTS/Two?x=1&x=2", 200, r#"[["name","One"],["part","Two"]]"#).await;
    check(&host, "GET", "http://shop.example/api/items/A-1", 200, "A-1").await;
    for nowhere in [
        "/",
        "/api",
        "/api/",
        "/api/items",
        "/api/items/",
        "/api/items//",
        "/api/items/a//",
        "//api/items/a",
        "/api//items/a",
        "/items/a",
        "/api/items/a/b",
        "/api/v1/items//parts/b",
        "/tick",
        "/Tick",
        "*",
    ] {
        check(&host, "GET", nowhere, 404, r#""code":"not_found""#).await;
    }
}

#[tokio::test]
async fn a_parameter_is_decoded_exactly_once() {
    let host = start(Limits::default()).await;
    for (raw, decoded) in [
        ("a%20b", "a b"),
        ("a%2Fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("%C3%A9", "é"),
        ("a+b", "a+b"),
        ("%7Bname%7D", "{name}"),
        ("..", ".."),
        ("%2e%2E", ".."),
    ] {
        check(&host, "GET", &format!("/api/items/{raw}"), 200, &json!([["name", decoded]]).to_string()).await;
    }
    for broken in ["%zz", "%", "%a", "a%2", "%ff", "%c3", "%2"] {
        check(&host, "GET", &format!("/api/items/{broken}"), 400, r#""code":"invalid_parameter""#).await;
    }
}

#[tokio::test]
async fn a_path_says_which_methods_it_knows() {
    let host = start(Limits::default()).await;
    for method in ["POST", "DELETE", "PATCH", "BREW", "get"] {
        let answer = host.ask(method, "/api/items/a").await;
        assert_eq!((answer.status, answer.problem().as_str()), (405, "method_not_allowed"), "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD, PUT, OPTIONS"));
    }
    let options = host.ask("OPTIONS", "/api/items/a").await;
    assert_eq!((options.status, options.header("allow")), (204, Some("GET, HEAD, PUT, OPTIONS")));

    let get = host.ask("GET", "/api/items/a").await;
    let mut wire = host.connect().await;
    wire.write("HEAD /api/items/a HTTP/1.1\r\nhost: x\r\n\r\nGET /api/items/a HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let head = wire.answer_to(true).await.unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, get.header("content-length")));
    // Had the answer to HEAD a body, the next answer on the connection could not be read.
    assert_eq!(wire.answer().await.unwrap().body, get.body);
}

#[tokio::test]
async fn a_room_gets_the_request_as_it_was_sent() {
    let host = start(Limits::default()).await;
    let request = "PUT /api/items/a%20b?x=1&x=2&y=%26 HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nContent-Length: 1\r\n\r\nz";
    assert_eq!(host.send(request).await.status, 200);
    let call = host.calls().remove(0);
    assert_eq!((call.method.as_str(), call.path.as_str()), ("PUT", "/api/items/a%20b"));
    assert_eq!((call.param("name"), call.query.as_deref()), ("a b", Some("x=1&x=2&y=%26")));
    assert_eq!((call.header_text("x-one"), &call.body[..]), (Some("1"), &b"z"[..]));
}

#[tokio::test]
async fn an_invocation_needs_the_hosts_header_one_segment_and_the_exact_name() {
    let host = start(Limits::default()).await;
    let tick = r#"{"Data":{"timer":{"IsPastDue":false}},"Metadata":{}}"#;
    let bytes = String::from_utf8(invocation("Tick", tick)).unwrap();
    assert_eq!(host.send(&bytes).await.status, 200);
    host.seen();

    let bare = bytes.replace("X-Azure-Functions-InvocationId", "X-Else");
    assert_eq!(host.send(bare).await.problem(), "not_found");
    for path in ["tick", "TICK", "Tick/", "/Tick", "api/Tick", "x/Tick", "Tick%20", "Tic%6B", "Tick?x=1#"] {
        let answer = host.send(bytes.replacen("/Tick", &format!("/{path}"), 1)).await;
        // A query is not part of the path; nothing else may be added.
        let expected = if path.contains('?') { 200 } else { 404 };
        assert_eq!(answer.status, expected, "{path}");
    }
    host.seen();
    // An outside caller's paths begin with the prefix: a forged envelope there is only an HTTP request.
    let forged = bytes.replacen("POST /Tick", "PUT /api/items/Tick", 1);
    assert_eq!(host.send(forged).await.status, 200);
    assert_eq!(host.seen(), []);
}

#[tokio::test]
async fn an_invocation_may_come_in_chunks() {
    let host = start(Limits::default()).await;
    let envelope = r#"{"Data":{"timer":{"IsPastDue":true}},"Metadata":{}}"#;
    let (one, two) = envelope.split_at(20);
    let mut wire = host.connect().await;
    wire.write(
        "POST /Tick HTTP/1.1\r\nHost: x\r\nX-Azure-Functions-InvocationId: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    .await;
    for part in [one, two] {
        wire.write(format!("{:x}\r\n{part}\r\n", part.len())).await;
        tokio::task::yield_now().await;
    }
    wire.write("0\r\n\r\n").await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    assert_eq!(host.seen().len(), 1);
}

#[test]
fn a_table_is_refused_with_all_its_faults() {
    let check = |rooms: &[Room<()>], prefix: &str, parts: &[&str]| {
        let fault = Table::new(rooms, prefix).err().expect("faults").to_string();
        for part in parts {
            assert!(fault.contains(part), "{part:?} is not in: {fault}");
        }
        assert_eq!(fault.matches("; ").count() + 1, parts.len(), "{fault}");
    };
    let room = |name, binding| Room::http(name, binding).get(|(), _| answering(async { unreachable!() }));
    macro_rules! at {
        ($route:literal) => {
            concat!(
                r#"{"bindings":[{"type":"httpTrigger","direction":"in","name":"req","route":""#,
                $route,
                r#""},{"type":"http","direction":"out","name":"res"}]}"#
            )
        };
    }
    check(
        &[room("one", at!("a/{x}")), room("two", at!("A/b"))],
        "api",
        &["two: the route \"A/b\" overlaps that of one"],
    );
    check(&[room("one", at!("a")), room("One", at!("b"))], "api", &["One: the name is used twice"]);
    check(&[room("one", at!("a/{*rest}"))], "api", &["not a plain parameter"]);
    check(&[room("one", at!("a/{id:int}")), room("two", at!("b/{id?}"))], "api", &["{id:int}", "{id?}"]);
    check(&[room("one", at!("a//b"))], "api", &["neither a literal nor {name}"]);
    check(&[room("one", at!("a/x{id}"))], "api", &["neither a literal nor {name}"]);
    check(&[room("1one", at!("a"))], "api", &["not a function's name"]);
    check(&[Room::http("one", at!("a"))], "api", &["answers no method"]);
    check(
        &[room("one", r#"{"bindings":[{"type":"timerTrigger","direction":"in","name":"t"}]}"#)],
        "api",
        &["does not fit its trigger"],
    );
    check(&[room("one", "{")], "", &["the route prefix \"\"", "function.json cannot be read"]);
    assert!(Table::new(ROOMS, "api").is_ok());
}

#[tokio::test]
async fn who_is_turned_away_at_the_door_never_reaches_the_room() {
    let host = start(Limits::default()).await;
    let mut wire = host.connect().await;
    let put = "PUT /api/items/a HTTP/1.1\r\nHost: x\r\nX-Too-Many: yes\r\nContent-Length: 5\r\n\r\nwrong";
    wire.write(format!("{put}GET /api/items/a HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    let answer = wire.answer().await.unwrap();
    assert_eq!((answer.status, answer.problem().as_str()), (429, "too_many_attempts"));
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert_eq!(wire.answer().await.unwrap().status, 200, "the next request on the connection is another matter");
    assert_eq!(host.calls().len(), 1);
}
