//! `POST /api/v1/manage/orders/{orderId}/returns`: staff opens a return, approved at once.
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
        order_changes::{LineBody, asked_once, line_asks, note, render_for_staff},
    },
};

pub(super) const ROOM: Room<App> =
    Room::http("manage_returns", include_str!("function.json")).post(|app, call| answering(handle(app, call)));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManageReturnsBody {
    lines: Vec<LineBody>,
    #[serde(default)]
    reason: Option<String>,
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let subject = app.staff(&call, "write_orders").await?.subject;
    let asked = asked_once(&call, Caller::Staff { subject })?;
    let body: ManageReturnsBody = call.json()?;
    let (lines, reason) = (line_asks(&body.lines)?, note("reason", body.reason)?);
    let command = RequestReturn { asked, lines, reason };
    Ok(answer(request_return(&app.shop, &command, render_for_staff).await?))
}
