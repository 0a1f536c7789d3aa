//! Document `code-tries` in a cart's partition: how many codes were tried in vain since when. It stands apart
//! from the cart, so a failed try leaves the cart as it was.
use std::time::Duration;

use offpeak_domain::ids::CartId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Seen, Stored, parse, put};
use crate::shared::ports::documents::{Container, Documents, ETag, StoreError};

const ID: &str = "code-tries";

/// Tries in vain within one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeTries {
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    pub count: u32,
}

impl Stored for CodeTries {
    const SCHEMA: &'static str = "code_tries/1";
}

/// # Errors
/// As the port's.
pub async fn read_tries(documents: &dyn Documents, cart: CartId) -> Result<Option<Seen<CodeTries>>, StoreError> {
    documents.read(Container::Carts, &cart.to_string(), ID).await?.map(parse).transpose()
}

/// Kept for `window` after the last change.
///
/// # Errors
/// As the port's.
pub async fn write_tries(
    documents: &dyn Documents,
    cart: CartId,
    tries: &CodeTries,
    seen: Option<&ETag>,
    window: Duration,
) -> Result<(), StoreError> {
    let write = put(ID, tries, seen, Some(window))?;
    documents.write(Container::Carts, &cart.to_string(), vec![write]).await.map(drop)
}
