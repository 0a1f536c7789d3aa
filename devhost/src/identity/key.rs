//! The issuer's ES256 key in a file of its own.
//!
//! What must stay true: the file is written whole and renamed into place with mode 0600, so no kill leaves half a key and nobody else
//! can read it.
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::{Value, json};

/// Bytes of one coordinate of a P-256 point.
const COORDINATE_BYTES: usize = 32;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the identity key's file cannot be read or written")]
    File(#[source] std::io::Error),
    #[error("the identity key cannot be made")]
    Make,
    #[error("the identity key's file holds no P-256 key in PKCS #8; delete it to make a new one")]
    Damaged,
}

/// The private key with its public half as a JWK.
pub(super) struct SigningKey {
    private: EncodingKey,
    id: String,
    x: String,
    y: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the private half.
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SigningKey {
    pub(super) fn open(file: &Path) -> Result<Self, KeyError> {
        let pkcs8 = match std::fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(file)?,
            Err(error) => return Err(KeyError::File(error)),
        };
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).map_err(|_| KeyError::Damaged)?;
        // An uncompressed point: 4, x, y.
        let point = pair.public_key().as_ref();
        let (x, y) = point
            .get(1..)
            .filter(|xy| xy.len() == 2 * COORDINATE_BYTES)
            .map(|xy| xy.split_at(COORDINATE_BYTES))
            .ok_or(KeyError::Damaged)?;
        let id = URL_SAFE_NO_PAD.encode(digest(&SHA256, point));
        Ok(Self {
            private: EncodingKey::from_ec_der(&pkcs8),
            id,
            x: URL_SAFE_NO_PAD.encode(x),
            y: URL_SAFE_NO_PAD.encode(y),
        })
    }

    /// The public half (RFC 7517).
    pub(super) fn jwk(&self) -> Value {
        json!({"kty": "EC", "crv": "P-256", "x": self.x, "y": self.y, "kid": self.id, "use": "sig", "alg": "ES256"})
    }

    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<String, jsonwebtoken::errors::Error> {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &self.private)
    }
}

fn make(file: &Path) -> Result<Vec<u8>, KeyError> {
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    let pkcs8 = made.map_err(|_| KeyError::Make)?.as_ref().to_vec();
    let new = file.with_extension("new");
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut open| open.write_all(&pkcs8).and_then(|()| open.sync_all()));
    written.and_then(|()| std::fs::rename(&new, file)).map_err(KeyError::File)?;
    Ok(pkcs8)
}
