//! The sandbox payment provider: an outside party with its own books, that happens to run in this process.
//!
//! What must stay true: it shares nothing with the shop but HTTP; it answers after COMMIT only; one reference is one payment, however
//! often it is asked for; and `sandbox_timeout` does what real networks do: the payment is made and the answer is lost.
mod challenge;
mod ledger;

use std::path::Path;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::database::DatabaseError;
use crate::rest::{Reply, fault, json_reply, wrong_method};
use ledger::{Answered, Authorisation, Ledger, LedgerError, Payment, Status};

/// Largest body of a call.
pub const BODY_MAX_BYTES: usize = 16 * 1024;
/// Longest reference and checkout id.
const ID_MAX_CHARS: usize = 200;

/// The provider's HTTP side.
#[derive(Debug)]
pub struct Provider {
    ledger: Ledger,
    /// Where the challenge pages are, e.g. `http://127.0.0.1:7071`.
    origin: String,
}

/// An answer, or the loss of it.
#[derive(Debug)]
pub enum Outcome {
    Reply(Reply),
    /// Close the connection without a byte.
    HangUp,
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AuthoriseBody {
    reference: String,
    checkout_id: String,
    amount: AmountBody,
    method: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AmountBody {
    amount: String,
    currency: String,
}

impl Provider {
    /// Opens the books.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(file: &Path, origin: &str) -> Result<Self, DatabaseError> {
        Ok(Self { ledger: Ledger::open(file)?, origin: origin.trim_end_matches('/').to_owned() })
    }

    /// Everything in the books, oldest first: `{items:[payment]}`.
    pub async fn payments(&self) -> Reply {
        match self.ledger.all().await {
            Ok(payments) => {
                let items: Vec<Value> = payments.iter().map(|payment| self.view(payment)).collect();
                json_reply(StatusCode::OK, &json!({ "items": items }))
            }
            Err(error) => ledger_fault(&error),
        }
    }

    /// Answers `/dev/provider/…`; `path` holds the decoded segments after that.
    pub async fn answer(&self, method: &Method, path: &[&str], headers: &HeaderMap, body: Bytes) -> Outcome {
        match path {
            ["payments"] if *method == Method::POST => self.authorise(headers, &body).await,
            ["payments"] => wrong_method("POST").into(),
            ["payments", reference] if *method == Method::GET => self.find(reference).await.into(),
            ["payments", _] => wrong_method("GET").into(),
            ["payments", _, "capture" | "void"] if *method != Method::POST => wrong_method("POST").into(),
            ["payments", reference, "capture"] => self.change(self.ledger.capture(reference).await).into(),
            ["payments", reference, "void"] => self.change(self.ledger.void(reference).await).into(),
            ["challenge", reference] if *method == Method::GET => self.show_challenge(reference).await.into(),
            ["challenge", reference] if *method == Method::POST => self.take_challenge(reference, &body).await.into(),
            ["challenge", _] => wrong_method("GET, POST").into(),
            _ => fault(StatusCode::NOT_FOUND, "the provider has no such page").into(),
        }
    }

    async fn authorise(&self, headers: &HeaderMap, body: &Bytes) -> Outcome {
        let request = match authorisation(headers, body) {
            Ok(request) => request,
            Err((status, sentence)) => return fault(status, sentence).into(),
        };
        let loses_answer = request.method == "sandbox_timeout";
        match self.ledger.authorise(request).await {
            // The first answer is lost; whoever asks again gets it.
            Ok((_, Answered::First)) if loses_answer => Outcome::HangUp,
            Ok((payment, _)) => json_reply(StatusCode::OK, &self.view(&payment)).into(),
            Err(error) => ledger_fault(&error).into(),
        }
    }

    async fn find(&self, reference: &str) -> Reply {
        match self.ledger.find(reference).await {
            Ok(payment) => json_reply(StatusCode::OK, &self.view(&payment)),
            Err(error) => ledger_fault(&error),
        }
    }

    fn change(&self, changed: Result<Payment, LedgerError>) -> Reply {
        match changed {
            Ok(payment) => json_reply(StatusCode::OK, &self.view(&payment)),
            Err(error) => ledger_fault(&error),
        }
    }

    async fn show_challenge(&self, reference: &str) -> Reply {
        match self.ledger.find(reference).await {
            Ok(payment) => challenge::show(&payment),
            Err(LedgerError::Unknown) => challenge::unknown(),
            Err(error) => ledger_fault(&error),
        }
    }

    async fn take_challenge(&self, reference: &str, body: &Bytes) -> Reply {
        let approved = match body.as_ref() {
            b"answer=approve" => true,
            b"answer=decline" => false,
            _ => return challenge::not_understood(),
        };
        match self.ledger.answer_challenge(reference, approved).await {
            Ok(payment) => challenge::show(&payment),
            Err(LedgerError::Unknown) => challenge::unknown(),
            Err(error) => ledger_fault(&error),
        }
    }

    /// A payment as the provider shows it; amounts are minor units as strings of digits.
    fn view(&self, payment: &Payment) -> Value {
        let mut view = json!({
            "reference": payment.reference,
            "checkoutId": payment.checkout_id,
            "currency": payment.currency,
            "method": payment.method,
            "status": payment.status.name(),
            "authorised": payment.authorised.to_string(),
            "captured": payment.captured.to_string(),
            "refunded": payment.refunded.to_string(),
            "voided": payment.voided.to_string(),
        });
        if let Some(members) = view.as_object_mut() {
            if let Status::Declined { reason } = &payment.status {
                members.insert("reason".to_owned(), json!(reason));
            }
            if payment.status == Status::ActionRequired {
                let name =
                    percent_encoding::utf8_percent_encode(&payment.reference, percent_encoding::NON_ALPHANUMERIC);
                members.insert("url".to_owned(), json!(format!("{}/dev/provider/challenge/{name}", self.origin)));
            }
        }
        view
    }
}

fn authorisation(headers: &HeaderMap, body: &Bytes) -> Result<Authorisation, (StatusCode, String)> {
    let unread = |sentence: String| (StatusCode::BAD_REQUEST, sentence);
    let refused = |sentence: &str| (StatusCode::UNPROCESSABLE_ENTITY, sentence.to_owned());
    let body: AuthoriseBody =
        serde_json::from_slice(body).map_err(|error| unread(format!("the body is not understood: {error}")))?;
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    let key = key.ok_or_else(|| unread("the header Idempotency-Key is required".to_owned()))?;
    if key != body.reference {
        return Err(refused("the Idempotency-Key is the reference"));
    }
    let sound = |id: &str| !id.is_empty() && id.chars().count() <= ID_MAX_CHARS && !id.chars().any(char::is_control);
    if !sound(&body.reference) || !sound(&body.checkout_id) {
        return Err(refused("reference and checkoutId hold 1 to 200 characters"));
    }
    let digits = &body.amount.amount;
    let plain = (1..=18).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let amount = if plain { digits.parse::<i64>().ok() } else { None };
    let amount = amount.filter(|minor| *minor > 0);
    let amount = amount.ok_or_else(|| refused("the amount is a string of digits above 0, in minor units"))?;
    if body.amount.currency.len() != 3 || !body.amount.currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(refused("the currency is three capital letters"));
    }
    if !ledger::METHODS.contains(&body.method.as_str()) {
        return Err((StatusCode::UNPROCESSABLE_ENTITY, format!("the provider has no method `{}`", body.method)));
    }
    Ok(Authorisation {
        reference: body.reference,
        checkout_id: body.checkout_id,
        amount,
        currency: body.amount.currency,
        method: body.method,
    })
}

fn ledger_fault(error: &LedgerError) -> Reply {
    let status = match error {
        LedgerError::Unknown => StatusCode::NOT_FOUND,
        LedgerError::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        LedgerError::Impossible(_) => StatusCode::CONFLICT,
        LedgerError::Database(_) | LedgerError::Stored(_) => {
            tracing::error!(error = error as &dyn std::error::Error, "The sandbox provider's books failed.");
            return fault(StatusCode::SERVICE_UNAVAILABLE, "the provider's books failed; see the dev host's log");
        }
    };
    fault(status, error)
}
