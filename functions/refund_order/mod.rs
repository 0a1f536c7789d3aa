//! `POST /api/v1/manage/orders/{orderId}/refunds`: money goes back: for units and shipping, or a free amount.
use offpeak_domain::order::RefundAsk;
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::orders::{Caller, RefundOrder, refund_order},
    views::{
        completed::answer,
        money::MoneyView,
        order_changes::{LineBody, asked_once, line_asks, note, render_for_staff},
    },
};

pub(super) const ROOM: Room<App> =
    Room::http("refund_order", include_str!("function.json")).post(|app, call| answering(handle(app, call)));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundOrderBody {
    #[serde(default)]
    lines: Vec<LineBody>,
    #[serde(default)]
    shipping: bool,
    #[serde(default)]
    amount: Option<MoneyView>,
    #[serde(default)]
    reason: Option<String>,
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let subject = app.staff(&call, "write_refunds").await?.subject;
    let asked = asked_once(&call, Caller::Staff { subject })?;
    let body: RefundOrderBody = call.json()?;
    let refund = refund(&body)?;
    let command = RefundOrder { asked, refund, reason: note("reason", body.reason)? };
    Ok(answer(refund_order(&app.shop, &command, render_for_staff).await?))
}

fn refund(body: &RefundOrderBody) -> Result<RefundAsk, Problem> {
    match &body.amount {
        None => Ok(RefundAsk::Goods { lines: line_asks(&body.lines)?, shipping: body.shipping }),
        Some(amount) if body.lines.is_empty() && !body.shipping => {
            let amount = amount.parse().map_err(|err| Problem::invalid("amount", err.to_string()))?;
            Ok(RefundAsk::Amount(amount))
        }
        Some(_) => Err(Problem::invalid("amount", "send either an amount, or lines and shipping")),
    }
}
