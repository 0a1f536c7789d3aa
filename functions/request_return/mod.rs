//! `POST /api/v1/orders/{orderId}/returns`: the buyer asks to send goods back; staff decides.
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::orders::{Caller, RequestReturn, request_return},
    views::{
        completed::answer,
        order_changes::{LineBody, asked_once, line_asks, note, render_for_buyer},
    },
};

pub(super) const ROOM: Room<App> =
    Room::http("request_return", include_str!("function.json")).post(|app, call| answering(handle(app, call)));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestReturnBody {
    lines: Vec<LineBody>,
    #[serde(default)]
    reason: Option<String>,
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let caller = Caller::Customer { token: call.cart_token()?.to_owned() };
    let asked = asked_once(&call, caller)?;
    let body: RequestReturnBody = call.json()?;
    let (lines, reason) = (line_asks(&body.lines)?, note("reason", body.reason)?);
    let command = RequestReturn { asked, lines, reason };
    Ok(answer(request_return(&app.shop, &command, render_for_buyer).await?))
}
