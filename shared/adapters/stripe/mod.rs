//! Stripe, over its HTTP API and without its SDK: a payment is a PaymentIntent of ours, named by its id.
//!
//! What must stay true: an intent is made without asking for money, and its id is stored before it is confirmed;
//! every call that changes something carries an `Idempotency-Key`; an intent is captured once (Stripe gives back
//! what a capture leaves); the account's key is in no log.
mod amounts;
mod events;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use url::Url;

use super::{
    http_client::{self, HttpClient},
    webhook_signature,
};
use crate::shared::ports::{
    chain,
    payments::{
        Authorise, Movement, Notice, Payment, PaymentError, PaymentName, PaymentState, Payments, RefundState, Refunded,
        WebhookError,
    },
    reach::{Reach, Unreached},
};
use wire::{Fault, FaultBody, Intent, KEY, List, REFERENCE, Refund};

/// Shorter than a completion's lease, together with one question after a lost answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The API as it was understood when this was written.
const API_VERSION: &str = "2024-06-20";
const SIGNATURE: &str = "stripe-signature";
/// What a buyer may pay with.
const METHODS: [&str; 1] = ["card"];
/// Refunds read of one payment; Stripe's largest page.
const REFUNDS_MAX: &str = "100";
/// Writes the charge out in an intent.
const EXPAND: (&str, &str) = ("expand[]", "latest_charge");

pub struct Stripe {
    client: HttpClient,
    /// Ends in `/`.
    base: Url,
    key: String,
    secrets: Vec<Vec<u8>>,
}

/// What a call may end in besides an answer.
enum CallError {
    /// The bank's no.
    Declined(Fault),
    /// 400 or 404: not in this state, not with these parameters, not there.
    Refused(StatusCode, Fault),
    Lost(PaymentError),
}

impl From<CallError> for PaymentError {
    fn from(err: CallError) -> PaymentError {
        match err {
            CallError::Declined(fault) | CallError::Refused(_, fault) => PaymentError::Refused(fault.text()),
            CallError::Lost(err) => err,
        }
    }
}

impl Stripe {
    /// `base` is the API's address, `key` the account's secret key, `secrets` those of the webhook.
    ///
    /// # Errors
    /// The reason, if the address cannot carry a path.
    pub fn new(client: HttpClient, base: &Url, key: &str, secrets: Vec<String>) -> Result<Stripe, String> {
        let base = base.join("/").map_err(|err| err.to_string())?;
        let secrets = secrets.into_iter().map(String::into_bytes).collect();
        Ok(Stripe { client, base, key: key.to_owned(), secrets })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, CallError> {
        let query = serde_urlencoded::to_string(query).map_err(lost)?;
        self.call(Method::GET, &format!("{path}?{query}"), None).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, key: &str, form: &[(&str, &str)]) -> Result<T, CallError> {
        let form = serde_urlencoded::to_string(form).map_err(lost)?;
        self.call(Method::POST, path, Some((key, form))).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        posted: Option<(&str, String)>,
    ) -> Result<T, CallError> {
        let url = self.base.join(path).map_err(lost)?;
        let request = self.client.get().map_err(lost)?.request(method, url).timeout(PATIENCE);
        let mut request = request.bearer_auth(&self.key).header("stripe-version", API_VERSION);
        if let Some((key, form)) = posted {
            request = request
                .header("idempotency-key", key)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form);
        }
        let answer = request.send().await.map_err(lost)?;
        let status = answer.status();
        let bytes = http_client::body(answer).await.map_err(lost)?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(lost);
        }
        let fault = serde_json::from_slice::<FaultBody>(&bytes).map(|it| it.error).unwrap_or_default();
        match status {
            StatusCode::PAYMENT_REQUIRED => Err(CallError::Declined(fault)),
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => Err(CallError::Refused(status, fault)),
            // 409: the same key is being worked on; 429 and 5xx: later. 401 and 403 are ours to mend.
            status => Err(lost(format!("Stripe answered {status}, {}", fault.text()))),
        }
    }

    async fn intent(&self, id: &str) -> Result<Option<Intent>, PaymentError> {
        match self.get(&format!("v1/payment_intents/{}", checked(id)?), &[EXPAND]).await {
            Ok(intent) => Ok(Some(intent)),
            Err(CallError::Refused(StatusCode::NOT_FOUND, _)) => Ok(None),
            Err(err) => Err(err.into()),
        }
    }

    /// As it is now, after a call was refused: perhaps it has happened already.
    async fn as_it_is(&self, name: &PaymentName, fault: Fault) -> Result<Payment, PaymentError> {
        self.find(name).await?.ok_or_else(|| PaymentError::Refused(fault.text()))
    }
}

fn lost(err: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CallError {
    CallError::Lost(PaymentError::Unavailable(err.into()))
}

/// Part of an address: letters, digits and underscores, as Stripe's ids are.
fn checked(id: &str) -> Result<&str, PaymentError> {
    let sound = !id.is_empty() && id.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
    if sound { Ok(id) } else { Err(PaymentError::Refused("this is no id of Stripe's".to_owned())) }
}

fn provider_id(name: &PaymentName) -> Result<&str, PaymentError> {
    name.provider_id.as_deref().ok_or_else(|| PaymentError::Refused("the payment was never prepared".to_owned()))
}

#[async_trait]
impl Payments for Stripe {
    fn provider(&self) -> &'static str {
        "stripe"
    }

    fn accepts(&self, method: &str) -> bool {
        METHODS.contains(&method)
    }

    /// Several captures are for accounts and cards that Stripe has agreed to. Source: docs.stripe.com/payments/multicapture.
    fn captures_in_parts(&self) -> bool {
        false
    }

    async fn prepare(&self, request: &Authorise) -> Result<Option<String>, PaymentError> {
        let refused = |text: &str| Err(PaymentError::Refused(text.to_owned()));
        let Some(token) = request.token.as_deref() else { return refused("there is no payment.token to pay with") };
        let amount = amounts::to_stripe(request.amount).map_err(PaymentError::Refused)?.to_string();
        let currency = request.amount.currency().code().to_ascii_lowercase();
        let form = [
            ("amount", amount.as_str()),
            ("currency", &currency),
            ("capture_method", "manual"),
            ("payment_method_types[]", &request.method),
            ("payment_method", checked(token)?),
            ("metadata[reference]", &request.reference),
            ("metadata[checkoutId]", &request.checkout_id),
        ];
        match self.post::<Intent>("v1/payment_intents", &request.reference, &form).await {
            Ok(intent) => Ok(Some(intent.id)),
            Err(err) => Err(err.into()),
        }
    }

    async fn authorise(&self, request: &Authorise) -> Result<Payment, PaymentError> {
        let name = request.name();
        let id = checked(provider_id(&name)?)?;
        let mut form = vec![];
        if let Some(url) = &request.return_url {
            form.push(("return_url", url.as_str()));
        }
        form.push(EXPAND);
        let key = format!("{}:confirm", request.reference);
        match self.post::<Intent>(&format!("v1/payment_intents/{id}/confirm"), &key, &form).await {
            Ok(intent) if intent.metadata.get(REFERENCE).is_some_and(|it| *it != request.reference) => {
                Err(PaymentError::Refused("the intent is another payment's".to_owned()))
            }
            Ok(intent) => intent
                .payment(&request.reference, &[])?
                .ok_or_else(|| PaymentError::Unavailable("a confirmed payment that asks for nothing".into())),
            Err(CallError::Declined(fault)) => {
                // The intent says it too, once it has written it down.
                let declined = PaymentState::Declined { reason: fault.reason() };
                let facts = self.find(&name).await.ok().flatten().map(|it| it.facts).unwrap_or_default();
                Ok(Payment::of(&name, declined, request.amount.currency(), facts))
            }
            Err(CallError::Refused(_, fault)) if fault.kind.as_deref() == Some("idempotency_error") => {
                Err(PaymentError::Refused(fault.text()))
            }
            Err(CallError::Refused(_, fault)) => self.as_it_is(&name, fault).await,
            Err(CallError::Lost(err)) => Err(err),
        }
    }

    async fn find(&self, name: &PaymentName) -> Result<Option<Payment>, PaymentError> {
        let Some(id) = &name.provider_id else { return Ok(None) };
        let Some(intent) = self.intent(id).await? else { return Ok(None) };
        let refunds = if intent.payment(&name.reference, &[])?.is_some_and(|it| !it.captured.is_zero()) {
            let query = [("payment_intent", id.as_str()), ("limit", REFUNDS_MAX)];
            self.get::<List<Refund>>("v1/refunds", &query).await?.data
        } else {
            Vec::new()
        };
        intent.payment(&name.reference, &refunds)
    }

    async fn capture(&self, name: &PaymentName, movement: &Movement) -> Result<Payment, PaymentError> {
        let id = checked(provider_id(name)?)?;
        let amount = amounts::to_stripe(movement.amount).map_err(PaymentError::Refused)?.to_string();
        let path = format!("v1/payment_intents/{id}/capture");
        let form = [("amount_to_capture", amount.as_str()), EXPAND];
        let payment = match self.post::<Intent>(&path, &movement.key, &form).await {
            Ok(intent) => intent.payment(&name.reference, &[])?,
            Err(CallError::Refused(_, fault)) => {
                let text = fault.text();
                let payment = self.as_it_is(name, fault).await?;
                if payment.captured != movement.amount {
                    return Err(PaymentError::Refused(text));
                }
                Some(payment)
            }
            Err(err) => return Err(err.into()),
        };
        match payment {
            Some(payment) if payment.captured == movement.amount => Ok(payment),
            _ => Err(PaymentError::Refused(format!("{} was not captured", movement.amount))),
        }
    }

    async fn void(&self, name: &PaymentName, key: &str) -> Result<Option<Payment>, PaymentError> {
        // Without an id nothing was stored, and so nothing was or will be confirmed.
        let Some(id) = &name.provider_id else { return Ok(None) };
        let path = format!("v1/payment_intents/{}/cancel", checked(id)?);
        match self.post::<Intent>(&path, key, &[EXPAND]).await {
            Ok(intent) => intent.payment(&name.reference, &[]),
            Err(CallError::Refused(StatusCode::NOT_FOUND, _)) => Ok(None),
            // Captured or cancelled already.
            Err(CallError::Refused(_, fault)) => self.as_it_is(name, fault).await.map(Some),
            Err(err) => Err(err.into()),
        }
    }

    async fn refund(&self, name: &PaymentName, movement: &Movement) -> Result<Refunded, PaymentError> {
        let id = provider_id(name)?;
        let before = self.find(name).await?;
        let left = before.as_ref().map(Payment::refundable);
        let known = before.is_some_and(|it| it.facts.iter().any(|fact| fact.id == format!("refund:{}", movement.key)));
        // Stripe refuses it too; said here it needs no call and is the same with every stand-in.
        if !known && left.is_none_or(|it| it.minor() < movement.amount.minor()) {
            return Err(PaymentError::Refused(format!("{} is more than was captured and is left", movement.amount)));
        }
        let amount = amounts::to_stripe(movement.amount).map_err(PaymentError::Refused)?.to_string();
        let form = [
            ("payment_intent", id),
            ("amount", amount.as_str()),
            (&format!("metadata[{KEY}]"), &movement.key),
            (&format!("metadata[{REFERENCE}]"), &name.reference),
        ];
        let refund: Refund = self.post("v1/refunds", &movement.key, &form).await?;
        let payment = self.find(name).await?;
        let payment = payment.ok_or_else(|| PaymentError::Unavailable("a refunded payment that is none".into()))?;
        let state = match refund.status.as_deref() {
            Some("succeeded") => RefundState::Succeeded,
            _ if refund.has_failed() => {
                RefundState::Failed { reason: refund.failure_reason.unwrap_or_else(|| "failed".to_owned()) }
            }
            _ => RefundState::Pending,
        };
        Ok(Refunded { payment, state })
    }

    async fn webhook(&self, headers: &HeaderMap, body: &[u8], now: OffsetDateTime) -> Result<Notice, WebhookError> {
        let header = headers.get(SIGNATURE).and_then(|it| it.to_str().ok());
        webhook_signature::check(header, body, &self.secrets, now)?;
        events::read(self, body).await
    }
}

#[async_trait]
impl Reach for Stripe {
    /// Asks for a payment that never was: only who has the key is told that it is not there.
    async fn reach(&self) -> Result<(), Unreached> {
        self.intent("pi_check").await.map(drop).map_err(|error| {
            let advice = "see OFFPEAK_STRIPE_SECRET_KEY, and OFFPEAK_PAYMENTS_URL for another address than Stripe's";
            format!("{}; {advice}", chain(&error)).into()
        })
    }
}
