//! A file that says what is on the shelves, published by another system and pulled from time to time.
use async_trait::async_trait;
use bytes::Bytes;

/// Bytes of one feed.
pub const FEED_MAX_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedFormat {
    /// With a heading.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

pub enum Fetched {
    /// What was named is still what is published.
    Unchanged,
    New(Feed),
}

/// A feed that has begun to arrive.
pub struct Feed {
    /// Names this version, if its publisher names versions.
    pub etag: Option<String>,
    pub format: FeedFormat,
    pub body: Box<dyn FeedBody>,
}

#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// Try again later.
    #[error("the feed does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nobody should expect that to change by itself.
    #[error("the feed cannot be used: {0}")]
    Unusable(String),
    #[error("the feed broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the feed is longer than {FEED_MAX_BYTES} bytes")]
    TooLong,
}

#[async_trait]
pub trait FeedBody: Send {
    /// The next bytes; `None` only at the true end, never where it broke off.
    ///
    /// # Errors
    /// `Broken`, `TooLong`.
    async fn chunk(&mut self) -> Result<Option<Bytes>, FeedError>;
}

#[async_trait]
pub trait InventoryFeed: Send + Sync {
    /// The feed as published now, unless it is still the version named by `etag`.
    ///
    /// # Errors
    /// [`FeedError`].
    async fn fetch(&self, etag: Option<&str>) -> Result<Fetched, FeedError>;
}
