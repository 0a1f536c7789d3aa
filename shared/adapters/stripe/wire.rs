//! What Stripe answers, and what it means. Source: docs.stripe.com/api (PaymentIntent, Charge, Refund, Error).
use offpeak_domain::{
    money::Currency,
    payment::{FAILED, FactKind, PaymentFact},
};
use serde::Deserialize;
use std::collections::BTreeMap;
use time::OffsetDateTime;

use super::amounts;
use crate::shared::ports::payments::{CLIENT_SECRET_ACTION, Payment, PaymentError, PaymentName, PaymentState};

/// The members of `metadata` by which payments and refunds are known again.
pub(super) const REFERENCE: &str = "reference";
pub(super) const KEY: &str = "key";

#[derive(Debug, Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) amount: i64,
    /// Absent from answers of stand-ins.
    amount_received: Option<i64>,
    currency: String,
    status: String,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    created: i64,
    client_secret: Option<String>,
    next_action: Option<NextAction>,
    last_payment_error: Option<Fault>,
    #[serde(default)]
    latest_charge: Option<ChargeOrId>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ChargeOrId {
    Whole(Charge),
    /// Not asked to be written out.
    Id(#[expect(dead_code, reason = "only that there is one matters")] String),
}

#[derive(Debug, Deserialize)]
struct Charge {
    status: String,
    #[serde(default)]
    captured: bool,
    amount_captured: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct NextAction {
    redirect_to_url: Option<Redirect>,
}

#[derive(Debug, Deserialize)]
struct Redirect {
    url: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Refund {
    pub(super) id: String,
    amount: i64,
    currency: String,
    pub(super) status: Option<String>,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    created: i64,
    pub(super) payment_intent: Option<String>,
    pub(super) failure_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Fault {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) code: Option<String>,
    pub(super) decline_code: Option<String>,
    pub(super) message: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FaultBody {
    pub(super) error: Fault,
}

impl Fault {
    /// Why a bank said no, as a code.
    pub(super) fn reason(&self) -> String {
        self.decline_code.clone().or_else(|| self.code.clone()).unwrap_or_else(|| "declined".to_owned())
    }

    pub(super) fn text(&self) -> String {
        let code = self.code.as_deref().or(self.kind.as_deref()).unwrap_or("refused");
        format!("{code}: {}", self.message.as_deref().unwrap_or_default())
    }
}

fn unreadable(reason: String) -> PaymentError {
    PaymentError::Unavailable(reason.into())
}

fn moment(unix: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(unix).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

impl Intent {
    pub(super) fn currency(&self) -> Result<Currency, PaymentError> {
        amounts::currency(&self.currency).map_err(unreadable)
    }

    fn name(&self, reference: &str) -> PaymentName {
        PaymentName { reference: reference.to_owned(), provider_id: Some(self.id.clone()) }
    }

    /// The payment, if money was ever asked for: an intent that is only prepared is none.
    pub(super) fn payment(&self, reference: &str, refunds: &[Refund]) -> Result<Option<Payment>, PaymentError> {
        let status = match self.status.as_str() {
            "requires_capture" | "succeeded" => PaymentState::Authorised,
            "canceled" => PaymentState::Voided,
            "requires_action" => PaymentState::ActionRequired { url: self.action()? },
            "requires_payment_method" | "requires_confirmation" => match &self.last_payment_error {
                Some(fault) => PaymentState::Declined { reason: fault.reason() },
                None => return Ok(None),
            },
            // `processing`: nobody knows yet.
            other => return Err(unreadable(format!("the payment is `{other}`"))),
        };
        let mut facts = self.facts(reference)?;
        for refund in refunds {
            facts.extend(refund.facts(reference)?);
        }
        Ok(Some(Payment::of(&self.name(reference), status, self.currency()?, facts)))
    }

    /// The page to visit, or the secret with which Stripe's script goes on in the buyer's page.
    fn action(&self) -> Result<String, PaymentError> {
        let redirect = self.next_action.as_ref().and_then(|it| it.redirect_to_url.as_ref());
        if let Some(url) = redirect.and_then(|it| it.url.clone()) {
            return Ok(url);
        }
        let secret = self.client_secret.as_ref().ok_or_else(|| unreadable("an action without a secret".to_owned()))?;
        Ok(format!("{CLIENT_SECRET_ACTION}{secret}"))
    }

    /// What has certainly happened, in the ledger's words.
    pub(super) fn facts(&self, reference: &str) -> Result<Vec<PaymentFact>, PaymentError> {
        let currency = self.currency()?;
        let fact = |id: &str, kind, number: i64| {
            let amount = amounts::from_stripe(number, currency).map_err(unreadable)?;
            let reference = reference.to_owned();
            Ok::<_, PaymentError>(PaymentFact { id: id.to_owned(), reference, kind, amount, at: moment(self.created) })
        };
        let mut facts = Vec::new();
        match self.status.as_str() {
            "requires_capture" => facts.push(fact("authorised", FactKind::Authorised, self.amount)?),
            "succeeded" => {
                let taken = self.taken();
                facts.push(fact("authorised", FactKind::Authorised, self.amount)?);
                facts.push(fact("captured", FactKind::Captured, taken)?);
                // What a capture leaves is given back by Stripe at once.
                if taken < self.amount {
                    facts.push(fact("voided", FactKind::Voided, self.amount - taken)?);
                }
            }
            "canceled" => match &self.latest_charge {
                None => facts.push(fact("voided", FactKind::Voided, 0)?),
                Some(ChargeOrId::Whole(charge)) if charge.status == "succeeded" => {
                    facts.push(fact("authorised", FactKind::Authorised, self.amount)?);
                    facts.push(fact("voided", FactKind::Voided, self.amount)?);
                }
                Some(ChargeOrId::Whole(_)) => facts.push(fact("voided", FactKind::Voided, 0)?),
                // Whether there was anything to give back is known to whoever asks.
                Some(ChargeOrId::Id(_)) => {}
            },
            "requires_action" => facts.push(fact("action_required", FactKind::ActionRequired, 0)?),
            "requires_payment_method" | "requires_confirmation" if self.last_payment_error.is_some() => {
                facts.push(fact("declined", FactKind::AuthoriseFailed, 0)?);
            }
            _ => {}
        }
        Ok(facts)
    }

    /// What was captured, in Stripe's number.
    fn taken(&self) -> i64 {
        let charge = match &self.latest_charge {
            Some(ChargeOrId::Whole(charge)) if charge.captured => charge.amount_captured,
            _ => None,
        };
        self.amount_received.or(charge).unwrap_or(self.amount)
    }
}

impl Refund {
    /// A refund is one fact, and one more that takes it back if it failed.
    pub(super) fn facts(&self, reference: &str) -> Result<Vec<PaymentFact>, PaymentError> {
        let currency = amounts::currency(&self.currency).map_err(unreadable)?;
        let amount = amounts::from_stripe(self.amount, currency).map_err(unreadable)?;
        // A refund that staff made in Stripe's own pages has no key of ours.
        let id = format!("refund:{}", self.metadata.get(KEY).unwrap_or(&self.id));
        let reference = reference.to_owned();
        let asked = PaymentFact { id, reference, kind: FactKind::Refunded, amount, at: moment(self.created) };
        let mut facts = vec![asked];
        if self.has_failed() {
            let id = format!("{}{FAILED}", facts[0].id);
            facts.push(PaymentFact { id, kind: FactKind::RefundFailed, ..facts[0].clone() });
        }
        Ok(facts)
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.status.as_deref(), Some("failed" | "canceled"))
    }
}
