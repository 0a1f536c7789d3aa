//! Starts the dev host's binary on a stage of its own, with the stub handler in the handler's place, and tells what reached it.
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::wire::{Response, exchange};
use crate::given;

/// Longest wait for something that is bound to happen.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// A stage and a data folder, and how to start on them.
pub(super) struct Rig {
    folder: TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// A dev host that runs.
pub(super) struct Running<'r> {
    rig: &'r Rig,
    child: Child,
    port: u16,
}

/// One request as the stub handler saw it.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) key: String,
    pub(super) process: u64,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Received {
    /// The body as text.
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|it| it.split_once(':'));
        lines.into_iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// `Metadata` of a JSON invocation.
    pub(super) fn metadata(&self, name: &str) -> Value {
        self.json()["Metadata"][name].clone()
    }
}

impl Rig {
    /// An empty stage whose `host.json` proxies, with the stub handler and no function.
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("stage")).unwrap();
        std::os::unix::fs::symlink(given::path(given::STUB_HANDLER), folder.path().join("stage/handler")).unwrap();
        let rig = Self { folder, arguments: Vec::new(), environment: Vec::new() };
        rig.script(&json!({})).host(&json!({"customHandler": {"enableProxyingHttpRequest": true}})).entities(
            &json!({"queues": [{"name": "orders"}], "topics": [], "hubs": [{"name": "clicks", "partitions": 1}]}),
        )
    }

    /// Adds a function; `bindings` is the content of the list, and other members of the file may follow in `rest`.
    pub(super) fn function(self, name: &str, file: &Value) -> Self {
        let folder = self.path("stage").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("function.json"), file.to_string()).unwrap();
        self
    }

    /// An HTTP function of this route and level.
    pub(super) fn http(self, name: &str, route: &str, level: &str) -> Self {
        let trigger =
            json!({"type": "httpTrigger", "direction": "in", "name": "req", "authLevel": level, "route": route});
        self.function(name, &json!({"bindings": [trigger, {"type": "http", "direction": "out", "name": "res"}]}))
    }

    /// A function on the queue `orders`; `more` is laid over its binding.
    pub(super) fn queue(self, name: &str, more: &Value) -> Self {
        let binding = json!({"type": "serviceBusTrigger", "direction": "in", "name": "msg", "queueName": "orders"});
        self.function(name, &json!({"bindings": [merged(binding, more)]}))
    }

    /// A function on the hub `clicks`.
    pub(super) fn hub(self, name: &str, more: &Value, rest: &Value) -> Self {
        let binding = json!({"type": "eventHubTrigger", "direction": "in", "name": "ev", "eventHubName": "clicks"});
        self.function(name, &merged(json!({"bindings": [merged(binding, more)]}), rest))
    }

    /// A timer; `rest` is laid over the file.
    pub(super) fn timer(self, name: &str, schedule: &str, more: &Value, rest: &Value) -> Self {
        let binding = json!({"type": "timerTrigger", "direction": "in", "name": "timer", "schedule": schedule});
        self.function(name, &merged(json!({"bindings": [merged(binding, more)]}), rest))
    }

    /// Lays `content` over the smallest `host.json` for a custom handler.
    pub(super) fn host(self, content: &Value) -> Self {
        let smallest =
            json!({"version": "2.0", "customHandler": {"description": {"defaultExecutablePath": "handler"}}});
        fs::write(self.path("stage").join("host.json"), merged(smallest, content).to_string()).unwrap();
        self
    }

    /// What the stub handler does; its form stands in the stub handler's own source.
    pub(super) fn script(self, content: &Value) -> Self {
        fs::write(self.path("script.json"), content.to_string()).unwrap();
        self
    }

    pub(super) fn entities(self, content: &Value) -> Self {
        fs::write(self.path("entities.json"), content.to_string()).unwrap();
        self
    }

    pub(super) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(|it| (*it).to_owned()).collect();
        self
    }

    pub(super) fn setting(mut self, name: &str, value: &str) -> Self {
        self.environment = vec![(name.to_owned(), value.to_owned())];
        self
    }

    /// Forgets settings and arguments given so far.
    pub(super) fn plain(mut self) -> Self {
        self.environment.clear();
        self.arguments.clear();
        self
    }

    /// Starts the dev host and returns once it says that it is ready.
    pub(super) fn start(&self) -> Running<'_> {
        let mut child = self.spawn();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("ready http://127.0.0.1:").and_then(|it| it.parse().ok());
        let port = port.unwrap_or_else(|| panic!("the dev host is not ready: {line}\n{}", self.log()));
        Running { rig: self, child, port }
    }

    /// Starts a dev host that is expected to end by itself, and returns its exit code.
    pub(super) fn run_to_end(&self) -> Option<i32> {
        wait(&mut self.spawn(), &|| self.log())
    }

    fn spawn(&self) -> Child {
        let log = fs::OpenOptions::new().append(true).create(true).open(self.path("log")).unwrap();
        let mut command = Command::new(given::path(given::DEVHOST));
        command
            .arg("--stage")
            .arg(self.path("stage"))
            .arg("--data")
            .arg(self.path("data"))
            .arg("--entities")
            .arg(self.path("entities.json"))
            .args(&self.arguments)
            .env("STUB_SCRIPT", self.path("script.json"))
            .env("STUB_RECORD", self.path("record"))
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        command.spawn().unwrap()
    }

    /// The handler's program in the stage: a link to the stub handler.
    pub(super) fn program(&self) -> PathBuf {
        self.path("stage/handler")
    }

    /// Everything that dev hosts on this rig have logged.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A file of the data folder, as JSON.
    pub(super) fn stored(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path("data").join(name)).unwrap()).unwrap()
    }

    /// Every start of the stub handler, with its folder and its environment.
    pub(super) fn starts(&self) -> Vec<Value> {
        self.record().into_iter().filter(|it| !it["start"].is_null()).collect()
    }

    /// Every request that the stub handler has seen.
    pub(super) fn received(&self) -> Vec<Received> {
        let entries = self.record();
        let requests = entries.iter().filter(|it| it["key"].is_string());
        requests
            .map(|it| Received {
                key: it["key"].as_str().unwrap().to_owned(),
                process: it["process"].as_u64().unwrap(),
                head: it["head"].as_str().unwrap().to_owned(),
                body: from_base64(it["body"].as_str().unwrap()),
            })
            .collect()
    }

    /// Waits until `count` requests of `key` have come, and returns them.
    pub(super) fn await_received(&self, key: &str, count: usize) -> Vec<Received> {
        self.eventually(&format!("{count} of {key}"), || {
            let found: Vec<Received> = self.received().into_iter().filter(|it| it.key == key).collect();
            (found.len() >= count).then_some(found)
        })
    }

    /// Waits until `check` finds something.
    pub(super) fn eventually<T>(&self, what: &str, mut check: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = check() {
                return found;
            }
            assert!(started.elapsed() < PATIENCE, "waited in vain for {what}\n{}", self.log());
            std::thread::sleep(POLL);
        }
    }

    fn record(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("record")).unwrap_or_default();
        // The last line may be half written.
        text.lines().filter_map(|it| serde_json::from_str(it).ok()).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }
}

impl Running<'_> {
    /// The public port.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Sends one request and reads the answer to its end.
    pub(super) fn send(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        exchange(self.port, line, headers, body)
    }

    pub(super) fn get(&self, path: &str) -> Response {
        self.send(&format!("GET {path}"), &[], b"")
    }

    pub(super) fn get_json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.get(path).body).unwrap()
    }

    /// Sends a message with this id to the queue `orders`.
    pub(super) fn send_message(&self, id: &str, body: &[u8]) {
        let properties = json!({"MessageId": id}).to_string();
        let answer = self.send("POST /orders/messages", &[("BrokerProperties", &properties)], body);
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    /// Sends a batch of events to the hub `clicks`.
    pub(super) fn send_events(&self, bodies: &[&str]) {
        let batch: Vec<Value> = bodies.iter().map(|it| json!({"Body": it})).collect();
        let headers = [("Content-Type", "application/vnd.microsoft.servicebus.json")];
        let answer = self.send("POST /clicks/messages", &headers, json!(batch).to_string().as_bytes());
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    /// Waits until the queue `orders` is empty, and returns its page.
    pub(super) fn await_empty_queue(&self) -> Value {
        self.await_empty("orders")
    }

    /// Waits until nothing of this queue or hub is left to do, and returns its page.
    pub(super) fn await_empty(&self, name: &str) -> Value {
        self.rig.eventually("an empty queue", || {
            let page = self.get_json("/dev/queues");
            let queue = page["items"].as_array().unwrap().iter().find(|it| it["name"] == name).cloned().unwrap();
            (queue["active"] == 0).then_some(queue)
        })
    }

    /// Waits for the end and returns the exit code.
    pub(super) fn exit_code(mut self) -> Option<i32> {
        wait(&mut self.child, &|| self.rig.log())
    }

    /// Ends the dev host as its caller does, and checks that it says goodbye properly.
    pub(super) fn stop(mut self) {
        let asked = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(asked.success());
        assert_eq!(wait(&mut self.child, &|| self.rig.log()), Some(0), "{}", self.rig.log());
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let gone = self.child.kill().and_then(|()| self.child.wait());
        assert!(gone.is_ok() || std::thread::panicking(), "{gone:?}");
    }
}

fn wait(child: &mut Child, log: &dyn Fn() -> String) -> Option<i32> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(started.elapsed() < PATIENCE, "the dev host does not end\n{}", log());
        std::thread::sleep(POLL);
    }
}

fn merged(mut base: Value, over: &Value) -> Value {
    match (&mut base, over) {
        (Value::Object(members), Value::Object(more)) => {
            for (name, value) in more {
                let have = members.remove(name).unwrap_or(Value::Null);
                members.insert(name.clone(), merged(have, value));
            }
            base
        }
        (_, Value::Null) => base,
        _ => over.clone(),
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.decode(text).unwrap()
}
