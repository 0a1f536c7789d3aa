//! Bearer tokens of an OpenID Connect issuer: its keys are fetched when first needed, kept, and fetched
//! again when a token names a key that is not there (rotation), not more often than once in a while.
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::http_client::{self, HttpClient};
use crate::shared::ports::{
    identity::{Caller, Identity, IdentityError},
    reach::{Reach, Unreached},
};

const PATIENCE: Duration = Duration::from_secs(3);
/// An unknown key id makes us ask the issuer at most this often.
const REFRESH_EVERY: Duration = Duration::from_secs(30);
/// Longest token that is looked at.
const TOKEN_MAX_BYTES: usize = 16 * 1024;
/// Clock difference that is forgiven, in seconds.
const LEEWAY_S: u64 = 30;
/// What we accept, whatever a token claims about itself.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];

pub struct Oidc {
    client: HttpClient,
    /// Without a trailing slash, as it stands in `iss`.
    issuer: String,
    audience: String,
    keys: Mutex<Keys>,
}

#[derive(Default)]
struct Keys {
    by_id: HashMap<String, Arc<DecodingKey>>,
    fetched: Option<Instant>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    roles: Vec<String>,
    /// Scopes, separated by spaces.
    #[serde(default)]
    scp: String,
}

impl Oidc {
    pub fn new(client: HttpClient, issuer: &str, audience: &str) -> Oidc {
        let issuer = issuer.trim_end_matches('/').to_owned();
        Oidc { client, issuer, audience: audience.to_owned(), keys: Mutex::default() }
    }

    /// Waiting callers share one fetch: whoever waited for the lock finds the key.
    async fn key(&self, id: &str) -> Result<Arc<DecodingKey>, IdentityError> {
        let mut keys = self.keys.lock().await;
        if let Some(key) = keys.by_id.get(id) {
            return Ok(key.clone());
        }
        let recent = keys.fetched.is_some_and(|at| at.elapsed() < REFRESH_EVERY);
        if !recent {
            keys.by_id = self.fetch().await?;
            keys.fetched = Some(Instant::now());
        }
        keys.by_id.get(id).cloned().ok_or_else(|| IdentityError::Invalid("unknown signing key".to_owned()))
    }

    async fn fetch(&self) -> Result<HashMap<String, Arc<DecodingKey>>, IdentityError> {
        let address = format!("{}/.well-known/openid-configuration", self.issuer);
        let discovery: Discovery = self.get(&address).await?;
        if discovery.issuer.trim_end_matches('/') != self.issuer {
            return Err(unavailable(format!("the issuer calls itself {}", discovery.issuer)));
        }
        let set: JwkSet = self.get(&discovery.jwks_uri).await?;
        let keys = set.keys.iter().filter_map(|jwk| {
            let id = jwk.common.key_id.clone()?;
            let key = DecodingKey::from_jwk(jwk).ok()?;
            Some((id, Arc::new(key)))
        });
        Ok(keys.collect())
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, address: &str) -> Result<T, IdentityError> {
        let url: Url = address.parse().map_err(unavailable)?;
        let response =
            self.client.get().map_err(unavailable)?.get(url).timeout(PATIENCE).send().await.map_err(unavailable)?;
        let response = response.error_for_status().map_err(unavailable)?;
        let bytes = http_client::body(response).await.map_err(unavailable)?;
        serde_json::from_slice(&bytes).map_err(unavailable)
    }
}

#[async_trait]
impl Identity for Oidc {
    async fn caller(&self, token: &str) -> Result<Caller, IdentityError> {
        let invalid = |err: jsonwebtoken::errors::Error| IdentityError::Invalid(err.to_string());
        if token.len() > TOKEN_MAX_BYTES {
            return Err(IdentityError::Invalid("it is too long".to_owned()));
        }
        let header = decode_header(token).map_err(invalid)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(IdentityError::Invalid(format!("{:?} signatures are not accepted", header.alg)));
        }
        // Not yet believed; but a token of another issuer is refused without asking ours for keys.
        if issuer_of(token).is_none_or(|it| it.trim_end_matches('/') != self.issuer) {
            return Err(IdentityError::Invalid("it is of another issuer".to_owned()));
        }
        let id = header.kid.ok_or_else(|| IdentityError::Invalid("it names no signing key".to_owned()))?;
        let key = self.key(&id).await?;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        let claims = decode::<Claims>(token, &key, &validation).map_err(invalid)?.claims;
        Ok(Caller {
            subject: claims.sub,
            roles: claims.roles,
            scopes: claims.scp.split_ascii_whitespace().map(ToOwned::to_owned).collect(),
        })
    }
}

#[async_trait]
impl Reach for Oidc {
    async fn reach(&self) -> Result<(), Unreached> {
        if self.fetch().await?.is_empty() { Err("the issuer has no key that can be used".into()) } else { Ok(()) }
    }
}

/// What the token says in `iss`, before anything of it is checked.
fn issuer_of(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Unchecked {
        iss: String,
    }
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Unchecked>(&claims).ok().map(|it| it.iss)
}

fn unavailable(err: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> IdentityError {
    IdentityError::Unavailable(err.into())
}
