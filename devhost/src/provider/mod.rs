//! The sandbox payment provider: an outside party with its own books, that happens to run in this process.
//!
//! What must stay true: it shares nothing with the shop but HTTP and the secret its webhooks are signed with; it answers after COMMIT
//! only; one reference is one payment, one key one movement, however often they are asked for; and `sandbox_timeout` does what real
//! networks do: the payment is made and the answer is lost.
mod challenge;
mod fold;
mod ledger;
mod notices;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::brokers::milliseconds;
use crate::clock::Clock;
use crate::database::DatabaseError;
use crate::rest::{Reply, fault, json_reply, page, wrong_method};
use fold::{Payment, Status};
use ledger::{Answered, Authorisation, BankAct, Ledger, LedgerError, Movement};
use notices::Teller;

/// Largest body of a call.
pub const BODY_MAX_BYTES: usize = 16 * 1024;
/// Longest reference and checkout id.
const ID_MAX_CHARS: usize = 200;

/// Where the shop hears of payments, behind the origin.
const WEBHOOK_PATH: &str = "/v1/payments/webhooks/sandbox";

/// The provider's HTTP side.
pub struct Provider {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    /// Where the challenge pages are, e.g. `http://127.0.0.1:7071`.
    origin: String,
    /// Absent until the shop is there to be told.
    teller: Option<Arc<Teller>>,
    telling: Option<tokio::task::AbortHandle>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(telling) = &self.telling {
            telling.abort();
        }
    }
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MovementBody {
    amount: AmountBody,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BankBody {
    act: BankActBody,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum BankActBody {
    Expire,
    DisputeOpened,
    DisputeWon,
    DisputeLost,
}

impl From<BankActBody> for BankAct {
    fn from(act: BankActBody) -> Self {
        match act {
            BankActBody::Expire => Self::Expire,
            BankActBody::DisputeOpened => Self::DisputeOpened,
            BankActBody::DisputeWon => Self::DisputeWon,
            BankActBody::DisputeLost => Self::DisputeLost,
        }
    }
}

impl Provider {
    /// Opens the books.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(file: &Path, origin: &str, clock: Arc<dyn Clock>) -> Result<Self, DatabaseError> {
        let origin = origin.trim_end_matches('/').to_owned();
        Ok(Self { ledger: Ledger::open(file)?, clock, origin, teller: None, telling: None })
    }

    /// Tells the shop from now on what happens, signed with `secret`. `prefix` is the route prefix of its functions.
    pub fn tell_shop(&mut self, prefix: &str, secret: &str) {
        let prefix = prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        let target = format!("{}{slash}{prefix}{WEBHOOK_PATH}", self.origin);
        let teller = Teller::new(self.ledger.database.clone(), Arc::clone(&self.clock), target, secret);
        let teller = Arc::new(teller);
        self.telling = Some(tokio::spawn(Arc::clone(&teller).run()).abort_handle());
        self.teller = Some(teller);
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
            ["payments", _, "capture" | "void" | "refund" | "bank"] if *method != Method::POST => {
                wrong_method("POST").into()
            }
            ["payments", reference, "capture"] => self.capture(reference, headers, &body).await.into(),
            ["payments", reference, "refund"] => self.refund(reference, headers, &body).await.into(),
            ["payments", reference, "void"] => self.void(reference).await.into(),
            ["payments", reference, "bank"] => self.bank(reference, &body).await.into(),
            ["webhooks"] if *method == Method::GET => self.webhooks(None).await.into(),
            ["webhooks"] if *method == Method::POST => self.webhooks(Some(&body)).await.into(),
            ["webhooks"] => wrong_method("GET, POST").into(),
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
        match self.ledger.authorise(request, self.now_ms()).await {
            // The first answer is lost; whoever asks again gets it.
            Ok((_, Answered::First)) if loses_answer => Outcome::HangUp,
            Ok((payment, _)) => json_reply(StatusCode::OK, &self.full_view(&payment)).into(),
            Err(error) => ledger_fault(&error).into(),
        }
    }

    async fn find(&self, reference: &str) -> Reply {
        self.shown(self.ledger.find(reference).await)
    }

    fn shown(&self, found: Result<Payment, LedgerError>) -> Reply {
        match found {
            Ok(payment) => json_reply(StatusCode::OK, &self.full_view(&payment)),
            Err(error) => ledger_fault(&error),
        }
    }

    async fn capture(&self, reference: &str, headers: &HeaderMap, body: &Bytes) -> Reply {
        match movement(headers, body) {
            Ok(movement) => self.shown(self.ledger.capture(reference, movement, self.now_ms()).await),
            Err((status, sentence)) => fault(status, sentence),
        }
    }

    /// The payment, and `refund: {state, reason}`.
    async fn refund(&self, reference: &str, headers: &HeaderMap, body: &Bytes) -> Reply {
        let movement = match movement(headers, body) {
            Ok(movement) => movement,
            Err((status, sentence)) => return fault(status, sentence),
        };
        let key = movement.key.clone();
        match self.ledger.refund(reference, movement, self.now_ms()).await {
            Ok(payment) => {
                let mut view = self.full_view(&payment);
                if let Some(members) = view.as_object_mut() {
                    let refund = match payment.refund_failed(&key) {
                        Some(reason) => json!({ "state": "failed", "reason": reason }),
                        None => json!({ "state": "succeeded" }),
                    };
                    members.insert("refund".to_owned(), refund);
                }
                json_reply(StatusCode::OK, &view)
            }
            Err(error) => ledger_fault(&error),
        }
    }

    /// 204 for a payment that is barred before it came.
    async fn void(&self, reference: &str) -> Reply {
        match self.ledger.void(reference, self.now_ms()).await {
            Ok(Some(payment)) => json_reply(StatusCode::OK, &self.full_view(&payment)),
            Ok(None) => page(StatusCode::NO_CONTENT, "application/json", ""),
            Err(error) => ledger_fault(&error),
        }
    }

    /// `{"act": "expire" | "dispute_opened" | "dispute_won" | "dispute_lost"}`: what the buyer's bank does by itself.
    async fn bank(&self, reference: &str, body: &Bytes) -> Reply {
        match serde_json::from_slice::<BankBody>(body) {
            Ok(body) => self.shown(self.ledger.bank(reference, body.act.into(), self.now_ms()).await),
            Err(error) => fault(StatusCode::BAD_REQUEST, format_args!("the body is not understood: {error}")),
        }
    }

    /// How the shop is told, and how many notices it has not heard; with a body, sets the mode first.
    async fn webhooks(&self, body: Option<&Bytes>) -> Reply {
        let Some(teller) = &self.teller else {
            return fault(StatusCode::SERVICE_UNAVAILABLE, "there is no shop to be told");
        };
        if let Some(body) = body {
            let mode = match serde_json::from_slice(body) {
                Ok(mode) => mode,
                Err(error) => {
                    return fault(StatusCode::BAD_REQUEST, format_args!("the body is not understood: {error}"));
                }
            };
            match teller.set_mode(mode).await {
                Ok(Ok(_)) => {}
                Ok(Err(sentence)) => return fault(StatusCode::UNPROCESSABLE_ENTITY, sentence),
                Err(error) => return ledger_fault(&error),
            }
        }
        match teller.waiting().await {
            Ok(waiting) => json_reply(StatusCode::OK, &json!({ "mode": teller.mode(), "waiting": waiting })),
            Err(error) => ledger_fault(&error),
        }
    }

    fn now_ms(&self) -> i64 {
        now_ms(self.clock.as_ref())
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
        match self.ledger.answer_challenge(reference, approved, self.now_ms()).await {
            Ok(payment) => challenge::show(&payment),
            Err(LedgerError::Unknown) => challenge::unknown(),
            Err(error) => ledger_fault(&error),
        }
    }

    /// A payment with all that happened to it.
    fn full_view(&self, payment: &Payment) -> Value {
        let mut view = self.view(payment);
        if let Some(members) = view.as_object_mut() {
            let facts: Vec<Value> = payment.entries.iter().map(|it| it.view(&payment.currency)).collect();
            members.insert("facts".to_owned(), json!(facts));
        }
        view
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
    if key(headers)? != body.reference {
        return Err(refused("the Idempotency-Key is the reference"));
    }
    let sound = |id: &str| !id.is_empty() && id.chars().count() <= ID_MAX_CHARS && !id.chars().any(char::is_control);
    if !sound(&body.reference) || !sound(&body.checkout_id) {
        return Err(refused("reference and checkoutId hold 1 to 200 characters"));
    }
    let (amount, currency) = money(body.amount)?;
    if !ledger::METHODS.contains(&body.method.as_str()) {
        return Err((StatusCode::UNPROCESSABLE_ENTITY, format!("the provider has no method `{}`", body.method)));
    }
    Ok(Authorisation {
        reference: body.reference,
        checkout_id: body.checkout_id,
        amount,
        currency,
        method: body.method,
    })
}

/// Why a call is not understood or not possible: what to answer.
type Refused = (StatusCode, String);

fn key(headers: &HeaderMap) -> Result<&str, Refused> {
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    key.filter(|it| (1..=ID_MAX_CHARS).contains(&it.len())).ok_or_else(|| {
        (StatusCode::BAD_REQUEST, "the header Idempotency-Key is required: 1 to 200 characters".to_owned())
    })
}

fn movement(headers: &HeaderMap, body: &Bytes) -> Result<Movement, Refused> {
    let key = key(headers)?.to_owned();
    let body: MovementBody = serde_json::from_slice(body)
        .map_err(|error| (StatusCode::BAD_REQUEST, format!("the body is not understood: {error}")))?;
    let (amount, currency) = money(body.amount)?;
    Ok(Movement { key, amount, currency })
}

fn money(body: AmountBody) -> Result<(i64, String), Refused> {
    let refused = |sentence: &str| (StatusCode::UNPROCESSABLE_ENTITY, sentence.to_owned());
    let digits = &body.amount;
    let plain = (1..=18).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let amount = if plain { digits.parse::<i64>().ok() } else { None };
    let amount = amount.filter(|minor| *minor > 0);
    let amount = amount.ok_or_else(|| refused("the amount is a string of digits above 0, in minor units"))?;
    if body.currency.len() != 3 || !body.currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(refused("the currency is three capital letters"));
    }
    Ok((amount, body.currency))
}

fn now_ms(clock: &dyn Clock) -> i64 {
    milliseconds(clock.now())
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
