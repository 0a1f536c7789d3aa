//! `POST /api/v1/manage/orders/{orderId}/cancel`: staff cancels open units, all or some.
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::orders::{Caller, CancelOrder, cancel_order},
    views::{
        completed::answer,
        order_changes::{LineBody, asked_once, line_asks, note, render_for_staff},
    },
};

pub(super) const ROOM: Room<App> =
    Room::http("manage_order_cancel", include_str!("function.json")).post(|app, call| answering(handle(app, call)));

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ManageOrderCancelBody {
    /// Everything that is open, unless named.
    #[serde(default)]
    lines: Option<Vec<LineBody>>,
    #[serde(default)]
    reason: Option<String>,
    /// Money that was taken stays here.
    #[serde(default)]
    keep_money: bool,
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let subject = app.staff(&call, "write_orders").await?.subject;
    let asked = asked_once(&call, Caller::Staff { subject })?;
    let body: ManageOrderCancelBody = call.json()?;
    let lines = body.lines.map(|it| line_asks(&it)).transpose()?;
    let command = CancelOrder { asked, lines, reason: note("reason", body.reason)?, keep_money: body.keep_money };
    Ok(answer(cancel_order(&app.shop, &command, render_for_staff).await?))
}
