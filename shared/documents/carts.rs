//! Container `carts`, one partition and one document per cart.
use std::time::Duration;

use offpeak_domain::{
    cart::{Cart, CartLine, CartState},
    ids::{CartId, OrderId},
    money::{Currency, Money},
    quantity::Quantity,
    sku::Sku,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Minor, Seen, Stored, cart_id_text, currency_text, parse, put, sku_text};
use crate::shared::ports::documents::{Container, Documents, ETag, StoreError, Write};

const ID: &str = "cart";
/// An empty cart is dropped after this long without a change, one with lines after the other; an ordered
/// cart stays as long as one with lines.
const EMPTY_KEPT: Duration = Duration::from_secs(6 * 3600);
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A cart and who may open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCart {
    pub cart: Cart,
    /// SHA-256 of the cart token, hexadecimal; the token itself is stored nowhere.
    pub token_hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CartDocument {
    #[serde(with = "cart_id_text")]
    cart_id: CartId,
    token_hash: String,
    #[serde(with = "currency_text")]
    currency: Currency,
    lines: Vec<LineDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    locked_until: Option<OffsetDateTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locked_by: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order_id: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LineDocument {
    #[serde(with = "sku_text")]
    sku: Sku,
    quantity: u32,
    price_when_added: Minor,
}

impl Stored for CartDocument {
    const SCHEMA: &'static str = "cart/1";
}

/// `None` if there is no such cart or it has expired.
///
/// # Errors
/// As the port's.
pub async fn read_cart(documents: &dyn Documents, id: CartId) -> Result<Option<Seen<StoredCart>>, StoreError> {
    let Some(document) = documents.read(Container::Carts, &id.to_string(), ID).await? else { return Ok(None) };
    let Seen { value, etag } = parse::<CartDocument>(document)?;
    let unreadable = |reason: String| StoreError::Unreadable { id: id.to_string(), reason };
    let lock = value.locked_until.zip(value.locked_by);
    let state = match (value.order_id, lock) {
        (Some(order), _) => {
            CartState::Ordered { order: OrderId::parse(&order).map_err(|err| unreadable(err.to_string()))? }
        }
        (None, Some((until, attempt))) => CartState::Locked { until, attempt },
        (None, None) => CartState::Open,
    };
    let currency = value.currency;
    let line = |line: LineDocument| {
        Ok(CartLine {
            sku: line.sku,
            quantity: Quantity::new(line.quantity).map_err(|err| unreadable(err.to_string()))?,
            price_when_added: Money::new(line.price_when_added.0, currency),
        })
    };
    let lines = value.lines.into_iter().map(line).collect::<Result<_, StoreError>>()?;
    let cart = Cart { id: value.cart_id, currency, lines, state };
    Ok(Some(Seen { value: StoredCart { cart, token_hash: value.token_hash }, etag }))
}

/// # Errors
/// As the port's; `Changed` if the cart is not the version that was seen.
pub async fn write_cart(
    documents: &dyn Documents,
    stored: &StoredCart,
    seen: Option<&ETag>,
    now: OffsetDateTime,
) -> Result<ETag, StoreError> {
    let write = put_cart(stored, seen, now)?;
    let mut etags = documents.write(Container::Carts, &stored.cart.id.to_string(), vec![write]).await?;
    etags.pop().ok_or_else(|| StoreError::Refused("the store answered no etag".to_owned()))
}

fn put_cart(stored: &StoredCart, seen: Option<&ETag>, now: OffsetDateTime) -> Result<Write, StoreError> {
    let StoredCart { cart, token_hash } = stored;
    let (lock, order_id) = match &cart.state {
        CartState::Open => (None, None),
        CartState::Locked { until, attempt } => (Some((*until, *attempt)), None),
        CartState::Ordered { order } => (None, Some(order.to_string())),
    };
    let document = CartDocument {
        cart_id: cart.id,
        token_hash: token_hash.clone(),
        currency: cart.currency,
        lines: cart
            .lines
            .iter()
            .map(|line| LineDocument {
                sku: line.sku.clone(),
                quantity: line.quantity.get(),
                price_when_added: Minor(line.price_when_added.minor()),
            })
            .collect(),
        locked_until: lock.map(|(until, _)| until),
        locked_by: lock.map(|(_, attempt)| attempt),
        order_id,
        updated_at: now,
    };
    let ttl = if cart.lines.is_empty() { EMPTY_KEPT } else { KEPT };
    put(ID, &document, seen, Some(ttl))
}
