//! Which cart is a customer's open one: document in `Lookups`, keyed by a hash of the account's subject.
//!
//! Replacing it, conditionally, is what makes a cart the customer's one; a cart it no longer names is on its way
//! to expiry or has become an order.
use offpeak_domain::ids::CartId;
use serde::{Deserialize, Serialize};

use super::{Seen, Stored, cart_id_text, parse, put};
use crate::shared::ports::documents::{Container, Documents, ETag, StoreError};

/// The customer's open cart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerCart {
    pub cart: CartId,
    /// Half of what the cart's token is derived from; the other half, the subject, is stored nowhere.
    pub salt: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CustomerCartDocument {
    #[serde(with = "cart_id_text")]
    cart_id: CartId,
    salt: String,
}

impl Stored for CustomerCartDocument {
    const SCHEMA: &'static str = "customerCart/1";
}

fn key(owner: &str) -> String {
    format!("customer-cart:{owner}")
}

/// `owner` is the subject's hash.
///
/// # Errors
/// `Unreadable` for an unknown shape, or what the port says.
pub async fn find(documents: &dyn Documents, owner: &str) -> Result<Option<Seen<CustomerCart>>, StoreError> {
    let key = key(owner);
    let Some(document) = documents.read(Container::Lookups, &key, &key).await? else { return Ok(None) };
    let Seen { value, etag } = parse::<CustomerCartDocument>(document)?;
    Ok(Some(Seen { value: CustomerCart { cart: value.cart_id, salt: value.salt }, etag }))
}

/// Names another cart, in place of the one that was seen.
///
/// # Errors
/// `Exists` or `Changed` if someone else was faster, or what the port says.
pub async fn name(
    documents: &dyn Documents,
    owner: &str,
    cart: &CustomerCart,
    seen: Option<&ETag>,
) -> Result<(), StoreError> {
    let key = key(owner);
    let document = CustomerCartDocument { cart_id: cart.cart, salt: cart.salt.clone() };
    let write = put(key.clone(), &document, seen, None)?;
    documents.write(Container::Lookups, &key, vec![write]).await.map(drop)
}
