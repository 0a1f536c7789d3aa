//! The dev host itself is killed again and again while clients send and a handler receives: what it answered 201 for reaches the
//! handler, once in each life of the dev host at most.
//!
//! What must stay true: the senders do what a sender with an outbox does (send again, same id, until there is an answer), and the
//! handler stands outside (the stub handler's record), so that nothing is believed that the dev host says of itself.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const KILLS: usize = 8;
const SENDERS: usize = 4;
/// Answers between two kills.
const ANSWERS: usize = 40;
/// Longest wait for something that is bound to happen.
const PATIENCE: Duration = Duration::from_secs(60);

fn prepare(folder: &Path) {
    let binding = |function: &str, binding: Value| {
        let at = folder.join("stage").join(function);
        fs::create_dir_all(&at).unwrap();
        fs::write(at.join("function.json"), json!({ "bindings": [binding] }).to_string()).unwrap();
    };
    binding("OnOrder", json!({"type": "serviceBusTrigger", "direction": "in", "name": "msg", "queueName": "orders"}));
    binding(
        "OnClick",
        json!({"type": "eventHubTrigger", "direction": "in", "name": "evs", "eventHubName": "clicks", "cardinality": "many",
               "dataType": "string"}),
    );
    let host = json!({"version": "2.0", "customHandler": {"description": {"defaultExecutablePath": "handler"}}});
    let entities = json!({"queues": [{"name": "orders", "duplicateDetectionWindow": "PT10M", "maxDeliveryCount": 100}],
        "hubs": [{"name": "clicks", "partitions": 2}]});
    fs::write(folder.join("stage/host.json"), host.to_string()).unwrap();
    fs::write(folder.join("entities.json"), entities.to_string()).unwrap();
    fs::write(folder.join("script.json"), "{}").unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_stub_handler"), folder.join("stage/handler")).unwrap();
}

/// Starts the dev host on this port (0: any) and returns once it serves, with the port it has.
fn start(folder: &Path, port: u16) -> (Child, u16) {
    let log = fs::OpenOptions::new().append(true).create(true).open(folder.join("log")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_devhost"))
        .arg("--stage")
        .arg(folder.join("stage"))
        .arg("--data")
        .arg(folder.join("data"))
        .arg("--entities")
        .arg(folder.join("entities.json"))
        .args(["--port", &port.to_string()])
        .env("STUB_SCRIPT", folder.join("script.json"))
        .env("STUB_RECORD", folder.join("record"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("ready http://127.0.0.1:").and_then(|number| number.trim().parse().ok()));
    // Whoever writes to a pipe that nobody reads is stopped by it.
    std::thread::spawn(move || lines.for_each(drop));
    let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
    (child, ready.unwrap_or_else(|| panic!("the dev host is not ready\n{}", log())))
}

/// One exchange; `None` where the connection failed before there was an answer.
fn exchange(port: u16, request: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
}

fn post(port: u16, entity: &str, properties: &str, body: &str) -> Option<u16> {
    let length = body.len();
    let request = format!(
        "POST /{entity}/messages HTTP/1.1\r\nHost: x\r\nConnection: close\r\nBrokerProperties: {properties}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    exchange(port, &request).map(|(status, _)| status)
}

/// Sends until it is told to stop, each id again and again until it is answered.
fn send(name: usize, port: u16, answered: &Mutex<HashSet<String>>, count: &AtomicUsize, stop: &AtomicBool) {
    for number in 0.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let is_event = name == 0;
        let id = format!("{}-{name}-{number}", if is_event { "event" } else { "message" });
        let (entity, properties) =
            if is_event { ("clicks", "{}".to_owned()) } else { ("orders", json!({ "MessageId": id }).to_string()) };
        let begun = Instant::now();
        loop {
            match post(port, entity, &properties, &id) {
                Some(201) => break,
                Some(status) => panic!("{id} is answered {status}"),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
            assert!(begun.elapsed() < PATIENCE, "{id} gets no answer");
        }
        answered.lock().unwrap().insert(id);
        count.fetch_add(1, Ordering::SeqCst);
    }
}

fn until(what: &str, mut check: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !check() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How often each id reached each process of the handler.
fn deliveries(record: &Path) -> BTreeMap<(u64, String), usize> {
    let mut seen = BTreeMap::new();
    for line in fs::read_to_string(record).unwrap_or_default().lines() {
        // A kill may leave the last line of a life half written.
        let entry: Value = serde_json::from_str(line).unwrap_or_default();
        let ids = match entry["key"].as_str() {
            Some("OnOrder") => vec![message(&entry)],
            Some("OnClick") => events(&entry),
            _ => continue,
        };
        for id in ids {
            *seen.entry((entry["process"].as_u64().unwrap(), id)).or_insert(0) += 1;
        }
    }
    seen
}

fn payload(entry: &Value, binding: &str) -> String {
    let body = STANDARD.decode(entry["body"].as_str().unwrap()).unwrap();
    let envelope: Value = serde_json::from_slice(&body).unwrap();
    envelope["Data"][binding].as_str().unwrap().to_owned()
}

fn message(entry: &Value) -> String {
    serde_json::from_str(&payload(entry, "msg")).unwrap()
}

fn events(entry: &Value) -> Vec<String> {
    serde_json::from_str(&payload(entry, "evs")).unwrap()
}

#[test]
fn what_was_answered_reaches_the_handler_through_every_kill() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let (mut child, port) = start(folder.path(), 0);
    let answered = Arc::new(Mutex::new(HashSet::new()));
    let (count, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let senders: Vec<_> = (0..SENDERS)
        .map(|name| {
            let (answered, count, stop) = (Arc::clone(&answered), Arc::clone(&count), Arc::clone(&stop));
            std::thread::spawn(move || send(name, port, &answered, &count, &stop))
        })
        .collect();
    for _ in 0..KILLS {
        let before = count.load(Ordering::SeqCst);
        until("answers", || count.load(Ordering::SeqCst) >= before + ANSWERS);
        child.kill().unwrap();
        child.wait().unwrap();
        (child, _) = start(folder.path(), port);
    }
    stop.store(true, Ordering::SeqCst);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let record = folder.path().join("record");
    let reached = || deliveries(&record).into_keys().map(|(_, id)| id).collect::<HashSet<String>>();
    let answered = answered.lock().unwrap().clone();
    until("every message", || answered.is_subset(&reached()));
    until("empty queues", || {
        let page = exchange(port, "GET /dev/queues HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap().1;
        let page: Value = serde_json::from_str(&page).unwrap();
        page["items"].as_array().unwrap().iter().all(|it| it["active"] == 0 && it["deadLetters"] == 0)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    // A hub knows no ids: an event whose answer was lost is there twice.
    let again = |(key, times): &((u64, String), usize)| *times > 1 && key.1.starts_with("message");
    let twice: HashMap<_, _> = deliveries(&record).into_iter().filter(again).collect();
    assert!(twice.is_empty(), "delivered twice without a kill between: {twice:?}");
    assert!(answered.len() >= KILLS * ANSWERS);
}
