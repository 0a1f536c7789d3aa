//! Whether the server is there and lets the app in: a connection as the keeper makes it, and one answer.
use async_trait::async_trait;
use redis::{ErrorKind, RedisError};

use super::RedisCache;
use crate::shared::ports::reach::{Reach, Unreached};

const REFUSED: &str = "Redis does not let the app in: its identity needs an access policy, and AZURE_CLIENT_ID says \
                       which if there are several; on this machine see the password in OFFPEAK_REDIS_URL";

/// `{advice}`, with the client's own words as its source.
#[derive(Debug, thiserror::Error)]
#[error("{advice}")]
struct Explained {
    advice: &'static str,
    #[source]
    source: RedisError,
}

#[async_trait]
impl Reach for RedisCache {
    async fn reach(&self) -> Result<(), Unreached> {
        let made = self.shared.connector.connect().await;
        made.map(drop).map_err(|source| Explained { advice: advice(&source), source }.into())
    }
}

fn advice(error: &RedisError) -> &'static str {
    let is_refused = matches!(error.code(), Some("NOAUTH" | "NOPERM" | "WRONGPASS"));
    match error.kind() {
        _ if is_refused => REFUSED,
        ErrorKind::AuthenticationFailed => REFUSED,
        _ => "Redis does not answer as it should; see OFFPEAK_REDIS_URL, OFFPEAK_REDIS_CLUSTER and OFFPEAK_REDIS_CA",
    }
}
