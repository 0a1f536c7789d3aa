//! `POST /api/v1/orders/{orderId}/cancel`: the buyer gives the whole order up, while nothing of it is packed.
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
        order_changes::{asked_once, note, render_for_buyer},
    },
};

pub(super) const ROOM: Room<App> =
    Room::http("cancel_order", include_str!("function.json")).post(|app, call| answering(handle(app, call)));

/// An absent body is an empty one.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelOrderBody {
    #[serde(default)]
    reason: Option<String>,
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let caller = Caller::Customer { token: call.cart_token()?.to_owned() };
    let asked = asked_once(&call, caller)?;
    let body: CancelOrderBody = if call.body.is_empty() { CancelOrderBody::default() } else { call.json()? };
    let command = CancelOrder { asked, lines: None, reason: note("reason", body.reason)?, keep_money: false };
    Ok(answer(cancel_order(&app.shop, &command, render_for_buyer).await?))
}
