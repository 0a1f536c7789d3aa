//! The dev host's payment provider, over HTTP: what a real provider's adapter does, against a ledger
//! that anyone can look at (`GET /dev/payments`).
use std::time::Duration;

use async_trait::async_trait;
use offpeak_domain::money::{Currency, Money};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::http_client::{self, HttpClient};
use crate::shared::ports::payments::{Authorise, Payment, PaymentError, PaymentState, Payments};

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
    fn accepts(&self, method: &str) -> bool {
        METHODS.contains(&method)
    }

    async fn authorise(&self, request: &Authorise) -> Result<Payment, PaymentError> {
        let body = json!({
            "reference": request.reference,
            "checkoutId": request.checkout_id,
            "amount": { "amount": request.amount.minor().to_string(), "currency": request.amount.currency().code() },
            "method": request.method,
        });
        let key_and_body = Some((request.reference.as_str(), body));
        let payment = self.call(Method::POST, "payments", key_and_body, AUTHORISE_PATIENCE).await?;
        payment.ok_or_else(|| unavailable("the provider does not know its own address"))
    }

    async fn find(&self, reference: &str) -> Result<Option<Payment>, PaymentError> {
        self.call(Method::GET, &format!("payments/{reference}"), None, PATIENCE).await
    }

    async fn capture(&self, reference: &str) -> Result<Payment, PaymentError> {
        let path = format!("payments/{reference}/capture");
        let payment =
            self.call(Method::POST, &path, Some((&format!("{reference}:capture"), json!({}))), PATIENCE).await?;
        payment.ok_or_else(|| PaymentError::Refused("unknown payment".to_owned()))
    }

    async fn void(&self, reference: &str) -> Result<Payment, PaymentError> {
        let path = format!("payments/{reference}/void");
        let payment = self.call(Method::POST, &path, Some((&format!("{reference}:void"), json!({}))), PATIENCE).await?;
        payment.ok_or_else(|| PaymentError::Refused("unknown payment".to_owned()))
    }
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
        status,
        authorised: money(&answer.authorised)?,
        captured: money(&answer.captured)?,
        refunded: money(&answer.refunded)?,
        voided: money(&answer.voided)?,
    })
}

fn unavailable(err: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PaymentError {
    PaymentError::Unavailable(err.into())
}
