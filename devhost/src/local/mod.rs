//! What exists on this machine only, behind one door: the brokers, the payment provider, the issuer and the mailbox.
//!
//! What must stay true: a request that is for none of them comes back untouched, its body unread.
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use hyper::body::Body;
use percent_encoding::percent_decode_str;

use crate::brokers::entities::Entities;
use crate::brokers::hubs::SEND_MAX_BYTES;
use crate::brokers::limits::Limits;
use crate::brokers::message::{BrokerError, MESSAGE_MAX_BYTES};
use crate::brokers::{self, Brokers, Listeners};
use crate::clock::Clock;
use crate::database::DatabaseError;
use crate::functions::Function;
use crate::identity::{self, Identity, KeyError};
use crate::invoke::{Invoke, InvokeFailure};
use crate::mailbox::Mailbox;
use crate::provider::{self, Outcome, Provider};
use crate::rest::{Reply, fault, hub_send, pages, queue_send, read_body, wrong_method};

/// Room for a batch's JSON around its bodies; the bodies have their own limit.
const BATCH_MAX_BYTES: usize = 2 * SEND_MAX_BYTES;

/// Why the local services could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error("the brokers could not be opened")]
    Brokers(#[from] BrokerError),
    #[error("the payment provider could not be opened")]
    Provider(#[from] DatabaseError),
    #[error("the issuer could not be opened")]
    Identity(#[from] KeyError),
}

/// The local services.
#[derive(Debug)]
pub struct Local {
    pub brokers: Arc<Brokers>,
    pub provider: Provider,
    pub identity: Identity,
    pub mailbox: Mailbox,
}

/// What became of a request.
#[derive(Debug)]
pub enum Served<B> {
    Reply(Reply),
    /// Close the connection without a byte: return an error from the connection's service.
    HangUp,
    /// Not a local page.
    NotLocal(Request<B>),
}

impl<B> From<Reply> for Served<B> {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl Local {
    /// Opens everything under the data folder. `origin` is where this dev host is reached, e.g. `http://127.0.0.1:7071`.
    ///
    /// # Errors
    /// Says which of them could not be opened.
    pub async fn open(data: &Path, entities: &Path, origin: &str, clock: Arc<dyn Clock>) -> Result<Self, LocalError> {
        let entities = Entities::load(entities).map_err(BrokerError::from)?;
        Ok(Self {
            brokers: Brokers::open(&data.join("host.db"), entities, Arc::clone(&clock)).await?,
            provider: Provider::open(&data.join("provider.db"), origin, clock)?,
            identity: Identity::open(data, origin)?,
            mailbox: Mailbox::new(&data.join("mail")),
        })
    }

    /// Starts the listeners; they end when the result is dropped. `limits` come from host.json.
    ///
    /// # Errors
    /// If a function listens to what is not declared.
    pub fn listen(
        &self,
        functions: &[Function],
        invoker: &Arc<dyn Invoke>,
        limits: &Limits,
    ) -> Result<Listeners, BrokerError> {
        brokers::listen(&self.brokers, functions, invoker, limits)
    }

    /// `POST /admin/functions/{name}` for functions that messages or events start: one invocation with made-up facts, which passes no
    /// queue. `None` for other functions.
    pub async fn admin_send(
        &self,
        function: &Function,
        input: &str,
        invoker: &dyn Invoke,
    ) -> Option<Result<(), InvokeFailure>> {
        let payload = brokers::made_up(function, input, self.brokers.now())?;
        Some(invoker.invoke(&function.name, payload).await)
    }

    /// Answers a request for a local page.
    pub async fn handle<B>(&self, request: Request<B>) -> Served<B>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let raw = request.uri().path().trim_start_matches('/').trim_end_matches('/').to_owned();
        let decoded: Option<Vec<String>> =
            raw.split('/').map(|part| percent_decode_str(part).decode_utf8().ok().map(String::from)).collect();
        let Some(decoded) = decoded else { return Served::NotLocal(request) };
        let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["dev", rest @ ..] => self.dev(rest, request).await,
            // The REST reference also sends to `{topic}/messages`; the host's own words are no entity's name.
            [name, "messages"] if !is_hosts_word(name) => self.namespace(name, request).await,
            _ => Served::NotLocal(request),
        }
    }

    /// A Service Bus or Event Hubs namespace.
    async fn namespace<B>(&self, name: &str, request: Request<B>) -> Served<B>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if request.method() != Method::POST {
            return wrong_method("POST").into();
        }
        let entities = self.brokers.entities();
        let is_hub = entities.hub(name).is_some();
        if !is_hub && entities.queue(name).is_none() && entities.topic(name).is_none() {
            return fault(StatusCode::NOT_FOUND, format_args!("no queue, topic or hub is named `{name}`")).into();
        }
        let (parts, body) = request.into_parts();
        let most = if is_hub { BATCH_MAX_BYTES } else { MESSAGE_MAX_BYTES };
        let body = match read_body(body, most).await {
            Ok(body) => body,
            Err(reply) => return reply.into(),
        };
        if is_hub {
            hub_send::send(&self.brokers, name, &parts.headers, body).await.into()
        } else {
            queue_send::send(&self.brokers, name, &parts.headers, body).await.into()
        }
    }

    /// Pages under `/dev`.
    async fn dev<B>(&self, path: &[&str], request: Request<B>) -> Served<B>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (parts, body) = request.into_parts();
        let get = parts.method == Method::GET;
        match path {
            [] if get => pages::index().into(),
            ["mail"] if get => self.mailbox.mails().await.into(),
            ["payments"] if get => self.provider.payments().await.into(),
            ["queues", name @ ..] => self.queue_pages(name, &parts).await.into(),
            [] | ["mail" | "payments"] => wrong_method("GET").into(),
            ["identity", rest @ ..] => self.identity.answer(&parts.method, rest).into(),
            ["token"] if parts.method != Method::POST => wrong_method("POST").into(),
            ["token"] => match read_body(body, identity::BODY_MAX_BYTES).await {
                Ok(body) => self.identity.token(&body, self.brokers.now()).into(),
                Err(reply) => reply.into(),
            },
            ["provider", rest @ ..] => match read_body(body, provider::BODY_MAX_BYTES).await {
                Ok(body) => match self.provider.answer(&parts.method, rest, &parts.headers, body).await {
                    Outcome::Reply(reply) => reply.into(),
                    Outcome::HangUp => Served::HangUp,
                },
                Err(reply) => reply.into(),
            },
            _ => fault(StatusCode::NOT_FOUND, "the dev host has no such page; see /dev").into(),
        }
    }

    async fn queue_pages(&self, path: &[&str], parts: &http::request::Parts) -> Reply {
        let (get, post) = (parts.method == Method::GET, parts.method == Method::POST);
        match path {
            [] if get => pages::queues(&self.brokers).await,
            [place @ .., "dead-letters"] if !place.is_empty() => {
                if !get {
                    return wrong_method("GET");
                }
                pages::dead_letters(&self.brokers, &place.join("/"), parts.uri.query()).await
            }
            [place @ .., "dead-letters", sequence, "replay"] if !place.is_empty() => {
                if !post {
                    return wrong_method("POST");
                }
                pages::replay(&self.brokers, &place.join("/"), sequence).await
            }
            [] => wrong_method("GET"),
            _ => fault(StatusCode::NOT_FOUND, "the dev host has no such page; see /dev"),
        }
    }
}

fn is_hosts_word(name: &str) -> bool {
    brokers::entities::RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests;
