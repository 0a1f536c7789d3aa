//! Too much, too slow, broken or breaking: the answer is a problem, and the server goes on.
use std::time::Duration;

use offpeak::shared::host::{
    limits::Limits,
    server::{bind, serve},
    table::Table,
};

use super::{
    probe::{PATIENCE, ROOMS, Running, invocation, start},
    victim::{Victim, free_port},
};

const SHORT: Duration = Duration::from_millis(100);

fn upload(length: usize) -> String {
    format!("POST /api/uploads HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n")
}

async fn still_serves(host: &Running) {
    assert_eq!(host.ask("GET", "/api/items/a").await.status, 200);
}

#[tokio::test]
async fn headers_have_a_limit() {
    let host = start(Limits::default()).await;
    let with = |bytes: usize| format!("GET /api/items/a HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(bytes));
    assert_eq!(host.send(with(30 * 1024)).await.status, 200);
    let mut wire = host.connect().await;
    wire.write(with(33 * 1024)).await;
    let answer = wire.answer().await.unwrap();
    assert_eq!((answer.status, answer.problem().as_str()), (431, "headers_too_large"));
    assert!(wire.is_closed().await);
    // So long that it is not even parsed.
    assert_eq!(host.send(with(70 * 1024)).await.status, 431);
    let many = "X-H: 1\r\n".repeat(200);
    assert_eq!(host.send(format!("GET /api/items/a HTTP/1.1\r\n{many}\r\n")).await.status, 431);
    still_serves(&host).await;
}

#[tokio::test]
async fn headers_that_dawdle_end_the_connection_and_idleness_does_so_later() {
    let host = start(Limits { head_time: SHORT, ..Limits::default() }).await;
    let mut slow = host.connect().await;
    slow.write("GET /api/items/a HTTP/1.1\r\nHost:").await;
    let mut idle = host.connect().await;
    idle.write("GET /api/items/a HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(idle.answer().await.unwrap().status, 200);
    assert!(slow.is_closed().await);
    // The idle connection has outlived the slow one's limit, and serves again.
    idle.write("GET /api/items/a HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(idle.answer().await.unwrap().status, 200);

    let host = start(Limits { idle_time: SHORT, ..Limits::default() }).await;
    let mut silent = host.connect().await;
    assert!(silent.is_closed().await);
    let mut idle = host.connect().await;
    idle.write("GET /api/items/a HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(idle.answer().await.unwrap().status, 200);
    assert!(idle.is_closed().await);
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_let_go() {
    let host = start(Limits { write_time: SHORT, connections: 1, ..Limits::default() }).await;
    let mut deaf = host.connect().await;
    // More answers than the buffers between us hold, and none is read; so the writing gets stuck as well.
    let many = "GET /api/items/a HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    let flood = async {
        while deaf.try_write(&many).await {}
        deaf
    };
    let _deaf = tokio::time::timeout(PATIENCE, flood).await.expect("the server reads on for ever");
    // There is one place, and it is free again.
    still_serves(&host).await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_drained_so_that_the_caller_sees_why() {
    let host = start(Limits::default()).await;
    let fits = vec![b'x'; 64 * 1024];
    assert_eq!(host.send([upload(fits.len()).as_bytes(), &fits].concat()).await.json()["bytes"], fits.len());

    let big = vec![b'x'; 10 * 1024 * 1024];
    let mut wire = host.connect().await;
    wire.write(upload(big.len())).await;
    wire.write(&big).await;
    let answer = wire.answer().await.unwrap();
    assert_eq!((answer.status, answer.problem().as_str()), (413, "body_too_large"));
    // It was read to its end, so the connection lives.
    wire.write("GET /api/items/a HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(wire.answer().await.unwrap().status, 200);

    // The same in chunks, and to a path or method that takes no body at all.
    let mut wire = host.connect().await;
    wire.write("POST /api/uploads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for part in big.chunks(1024 * 1024) {
        wire.write([format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat()).await;
    }
    wire.write("0\r\n\r\n").await;
    assert_eq!(wire.answer().await.unwrap().status, 413);
    for (target, status) in [("POST /api/nowhere", 404), ("POST /api/items/a", 405)] {
        let head = upload(big.len()).replace("POST /api/uploads", target);
        assert_eq!(host.send([head.as_bytes(), &big].concat()).await.status, status);
    }
    assert_eq!(host.calls().len(), 2);
}

#[tokio::test]
async fn what_is_more_than_is_drained_or_waits_for_leave_is_answered_at_once() {
    let host = start(Limits { drain_bytes: 1024 * 1024, ..Limits::default() }).await;
    for head in [upload(2 * 1024 * 1024), upload(500_000).replace("Host: x", "Host: x\r\nExpect: 100-continue")] {
        let mut wire = host.connect().await;
        wire.write(head).await;
        let answer = wire.answer().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
        assert!(wire.is_closed().await);
    }
    let mut wire = host.connect().await;
    wire.write(upload(3).replace("Host: x", "Host: x\r\nExpect: 100-continue")).await;
    assert_eq!(wire.answer().await.unwrap().status, 100);
    wire.write("abc").await;
    assert_eq!(wire.answer().await.unwrap().json()["bytes"], 3);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let host = start(Limits { body_time: SHORT, ..Limits::default() }).await;
    let mut wire = host.connect().await;
    wire.write(upload(10)).await;
    wire.write("half").await;
    let answer = wire.answer().await.unwrap();
    assert_eq!((answer.status, answer.problem().as_str()), (408, "request_timeout"));
    assert!(wire.is_closed().await);
    let head = String::from_utf8(invocation("Tick", "x")).unwrap();
    let mut wire = host.connect().await;
    wire.write(head.trim_end_matches('x')).await;
    assert_eq!(wire.answer().await.unwrap().status, 408);

    let mut wire = host.connect().await;
    wire.write("POST /api/uploads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").await;
    let answer = wire.answer().await.unwrap();
    assert_eq!((answer.status, answer.problem().as_str()), (400, "invalid_body"));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let host = start(Limits::default()).await;
    let mut wire = host.connect().await;
    let requests: Vec<String> = (0..20).map(|n| format!("GET /api/items/{n} HTTP/1.1\r\nHost: x\r\n\r\n")).collect();
    wire.write(requests.concat()).await;
    for n in 0..20 {
        assert_eq!(wire.answer().await.unwrap().json()["params"][0][1], n.to_string());
    }
}

#[tokio::test]
async fn a_panic_ends_its_request_only() {
    let host = start(Limits::default()).await;
    let mut wire = host.connect().await;
    for room in ["boom", "early-boom"] {
        wire.write(format!("GET /api/{room} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let answer = wire.answer().await.unwrap();
        assert_eq!((answer.status, answer.problem().as_str()), (500, "internal"));
        assert!(!answer.text().contains("boom"), "a stranger is told nothing");
    }
    wire.write("GET /api/items/a HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_panic_is_one_line_of_standard_output_with_the_requests_ids() {
    let mut victim = Victim::start(free_port());
    let mut wire = victim.reach().await;
    for _ in 0..2 {
        wire.write(invocation("OnOrder", r#"{"Data":{"msg":"\"panic\""},"Metadata":{"DeliveryCount":"3"}}"#)).await;
        assert_eq!(wire.answer().await.unwrap().status, 500);
    }
    let lines = victim.killed();
    let panics: Vec<&String> = lines.iter().filter(|line| line.contains("panic")).collect();
    assert_eq!(panics.len(), 2, "{lines:#?}");
    for line in panics {
        let ids = "ERROR OnOrder invocation=1c7a4f0e-1111-4222-8333-444455556666 trace=";
        assert!(line.contains(ids), "{line}");
        assert!(line.contains(" attempt=3 Panicked: asked to panic"), "{line}");
    }
}

/// Ten deliveries would be over at once while a dependency is away.
#[tokio::test]
async fn a_message_that_failed_before_rests_before_it_is_given_back() {
    let host = start(Limits { rest_max: PATIENCE * 10, ..Limits::default() }).await;
    let failing = |count: u32| format!(r#"{{"Data":{{"msg":"\"fail\""}},"Metadata":{{"DeliveryCount":"{count}"}}}}"#);
    assert_eq!(host.invoke("OnOrder", &failing(1)).await.status, 500);
    let mut resting = host.connect().await;
    resting.write(invocation("OnOrder", &failing(10))).await;
    // Many others are answered meanwhile, so it is not by chance that this one is not.
    for _ in 0..200 {
        still_serves(&host).await;
    }
    assert!(resting.says_nothing(), "it was given back at once");
}

#[tokio::test]
async fn a_room_that_takes_too_long_is_a_503() {
    let host = start(Limits { request_time: SHORT, ..Limits::default() }).await;
    let answer = host.ask("GET", "/api/slow").await;
    assert_eq!((answer.status, answer.problem().as_str()), (503, "unavailable"));
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let host = start(Limits { connections: 2, ..Limits::default() }).await;
    let (first, _second) = (host.connect().await, host.connect().await);
    let mut third = host.connect().await;
    third.write("GET /api/items/a HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(tokio::time::timeout(SHORT, third.answer()).await.is_err());
    drop(first);
    assert_eq!(third.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_trace_id_is_taken_from_the_caller_or_made() {
    let host = start(Limits::default()).await;
    let with = |parent: &str| format!("GET /api/nowhere HTTP/1.1\r\nHost: x\r\ntraceparent: {parent}\r\n\r\n");
    let given = host.send(with("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")).await.json();
    assert_eq!(given["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    let made = [host.send(with("nonsense")).await.json(), host.send(with("")).await.json()];
    assert_ne!(made[0]["traceId"], made[1]["traceId"]);
}

#[tokio::test]
async fn store_operations_are_told_in_local_mode_only() {
    let host = start(Limits { debug_headers: true, ..Limits::default() }).await;
    let answer = host.ask("GET", "/api/items/a").await;
    assert_eq!(answer.header("server-timing"), Some("store;desc=\"reads=0 writes=0 queries=0\""));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let host = start(Limits::default()).await;
    assert_eq!(host.ask("GET", "/api/items/a").await.header("server-timing"), None);
}

#[tokio::test]
async fn a_taken_port_is_waited_for_and_then_given_up() {
    let taken = bind(0, Duration::ZERO).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = bind(port, SHORT).await;
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    let later = async {
        tokio::time::sleep(SHORT).await;
        drop(taken);
    };
    let (listener, ()) = tokio::join!(bind(port, PATIENCE), later);
    let table = std::sync::Arc::new(Table::new(ROOMS, "api").unwrap());
    let served = serve(listener.unwrap(), table, std::sync::Arc::default(), Limits::default());
    assert!(tokio::time::timeout(SHORT, served).await.is_err());
}
