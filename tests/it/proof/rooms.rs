//! The app's rooms as the host would call them, without a host: by path, by queue, by tick.
//!
//! Everything the shop does here comes in through the same doors as in production, so a case says nothing
//! about how an operation is called, only what a client, a broker or a timer does.
use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use offpeak::{
    functions::ROOMS,
    shared::{
        app::App,
        host::{
            call::Call,
            room::{HttpHandler, METHODS, Message, MessageHandler, Tick, TimerHandler, Work},
        },
    },
};
use serde_json::Value;

use super::machine::Process;

struct HttpRoom {
    segments: Vec<&'static str>,
    handlers: &'static [Option<HttpHandler<App>>; METHODS.len()],
}

struct Doors {
    http: Vec<HttpRoom>,
    queues: Vec<(String, MessageHandler<App>)>,
    timers: Vec<TimerHandler<App>>,
}

static DOORS: LazyLock<Doors> = LazyLock::new(|| {
    let mut doors = Doors { http: Vec::new(), queues: Vec::new(), timers: Vec::new() };
    for room in ROOMS {
        let binding: Value = serde_json::from_str(room.binding).unwrap();
        let text = |name: &str| binding["bindings"][0][name].as_str().map(ToOwned::to_owned);
        match &room.work {
            Work::Http { handlers, .. } => {
                let route: &'static str = text("route").unwrap().leak();
                doors.http.push(HttpRoom { segments: route.split('/').collect(), handlers });
            }
            Work::Message(handler) => doors.queues.push((text("queueName").unwrap_or_default(), *handler)),
            Work::Timer(handler) => doors.timers.push(*handler),
            Work::Events(_) => {}
        }
    }
    doors
});

/// What came back; a problem too.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) raw: Bytes,
    pub(super) retry_after_s: Option<u32>,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.raw).unwrap_or(Value::Null)
    }

    pub(super) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Not to be asked again with the same key.
    pub(super) fn is_final(&self) -> bool {
        match self.status {
            202 | 429 | 500.. => false,
            409 => !matches!(self.code().as_str(), "completion_in_progress" | "conflict"),
            _ => true,
        }
    }
}

/// One HTTP request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Request {
    /// `path` begins after `/api/`.
    pub(super) fn new(method: Method, path: impl Into<String>) -> Request {
        Request { method, path: path.into(), headers: Vec::new(), body: Bytes::new() }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Request {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn json(mut self, body: &Value) -> Request {
        self.body = Bytes::from(body.to_string());
        self
    }

    /// As a member of staff who may do everything.
    pub(super) fn staff(self) -> Request {
        self.header("authorization", "Bearer any")
    }

    /// The answer; `None` if the process ended first.
    pub(super) async fn send(self, process: &Process) -> Option<Answer> {
        let path = self.path.split('?').next().unwrap_or_default();
        let segments: Vec<&str> = path.split('/').collect();
        let room = DOORS.http.iter().find(|it| fits(&it.segments, &segments));
        let room = room.unwrap_or_else(|| panic!("no room answers {}", self.path));
        let at = METHODS.iter().position(|it| *it == self.method).unwrap();
        let handler = room.handlers[at].unwrap_or_else(|| panic!("{} is not allowed on {}", self.method, self.path));
        let params = room.segments.iter().zip(&segments);
        let params = params.filter_map(|(name, value)| parameter(name).map(|it| (it, (*value).to_owned()))).collect();
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let query = self.path.split_once('?').map(|(_, query)| query.to_owned());
        let call = Call { method: self.method, path: format!("/api/{path}"), params, query, headers, body: self.body };
        let done = process.faults.run(handler(&process.app, call)).await?;
        Some(match done {
            Ok(reply) => {
                Answer { status: reply.status.as_u16(), headers: reply.headers, raw: reply.body, retry_after_s: None }
            }
            Err(problem) => Answer {
                status: problem.status().as_u16(),
                headers: HeaderMap::new(),
                raw: Bytes::from(problem.to_json().to_string()),
                retry_after_s: problem.retry_after_s(),
            },
        })
    }
}

fn parameter(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{').and_then(|it| it.strip_suffix('}'))
}

fn fits(template: &[&'static str], path: &[&str]) -> bool {
    template.len() == path.len()
        && template.iter().zip(path).all(|(have, got)| parameter(have).is_some() || have == got)
}

/// Whether anyone works on this queue.
pub(super) fn has_consumer(queue: &str) -> bool {
    DOORS.queues.iter().any(|(name, _)| name == queue)
}

/// Gives a message to its function. `None` if the process ended first.
pub(super) async fn deliver(
    process: &Process,
    queue: &str,
    (id, body): (&str, &str),
    delivery_count: u32,
) -> Option<Result<(), String>> {
    let (_, handler) = DOORS.queues.iter().find(|(name, _)| name == queue)?;
    let message = Message { body: body.as_bytes().to_vec(), message_id: Some(id.to_owned()), delivery_count };
    process.faults.run(handler(&process.app, message)).await.map(|it| it.map_err(|err| err.to_string()))
}

/// Every timer's tick. One that fails comes again.
pub(super) async fn tick(process: &Process) {
    for handler in &DOORS.timers {
        process.faults.run(handler(&process.app, Tick { is_past_due: false, retry_count: 0 })).await;
    }
}
