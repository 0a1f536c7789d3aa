//! `PUT /api/v1/manage/orders/{orderId}/returns/{returnId}`: a return is approved, declined, received, inspected
//! or closed. Counts are set, not added, so a repeat changes nothing.
use offpeak_domain::order::{ChangeReturn, ReturnLine, ReturnState};
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::orders::{Caller, ChangeOrderReturn, change_return},
    views::{
        completed::answer,
        order_changes::{asked_for_version, line_place, location, note, render_for_staff},
    },
};

pub(super) const ROOM: Room<App> =
    Room::http("change_return", include_str!("function.json")).put(|app, call| answering(handle(app, call)));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeReturnBody {
    /// `approved`, `declined`, `received`, `inspected` or `closed`.
    status: String,
    #[serde(default)]
    lines: Vec<ReturnLineBody>,
    /// Whether the money of units that are now decided goes back.
    #[serde(default = "yes")]
    refund: bool,
    /// Where units are put back; where they came from, unless named.
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    note: Option<String>,
}

/// Counts so far, not additions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReturnLineBody {
    line: usize,
    #[serde(default)]
    received: u32,
    #[serde(default)]
    restock: u32,
    #[serde(default)]
    damaged: u32,
    #[serde(default)]
    kept: u32,
}

fn yes() -> bool {
    true
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let subject = app.staff(&call, "write_orders").await?.subject;
    let asked = asked_for_version(&call, Caller::Staff { subject })?;
    let body: ChangeReturnBody = call.json()?;
    let state = ReturnState::parse(&body.status).filter(|it| *it != ReturnState::Refunded);
    let state = state.ok_or_else(|| Problem::invalid("status", "approved, declined, received, inspected or closed"))?;
    let change = ChangeReturn {
        state,
        lines: body.lines.iter().map(line).collect::<Result<_, _>>()?,
        refund: body.refund,
        location: location(body.location.as_deref())?,
        note: note("note", body.note)?,
    };
    let command = ChangeOrderReturn { asked, return_id: call.param("returnId").to_owned(), change };
    Ok(answer(change_return(&app.shop, &command, render_for_staff).await?))
}

fn line(it: &ReturnLineBody) -> Result<ReturnLine, Problem> {
    let ReturnLineBody { line, received, restock, damaged, kept } = *it;
    Ok(ReturnLine { line: line_place(line)?, requested: 0, received, restock, damaged, kept })
}
