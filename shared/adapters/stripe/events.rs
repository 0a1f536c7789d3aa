//! Stripe's events. Source: docs.stripe.com/api/events/types.
//!
//! What must stay true: an event about a payment that is not this shop's is nobody's business here, and answered
//! as heard; what an event leaves open is asked of Stripe by whoever looks, not guessed here.
use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Stripe,
    wire::{Intent, REFERENCE, Refund},
};
use crate::shared::ports::payments::{Notice, WebhookError};

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

/// A charge or a dispute: only whose it is matters.
#[derive(Deserialize)]
struct Mention {
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    payment_intent: Option<String>,
}

pub(super) async fn read(stripe: &Stripe, body: &[u8]) -> Result<Notice, WebhookError> {
    let event: Event = serde_json::from_slice(body).map_err(|err| WebhookError::Unreadable(err.to_string()))?;
    let object = event.data.object;
    let mut notice = Notice { event_id: event.id, reference: None, provider_id: None, facts: Vec::new() };
    match event.kind.as_str() {
        kind if kind.starts_with("payment_intent.") => {
            let intent: Intent = parse(object)?;
            if let Some(reference) = intent.metadata.get(REFERENCE) {
                notice.facts = intent.facts(reference)?;
                notice.reference = Some(reference.clone());
                notice.provider_id = Some(intent.id.clone());
            }
        }
        kind if kind.starts_with("refund.") || kind == "charge.refund.updated" => {
            let refund: Refund = parse(object)?;
            let known = refund.metadata.get(REFERENCE).cloned();
            notice.provider_id.clone_from(&refund.payment_intent);
            notice.reference = whose(stripe, known, refund.payment_intent.as_deref()).await?;
            if let Some(reference) = &notice.reference {
                notice.facts = refund.facts(reference)?;
            }
        }
        kind if kind.starts_with("charge.dispute.") => {
            let mention: Mention = parse(object.clone())?;
            notice.reference = whose(stripe, None, mention.payment_intent.as_deref()).await?;
            notice.provider_id = mention.payment_intent;
            if let Some(reference) = &notice.reference {
                notice.facts = dispute::facts(reference, parse(object)?)?;
            }
        }
        kind if kind.starts_with("charge.") => {
            let mention: Mention = parse(object)?;
            let known = mention.metadata.get(REFERENCE).cloned();
            notice.reference = whose(stripe, known, mention.payment_intent.as_deref()).await?;
            notice.provider_id = mention.payment_intent;
        }
        _ => {}
    }
    Ok(notice)
}

fn parse<T: DeserializeOwned>(object: Value) -> Result<T, WebhookError> {
    serde_json::from_value(object).map_err(|err| WebhookError::Unreadable(err.to_string()))
}

/// The reference: as the object says, or as its payment does.
async fn whose(stripe: &Stripe, known: Option<String>, intent: Option<&str>) -> Result<Option<String>, WebhookError> {
    match (known, intent) {
        (Some(reference), _) => Ok(Some(reference)),
        (None, None) => Ok(None),
        (None, Some(id)) => Ok(stripe.intent(id).await?.and_then(|it| it.metadata.get(REFERENCE).cloned())),
    }
}

mod dispute {
    //! Disputes: opened when Stripe takes the money back, closed as won or lost.
    use offpeak_domain::payment::{FactKind, PaymentFact};
    use serde::Deserialize;
    use time::OffsetDateTime;

    use super::super::amounts;
    use crate::shared::ports::payments::WebhookError;

    #[derive(Deserialize)]
    pub(super) struct Dispute {
        id: String,
        amount: i64,
        currency: String,
        status: String,
        created: i64,
    }

    pub(super) fn facts(reference: &str, dispute: Dispute) -> Result<Vec<PaymentFact>, WebhookError> {
        let currency = amounts::currency(&dispute.currency).map_err(WebhookError::Unreadable)?;
        let amount = amounts::from_stripe(dispute.amount, currency).map_err(WebhookError::Unreadable)?;
        let at = OffsetDateTime::from_unix_timestamp(dispute.created).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let fact = |name: &str, kind| PaymentFact {
            id: format!("dispute:{}:{name}", dispute.id),
            reference: reference.to_owned(),
            kind,
            amount,
            at,
        };
        Ok(match dispute.status.as_str() {
            // A bank that only asks has taken nothing.
            status if status.starts_with("warning_") => Vec::new(),
            "won" => vec![fact("opened", FactKind::DisputeOpened), fact("won", FactKind::DisputeWon)],
            "lost" => vec![fact("opened", FactKind::DisputeOpened), fact("lost", FactKind::DisputeLost)],
            _ => vec![fact("opened", FactKind::DisputeOpened)],
        })
    }
}
