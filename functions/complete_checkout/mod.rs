//! `POST /api/v1/checkouts/{checkoutId}/complete`: pay, and turn the cart into an order, once.
//!
//! `Idempotency-Key` names the attempt: a repeat gets the first answer again, byte for byte. 202, 409
//! `completion_in_progress`, 429 and 5xx are not final; the same key may be sent again.
use bytes::Bytes;
use http::{HeaderName, StatusCode, header};
use offpeak_domain::ids::CheckoutId;
use serde::Deserialize;
use serde_json::json;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::complete_checkout::{CompleteCheckout, Outcome, Rendered, complete_checkout},
    views::{checkout::ActionView, money::MoneyView, order::OrderView},
};

pub(super) const ROOM: Room<App> =
    Room::http("complete_checkout", include_str!("function.json")).post(|app, call| answering(handle(app, call)));

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CompleteCheckoutBody {
    expected_total: MoneyView,
    payment: PaymentBody,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PaymentBody {
    method: String,
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
        payment_method: body.payment.method,
    };
    let completed = complete_checkout(&app.shop, &command, render).await?;
    Ok(answer(completed.rendered, completed.replayed))
}

fn answer(rendered: Rendered, replayed: bool) -> Reply {
    let status = StatusCode::from_u16(rendered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = Reply::ready(status, rendered.body);
    if !status.is_success() {
        reply = reply.header(header::CONTENT_TYPE, "application/problem+json");
    }
    if replayed { reply.header(REPLAYED, "true") } else { reply }
}

fn render(outcome: &Outcome) -> Rendered {
    let (status, body) = match outcome {
        Outcome::Placed(order) => (StatusCode::OK, serde_json::to_vec(&OrderView::from(order.as_ref()))),
        Outcome::ActionRequired { url } => {
            (StatusCode::ACCEPTED, serde_json::to_vec(&json!({ "action": ActionView::redirect(url) })))
        }
        Outcome::Refused(refusal) => {
            let problem = Problem::from(refusal);
            (problem.status(), serde_json::to_vec(&problem.to_json()))
        }
    };
    // These shapes have string keys only, so they always have a JSON form.
    Rendered { status: status.as_u16(), body: Bytes::from(body.unwrap_or_default()) }
}
