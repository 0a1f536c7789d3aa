//! The dev host's payment provider, over HTTP: what a real provider's adapter does, against a ledger
//! that anyone can look at (`GET /dev/payments`).
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use offpeak_domain::{
    money::{Currency, Money},
    payment::{FactKind, PaymentFact},
};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use url::Url;

use super::{
    http_client::{self, HttpClient},
    webhook_signature,
};
use crate::shared::ports::{
    payments::{
        Authorise, Movement, Notice, Payment, PaymentError, PaymentName, PaymentState, Payments, RefundState, Refunded,
        WebhookError,
    },
    reach::{Reach, Unreached},
};

/// Shorter than a completion's lease, together with one question after a lost answer.
const AUTHORISE_PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(3);
const METHODS: [&str; 5] =
    ["sandbox_approve", "sandbox_decline", "sandbox_challenge", "sandbox_timeout", "sandbox_refund_fails"];
const SIGNATURE: &str = "sandbox-signature";

pub struct SandboxPayments {
    client: HttpClient,
    /// Ends in `/dev/provider/`.
    base: Url,
    /// What webhooks may be signed with.
    secrets: Vec<Vec<u8>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    reference: String,
    currency: String,
    status: String,
    reason: Option<String>,
    url: Option<String>,
    facts: Vec<FactBody>,
    refund: Option<RefundBody>,
}

#[derive(Deserialize)]
struct FactBody {
    id: String,
    kind: String,
    amount: AmountBody,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

#[derive(Deserialize)]
struct AmountBody {
    amount: String,
    currency: String,
}

#[derive(Deserialize)]
struct RefundBody {
    state: String,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct NoticeBody {
    id: String,
    reference: String,
    fact: FactBody,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// What is posted: its key and its body.
type Posted<'a> = Option<(&'a str, serde_json::Value)>;

impl SandboxPayments {
    /// `devhost` is the dev host's address, `secret` what it signs webhooks with.
    ///
    /// # Errors
    /// The reason, if the address cannot carry a path.
    pub fn new(client: HttpClient, devhost: &Url, secret: &str) -> Result<SandboxPayments, String> {
        let base = devhost.join("/dev/provider/").map_err(|err| err.to_string())?;
        // Without a secret no signature fits.
        let secrets = if secret.is_empty() { Vec::new() } else { vec![secret.as_bytes().to_vec()] };
        Ok(SandboxPayments { client, base, secrets })
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        posted: Posted<'_>,
        patience: Duration,
    ) -> Result<Option<Answer>, PaymentError> {
        let url = self.base.join(path).map_err(unavailable)?;
        let mut request = self.client.get().map_err(unavailable)?.request(method, url).timeout(patience);
        if let Some((key, body)) = posted {
            request = request
                .header("idempotency-key", key)
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.send().await.map_err(unavailable)?;
        let status = response.status();
        let bytes = http_client::body(response).await.map_err(unavailable)?;
        match status {
            StatusCode::NOT_FOUND | StatusCode::NO_CONTENT => Ok(None),
            status if status.is_success() => serde_json::from_slice(&bytes).map(Some).map_err(unavailable),
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => {
                let refusal = serde_json::from_slice::<Refusal>(&bytes).map(|it| it.error);
                Err(PaymentError::Refused(refusal.unwrap_or_else(|_| status.to_string())))
            }
            status => Err(unavailable(format!("the provider answered {status}"))),
        }
    }

    async fn r#move(&self, name: &PaymentName, what: &str, movement: &Movement) -> Result<Answer, PaymentError> {
        let path = format!("payments/{}/{what}", name.reference);
        let posted = Some((movement.key.as_str(), json!({ "amount": amount(movement.amount) })));
        let answer = self.call(Method::POST, &path, posted, PATIENCE).await?;
        answer.ok_or_else(|| PaymentError::Refused("unknown payment".to_owned()))
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
        let posted = Some((request.reference.as_str(), body));
        let answer = self.call(Method::POST, "payments", posted, AUTHORISE_PATIENCE).await?;
        payment(answer.ok_or_else(|| unavailable("the provider does not know its own address"))?)
    }

    async fn find(&self, name: &PaymentName) -> Result<Option<Payment>, PaymentError> {
        self.call(Method::GET, &format!("payments/{}", name.reference), None, PATIENCE).await?.map(payment).transpose()
    }

    async fn capture(&self, name: &PaymentName, movement: &Movement) -> Result<Payment, PaymentError> {
        payment(self.r#move(name, "capture", movement).await?)
    }

    async fn void(&self, name: &PaymentName, key: &str) -> Result<Option<Payment>, PaymentError> {
        let path = format!("payments/{}/void", name.reference);
        self.call(Method::POST, &path, Some((key, json!({}))), PATIENCE).await?.map(payment).transpose()
    }

    async fn refund(&self, name: &PaymentName, movement: &Movement) -> Result<Refunded, PaymentError> {
        let mut answer = self.r#move(name, "refund", movement).await?;
        let refund = answer.refund.take().ok_or_else(|| unavailable("a refund without its state"))?;
        let state = match refund.state.as_str() {
            "succeeded" => RefundState::Succeeded,
            "pending" => RefundState::Pending,
            "failed" => RefundState::Failed { reason: refund.reason.unwrap_or_else(|| "refused".to_owned()) },
            other => return Err(unavailable(format!("unknown refund state `{other}`"))),
        };
        Ok(Refunded { payment: payment(answer)?, state })
    }

    async fn webhook(&self, headers: &HeaderMap, body: &[u8], now: OffsetDateTime) -> Result<Notice, WebhookError> {
        let header = headers.get(SIGNATURE).and_then(|it| it.to_str().ok());
        webhook_signature::check(header, body, &self.secrets, now)?;
        let unreadable = |err: serde_json::Error| WebhookError::Unreadable(err.to_string());
        let NoticeBody { id, reference, fact: told } = serde_json::from_slice(body).map_err(unreadable)?;
        let facts = vec![fact(&reference, told)?];
        Ok(Notice { event_id: id, reference: Some(reference), provider_id: None, facts })
    }
}

#[async_trait]
impl Reach for SandboxPayments {
    async fn reach(&self) -> Result<(), Unreached> {
        let nobody = PaymentName { reference: "check".to_owned(), provider_id: None };
        Ok(self.find(&nobody).await.map(drop)?)
    }
}

fn amount(money: Money) -> serde_json::Value {
    json!({ "amount": money.minor().to_string(), "currency": money.currency().code() })
}

fn payment(answer: Answer) -> Result<Payment, PaymentError> {
    let currency = Currency::parse(&answer.currency).map_err(unavailable)?;
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
    let facts = answer.facts.into_iter().map(|it| fact(&answer.reference, it)).collect::<Result<_, _>>()?;
    let name = PaymentName { reference: answer.reference, provider_id: None };
    Ok(Payment::of(&name, status, currency, facts))
}

fn fact(reference: &str, told: FactBody) -> Result<PaymentFact, PaymentError> {
    let currency = Currency::parse(&told.amount.currency).map_err(unavailable)?;
    let kind = FactKind::parse(&told.kind).ok_or_else(|| unavailable(format!("unknown fact `{}`", told.kind)))?;
    let amount = Money::parse(&told.amount.amount, currency).map_err(unavailable)?;
    Ok(PaymentFact { id: told.id, reference: reference.to_owned(), kind, amount, at: told.at })
}

fn unavailable(err: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PaymentError {
    PaymentError::Unavailable(err.into())
}
