//! The dev host's payment provider, over HTTP: what a real provider's adapter does, against a ledger
//! that anyone can look at (`GET /dev/payments`).
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use offpeak_domain::money::{Currency, Money};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use url::Url;

use super::http_client::{self, HttpClient};
use crate::shared::ports::payments::{
    Authorise, Movement, Notice, Payment, PaymentError, PaymentName, PaymentState, Payments, RefundState, Refunded,
    WebhookError,
};

/// Shorter than a completion's lease, together with one question after a lost answer.
const AUTHORISE_PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(3);
const METHODS: [&str; 4] = ["sandbox_approve", "sandbox_decline", "sandbox_challenge", "sandbox_timeout"];

pub struct SandboxPayments {
    client: HttpClient,
    /// Ends in `/dev/provider/`.
    base: Url,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    reference: String,
    currency: String,
    status: String,
    reason: Option<String>,
    url: Option<String>,
    authorised: String,
    captured: String,
    refunded: String,
    voided: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl SandboxPayments {
    /// `devhost` is the dev host's address.
    ///
    /// # Errors
    /// The reason, if the address cannot carry a path.
    pub fn new(client: HttpClient, devhost: &Url) -> Result<SandboxPayments, String> {
        let base = devhost.join("/dev/provider/").map_err(|err| err.to_string())?;
        Ok(SandboxPayments { client, base })
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, serde_json::Value)>,
        patience: Duration,
    ) -> Result<Option<Payment>, PaymentError> {
        let url = self.base.join(path).map_err(unavailable)?;
        let mut request = self.client.get().map_err(unavailable)?.request(method, url).timeout(patience);
        if let Some((key, body)) = body {
            request = request
                .header("idempotency-key", key)
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.send().await.map_err(unavailable)?;
        let status = response.status();
        let bytes = http_client::body(response).await.map_err(unavailable)?;
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => {
                let answer: Answer = serde_json::from_slice(&bytes).map_err(unavailable)?;
                payment(answer).map(Some)
            }
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => {
                let refusal = serde_json::from_slice::<Refusal>(&bytes).map(|it| it.error);
                Err(PaymentError::Refused(refusal.unwrap_or_else(|_| status.to_string())))
            }
            status => Err(unavailable(format!("the provider answered {status}"))),
        }
    }
}

#[async_trait]
impl Payments for SandboxPayments {
    fn provider(&self) -> &'static str {
        "sandbox"
    }

    fn accepts(&self, method: &str) -> bool {
        METHODS.contains(&method)
    }

    async fn prepare(&self, _request: &Authorise) -> Result<Option<String>, PaymentError> {
        Ok(None)
    }

    async fn authorise(&self, request: &Authorise) -> Result<Payment, PaymentError> {
        let body = json!({
            "reference": request.reference,
            "checkoutId": request.checkout_id,
            "amount": amount(request.amount),
            "method": request.method,
        });
        let key_and_body = Some((request.reference.as_str(), body));
        let payment = self.call(Method::POST, "payments", key_and_body, AUTHORISE_PATIENCE).await?;
        payment.ok_or_else(|| unavailable("the provider does not know its own address"))
    }

    async fn find(&self, name: &PaymentName) -> Result<Option<Payment>, PaymentError> {
        self.call(Method::GET, &format!("payments/{}", name.reference), None, PATIENCE).await
    }

    async fn capture(&self, name: &PaymentName, movement: &Movement) -> Result<Payment, PaymentError> {
        let path = format!("payments/{}/capture", name.reference);
        let body = json!({ "amount": amount(movement.amount) });
        let payment = self.call(Method::POST, &path, Some((&movement.key, body)), PATIENCE).await?;
        payment.ok_or_else(|| PaymentError::Refused("unknown payment".to_owned()))
    }

    async fn void(&self, name: &PaymentName, key: &str) -> Result<Option<Payment>, PaymentError> {
        let path = format!("payments/{}/void", name.reference);
        self.call(Method::POST, &path, Some((key, json!({}))), PATIENCE).await
    }

    async fn refund(&self, name: &PaymentName, movement: &Movement) -> Result<Refunded, PaymentError> {
        let path = format!("payments/{}/refund", name.reference);
        let body = json!({ "amount": amount(movement.amount) });
        let payment = self.call(Method::POST, &path, Some((&movement.key, body)), PATIENCE).await?;
        let payment = payment.ok_or_else(|| PaymentError::Refused("unknown payment".to_owned()))?;
        Ok(Refunded { payment, state: RefundState::Succeeded })
    }

    async fn webhook(&self, _headers: &HeaderMap, _body: &[u8], _now: OffsetDateTime) -> Result<Notice, WebhookError> {
        Err(WebhookError::Unsigned)
    }
}

fn amount(money: Money) -> serde_json::Value {
    json!({ "amount": money.minor().to_string(), "currency": money.currency().code() })
}

fn payment(answer: Answer) -> Result<Payment, PaymentError> {
    let currency = Currency::parse(&answer.currency).map_err(unavailable)?;
    let money = |minor: &str| Money::parse(minor, currency).map_err(unavailable);
    let status = match answer.status.as_str() {
        "authorised" => PaymentState::Authorised,
        "declined" => PaymentState::Declined { reason: answer.reason.unwrap_or_else(|| "declined".to_owned()) },
        "action_required" => {
            let url = answer.url.ok_or_else(|| unavailable("an action without a page to visit"))?;
            PaymentState::ActionRequired { url }
        }
        "voided" => PaymentState::Voided,
        other => return Err(unavailable(format!("unknown payment status `{other}`"))),
    };
    Ok(Payment {
        reference: answer.reference,
        provider_id: None,
        status,
        authorised: money(&answer.authorised)?,
        captured: money(&answer.captured)?,
        refunded: money(&answer.refunded)?,
        voided: money(&answer.voided)?,
        facts: Vec::new(),
    })
}

fn unavailable(err: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PaymentError {
    PaymentError::Unavailable(err.into())
}
