//! Requests, to the emulator and back, each charged to its partition key by the shop's own table.
use std::{
    future,
    pin::pin,
    process,
    sync::{Arc, Mutex},
    time::Duration,
};

use azure_core::http::{
    Method, Request,
    headers::{HeaderName, HeaderValue},
};
use azure_data_cosmos_driver::in_memory_emulator::InMemoryEmulatorHttpClient;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{RwLock, watch},
    task::JoinSet,
    time::sleep,
};
use url::Url;

use crate::{
    Failure,
    budget::{Budget, Key},
    rolled_back::RolledBack,
    units::{self, Milliunits},
};

/// Source: Cosmos DB REST reference, "Common request headers".
const PARTITION_KEY: &str = "x-ms-documentdb-partitionkey";
const IS_QUERY: &str = "x-ms-documentdb-isquery";
const IS_BATCH: &str = "x-ms-cosmos-is-batch-request";
/// Sub-status of 429: the request units are used up.
const USED_UP: u32 = 3200;

pub(crate) struct Service {
    pub(crate) emulator: InMemoryEmulatorHttpClient,
    pub(crate) budget: Budget,
    refusal: Mutex<Option<Refusal>>,
    /// The region that answers late, and by how much.
    slow: Mutex<Option<(Url, Duration)>>,
    pub(crate) rolled_back: RolledBack,
    /// The region that nothing listens for any more.
    pub(crate) lost: watch::Sender<Option<Url>>,
    /// The region that answers no more.
    pub(crate) mute: watch::Sender<Option<Url>>,
    /// Closed while writes move to another region.
    pub(crate) gate: RwLock<()>,
}

#[derive(Clone)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) sub: u32,
    /// Where; everywhere without one.
    pub(crate) region: Option<Url>,
}

impl Service {
    pub(crate) fn new(emulator: InMemoryEmulatorHttpClient) -> Service {
        Service {
            emulator,
            budget: Budget::default(),
            refusal: Mutex::default(),
            slow: Mutex::default(),
            rolled_back: RolledBack::default(),
            lost: watch::Sender::default(),
            mute: watch::Sender::default(),
            gate: RwLock::default(),
        }
    }

    /// The region that takes writes.
    fn home(&self) -> Url {
        let store = self.emulator.store();
        let config = store.config();
        let name = config.write_region_name();
        let regions = config.active_regions();
        let home = regions.iter().find(|it| it.name() == name).or(regions.first());
        home.expect("an account has a region").gateway_url().clone()
    }

    pub(crate) fn refuse(&self, refusal: Option<Refusal>) {
        *self.refusal.lock().unwrap() = refusal;
    }

    pub(crate) fn slow(&self, region: Url, by: Duration) {
        *self.slow.lock().unwrap() = Some((region, by));
    }

    async fn answer(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        region: Option<Url>,
    ) -> Result<Response<Full<Bytes>>, Failure> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = head.uri.path_and_query().map_or("/", |it| it.as_str());
        let key = key(path, &head.headers);
        let region = region.unwrap_or_else(|| self.home());
        if let Some(key) = &key {
            let refusal = self.refusal.lock().unwrap().clone();
            if let Some(it) = refusal.filter(|it| it.region.as_ref().is_none_or(|it| *it == region)) {
                return refused(it.status, it.sub, None);
            }
            if let Some(wait) = self.budget.wait(key) {
                return refused(429, USED_UP, Some(wait.as_millis()));
            }
            if is(&head.headers, IS_BATCH)
                && let Some(answer) = self.rolled_back.answer(operations(&body).len())
            {
                return Ok(Response::builder().status(207).body(Full::new(Bytes::from(answer)))?);
            }
        }
        let slow = self.slow.lock().unwrap().clone().filter(|(it, _)| key.is_some() && *it == region);
        if let Some((_, by)) = slow {
            sleep(by).await;
        }
        let mut asked = Request::new(region.join(path)?, head.method.as_str().parse::<Method>()?);
        for (name, value) in &head.headers {
            let (name, value) = (name.as_str().to_owned(), value.to_str()?.to_owned());
            asked.headers_mut().insert(HeaderName::from(name), HeaderValue::from(value));
        }
        asked.set_body(body.to_vec());
        let open = self.gate.read().await;
        let answer = self.emulator.execute_request(&asked).await?.try_into_raw_response().await?;
        drop(open);
        if let Some(key) = key {
            self.budget.charge(key, cost(&head.method, &head.headers, &body, answer.body().len()));
        }
        let mut response = Response::builder().status(u16::from(answer.status()));
        for (name, value) in answer.headers().iter() {
            response = response.header(name.as_str(), value.as_str());
        }
        Ok(response.body(Full::new(Bytes::copy_from_slice(answer.body())))?)
    }
}

/// `url` is the region's that is served, until it is lost: then nothing listens there; or mute: then its connections
/// stay and nothing is read or said. The account's own port has none.
pub(crate) async fn serve(listener: TcpListener, url: Option<Url>, service: Arc<Service>) {
    let mut lost = service.lost.subscribe();
    let is_lost = |it: &Option<Url>| is_region(it, &url);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = lost.wait_for(is_lost) => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        stream.set_nodelay(true).ok();
        let (url, service) = (url.clone(), Arc::clone(&service));
        connections.spawn(async move {
            let (mut mute, region) = (service.mute.subscribe(), url.clone());
            let answering = service_fn(move |request| Arc::clone(&service).answer(request, url.clone()));
            let builder = auto::Builder::new(TokioExecutor::new());
            let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), answering));
            let is_mute = tokio::select! {
                biased;
                _ = mute.wait_for(|it| is_region(it, &region)) => true,
                // A caller that hangs up is no concern of ours.
                _ = &mut serving => false,
            };
            if is_mute {
                future::pending::<()>().await;
            }
        });
    }
}

/// Is it this region that was named?
fn is_region(named: &Option<Url>, region: &Option<Url>) -> bool {
    named.is_some() && named == region
}

/// Whose budget a request for documents draws on; `None` for what is asked of the account.
fn key(path: &str, headers: &HeaderMap) -> Option<Key> {
    let (_, rest) = path.split_once("/colls/")?;
    let (container, rest) = rest.split_once('/')?;
    let documents = rest.strip_prefix("docs").is_some_and(|it| it.is_empty() || it.starts_with(['/', '?']));
    let partition = headers.get(PARTITION_KEY).and_then(|it| it.to_str().ok()).unwrap_or_default();
    documents.then(|| (container.to_owned(), partition.to_owned()))
}

fn cost(method: &hyper::Method, headers: &HeaderMap, body: &[u8], answered: usize) -> Milliunits {
    let bytes = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
    match *method {
        hyper::Method::GET => units::read(bytes(answered)) * 2,
        _ if is(headers, IS_QUERY) => units::page(bytes(answered)) * 2,
        _ if is(headers, IS_BATCH) => {
            let size = |it: &Value| it.get("resourceBody").map_or(0, |it| it.to_string().len());
            operations(body).iter().map(|it| units::write(bytes(size(it)), 0)).sum()
        }
        _ => units::write(bytes(body.len()), 0),
    }
}

fn is(headers: &HeaderMap, name: &str) -> bool {
    headers.get(name).is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// A batch's. What cannot be read would be free of charge, so it ends the account and with it the test.
fn operations(batch: &[u8]) -> Vec<Value> {
    serde_json::from_slice(batch).unwrap_or_else(|err| {
        eprintln!("cosmos_emulator: a batch that cannot be read: {err}");
        process::exit(1)
    })
}

fn refused(status: u16, sub: u32, wait_ms: Option<u128>) -> Result<Response<Full<Bytes>>, Failure> {
    let mut response =
        Response::builder().status(status).header("x-ms-substatus", sub).header("x-ms-request-charge", "0.38");
    if let Some(wait) = wait_ms {
        response = response.header("x-ms-retry-after-ms", wait.to_string());
    }
    let body = serde_json::json!({ "code": status.to_string(), "message": "refused by the test's order" });
    Ok(response.body(Full::new(Bytes::from(body.to_string())))?)
}
