//! An inventory feed over HTTP: one `GET`, with `If-None-Match` when a version is known.
//!
//! What must stay true: only a body whose end is certain counts as whole, so an answer must say its length or
//! come in chunks; and an answer that sends us elsewhere is refused, not followed.
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{Response, StatusCode, Version, header};
use url::Url;

use super::http_client::HttpClient;
use crate::shared::ports::{
    inventory::{FEED_MAX_BYTES, Feed, FeedBody, FeedError, FeedFormat, Fetched, InventoryFeed},
    reach::{Reach, Unreached},
};

/// How long the feed may stay silent, before it answers and between two pieces of it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long the whole feed may take: an invocation has 100 s, and what it says is to be stored in the same one.
pub const WHOLE: Duration = Duration::from_secs(50);

pub struct InventoryHttp {
    client: HttpClient,
    url: Url,
    patience: Duration,
}

impl InventoryHttp {
    pub fn new(client: HttpClient, url: Url, patience: Duration) -> InventoryHttp {
        InventoryHttp { client, url, patience }
    }
}

#[async_trait]
impl InventoryFeed for InventoryHttp {
    async fn fetch(&self, etag: Option<&str>) -> Result<Fetched, FeedError> {
        let unavailable = |err: reqwest::Error| FeedError::Unavailable(err.without_url().into());
        let mut request = self.client.get().map_err(unavailable)?.get(self.url.clone()).timeout(WHOLE);
        request = request.header(header::ACCEPT, "text/csv, application/x-ndjson");
        if let Some(etag) = etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        let answer = tokio::time::timeout(self.patience, request.send());
        let answer = answer.await.map_err(|late| FeedError::Unavailable(late.into()))?.map_err(unavailable)?;
        let status = answer.status();
        if status == StatusCode::NOT_MODIFIED && etag.is_some() {
            return Ok(Fetched::Unchanged);
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(FeedError::Unavailable(format!("it answers {status}").into()));
        }
        if status.is_redirection() {
            return Err(FeedError::Unusable("it sends us elsewhere; set the address where it is".to_owned()));
        }
        if status != StatusCode::OK {
            return Err(FeedError::Unusable(format!("it answers {status}")));
        }
        ends_for_certain(&answer)?;
        let etag = answer.headers().get(header::ETAG).and_then(|it| it.to_str().ok()).map(str::to_owned);
        let format = format(&answer, &self.url)?;
        let body = Box::new(Body { answer, read: 0, patience: self.patience });
        Ok(Fetched::New(Feed { etag, format, body }))
    }
}

#[async_trait]
impl Reach for InventoryHttp {
    /// Up to the feed's first byte.
    async fn reach(&self) -> Result<(), Unreached> {
        Ok(self.fetch(None).await.map(drop)?)
    }
}

/// A body that ends with its connection may have lost its second half.
fn ends_for_certain(answer: &Response) -> Result<(), FeedError> {
    let has = |name| answer.headers().contains_key(name);
    if answer.content_length().is_some_and(|length| length > FEED_MAX_BYTES) {
        return Err(FeedError::TooLong);
    }
    if has(header::CONTENT_ENCODING) {
        return Err(FeedError::Unusable("it is compressed although nobody asked for that".to_owned()));
    }
    let framed = answer.version() >= Version::HTTP_2;
    if framed || has(header::CONTENT_LENGTH) || has(header::TRANSFER_ENCODING) {
        Ok(())
    } else {
        Err(FeedError::Unusable("it says no length, so nobody can tell whether it is whole".to_owned()))
    }
}

fn format(answer: &Response, url: &Url) -> Result<FeedFormat, FeedError> {
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let path = url.path().to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|it| path.ends_with(it));
    match kind.as_str() {
        "text/csv" => Ok(FeedFormat::Csv),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(FeedFormat::Ndjson),
        _ if ends(&[".csv"]) => Ok(FeedFormat::Csv),
        _ if ends(&[".ndjson", ".jsonl"]) => Ok(FeedFormat::Ndjson),
        other => Err(FeedError::Unusable(format!("it is `{other}`, neither text/csv nor application/x-ndjson"))),
    }
}

struct Body {
    answer: Response,
    read: u64,
    patience: Duration,
}

#[async_trait]
impl FeedBody for Body {
    async fn chunk(&mut self) -> Result<Option<Bytes>, FeedError> {
        let chunk = tokio::time::timeout(self.patience, self.answer.chunk());
        let chunk = chunk.await.map_err(|late| FeedError::Broken(late.into()))?;
        let chunk = chunk.map_err(|err| FeedError::Broken(err.without_url().into()))?;
        self.read += chunk.as_ref().map_or(0, |it| u64::try_from(it.len()).unwrap_or(u64::MAX));
        if self.read > FEED_MAX_BYTES { Err(FeedError::TooLong) } else { Ok(chunk) }
    }
}
