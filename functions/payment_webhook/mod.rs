//! `POST /api/v1/payments/webhooks/{provider}`: the payment provider tells what happened.
//!
//! The signature is over the bytes as they came, so the body is not read as JSON here. Whatever is known already
//! is answered 200 like what is new; any other answer makes the provider tell it again.
use serde::Serialize;

use crate::shared::{
    app::App,
    host::{
        admission::Traffic,
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::payment_events::{Heard, hear},
};

pub(super) const ROOM: Room<App> = Room::http("payment_webhook", include_str!("function.json"))
    .counted_as(Traffic::Free)
    .post(|app, call| answering(handle(app, call)));

#[derive(Serialize)]
struct HeardView {
    /// `noted`, `known`, `not_ours`.
    heard: &'static str,
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let heard = match hear(&app.shop, call.param("provider"), &call.headers, &call.body).await? {
        Heard::Noted => "noted",
        Heard::Known => "known",
        Heard::NotOurs => "not_ours",
    };
    Reply::ok(&HeardView { heard })
}
