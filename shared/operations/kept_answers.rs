//! Answers kept with their idempotency key, in the purchase's own partition: a repeat gets the first one again,
//! byte for byte.
use bytes::Bytes;
use offpeak_domain::{checkout::KeyUse, ids::CheckoutId};

use super::Shop;
use crate::shared::{
    documents::purchases::{self, Answer},
    ports::documents::StoreError,
};

/// An answer as sent.
#[derive(Clone, Debug)]
pub struct Rendered {
    pub status: u16,
    pub body: Bytes,
}

#[derive(Clone, Debug)]
pub struct Completed {
    pub rendered: Rendered,
    /// The key was answered before.
    pub replayed: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Someone kept an answer first, and it is gone.
    #[error("the answer is being changed")]
    InProgress,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The answer kept with this key, if there is one.
///
/// # Errors
/// `KeyReused` if the key was answered for another request, `Store`.
pub(super) async fn replay(shop: &Shop, checkout: CheckoutId, by: &KeyUse) -> Result<Option<Completed>, KeptError> {
    let Some(answer) = purchases::read_answer(shop.ports.documents.as_ref(), checkout, &by.key).await? else {
        return Ok(None);
    };
    if answer.fingerprint != by.fingerprint {
        return Err(KeptError::KeyReused);
    }
    let rendered = Rendered { status: answer.status, body: Bytes::from(answer.body) };
    Ok(Some(Completed { rendered, replayed: true }))
}

/// Keeps a final answer with its key, and whether nothing was left to do when it was given. If someone kept one
/// first, theirs is the answer.
///
/// # Errors
/// As [`replay`], and `InProgress`.
pub(super) async fn keep(
    shop: &Shop,
    checkout: CheckoutId,
    by: &KeyUse,
    rendered: Rendered,
    settled: bool,
) -> Result<Completed, KeptError> {
    let answer = Answer {
        fingerprint: by.fingerprint.clone(),
        status: rendered.status,
        body: String::from_utf8_lossy(&rendered.body).into_owned(),
        settled,
    };
    let write = purchases::add_answer(&by.key, &answer)?;
    match purchases::write(shop.ports.documents.as_ref(), checkout, vec![write]).await {
        Ok(_) => Ok(Completed { rendered, replayed: false }),
        Err(StoreError::Exists { .. }) => replay(shop, checkout, by).await?.ok_or(KeptError::InProgress),
        // What was asked for is done and says so to whoever asks; only the byte-equal copy is missing.
        Err(err) => {
            tracing::warn!(error = %crate::shared::ports::chain(&err), "An answer could not be kept with its key.");
            Ok(Completed { rendered, replayed: false })
        }
    }
}
