//! The issuer of this machine: one key, discovery, JWKS, and tokens for whoever asks. It stands in for Entra ID.
//!
//! What must stay true: the key is made once and kept readable for its owner alone, so that tokens outlive a restart; a token says
//! exactly what was asked for and nothing by default; and what is not understood is refused, because a misspelt `roles` would
//! otherwise make a test pass for the wrong reason.
mod key;

use std::path::Path;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use crate::rest::{Reply, fault, json_reply, wrong_method};
pub use key::KeyError;
use key::SigningKey;

/// Who the tokens are for.
pub const AUDIENCE: &str = "offpeak";
/// Largest body of `POST /dev/token`.
pub const BODY_MAX_BYTES: usize = 16 * 1024;
/// Life of a token where none is asked for, in seconds.
const LIFE_SECONDS: i64 = 3_600;
/// Longest life, and how long ago a token may have ended that is made to test refusals, in seconds.
const LIFE_MAX_SECONDS: i64 = 24 * 3_600;
/// Most roles, scopes or contexts in one token.
const NAMES_MAX: usize = 100;

/// The issuer.
#[derive(Debug)]
pub struct Identity {
    key: SigningKey,
    issuer: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TokenRequest {
    sub: String,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    /// Authentication contexts that the sign-in satisfied, e.g. `c1`.
    #[serde(default)]
    acrs: Vec<String>,
    email: Option<String>,
    expires_in: Option<i64>,
}

/// The claims as Entra ID names them.
#[derive(Serialize)]
struct Claims {
    iss: String,
    aud: &'static str,
    sub: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    scp: String,
    roles: Vec<String>,
    acrs: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

impl Identity {
    /// Reads the key in `data`, or makes it. `origin` is where this dev host is reached, e.g. `http://127.0.0.1:7071`.
    ///
    /// # Errors
    /// If the key can be neither read nor made.
    pub fn open(data: &Path, origin: &str) -> Result<Self, KeyError> {
        let key = SigningKey::open(&data.join("identity.key"))?;
        Ok(Self { key, issuer: format!("{}/dev/identity", origin.trim_end_matches('/')) })
    }

    /// Answers `/dev/identity/…`; `path` holds the segments after that.
    #[must_use]
    pub fn answer(&self, method: &Method, path: &[&str]) -> Reply {
        match path {
            _ if *method != Method::GET => wrong_method("GET"),
            [".well-known", "openid-configuration"] => json_reply(
                StatusCode::OK,
                &json!({
                    "issuer": self.issuer,
                    "jwks_uri": format!("{}/jwks", self.issuer),
                    "response_types_supported": ["token"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["ES256"],
                }),
            ),
            ["jwks"] => json_reply(StatusCode::OK, &json!({ "keys": [self.key.jwk()] })),
            _ => fault(StatusCode::NOT_FOUND, "the issuer has no such page"),
        }
    }

    /// `POST /dev/token`.
    #[must_use]
    pub fn token(&self, body: &Bytes, now: OffsetDateTime) -> Reply {
        let request: TokenRequest = match serde_json::from_slice(body) {
            Ok(request) => request,
            Err(error) => {
                return fault(StatusCode::BAD_REQUEST, format_args!("the body is not understood: {error}"));
            }
        };
        if let Err(sentence) = check(&request) {
            return fault(StatusCode::UNPROCESSABLE_ENTITY, sentence);
        }
        let life = request.expires_in.unwrap_or(LIFE_SECONDS);
        let now = now.unix_timestamp();
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE,
            sub: request.sub,
            // A token that has ended was issued before it ended.
            iat: now + life.min(0),
            nbf: now + life.min(0),
            exp: now + life,
            jti: uuid::Uuid::new_v4().to_string(),
            scp: request.scopes.join(" "),
            roles: request.roles,
            acrs: request.acrs,
            email: request.email,
        };
        match self.key.sign(&claims) {
            Ok(token) => json_reply(
                StatusCode::OK,
                &json!({ "access_token": token, "token_type": "Bearer", "expires_in": life.max(0) }),
            ),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "A token could not be signed.");
                fault(StatusCode::INTERNAL_SERVER_ERROR, "the token could not be signed")
            }
        }
    }
}

fn check(request: &TokenRequest) -> Result<(), String> {
    let life = request.expires_in.unwrap_or(LIFE_SECONDS);
    if request.sub.is_empty() || request.sub.chars().count() > 200 {
        return Err("`sub` holds 1 to 200 characters".to_owned());
    }
    if !(-LIFE_MAX_SECONDS..=LIFE_MAX_SECONDS).contains(&life) {
        return Err(format!("`expiresIn` is at most {LIFE_MAX_SECONDS} seconds, ahead or (for an ended token) back"));
    }
    let lists = [("roles", &request.roles), ("scopes", &request.scopes), ("acrs", &request.acrs)];
    for (name, list) in lists {
        if list.len() > NAMES_MAX || list.iter().any(|one| one.is_empty() || one.contains(char::is_whitespace)) {
            return Err(format!("`{name}` holds at most {NAMES_MAX} names without spaces"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use jsonwebtoken::jwk::Jwk;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation};
    use serde_json::Value;

    async fn body(reply: Reply) -> (StatusCode, Value) {
        let status = reply.status();
        let bytes = reply.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    async fn claims(identity: &Identity, request: &'static str) -> Result<Value, String> {
        let (status, answer) =
            body(identity.token(&Bytes::from_static(request.as_bytes()), OffsetDateTime::now_utc())).await;
        if status != StatusCode::OK {
            return Err(answer["error"].as_str().unwrap().to_owned());
        }
        let (_, keys) = body(identity.answer(&Method::GET, &["jwks"])).await;
        let jwk: Jwk = serde_json::from_value(keys["keys"][0].clone()).unwrap();
        let mut rules = Validation::new(Algorithm::ES256);
        rules.set_audience(&[AUDIENCE]);
        rules.set_issuer(&["http://127.0.0.1:7071/dev/identity"]);
        let token = answer["access_token"].as_str().unwrap();
        jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(&jwk).unwrap(), &rules)
            .map(|token| token.claims)
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn tokens_verify_with_the_published_key_and_say_what_was_asked() {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::open(folder.path(), "http://127.0.0.1:7071/").unwrap();
        let request = r#"{"sub":"ada","roles":["owner"],"scopes":["write_stock","read_orders"],"acrs":["c1"]}"#;
        let said = claims(&identity, request).await.unwrap();
        assert_eq!((&said["sub"], &said["scp"]), (&json!("ada"), &json!("write_stock read_orders")));
        assert_eq!((&said["roles"], &said["acrs"], &said["email"]), (&json!(["owner"]), &json!(["c1"]), &Value::Null));
        assert!(claims(&identity, r#"{"sub":"ada","expiresIn":-600}"#).await.unwrap_err().contains("Expired"));
    }

    #[tokio::test]
    async fn the_key_outlives_a_restart_and_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let keys = |identity: &Identity| identity.key.jwk();
        let first = keys(&Identity::open(folder.path(), "http://a").unwrap());
        assert_eq!(first, keys(&Identity::open(folder.path(), "http://a").unwrap()));
        let mode = std::fs::metadata(folder.path().join("identity.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn what_is_not_understood_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::open(folder.path(), "http://a").unwrap();
        for (request, word) in [
            (r#"{"sub":"a","role":["owner"]}"#, "role"),
            (r#"{"sub":""}"#, "sub"),
            (r#"{"roles":["owner"]}"#, "sub"),
            (r#"{"sub":"a","scopes":["a b"]}"#, "scopes"),
            (r#"{"sub":"a","expiresIn":900000}"#, "expiresIn"),
        ] {
            assert!(claims(&identity, request).await.unwrap_err().contains(word), "{request}");
        }
    }
}
