//! Container `carts`, one partition and one document per cart.
use offpeak_domain::{
    cart::{Cart, CartLine, CartState},
    ids::{CartId, OrderId},
    merge::{MergeReason, MergeReport, MergeStrategy, MergedCode, MergedLine},
    money::{Currency, Money},
    promotion::CouponCode,
    quantity::Quantity,
    sku::Sku,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Minor, Seen, Stored, cart_id_text, currency_text, parse, put, sku_text};
use crate::shared::ports::documents::{Container, Documents, ETag, StoreError, Write};

const ID: &str = "cart";
/// A cart and who may open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCart {
    pub cart: Cart,
    /// SHA-256 of the cart token, hexadecimal; the token itself is stored nowhere.
    pub token_hash: String,
    /// On a customer's cart: the merges into it whose guest's cart may not know of them yet.
    pub merges: Vec<MergeRecord>,
    /// On a guest's cart that was merged: what became of it.
    pub merged: Option<MergeRecord>,
}

impl StoredCart {
    pub fn new(cart: Cart, token_hash: String) -> StoredCart {
        StoredCart { cart, token_hash, merges: Vec::new(), merged: None }
    }
}

/// A merge that has happened, and what it did; a repeat is answered from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeRecord {
    pub guest: CartId,
    pub strategy: MergeStrategy,
    pub report: MergeReport,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MergeDocument {
    #[serde(with = "cart_id_text")]
    guest: CartId,
    strategy: String,
    lines: Vec<MergedLineDocument>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    codes: Vec<MergedCodeDocument>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MergedCodeDocument {
    code: String,
    kept: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MergedLineDocument {
    #[serde(with = "sku_text")]
    sku: Sku,
    guest: u32,
    customer: u32,
    result: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<&MergeRecord> for MergeDocument {
    fn from(record: &MergeRecord) -> MergeDocument {
        let line = |it: &MergedLine| MergedLineDocument {
            sku: it.sku.clone(),
            guest: it.guest,
            customer: it.customer,
            result: it.result,
            reason: it.reason.map(|it| it.name().to_owned()),
        };
        let code = |it: &MergedCode| MergedCodeDocument { code: it.code.to_string(), kept: it.kept };
        MergeDocument {
            guest: record.guest,
            strategy: record.strategy.name().to_owned(),
            lines: record.report.lines.iter().map(line).collect(),
            codes: record.report.codes.iter().map(code).collect(),
        }
    }
}

impl MergeDocument {
    fn into_domain(self) -> Result<MergeRecord, String> {
        let reason = |name: String| MergeReason::parse(&name).ok_or(format!("unknown merge reason {name}"));
        let line = |it: MergedLineDocument| {
            let reason = it.reason.map(reason).transpose()?;
            Ok::<_, String>(MergedLine {
                sku: it.sku,
                guest: it.guest,
                customer: it.customer,
                result: it.result,
                reason,
            })
        };
        let code = |it: MergedCodeDocument| {
            let code = CouponCode::parse(&it.code).map_err(|err| err.to_string())?;
            Ok::<_, String>(MergedCode { code, kept: it.kept })
        };
        let strategy = MergeStrategy::parse(&self.strategy);
        Ok(MergeRecord {
            guest: self.guest,
            strategy: strategy.ok_or_else(|| format!("unknown merge strategy {}", self.strategy))?,
            report: MergeReport {
                lines: self.lines.into_iter().map(line).collect::<Result<_, _>>()?,
                codes: self.codes.into_iter().map(code).collect::<Result<_, _>>()?,
            },
        })
    }
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    codes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    locked_until: Option<OffsetDateTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locked_by: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merged_into: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merged: Option<MergeDocument>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    merges: Vec<MergeDocument>,
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
    let state = match (value.order_id, value.merged_into, lock) {
        (Some(order), _, _) => {
            CartState::Ordered { order: OrderId::parse(&order).map_err(|err| unreadable(err.to_string()))? }
        }
        (None, Some(into), _) => {
            CartState::Merged { into: CartId::parse(&into).map_err(|err| unreadable(err.to_string()))? }
        }
        (None, None, Some((until, attempt))) => CartState::Locked { until, attempt },
        (None, None, None) => CartState::Open,
    };
    let record = |it: MergeDocument| it.into_domain().map_err(unreadable);
    let currency = value.currency;
    let line = |line: LineDocument| {
        Ok(CartLine {
            sku: line.sku,
            quantity: Quantity::new(line.quantity).map_err(|err| unreadable(err.to_string()))?,
            price_when_added: Money::new(line.price_when_added.0, currency),
        })
    };
    let lines = value.lines.into_iter().map(line).collect::<Result<_, StoreError>>()?;
    let code = |text: &String| CouponCode::parse(text).map_err(|err| unreadable(err.to_string()));
    let codes = value.codes.iter().map(code).collect::<Result<_, _>>()?;
    let cart = Cart { id: value.cart_id, currency, lines, codes, state, owner: value.owner, groups: value.groups };
    let stored = StoredCart {
        cart,
        token_hash: value.token_hash,
        merges: value.merges.into_iter().map(record).collect::<Result<_, _>>()?,
        merged: value.merged.map(record).transpose()?,
    };
    Ok(Some(Seen { value: stored, etag }))
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
    let StoredCart { cart, token_hash, merges, merged } = stored;
    let (mut lock, mut order_id, mut merged_into) = (None, None, None);
    match &cart.state {
        CartState::Open => {}
        CartState::Locked { until, attempt } => lock = Some((*until, *attempt)),
        CartState::Ordered { order } => order_id = Some(order.to_string()),
        CartState::Merged { into } => merged_into = Some(into.to_string()),
    }
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
        codes: cart.codes.iter().map(ToString::to_string).collect(),
        locked_until: lock.map(|(until, _)| until),
        locked_by: lock.map(|(_, attempt)| attempt),
        order_id,
        owner: cart.owner.clone(),
        groups: cart.groups.clone(),
        merged_into,
        merged: merged.as_ref().map(Into::into),
        merges: merges.iter().map(Into::into).collect(),
        updated_at: now,
    };
    put(ID, &document, seen, cart.kept_for().map(time::Duration::unsigned_abs))
}
