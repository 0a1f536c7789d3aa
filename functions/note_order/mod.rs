//! `POST /api/v1/manage/orders/{orderId}/notes`: staff leave a note on an order. Its buyer never sees it.
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::orders::{Caller, NoteOrder, note_order},
    views::{
        completed::answer,
        order_changes::{asked_once, render_for_staff, words},
    },
};

pub(super) const ROOM: Room<App> =
    Room::http("note_order", include_str!("function.json")).post(|app, call| answering(handle(app, call)));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoteOrderBody {
    text: String,
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let subject = app.staff(&call, "write_orders").await?.subject;
    let asked = asked_once(&call, Caller::Staff { subject })?;
    let body: NoteOrderBody = call.json()?;
    let command = NoteOrder { asked, text: words("text", &body.text)? };
    Ok(answer(note_order(&app.shop, &command, render_for_staff).await?))
}
