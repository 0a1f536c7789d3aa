//! What providers tell by webhook, and what becomes of a purchase's money besides its order.
//!
//! A webhook is noted and answered at once: one batch holds its facts and a message that lets someone look at the
//! checkout ([`super::complete_checkout::resume_checkout`]). Whoever looks asks the provider for all it knows, so a
//! webhook that is late, repeated or out of order needs no case of its own, and no webhook moves money by itself.
//!
//! What must stay true: an attempt that was given up never becomes an order, so whatever money is or comes to be in
//! it may be given back at any time; the attempt that is under way, or that paid for the order, is left alone.
mod settle;

use http::HeaderMap;
use offpeak_domain::ids::CheckoutId;

use super::{
    Shop,
    complete_checkout::resume_message,
    outbox::{self, Outgoing},
    sha256,
};
use crate::shared::{
    documents::purchases,
    ports::{
        documents::StoreError,
        payments::{Notice, PaymentName, WebhookError},
    },
};
pub use settle::{RELEASE_AFTER, SettleError, apply_ledger, release_look, settle};

/// Begins the name of a look that a webhook asked for.
const TOLD: &str = "told";
const CONFLICTS_MAX: u32 = 10;

/// What became of a webhook that is the provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was noted, and someone will look.
    Noted,
    /// Everything in it is known.
    Known,
    /// It is about no payment of this shop's kind.
    NotOurs,
}

#[derive(Debug, thiserror::Error)]
pub enum HearError {
    #[error("this shop has no such payment provider")]
    NoSuchProvider,
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// Signed by the provider, but no checkout here ever asked for it.
    #[error("there is no payment `{reference}`")]
    UnknownPayment { reference: String },
    #[error("others changed this purchase at the same time")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Notes a webhook. Whatever it says, no money moves here.
///
/// # Errors
/// [`HearError`]: nothing was changed, and the provider should tell it again.
pub async fn hear(shop: &Shop, provider: &str, headers: &HeaderMap, body: &[u8]) -> Result<Heard, HearError> {
    let payments = &shop.ports.payments;
    if provider != payments.provider() {
        return Err(HearError::NoSuchProvider);
    }
    let notice = payments.webhook(headers, body, shop.ports.clock.now()).await?;
    let Some(reference) = notice.reference.as_deref() else { return Ok(Heard::NotOurs) };
    let unknown = || HearError::UnknownPayment { reference: reference.chars().take(80).collect() };
    let (checkout, number) = CheckoutId::parse_attempt(reference).ok_or_else(unknown)?;
    let seen = purchases::read_checkout(shop.ports.documents.as_ref(), checkout).await?.ok_or_else(unknown)?;
    if number == 0 || number > seen.value.checkout.attempts {
        return Err(unknown());
    }
    for _ in 0..CONFLICTS_MAX {
        match note(shop, checkout, reference, &notice).await {
            Ok(heard) => return Ok(heard),
            Err(StoreError::Changed { .. } | StoreError::Exists { .. }) => {}
            Err(err) => return Err(err.into()),
        }
    }
    Err(HearError::Busy)
}

/// One batch: the event's id in the inbox, its facts, and a message to look.
async fn note(shop: &Shop, id: CheckoutId, reference: &str, notice: &Notice) -> Result<Heard, StoreError> {
    let documents = shop.ports.documents.as_ref();
    let event = format!("payment-{}", sha256(&notice.event_id));
    if purchases::in_inbox(documents, id, &event).await? {
        return Ok(Heard::Known);
    }
    let seen = purchases::read_payments(documents, id).await?;
    let etag = seen.as_ref().map(|it| it.etag.clone());
    let mut payments = seen.map(|it| it.value).unwrap_or_default();
    let name = PaymentName { reference: reference.to_owned(), provider_id: notice.provider_id.clone() };
    let news = payments.note(&notice.facts) | payments.note_name(&name);
    // What our own calls were told already is worth neither a write nor a look.
    if !news && !notice.facts.is_empty() {
        return Ok(Heard::Known);
    }
    let now = shop.ports.clock.now();
    let mut outgoing = Outgoing::default();
    outgoing.add(resume_message(id, &format!("{TOLD}-{}", &event[8..24]), now));
    let mut writes = vec![purchases::put_payments(id, &payments, etag.as_ref())?, purchases::add_to_inbox(&event)?];
    writes.extend(outgoing.rows(id, now)?);
    let etags = purchases::write(documents, id, writes).await?;
    outbox::publish_inline(shop, outgoing.written(id, &etags)).await;
    Ok(Heard::Noted)
}

/// Whether a look of this name was asked for by a webhook: then it asks the provider at once, whoever is waiting.
pub fn was_told(look: &str) -> bool {
    look.starts_with(TOLD)
}
