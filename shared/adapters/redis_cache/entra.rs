//! Tokens of Entra ID as Redis credentials: the object id is the user, the token the password. A connection is
//! authenticated anew before its token ends. Source: Azure Managed Redis, "Use Microsoft Entra for authentication".
use std::{pin::Pin, sync::Arc, time::Duration};

use azure_credentials::credentials::TokenCredential;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::{Stream, stream};
use redis::{
    ErrorKind, RedisError, RedisResult,
    auth::{BasicAuth, StreamingCredentialsProvider},
};
use serde::Deserialize;
use tokio::time::sleep;

use crate::shared::ports::clock::Clock;

const SCOPE: &str = "https://redis.azure.com/.default";
/// How long before its end a token is exchanged for the next.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// Between two exchanges at least, and after one that failed.
const PAUSE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(super) struct Entra {
    tokens: Arc<dyn TokenCredential>,
    clock: Arc<dyn Clock>,
}

impl Entra {
    pub(super) fn new(tokens: Arc<dyn TokenCredential>, clock: Arc<dyn Clock>) -> Entra {
        Entra { tokens, clock }
    }

    /// Credentials, and when the next are due.
    async fn credentials(&self) -> (RedisResult<BasicAuth>, Duration) {
        let token = match self.tokens.get_token(&[SCOPE], None).await {
            Ok(token) => token,
            Err(err) => return (Err(refused("no token was given", err.to_string())), PAUSE),
        };
        let left = Duration::try_from(token.expires_on - self.clock.now()).unwrap_or_default();
        let secret = token.token.secret();
        let credentials = match object_id(secret) {
            Some(user) => Ok(BasicAuth::new(user, secret.to_owned())),
            None => Err(refused("the token names nobody", "it has no claim `oid`".to_owned())),
        };
        (credentials, left.saturating_sub(MARGIN).max(PAUSE))
    }
}

impl StreamingCredentialsProvider for Entra {
    fn subscribe(&self) -> Pin<Box<dyn Stream<Item = RedisResult<BasicAuth>> + Send + 'static>> {
        let next = |(entra, rest): (Entra, Duration)| async move {
            sleep(rest).await;
            let (credentials, due) = entra.credentials().await;
            Some((credentials, (entra, due)))
        };
        Box::pin(stream::unfold((self.clone(), Duration::ZERO), next))
    }
}

fn refused(what: &'static str, why: String) -> RedisError {
    RedisError::from((ErrorKind::AuthenticationFailed, what, why))
}

/// The claim `oid`. Redis checks the token; here it only tells under which name.
fn object_id(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        oid: String,
    }
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Claims>(&claims).ok().map(|it| it.oid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_owner() {
        let token = |claims: &str| format!("e30.{}.sig", BASE64_URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(object_id(&token(r#"{"oid":"8f5c","aud":"x"}"#)).as_deref(), Some("8f5c"));
        for bad in ["", "a.b.c", &token("{}"), &token("[]")] {
            assert_eq!(object_id(bad), None, "{bad}");
        }
    }
}
