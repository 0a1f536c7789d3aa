//! Changing an order: read it, decide purely, write the order with its entry, its event and the look that
//! finishes what it owes, all in one batch; then do what it owes and answer.
//!
//! With an idempotency key the batch also creates `change:<key>`, so the change is made once whoever repeats
//! the call and wherever it died; the answer is kept beside it and replayed byte for byte. A refusal changes
//! nothing and is not kept: the same key may be tried again when the order allows it.
mod cancel;
mod fulfil;
mod hold;
mod notes;
mod refund;
mod returns;

use std::time::Duration;

use offpeak_domain::{
    checkout::KeyUse,
    ids::{CheckoutId, OrderId},
    order::{Actor, By, Entry, Order, OrderRefusal},
};

pub use cancel::{CancelOrder, cancel_order};
pub use fulfil::{ChangeFulfilment, FulfilOrder, change_fulfilment, fulfil_order};
pub use hold::{HoldOrder, hold_order};
pub use notes::{NoteOrder, note_order};
pub use refund::{RefundOrder, refund_order};
pub use returns::{ChangeOrderReturn, RequestReturn, change_return, request_return};

use super::{
    Shop, carts,
    complete_checkout::resume_message,
    kept_answers::{Completed, KeptError, Rendered, keep, replay},
    order_works::{self, LOOK_AFTER},
    outbox::{self, Outgoing},
    sha256,
};
use crate::shared::{
    documents::{Seen, purchases},
    ports::documents::{ETag, StoreError},
};

/// How often a call looks again because the order changed under it.
const ROUNDS_MAX: u32 = 8;

/// Who asks, and how the request is told from others.
#[derive(Clone, Debug)]
pub struct Asked {
    pub order: OrderId,
    pub caller: Caller,
    /// Required wherever money may move.
    pub idempotency_key: Option<String>,
    /// The version the caller saw; `*` and `None` for whatever it is.
    pub if_match: Option<String>,
    /// The request in a form in which equal requests are equal.
    pub request: String,
}

#[derive(Clone, Debug)]
pub enum Caller {
    /// With the cart's token.
    Customer { token: String },
    /// With the subject of a token that was checked.
    Staff { subject: String },
}

/// The caller's way to write the order down, given the id of what the change made.
pub type Render = fn(&Seen<Order>, Option<&str>) -> Rendered;

#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// Not there, not placed, or not the caller's to know.
    #[error("no such order")]
    NotFound,
    #[error("the idempotency key was used for another request")]
    KeyReused,
    #[error("the order is not the version that the caller saw")]
    Changed,
    #[error("others keep changing this order")]
    Busy,
    #[error(transparent)]
    Refused(#[from] OrderRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<KeptError> for OrderError {
    fn from(err: KeptError) -> OrderError {
        match err {
            KeptError::KeyReused => OrderError::KeyReused,
            KeptError::InProgress => OrderError::Busy,
            KeptError::Store(err) => err.into(),
        }
    }
}

/// Makes one change. `decide` may be called more than once, each time with the order as it then is; `None`:
/// it is as asked already.
async fn change(
    shop: &Shop,
    asked: &Asked,
    render: Render,
    decide: impl Fn(&mut Order, &By) -> Result<Option<Entry>, OrderRefusal> + Sync,
) -> Result<Completed, OrderError> {
    let checkout = asked.order.checkout();
    let by = key_use(asked);
    for round in 0..ROUNDS_MAX {
        if round > 0 {
            tokio::time::sleep(Duration::from_millis(u64::from(round) * 5)).await;
        }
        let seen = open(shop, asked).await?;
        if let Some(by) = &by {
            if let Some(answer) = replay(shop, checkout, by).await? {
                return Ok(answer);
            }
            if let Some(made) = made(shop, checkout, by).await? {
                return answer(shop, checkout, Some(by), (seen, made), render).await;
            }
        }
        if asked.if_match.as_ref().is_some_and(|it| it != "*" && *it != seen.etag.0) {
            return Err(OrderError::Changed);
        }
        match write_change(shop, asked, by.as_ref(), seen, &decide).await {
            Ok((seen, made)) => return answer(shop, checkout, by.as_ref(), (seen, made), render).await,
            Err(OrderError::Store(StoreError::Changed { .. } | StoreError::Exists { .. })) => {}
            Err(err) => return Err(err),
        }
    }
    Err(OrderError::Busy)
}

/// Decides on the order as seen, and writes what follows. Answers the order and what was made.
async fn write_change(
    shop: &Shop,
    asked: &Asked,
    by: Option<&KeyUse>,
    seen: Seen<Order>,
    decide: &(impl Fn(&mut Order, &By) -> Result<Option<Entry>, OrderRefusal> + Sync),
) -> Result<(Seen<Order>, Option<String>), OrderError> {
    let checkout = asked.order.checkout();
    let now = shop.ports.clock.now();
    let actor = match &asked.caller {
        Caller::Customer { .. } => Actor::Customer,
        Caller::Staff { subject } => Actor::Staff(subject.clone()),
    };
    let mut order = seen.value.clone();
    let Some(entry) = decide(&mut order, &By { actor, at: now })? else { return Ok((seen, None)) };
    let mut outgoing = Outgoing::default();
    if !order.works.is_empty() {
        outgoing.add(resume_message(checkout, &format!("order-{}", entry.number), now + LOOK_AFTER));
    }
    order_works::announce(&order, &entry, &mut outgoing)?;
    let mut writes = vec![purchases::put_order(&order, Some(&seen.etag))?, purchases::add_entry(checkout, &entry)?];
    if let Some(by) = by {
        writes.push(purchases::add_made(by, entry.subject.as_deref())?);
    }
    writes.extend(outgoing.rows(checkout, now)?);
    let etags = purchases::write(shop.ports.documents.as_ref(), checkout, writes).await?;
    let etag = etags.first().cloned().unwrap_or(ETag(String::new()));
    let events = outgoing.written(checkout, &etags);
    outbox::publish_inline(shop, events).await;
    Ok((Seen { value: order, etag }, entry.subject))
}

/// Does what the order owes, as far as it goes, and answers with the order as it then is.
async fn answer(
    shop: &Shop,
    checkout: CheckoutId,
    by: Option<&KeyUse>,
    (seen, made): (Seen<Order>, Option<String>),
    render: Render,
) -> Result<Completed, OrderError> {
    let seen = if seen.value.works.is_empty() {
        seen
    } else {
        order_works::drive_inline(shop, checkout).await.unwrap_or(seen)
    };
    let rendered = render(&seen, made.as_deref());
    match by {
        Some(by) => Ok(keep(shop, checkout, by, rendered, false).await?),
        None => Ok(Completed { rendered, replayed: false }),
    }
}

/// The order, if the caller may open it.
async fn open(shop: &Shop, asked: &Asked) -> Result<Seen<Order>, OrderError> {
    let seen = purchases::read_order(shop.ports.documents.as_ref(), asked.order.checkout()).await?;
    let seen = seen.filter(|it| it.value.lifecycle.was_placed()).ok_or(OrderError::NotFound)?;
    match &asked.caller {
        Caller::Customer { token } if !carts::opens(token, &seen.value.token_hash) => Err(OrderError::NotFound),
        Caller::Customer { .. } | Caller::Staff { .. } => Ok(seen),
    }
}

/// An order for staff, whoever bought it.
///
/// # Errors
/// `NotFound`, `Store`.
pub async fn read_for_staff(shop: &Shop, id: OrderId) -> Result<Seen<Order>, OrderError> {
    let seen = purchases::read_order(shop.ports.documents.as_ref(), id.checkout()).await?;
    seen.filter(|it| it.value.lifecycle.was_placed()).ok_or(OrderError::NotFound)
}

/// What happened to an order, newest first.
///
/// # Errors
/// `Store`.
pub async fn timeline(shop: &Shop, id: OrderId) -> Result<Vec<Entry>, OrderError> {
    Ok(purchases::read_timeline(shop.ports.documents.as_ref(), id.checkout()).await?)
}

/// A key is the caller's own: the same text from another caller, or for another order, is another key.
fn key_use(asked: &Asked) -> Option<KeyUse> {
    let caller = match &asked.caller {
        Caller::Customer { token } => format!("customer\n{}", sha256(token)),
        Caller::Staff { subject } => format!("staff\n{subject}"),
    };
    let key = asked.idempotency_key.as_ref()?;
    let key = sha256(&format!("{caller}\n{key}"));
    let fingerprint = sha256(&format!("{}\n{caller}\n{}", asked.order, asked.request));
    Some(KeyUse { key, fingerprint })
}

/// What an earlier call with this key made, though it may not have come to answer.
async fn made(shop: &Shop, checkout: CheckoutId, by: &KeyUse) -> Result<Option<Option<String>>, OrderError> {
    let Some(made) = purchases::read_made(shop.ports.documents.as_ref(), checkout, &by.key).await? else {
        return Ok(None);
    };
    if made.fingerprint == by.fingerprint { Ok(Some(made.subject)) } else { Err(OrderError::KeyReused) }
}
