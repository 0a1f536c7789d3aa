//! The public port: routes, keys, admin pages and the way to the handler.
//!
//! Nothing here knows what the shop does. A path that no function takes is the host's own empty 404.
mod admin;
mod constraint;
mod handover;
pub mod keys;
mod rewrite;
mod routes;
pub mod template;

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

pub use self::{admin::Admin, handover::Handover, routes::Routes};
use self::{handover::Way, keys::Keys};
use crate::{
    ending::EndSignal,
    handlers::Handlers,
    local::Served,
    reply::{self, Body},
    wire::Wire,
};

/// How long a caller may take to send its headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Most connections at one time; more wait to be accepted.
const CONNECTIONS_MAX: u32 = 4096;
/// How long answers under way are waited for when the dev host ends.
const LAST_ANSWERS_WAIT: Duration = Duration::from_secs(1);
/// The wait after a failed accept, when the system is short of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The connection is to be closed without an answer: the sandbox provider plays a lost one.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the answer is lost on purpose")]
struct HangUp;

/// Answers everything that arrives at the public port.
pub struct Front {
    pub routes: Routes,
    /// `None` when keys are not asked for.
    pub keys: Option<Keys>,
    pub admin: Admin,
    pub handlers: Arc<Handlers>,
    pub wire: Wire,
    pub handover: Handover,
}

impl Front {
    /// Serves until the dev host ends; answers under way go out first.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, end: EndSignal) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let accepted = tokio::select! {
                _ = end.given() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    tokio::spawn(Arc::clone(&self).serve_connection(stream, peer, place, end.clone()));
                }
                Err(fault) => {
                    tracing::warn!("A connection could not be accepted: {fault}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Every place is free again once every connection has ended.
        let all = places.acquire_many(CONNECTIONS_MAX);
        if tokio::time::timeout(LAST_ANSWERS_WAIT, all).await.is_err() {
            tracing::debug!("Some answers were not waited for.");
        }
    }

    async fn serve_connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        place: OwnedSemaphorePermit,
        end: EndSignal,
    ) {
        if let Err(fault) = stream.set_nodelay(true) {
            tracing::debug!("TCP_NODELAY could not be set: {fault}");
        }
        let service = service_fn(|request| {
            let front = Arc::clone(&self);
            async move { front.answer(request, peer).await }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = end.given() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(fault) = ended {
            tracing::debug!("A connection from {peer} ended early: {fault}");
        }
        drop(place);
    }

    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Result<Response<Body>, HangUp> {
        let path = request.uri().path();
        if is_under(path, "admin") {
            let is_open = self.keys.as_ref().is_none_or(|it| it.open_admin(request.headers(), request.uri()));
            if !is_open && !admin::is_ping(path) {
                return Ok(reply::empty(StatusCode::UNAUTHORIZED));
            }
            return Ok(self.admin.answer(request).await);
        }
        if is_under(path, "dev") {
            return self.local_page(request).await;
        }
        let Some(route) = self.routes.find(request.method(), path) else {
            return self.local_page(request).await;
        };
        let keys = self.keys.as_ref();
        if !keys.is_none_or(|it| it.open_function(&route.function, route.auth, request.headers(), request.uri())) {
            return Ok(reply::empty(StatusCode::UNAUTHORIZED));
        }
        let way = Way { wire: &self.wire, handlers: &self.handlers, handover: self.handover };
        Ok(way.send(&route.function, request, peer).await)
    }

    /// What only this machine has: brokers, provider, issuer, mailbox.
    async fn local_page(&self, request: Request<Incoming>) -> Result<Response<Body>, HangUp> {
        match self.admin.local.handle(request).await {
            Served::Reply(page) => Ok(page.map(reply::full_body)),
            Served::HangUp => Err(HangUp),
            Served::NotLocal(_) => Ok(reply::empty(StatusCode::NOT_FOUND)),
        }
    }
}

/// Whether the first segment of `path` is `name`.
fn is_under(path: &str, name: &str) -> bool {
    path.trim_start_matches('/').split('/').next().is_some_and(|it| it.eq_ignore_ascii_case(name))
}
