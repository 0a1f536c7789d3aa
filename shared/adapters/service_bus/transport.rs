//! The SDK's requests over the one HTTP client of this process. The SDK knows only the public cloud's
//! addresses and only shared keys: here the configured endpoint takes the address's place, and a token, where
//! there is a source of them, the signature's.
use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    Body, BytesStream, Request, Response, StatusCode,
    error::{Error, ErrorKind},
    headers::{AUTHORIZATION, Headers},
};
use reqwest::{Method, Url};

use crate::shared::adapters::{broker_access::TokenSource, http_client::HttpClient};

/// Bytes read of an answer: only error codes are looked for, and nothing trusts the broker's length.
const ANSWER_MAX_BYTES: usize = 16 * 1024;

pub(super) struct Transport {
    client: HttpClient,
    endpoint: Url,
    tokens: Option<Arc<dyn TokenSource>>,
    patience: Duration,
}

impl Transport {
    pub(super) fn new(
        client: HttpClient,
        endpoint: Url,
        tokens: Option<Arc<dyn TokenSource>>,
        patience: Duration,
    ) -> Transport {
        Transport { client, endpoint, tokens, patience }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("endpoint", &self.endpoint.as_str()).finish_non_exhaustive()
    }
}

#[async_trait]
impl azure_core::HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<Response> {
        let mut url = self.endpoint.clone();
        url.set_path(request.url().path());
        url.set_query(request.url().query());
        let Body::Bytes(body) = request.body() else {
            return Err(Error::message(ErrorKind::Other, "a message is sent whole, not as a stream"));
        };
        let method = Method::from_bytes(request.method().as_ref().as_bytes()).map_err(other)?;
        let mut sending = self.client.get().map_err(io)?.request(method, url).timeout(self.patience).body(body.clone());
        for (name, value) in request.headers().iter() {
            if self.tokens.is_none() || *name != AUTHORIZATION {
                sending = sending.header(name.as_str(), value.as_str());
            }
        }
        if let Some(tokens) = &self.tokens {
            let token = tokens.token().await.map_err(|error| Error::new(ErrorKind::Credential, error))?;
            sending = sending.bearer_auth(token);
        }
        let mut answer = sending.send().await.map_err(io)?;
        let status = answer.status().as_u16();
        // Any other kind of success is somebody else's answer: the message is not known to be stored.
        if (200..300).contains(&status) && status != 201 {
            return Err(Error::message(ErrorKind::Other, format!("the broker answers {status} in place of 201")));
        }
        let mut read = Vec::new();
        while read.len() < ANSWER_MAX_BYTES
            && let Some(chunk) = answer.chunk().await.map_err(io)?
        {
            read.extend_from_slice(&chunk);
        }
        let status =
            StatusCode::try_from(status).map_err(|error| Error::message(ErrorKind::Other, error.to_string()))?;
        Ok(Response::new(status, Headers::new(), Box::pin(BytesStream::new(read))))
    }
}

fn io(error: reqwest::Error) -> Error {
    // The address may name what is not the log's to know.
    Error::new(ErrorKind::Io, error.without_url())
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Other, error)
}
