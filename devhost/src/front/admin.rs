//! The admin pages that are played: the list of functions, running one of them, the host's status and ping.
use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::{
    functions::{Function, Trigger},
    invoke::Invoke,
    local::Local,
    reply::{self, Body},
    staged::LoadedFunction,
    status::HostStatus,
    timers::Timers,
};

/// Largest body of a run request, in bytes.
const INPUT_BYTES_MAX: usize = 1024 * 1024;

/// What the admin pages show and start.
pub struct Admin {
    pub functions: Vec<LoadedFunction>,
    pub status: Arc<HostStatus>,
    pub timers: Arc<Timers>,
    pub local: Arc<Local>,
    pub invoker: Arc<dyn Invoke>,
}

/// Whether `path` is the one page that never asks for a key.
pub(super) fn is_ping(path: &str) -> bool {
    path.trim_end_matches('/').eq_ignore_ascii_case("/admin/host/ping")
}

impl Admin {
    /// Answers a request under `/admin`.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().trim_matches('/').to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        let lower: Vec<String> = parts.iter().map(|it| it.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        match (request.method(), lower.as_slice()) {
            (&(Method::GET | Method::POST), ["admin", "host", "ping"]) => reply::empty(StatusCode::OK),
            (&Method::GET, ["admin", "host", "status"]) => reply::json(StatusCode::OK, &self.status.content()),
            (&Method::GET, ["admin", "functions"]) => {
                let list: Vec<Value> = self.functions.iter().map(metadata).collect();
                reply::json(StatusCode::OK, &json!(list))
            }
            (&Method::GET, ["admin", "functions", name]) => self.shown(name, metadata),
            (&Method::GET, ["admin", "functions", name, "status"]) => self.shown(name, |_| json!({})),
            (&Method::POST, ["admin", "functions", name]) => match self.find(name) {
                Some(loaded) => self.run(&loaded.function, request).await,
                None => reply::empty(StatusCode::NOT_FOUND),
            },
            _ => reply::empty(StatusCode::NOT_FOUND),
        }
    }

    fn find(&self, name: &str) -> Option<&LoadedFunction> {
        self.functions.iter().find(|it| it.function.name.eq_ignore_ascii_case(name))
    }

    fn shown(&self, name: &str, page: impl Fn(&LoadedFunction) -> Value) -> Response<Body> {
        match self.find(name) {
            Some(loaded) => reply::json(StatusCode::OK, &page(loaded)),
            None => reply::empty(StatusCode::NOT_FOUND),
        }
    }

    /// Starts a function in the background and answers at once.
    async fn run(&self, function: &Function, request: Request<Incoming>) -> Response<Body> {
        let Ok(body) = Limited::new(request.into_body(), INPUT_BYTES_MAX).collect().await else {
            return reply::empty(StatusCode::BAD_REQUEST);
        };
        let input = serde_json::from_slice::<Value>(&body.to_bytes()).ok();
        let Some(input) = input.as_ref().and_then(|it| it.get("input")).and_then(Value::as_str) else {
            return reply::text(StatusCode::BAD_REQUEST, "the body is to be {\"input\": \"<text>\"}");
        };
        if function.disabled {
            return reply::text(StatusCode::BAD_REQUEST, "the function is disabled");
        }
        match &function.trigger {
            Trigger::Http(_) => {
                reply::text(StatusCode::BAD_REQUEST, "an HTTP function is started by calling its route")
            }
            Trigger::Timer(_) => {
                let (timers, name) = (Arc::clone(&self.timers), function.name.clone());
                tokio::spawn(async move { timers.run_now(&name).await });
                reply::empty(StatusCode::ACCEPTED)
            }
            Trigger::ServiceBus(_) | Trigger::EventHub(_) => {
                let (local, invoker) = (Arc::clone(&self.local), Arc::clone(&self.invoker));
                let (function, input) = (function.clone(), input.to_owned());
                tokio::spawn(async move {
                    if let Some(Err(fault)) = local.admin_send(&function, &input, invoker.as_ref()).await {
                        tracing::error!("Asked for by the admin page, {fault}");
                    }
                });
                reply::empty(StatusCode::ACCEPTED)
            }
        }
    }
}

fn metadata(loaded: &LoadedFunction) -> Value {
    let function = &loaded.function;
    let name = &function.name;
    json!({
        "name": name,
        "href": format!("/admin/functions/{name}"),
        "config": loaded.config,
        "test_data": "",
        "isDisabled": function.disabled,
        "isDirect": matches!(function.trigger, Trigger::Http(_)),
        "isProxy": false,
        "language": "Custom",
    })
}
