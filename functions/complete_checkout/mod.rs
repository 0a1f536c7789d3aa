//! `POST /api/v1/checkouts/{checkoutId}/complete`: pay, and turn the cart into an order, once.
//!
//! `Idempotency-Key` names the attempt: a repeat gets the first answer again, byte for byte. 202, 409
//! `completion_in_progress` or with `Retry-After`, 429 and 5xx are not final; the same key may be sent again.
use bytes::Bytes;
use http::StatusCode;
use offpeak_domain::{checkout::PaymentChoice, ids::CheckoutId};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::{
        complete_checkout::{CompleteCheckout, Outcome, complete_checkout},
        kept_answers::Rendered,
    },
    views::{checkout::ActionView, completed::answer, money::MoneyView, order::OrderView},
};

pub(super) const ROOM: Room<App> =
    Room::http("complete_checkout", include_str!("function.json")).post(|app, call| answering(handle(app, call)));

/// Longest name of what a buyer pays with, and longest address to return to, in bytes.
const TOKEN_MAX: usize = 255;
const RETURN_URL_MAX: usize = 2_048;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CompleteCheckoutBody {
    expected_total: MoneyView,
    payment: PaymentBody,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PaymentBody {
    method: String,
    token: Option<String>,
    return_url: Option<String>,
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let idempotency_key = call.idempotency_key()?.to_owned();
    let body: CompleteCheckoutBody = call.json()?;
    let expected_total =
        body.expected_total.parse().map_err(|err| Problem::invalid("expectedTotal", err.to_string()))?;
    let command = CompleteCheckout {
        checkout: CheckoutId::parse(call.param("checkoutId"))?,
        token: call.cart_token()?.to_owned(),
        idempotency_key,
        expected_total,
        payment: choice(body.payment)?,
    };
    let completed = complete_checkout(&app.shop, &command, render).await?;
    Ok(answer(completed))
}

/// What the provider is told is bounded here; whether it means anything, the provider says.
fn choice(body: PaymentBody) -> Result<PaymentChoice, Problem> {
    let PaymentBody { method, token, return_url } = body;
    if token
        .as_ref()
        .is_some_and(|it| it.is_empty() || it.len() > TOKEN_MAX || !it.bytes().all(|b| b.is_ascii_graphic()))
    {
        return Err(Problem::invalid("payment.token", format!("1 to {TOKEN_MAX} visible ASCII characters")));
    }
    if let Some(url) = &return_url {
        let known = Url::parse(url).is_ok_and(|it| matches!(it.scheme(), "https" | "http") && it.has_host());
        if url.len() > RETURN_URL_MAX || !known {
            return Err(Problem::invalid("payment.returnUrl", "the full address of a page, https://…"));
        }
    }
    Ok(PaymentChoice { method, token, return_url })
}

fn render(outcome: &Outcome) -> Rendered {
    let (status, body) = match outcome {
        Outcome::Placed(order) => (StatusCode::OK, serde_json::to_vec(&OrderView::from(order.as_ref()))),
        Outcome::ActionRequired { url } => {
            (StatusCode::ACCEPTED, serde_json::to_vec(&json!({ "action": ActionView::of(url) })))
        }
        Outcome::Refused(refusal) => {
            let problem = Problem::from(refusal);
            (problem.status(), serde_json::to_vec(&problem.to_json()))
        }
    };
    // These shapes have string keys only, so they always have a JSON form.
    Rendered { status: status.as_u16(), body: Bytes::from(body.unwrap_or_default()) }
}
